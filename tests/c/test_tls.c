#include "quic/tls.h"

#include <openssl/ssl.h>

#include "authority.h"
#include "ocsp.h"
#include "pair.h"

static void test_protocol_names(void)
{
    static char longest[300];
    memset(longest, 'a', sizeof(longest) - 1);
    const struct {
        const char *alpn;
        int want;
    } row[] = {
        {"h3", 0},
        {"h3,h3-29,x", 0},
        {"", QUICPRO_EVALUE},
        {longest, QUICPRO_EVALUE},
    };
    for (size_t i = 0; i < COUNTOF(row); i++) {
        struct pair p;
        pair_init(&p, "localhost");
        CHECK_INT(quicpro_loop_new(&p.client_loop, NULL), ==, 0);
        CHECK_INT(quicpro_config_set(p.client_config, "alpn", row[i].alpn), ==, 0);
        CHECK_INT(quicpro_client_new(&p.client, p.client_loop, p.client_config), ==, row[i].want);
        if (row[i].want < 0)
            CHECK(strstr(quicpro_loop_error(p.client_loop), "alpn") != NULL);
        pair_done(&p);
    }
}

static size_t lines_with(const char *path, const char *word)
{
    char line[512];
    size_t count = 0;
    FILE *f = fopen(path, "r");
    while (f != NULL && fgets(line, sizeof(line), f) != NULL)
        count += strncmp(line, word, strlen(word)) == 0;
    if (f != NULL)
        fclose(f);
    return count;
}

static void test_secrets_for_packet_analysers(void)
{
    struct pair p;
    char path[128];
    pair_init(&p, "localhost");
    snprintf(path, sizeof(path), "%s/keys.txt", p.dir);
    quicpro_config_set(p.server_config, "keylog_file", path);
    quicpro_config_set(p.client_config, "keylog_file", path);
    pair_start(&p);
    CHECK_INT(pair_connect(&p, "127.0.0.1"), ==, 0);
    CHECK(pair_until(&p, &p.connected));
    CHECK_U64(lines_with(path, "CLIENT_HANDSHAKE_TRAFFIC_SECRET "), ==, 2); /* both sides' */
    CHECK_U64(lines_with(path, "SERVER_TRAFFIC_SECRET_0 "), ==, 2);
    unlink(path);
    pair_done(&p);

    pair_init(&p, "localhost");
    CHECK_INT(quicpro_loop_new(&p.client_loop, NULL), ==, 0);
    quicpro_config_set(p.client_config, "keylog_file", "/nonexistent/keys.txt");
    CHECK_INT(quicpro_client_new(&p.client, p.client_loop, p.client_config), ==, QUICPRO_EVALUE);
    CHECK(strstr(quicpro_loop_error(p.client_loop), "/nonexistent/keys.txt") != NULL);
    pair_done(&p);
}

static void test_the_environment_may_name_the_key_log(void)
{
    static const struct {
        const char *key, *value;
        size_t lines; /* of the server; the client's configuration stays as it is */
    } row[] = {
        {"keylog_env", "true", 1},
        {"keylog_env", "false", 0},
        {"security_allow_config_override", "false", 0},
        {"keylog_file", "/dev/null", 0},
    };
    for (size_t i = 0; i < COUNTOF(row); i++) {
        struct pair p;
        char path[128];
        pair_init(&p, "localhost");
        snprintf(path, sizeof(path), "%s/keys.txt", p.dir);
        quicpro_config_set(p.client_config, "keylog_env", "false");
        quicpro_config_set(p.server_config, row[i].key, row[i].value);
        setenv("SSLKEYLOGFILE", path, 1);
        pair_start(&p);
        unsetenv("SSLKEYLOGFILE");
        CHECK_INT(pair_connect(&p, "127.0.0.1"), ==, 0);
        CHECK(pair_until(&p, &p.connected));
        CHECK_U64(lines_with(path, "SERVER_TRAFFIC_SECRET_0 "), ==, row[i].lines);
        unlink(path);
        pair_done(&p);
    }
}

