#include "authority.h"

#include <sys/stat.h>

#include <openssl/ssl.h>

#include "ocsp.h"
#include "pair.h"
#include "quic/tls_pins.h"

/* Two levels below a root; a server shows the lowest, a client connects to 127.0.0.1. */
struct family {
    struct identity root, between, leaf;
};

static void family_init(struct family *f, const struct wanted *leaf)
{
    f->root = identity_new(&(struct wanted){.cn = "root", .ca = true}, NULL);
    f->between = identity_new(&(struct wanted){.cn = "between", .ca = true}, &f->root);
    f->leaf = identity_new(leaf, &f->between);
}

static void family_done(struct family *f)
{
    identity_done(&f->leaf), identity_done(&f->between), identity_done(&f->root);
}

static const struct wanted usual = {.cn = "leaf", .names = {"127.0.0.1"}, .usage = "serverAuth"};

/* A pair whose server shows the leaf and what is between, and whose client trusts the root. */
static void family_pair(struct pair *p, const struct family *f)
{
    pair_init(p, "localhost");
    put_text(p->cert, pem_of(f->leaf.cert, f->between.cert));
    put_text(p->key, pem_of_key(f->leaf.key, NULL));
    put_text(p->ca, pem_of(f->root.cert, NULL));
}

/* Starts it and connects; says NULL: with success. */
static void expect(struct pair *p, const char *says)
{
    pair_start(p);
    CHECK_INT(pair_connect(p, "127.0.0.1"), ==, 0);
    if (says == NULL) {
        CHECK(pair_until(p, &p->connected));
        CHECK_INT(p->closed, ==, 0);
        return;
    }
    CHECK(pair_until_closed(p));
    CHECK_INT(p->closed_error, ==, QUICPRO_EVERIFY);
    CHECK(!p->connected);
    if (!CHECK(strstr(p->closed_text, says) != NULL))
        printf("#   not \"%s\": %s\n", says, p->closed_text);
}

static void test_words_of_a_real_handshake(void)
{
    enum { DAY = AUTHORITY_DAY };
    static const struct {
        struct wanted leaf;
        const char *says; /* NULL: accepted */
    } row[] = {
        {{.cn = "leaf", .names = {"127.0.0.1"}, .usage = "serverAuth"}, NULL},
        {{.cn = "leaf", .names = {"127.0.0.1"}}, NULL},
        {{.cn = "leaf", .names = {"127.0.0.1"}, .from = -9 * DAY, .until = -3 * DAY - 60},
         "certificate expired 3 days ago, on "},
        {{.cn = "leaf", .names = {"127.0.0.1"}, .from = 5 * DAY + 60, .until = 9 * DAY},
         "certificate is not valid until "},
        {{.cn = "leaf", .names = {"a.example", "::1"}},
         "address '127.0.0.1' does not match 'a.example', '::1'"},
        {{.cn = "leaf", .names = {"127.0.0.1"}, .usage = "clientAuth"},
         "certificate is not meant for servers"},
    };
    for (size_t i = 0; i < COUNTOF(row); i++) {
        struct family f;
        struct pair p;
        family_init(&f, &row[i].leaf);
        family_pair(&p, &f);
        expect(&p, row[i].says);
        pair_done(&p);
        family_done(&f);
    }
}

static void test_authorities_that_are_not_known(void)
{
    struct family f, other;
    struct pair p;
    family_init(&f, &usual);
    family_init(&other, &usual);
    family_pair(&p, &f);
    put_text(p.cert, pem_of(f.leaf.cert, NULL)); /* a server that forgot what is between */
    expect(&p, "issued by unknown authority 'CN=between'");
    pair_done(&p);

    family_pair(&p, &f);
    put_text(p.ca, pem_of(other.root.cert, NULL)); /* of the same name */
    expect(&p, "certificate 'CN=between' of its chain was not signed by the trusted authority "
               "'CN=root', only by one of that name");
    pair_done(&p);

    family_pair(&p, &f);
    struct identity self = identity_new(&usual, NULL);
    put_text(p.cert, pem_of(self.cert, NULL));
    put_text(p.key, pem_of_key(self.key, NULL));
    expect(&p, "self-signed certificate 'CN=leaf' is not among the trusted ones");
    pair_done(&p);
    identity_done(&self), family_done(&f), family_done(&other);
}

static void test_depth(void)
{
    struct family f;
    family_init(&f, &usual);
    for (int depth = 0; depth < 2; depth++) {
        struct pair p;
        family_pair(&p, &f);
        quicpro_config_set(p.client_config, "verify_depth", depth == 0 ? "0" : "1");
        expect(&p, depth == 0 ? "verify_depth (0)" : NULL);
        pair_done(&p);
    }
    family_done(&f);
}

static void test_authorities_of_a_folder_and_of_memory(void)
{
    struct family f;
    struct pair p;
    char dir[80], file[128], words[128];
    family_init(&f, &usual);
    char *root = pem_of(f.root.cert, NULL);
    for (int which = 0; which < 3; which++) {
        family_pair(&p, &f);
        quicpro_config_set(p.client_config, "ca_file", "");
        snprintf(dir, sizeof(dir), "%s/ca", p.dir);
        snprintf(file, sizeof(file), "%s/root.crt", dir);
        snprintf(words, sizeof(words), "%s/README", dir);
        CHECK_INT(mkdir(dir, 0700), ==, 0);
        put_text(words, strdup("words\n"));
        if (which == 0)
            quicpro_config_set(p.client_config, "ca_data", root);
        else
            quicpro_config_set(p.client_config, "ca_path", dir);
        if (which != 2)
            put_text(file, strdup(root));
        if (which == 2) { /* nothing but words */
            CHECK_INT(quicpro_loop_new(&p.client_loop, NULL), ==, 0);
            CHECK_INT(quicpro_client_new(&p.client, p.client_loop, p.client_config), ==,
                      QUICPRO_ECERT);
            CHECK(strstr(quicpro_loop_error(p.client_loop), "ca_path: no certificate in") != NULL);
        } else {
            expect(&p, NULL);
        }
        unlink(file), unlink(words), rmdir(dir);
        pair_done(&p);
    }
    free(root), family_done(&f);
}

static void test_authorities_that_cannot_be_read(void)
{
    struct setting s;
    struct ssl_ctx_st *ctx;
    setting_init(&s);
    put_text(s.ca, strdup("nothing\n"));
    const struct {
        const char *key, *value, *says;
    } row[] = {
        {"ca_file", "/nonexistent", "ca_file: cannot read '/nonexistent'"},
        {"ca_file", s.ca, "holds no certificate, neither PEM nor DER"},
        {"ca_path", "/nonexistent", "ca_path: cannot read '/nonexistent'"},
        {"ca_data", "nothing", "ca_data holds no certificate"},
    };
    for (size_t i = 0; i < COUNTOF(row); i++) {
        setting_set(&s, row[i].key, row[i].value);
        CHECK_INT(qp_tls_client_new(&ctx, &s.args), ==, QUICPRO_ECERT);
        CHECK(setting_said(&s, row[i].says));
        setting_set(&s, row[i].key, "");
    }
    setting_done(&s);
}

/* The system's authorities are those of SSL_CERT_FILE and SSL_CERT_DIR where these are set. */
static void test_variables_name_the_systems_authorities(void)
{
    struct family f;
    family_init(&f, &usual);
    for (int i = 0; i < 3; i++) {
        struct pair p;
        family_pair(&p, &f);
        quicpro_config_set(p.client_config, "ca_file", "");
        setenv("SSL_CERT_FILE", i == 0 ? p.ca : i == 1 ? p.key : "/nonexistent", 1);
        if (i == 1)
            setenv("SSL_CERT_DIR", p.dir, 1);
        expect(&p, i == 0 ? NULL : "issued by unknown authority 'CN=root'");
        pair_done(&p);
        unsetenv("SSL_CERT_FILE");
        unsetenv("SSL_CERT_DIR");
    }
    family_done(&f);
}