static void test_a_key_log_that_cannot_be_opened(void)
{
    struct pair p;
    pair_init(&p, "localhost");
    CHECK_INT(quicpro_loop_new(&p.client_loop, NULL), ==, 0);
    setenv("SSLKEYLOGFILE", "/nonexistent/keys.txt", 1);
    CHECK_INT(quicpro_client_new(&p.client, p.client_loop, p.client_config), ==, QUICPRO_EVALUE);
    unsetenv("SSLKEYLOGFILE");
    CHECK_STR(quicpro_loop_error(p.client_loop),
              "SSLKEYLOGFILE: cannot write '/nonexistent/keys.txt': No such file or directory");
    pair_done(&p);
}

static void test_a_full_disk_ends_no_connection(void)
{
    struct pair p;
    pair_init(&p, "localhost");
    quicpro_config_set(p.server_config, "keylog_file", "/dev/full");
    quicpro_config_set(p.client_config, "keylog_file", "/dev/full");
    pair_start(&p);
    CHECK_INT(pair_connect(&p, "127.0.0.1"), ==, 0);
    CHECK(pair_until(&p, &p.connected));
    CHECK_INT(p.closed, ==, 0);
    pair_done(&p);
}

/* The server's order decides (RFC 7301 section 3.2). */
static void test_one_of_several_protocols(void)
{
    static const struct {
        const char *server, *client, *got; /* NULL: none */
    } row[] = {
        {"h3", "x,h3", "h3"},
        {"h3,hq-interop", "hq-interop,h3", "h3"},
        {"hq-interop,h3", "h3,hq-interop", "hq-interop"},
        {"h3", "hq-interop", NULL},
    };
    for (size_t i = 0; i < COUNTOF(row); i++) {
        struct pair p;
        quicpro_conn_info info = {.size = sizeof(info)};
        pair_init(&p, "localhost");
        quicpro_config_set(p.server_config, "alpn", row[i].server);
        quicpro_config_set(p.client_config, "alpn", row[i].client);
        pair_start(&p);
        CHECK_INT(pair_connect(&p, "127.0.0.1"), ==, 0);
        if (row[i].got == NULL) {
            CHECK(pair_until_closed(&p));
            CHECK_INT(p.closed_error, ==, QUICPRO_EALPN);
        } else if (CHECK(pair_until(&p, &p.connected))) {
            CHECK_INT(quicpro_conn_get_info(p.client_loop, p.conn, &info), ==, 0);
            CHECK_STR(info.alpn, row[i].got);
        }
        pair_done(&p);
    }
}

/* A handshake through memory: what the server shows to a client of BoringSSL's own. */
struct shown {
    char subject[64];
    size_t ocsp_len;
};

static bool shake(SSL *server, SSL *client)
{
    for (int i = 0; i < 20; i++) {
        int c = SSL_do_handshake(client), s = SSL_do_handshake(server);
        if (c == 1 && s == 1)
            return true;
    }
    return false;
}

static void look(struct ssl_ctx_st *ctx, const char *host, struct shown *ret)
{
    static const uint8_t alpn[] = {2, 'h', '3'};
    SSL_CTX *client_ctx = SSL_CTX_new(TLS_method());
    SSL *client = SSL_new(client_ctx), *server = SSL_new(ctx);
    BIO *client_end, *server_end;
    *ret = (struct shown){0};
    if (!BIO_new_bio_pair(&client_end, 0, &server_end, 0))
        abort();
    SSL_set_bio(client, client_end, client_end);
    SSL_set_bio(server, server_end, server_end);
    SSL_set_connect_state(client);
    SSL_set_accept_state(server);
    SSL_enable_ocsp_stapling(client);
    if (host != NULL)
        SSL_set_tlsext_host_name(client, host);
    CHECK_INT(SSL_set_alpn_protos(client, alpn, sizeof(alpn)), ==, 0);
    if (CHECK(shake(server, client))) {
        const uint8_t *ocsp;
        qp_tls_peer_subject(client, ret->subject, sizeof(ret->subject));
        SSL_get0_ocsp_response(client, &ocsp, &ret->ocsp_len);
    }
    SSL_free(client);
    SSL_free(server);
    SSL_CTX_free(client_ctx);
}

static void put_pair(struct setting *s, const struct identity *id)
{
    put_text(s->cert, pem_of(id->cert, NULL));
    put_text(s->key, pem_of_key(id->key, NULL));
    setting_set(s, "cert_file", s->cert);
    setting_set(s, "key_file", s->key);
}