static void test_pins(void)
{
    struct family f, other;
    char root[QP_TLS_PIN_TEXT], leaf[QP_TLS_PIN_TEXT], wrong[QP_TLS_PIN_TEXT], both[128], says[160];
    family_init(&f, &usual);
    family_init(&other, &usual);
    qp_tls_pin_text(root, f.root.cert);
    qp_tls_pin_text(leaf, f.leaf.cert);
    qp_tls_pin_text(wrong, other.leaf.cert);
    snprintf(both, sizeof(both), "%s,%s", wrong, leaf);
    snprintf(says, sizeof(says), "its key is not pinned: 'CN=leaf' has %s", leaf);
    const struct {
        const char *verify, *pins, *says;
    } row[] =
        {
            {"true", leaf, NULL},  {"true", root, NULL},  {"true", both, NULL},
            {"true", wrong, says}, {"false", leaf, NULL}, {"false", wrong, says},
            {"false", root, says}, /* anybody can send a copy of the root along */
        };
    for (size_t i = 0; i < COUNTOF(row); i++) {
        struct pair p;
        family_pair(&p, &f);
        quicpro_config_set(p.client_config, "verify_peer", row[i].verify);
        quicpro_config_set(p.client_config, "pins", row[i].pins);
        expect(&p, row[i].says);
        pair_done(&p);
    }
    /* A pin does not make up for a chain. */
    struct pair p;
    family_pair(&p, &f);
    put_text(p.ca, pem_of(other.leaf.cert, NULL));
    quicpro_config_set(p.client_config, "pins", leaf);
    expect(&p, "issued by unknown authority 'CN=root'");
    pair_done(&p);
    family_done(&f), family_done(&other);
}

static void note_server(struct pair *p, const quicpro_batch *batch, const quicpro_event *event)
{
    char *said = p->data;
    (void)batch;
    if (event->type == QUICPRO_EVENT_CLOSED && said[0] == '\0')
        snprintf(said, 640, "%d %s", event->error, (const char *)event->data);
}

/* What a server makes of clients with and without certificates. */
static void test_client_auth(void)
{
    static const struct wanted of_clients = {.cn = "alice", .usage = "clientAuth"};
    static const struct wanted expired = {.cn = "alice", .from = -100000, .until = -90000};
    struct family f, other;
    struct identity alice, late, stranger, server;
    char pin[QP_TLS_PIN_TEXT];
    family_init(&f, &usual);
    family_init(&other, &usual);
    alice = identity_new(&of_clients, &f.root);
    late = identity_new(&expired, &f.root);
    server = identity_new(&usual, &f.root); /* a certificate for the other side */
    stranger = identity_new(&of_clients, &other.root);
    qp_tls_pin_text(pin, stranger.cert);
    const struct {
        const char *auth, *verify, *pins;
        const struct identity *client; /* NULL: none */
        const char *says;              /* NULL: accepted */
    } row[] = {
        {"none", "true", "", NULL, NULL},
        {"none", "true", "", &stranger, NULL},
        {"optional", "true", "", NULL, NULL},
        {"optional", "true", "", &alice, NULL},
        {"optional", "true", "", &stranger, "was not signed by the trusted authority 'CN=root'"},
        {"required", "true", "", &alice, NULL},
        {"required", "true", "", NULL, "it sent none, and client_auth is required"},
        {"required", "true", "", &late, "certificate expired 1 day ago"},
        {"required", "true", "", &server, "certificate is not meant for clients"},
        {"required", "true", pin, &alice, "its key is not pinned: 'CN=alice' has sha256/"},
        {"required", "false", pin, &stranger, NULL},
        {"required", "false", pin, &alice, "its key is not pinned"},
        {"required", "false", pin, NULL, "it sent none"},
    };
    for (size_t i = 0; i < COUNTOF(row); i++) {
        struct pair p;
        char said[640] = "", cert[96], key[96];
        family_pair(&p, &f);
        snprintf(cert, sizeof(cert), "%s/client.pem", p.dir);
        snprintf(key, sizeof(key), "%s/client.key", p.dir);
        quicpro_config_set(p.server_config, "client_auth", row[i].auth);
        quicpro_config_set(p.server_config, "ca_file", p.ca);
        quicpro_config_set(p.server_config, "verify_peer", row[i].verify);
        quicpro_config_set(p.server_config, "pins", row[i].pins);
        if (row[i].client != NULL) {
            put_text(cert, pem_of(row[i].client->cert, NULL));
            put_text(key, pem_of_key(row[i].client->key, NULL));
            quicpro_config_set(p.client_config, "cert_file", cert);
            quicpro_config_set(p.client_config, "key_file", key);
        }
        p.data = said;
        p.on_server = note_server;
        pair_start(&p);
        CHECK_INT(pair_connect(&p, "127.0.0.1"), ==, 0);
        /* A client is done before its server has seen its certificate (RFC 8446 section 4.4.4). */
        CHECK(pair_until(&p, &p.connected));
        if (row[i].says != NULL) {
            CHECK(pair_until_closed(&p));
            CHECK_INT(p.closed_error, ==, QUICPRO_ETLS);
            CHECK_INT(atoi(said), ==, QUICPRO_EVERIFY);
            if (!CHECK(strstr(said, row[i].says) != NULL))
                printf("#   not \"%s\": %s\n", row[i].says, said);
        } else {
            quicpro_stream stream;
            CHECK_INT(pair_request(&p, "GET", "/", NULL, 0, 1, NULL, &stream), ==, 0);
            pair_step(&p), pair_step(&p);
            CHECK_INT(p.closed, ==, 0);
            CHECK_STR(said, "");
        }
        unlink(cert), unlink(key);
        pair_done(&p);
    }
    identity_done(&alice), identity_done(&late), identity_done(&server), identity_done(&stranger);
    family_done(&f), family_done(&other);
}

static void test_client_auth_that_would_prove_nothing(void)
{
    struct setting s;
    struct ssl_ctx_st *ctx;
    struct family f;
    family_init(&f, &usual);
    setting_init(&s);
    put_text(s.cert, pem_of(f.leaf.cert, NULL));
    put_text(s.key, pem_of_key(f.leaf.key, NULL));
    setting_set(&s, "cert_file", s.cert);
    setting_set(&s, "key_file", s.key);
    setting_set(&s, "client_auth", "required");
    CHECK_INT(qp_tls_server_new(&ctx, &s.args), ==, QUICPRO_ECERT);
    CHECK(setting_said(&s, "client_auth: set ca_file, ca_path or ca_data"));
    setting_set(&s, "verify_peer", "false");
    CHECK_INT(qp_tls_server_new(&ctx, &s.args), ==, QUICPRO_EVALUE);
    CHECK(setting_said(&s, "any certificate would do"));
    setting_done(&s);
    family_done(&f);
}

/* Tickets of one policy are worth nothing under another. */
static void test_tickets_are_bound_to_the_policy(void)
{
    static const char *const change[][2] = {
        {"", ""},
        {"client_auth", "optional"},
        {"verify_depth", "3"},
        {"pins", "sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="},
        {"ca_file", ""},
    };
    struct setting s;
    struct family f, other;
    size_t len;
    uint8_t first[32];
    family_init(&f, &usual);
    family_init(&other, &usual);
    setting_init(&s);
    put_text(s.cert, pem_of(f.leaf.cert, NULL));
    put_text(s.key, pem_of_key(f.leaf.key, NULL));
    for (size_t i = 0; i < COUNTOF(change) + 1; i++) {
        struct ssl_ctx_st *ctx;
        put_text(s.ca, pem_of(i < COUNTOF(change) ? f.root.cert : other.root.cert, NULL));
        setting_set(&s, "cert_file", s.cert);
        setting_set(&s, "key_file", s.key);
        setting_set(&s, "client_auth", "required");
        setting_set(&s, "verify_depth", "10");
        setting_set(&s, "pins", "");
        setting_set(&s, "ca_file", s.ca);
        if (i > 0 && i < COUNTOF(change))
            setting_set(&s, change[i][0], change[i][1]);
        if (i == 4)
            setting_set(&s, "ca_path", "/etc/ssl/certs");
        if (!CHECK_INT(qp_tls_server_new(&ctx, &s.args), ==, 0)) {
            printf("#   %s\n", s.error);
            continue;
        }
        SSL *ssl = SSL_new(ctx);
        const uint8_t *id = SSL_get0_session_id_context(ssl, &len);
        if (CHECK_U64(len, ==, sizeof(first))) {
            CHECK((memcmp(id, first, len) == 0) == false);
            if (i == 0)
                memcpy(first, id, len);
        }
        SSL_free(ssl);
        qp_tls_free(ctx);
        setting_set(&s, "ca_path", "");
    }
    setting_done(&s);
    family_done(&f), family_done(&other);
}