static void test_a_certificate_for_each_name(void)
{
    static const struct {
        const char *asked, *shown;
    } row[] = {
        {NULL, "CN=main"},         {"else.where", "CN=main"}, {"one.example", "CN=one"},
        {"ONE.example", "CN=one"}, {"two.example", "CN=all"}, {"a.b.example", "CN=main"},
        {"example", "CN=main"},
    };
    struct identity id[] = {identity_new(&(struct wanted){.cn = "main"}, NULL),
                            identity_new(&(struct wanted){.cn = "one"}, NULL),
                            identity_new(&(struct wanted){.cn = "all"}, NULL)};
    static const char *const host[] = {NULL, "one.example", "*.example"};
    struct ssl_ctx_st *ctx;
    struct setting s;
    struct shown shown;
    setting_init(&s);
    for (size_t i = 0; i < COUNTOF(id); i++) {
        put_pair(&s, &id[i]);
        CHECK_INT(i == 0 ? qp_tls_server_new(&ctx, &s.args)
                         : qp_tls_add_host(ctx, host[i], &s.args),
                  ==, 0);
    }
    CHECK_INT(qp_tls_add_host(ctx, "*", &s.args), ==, QUICPRO_EVALUE);
    CHECK(setting_said(&s, "'*' is not a host name: a star stands for one whole label"));
    for (size_t i = 0; i < COUNTOF(row); i++) {
        look(ctx, row[i].asked, &shown);
        CHECK_STR(shown.subject, row[i].shown);
    }
    qp_tls_free(ctx);
    setting_done(&s);
    for (size_t i = 0; i < COUNTOF(id); i++)
        identity_done(&id[i]);
}

static void test_a_staple_is_sent_until_it_is_stale(void)
{
    struct identity id = identity_new(&(struct wanted){.cn = "main"}, NULL);
    struct ssl_ctx_st *ctx;
    struct setting s;
    struct shown shown;
    uint8_t *serial = NULL;
    size_t len;
    int n = i2d_ASN1_INTEGER(X509_get0_serialNumber(id.cert), &serial);
    const struct ocsp ocsp = {.serial = serial + 2,
                              .serial_len = (size_t)n - 2,
                              .from = time(NULL) - 100,
                              .until = time(NULL) + 1000};
    setting_init(&s);
    put_pair(&s, &id);
    char *der = (char *)ocsp_make(&ocsp, &len);
    put_file(s.ca, der, len);
    setting_set(&s, "ocsp_file", s.ca);
    CHECK_INT(qp_tls_server_new(&ctx, &s.args), ==, 0);
    look(ctx, NULL, &shown);
    CHECK_U64(shown.ocsp_len, ==, len);
    authority_now_offset = 2000;
    look(ctx, NULL, &shown);
    CHECK_U64(shown.ocsp_len, ==, 0);
    authority_now_offset = 0;
    qp_tls_free(ctx);
    setting_done(&s);
    identity_done(&id);
    OPENSSL_free(serial);
}

/* A daemon has no terminal to ask for a password: the key is refused at once. */
static void test_an_encrypted_key_is_refused(void)
{
    struct pair p;
    pair_init(&p, "localhost");
    FILE *f = fopen(p.key, "r");
    EVP_PKEY *key = PEM_read_PrivateKey(f, NULL, NULL, NULL);
    fclose(f);
    f = fopen(p.key, "w");
    CHECK(PEM_write_PKCS8PrivateKey(f, key, EVP_aes_256_cbc(), "secret", 6, NULL, NULL));
    fclose(f);
    EVP_PKEY_free(key);
    CHECK_INT(quicpro_loop_new(&p.server_loop, NULL), ==, 0);
    CHECK_INT(quicpro_server_new(&p.server, p.server_loop, p.server_config), ==, QUICPRO_ECERT);
    CHECK(strstr(quicpro_loop_error(p.server_loop), p.key) != NULL);
    CHECK(strstr(quicpro_loop_error(p.server_loop), "set key_passphrase") != NULL);
    pair_done(&p);
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_protocol_names),
        TEST(test_secrets_for_packet_analysers),
        TEST(test_the_environment_may_name_the_key_log),
        TEST(test_a_key_log_that_cannot_be_opened),
        TEST(test_a_full_disk_ends_no_connection),
        TEST(test_one_of_several_protocols),
        TEST(test_a_certificate_for_each_name),
        TEST(test_a_staple_is_sent_until_it_is_stale),
        TEST(test_an_encrypted_key_is_refused),
    };
    return RUN(tests);
}