/* What a server staples, and a client that wants it. */
static void test_a_staple_that_is_required(void)
{
    enum { NO_STAPLE, BY_ISSUER, BY_ROOT };
    static const struct {
        const char *require;
        int staple;
        const char *says;
    } row[] = {
        {"true", BY_ISSUER, NULL},
        {"true", NO_STAPLE, "it came without an OCSP staple"},
        {"true", BY_ROOT, "its OCSP staple is not signed by who may"},
        {"false", NO_STAPLE, NULL},
        {"false", BY_ROOT, NULL}, /* not asked for, so not sent */
    };
    for (size_t i = 0; i < COUNTOF(row); i++) {
        struct family f;
        struct pair p;
        char path[128];
        uint8_t *serial = NULL;
        size_t len;
        family_init(&f, &usual);
        family_pair(&p, &f);
        const int n = i2d_ASN1_INTEGER(X509_get0_serialNumber(f.leaf.cert), &serial);
        const struct ocsp made = {.serial = serial + 2,
                                  .serial_len = (size_t)n - 2,
                                  .from = time(NULL) - 100,
                                  .until = time(NULL) + 1000,
                                  .issuer = f.between.cert,
                                  .key = row[i].staple == BY_ROOT ? f.root.key : f.between.key};
        snprintf(path, sizeof(path), "%s/ocsp", p.dir);
        char *der = (char *)ocsp_make(&made, &len);
        put_file(path, der, len);
        if (row[i].staple != NO_STAPLE)
            quicpro_config_set(p.server_config, "ocsp_file", path);
        quicpro_config_set(p.client_config, "ocsp_require", row[i].require);
        expect(&p, row[i].says);
        unlink(path);
        pair_done(&p);
        family_done(&f);
        OPENSSL_free(serial);
    }
}

static void test_a_staple_that_nobody_could_check(void)
{
    struct pair p;
    pair_init(&p, "localhost");
    CHECK_INT(quicpro_loop_new(&p.client_loop, NULL), ==, 0);
    quicpro_config_set(p.client_config, "ocsp_require", "true");
    quicpro_config_set(p.client_config, "verify_peer", "false");
    CHECK_INT(quicpro_client_new(&p.client, p.client_loop, p.client_config), ==, QUICPRO_EVALUE);
    CHECK(strstr(quicpro_loop_error(p.client_loop), "ocsp_require: verify_peer is off") != NULL);
    pair_done(&p);
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_words_of_a_real_handshake),
        TEST(test_authorities_that_are_not_known),
        TEST(test_depth),
        TEST(test_authorities_of_a_folder_and_of_memory),
        TEST(test_authorities_that_cannot_be_read),
        TEST(test_variables_name_the_systems_authorities),
        TEST(test_pins),
        TEST(test_client_auth),
        TEST(test_client_auth_that_would_prove_nothing),
        TEST(test_tickets_are_bound_to_the_policy),
        TEST(test_a_staple_that_is_required),
        TEST(test_a_staple_that_nobody_could_check),
    };
    return RUN(tests);
}
