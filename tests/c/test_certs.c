#include "loop/certs.h"

#include <quicpro/tls.h>

#include "authority.h"
#include "pair.h"

static void test_a_context_for_each_side(void)
{
    struct pair p;
    struct qp_endpoint endpoint = {0};
    struct ssl_ctx_st *tls;
    pair_init(&p, "localhost");
    CHECK_INT(quicpro_loop_new(&p.server_loop, NULL), ==, 0);
    endpoint.loop = p.server_loop;
    for (int server = 0; server < 2; server++) {
        endpoint.server = server != 0;
        CHECK_INT(qp_options_copy(&endpoint.options, p.server_config), ==, 0);
        CHECK_INT(qp_certs_new_tls(&tls, &endpoint), ==, 0);
        qp_tls_free(tls);
        qp_options_done(&endpoint.options);
    }
    CHECK_INT(qp_options_init(&endpoint.options), ==, 0);
    CHECK_INT(qp_certs_new_tls(&tls, &endpoint), ==, QUICPRO_ECERT);
    CHECK(strstr(quicpro_loop_error(p.server_loop), "cert_file is not set") != NULL);
    qp_options_done(&endpoint.options);
    pair_done(&p);
}

struct noted {
    size_t certs;
    char subject[64];
    quicpro_conn conn;
};

static void note_client(struct pair *p, const quicpro_batch *batch, const quicpro_event *event)
{
    struct noted *noted = p->data;
    const void *der;
    size_t len;
    (void)batch;
    if (event->type != QUICPRO_EVENT_CONNECTED)
        return;
    noted->conn = event->conn;
    while (quicpro_conn_get_peer_certificate(p->server_loop, event->conn, noted->certs, &der,
                                             &len) == 1)
        noted->certs++;
    CHECK_INT(quicpro_conn_get_peer_subject(p->server_loop, event->conn, noted->subject,
                                            sizeof(noted->subject)),
              ==, 0);
}

/* Both sides show a certificate; each reads the other's, also when the handshake is long over. */
static void test_certificates_of_peers(void)
{
    struct identity root = identity_new(&(struct wanted){.cn = "root", .ca = true}, NULL);
    struct identity leaf =
        identity_new(&(struct wanted){.cn = "leaf", .names = {"127.0.0.1"}}, &root);
    struct identity alice = identity_new(&(struct wanted){.cn = "ali,ce"}, &root);
    struct noted noted = {0};
    struct pair p;
    const void *der;
    size_t len, want_len;
    char subject[64] = "x";
    pair_init(&p, "localhost");
    put_text(p.cert, pem_of(leaf.cert, NULL));
    put_text(p.key, pem_of_key(leaf.key, NULL));
    put_text(p.ca, pem_of(root.cert, NULL));
    char *cert = pem_of(alice.cert, root.cert), *key = pem_of_key(alice.key, NULL);
    quicpro_config_set(p.client_config, "cert_data", cert);
    quicpro_config_set(p.client_config, "key_data", key);
    quicpro_config_set(p.server_config, "client_auth", "required");
    quicpro_config_set(p.server_config, "ca_file", p.ca);
    p.data = &noted;
    p.on_server = note_client;
    pair_start(&p);
    CHECK_INT(pair_connect(&p, "127.0.0.1"), ==, 0);
    CHECK_INT(quicpro_conn_get_peer_certificate(p.client_loop, p.conn, 0, &der, &len), ==, 0);
    CHECK_INT(quicpro_conn_get_peer_subject(p.client_loop, p.conn, subject, 64), ==, 0);
    CHECK_STR(subject, "");
    CHECK(pair_until(&p, &p.connected));
    while (noted.conn == 0)
        pair_step(&p);
    CHECK_U64(noted.certs, ==, 2);
    CHECK_STR(noted.subject, "CN=ali\\,ce");
    char *want = der_of(leaf.cert, &want_len);
    if (CHECK_INT(quicpro_conn_get_peer_certificate(p.client_loop, p.conn, 0, &der, &len), ==, 1) &&
        CHECK_U64(len, ==, want_len))
        CHECK_MEM(der, want, len);
    CHECK_INT(quicpro_conn_get_peer_certificate(p.client_loop, p.conn, 1, &der, &len), ==, 0);
    CHECK_INT(quicpro_conn_get_peer_subject(p.client_loop, p.conn, subject, 3), ==, 0);
    CHECK_STR(subject, "CN");
    CHECK_INT(quicpro_conn_get_peer_certificate(NULL, p.conn, 0, &der, &len), ==, QUICPRO_EINVAL);
    CHECK_INT(quicpro_conn_get_peer_certificate(p.client_loop, 0, 0, &der, &len), ==,
              QUICPRO_ESTALE);
    CHECK_INT(quicpro_conn_get_peer_subject(p.client_loop, p.conn, subject, 0), ==, QUICPRO_EINVAL);
    CHECK_INT(quicpro_conn_get_peer_subject(p.client_loop, 0, subject, 9), ==, QUICPRO_ESTALE);
    free(want), free(cert), free(key);
    pair_done(&p);
    identity_done(&root), identity_done(&leaf), identity_done(&alice);
}

static void test_a_peer_without_a_certificate(void)
{
    struct noted noted = {0};
    struct pair p;
    pair_init(&p, "localhost");
    p.data = &noted;
    p.on_server = note_client;
    pair_start(&p);
    CHECK_INT(pair_connect(&p, "127.0.0.1"), ==, 0);
    while (noted.conn == 0)
        pair_step(&p);
    CHECK_U64(noted.certs, ==, 0);
    CHECK_STR(noted.subject, "");
    pair_done(&p);
}

/* The subject of what the server shows to who asks for host, in a connection of its own. */
static void shown_to(struct pair *p, const char *host, char subject[64])
{
    quicpro_conn conn;
    p->connected = false;
    subject[0] = '\0';
    CHECK_INT(quicpro_client_connect(p->client, host, p->port, NULL, &conn), ==, 0);
    CHECK(pair_until(p, &p->connected));
    CHECK_INT(quicpro_conn_get_peer_subject(p->client_loop, conn, subject, 64), ==, 0);
}

/* A pair whose client takes whatever is shown, anew for each connection. */
static void naming_pair(struct pair *p)
{
    pair_init(p, "localhost");
    quicpro_config_set(p->client_config, "verify_peer", "false");
    quicpro_config_set(p->client_config, "session_tickets", "false");
    pair_start(p);
}

static quicpro_config *config_of(const struct identity *id)
{
    quicpro_config *config;
    if (quicpro_config_new(&config) < 0)
        abort();
    char *cert = pem_of(id->cert, NULL), *key = pem_of_key(id->key, NULL);
    quicpro_config_set(config, "cert_data", cert);
    quicpro_config_set(config, "key_data", key);
    free(cert), free(key);
    return config;
}

static void test_certificates_for_names(void)
{
    struct identity one = identity_new(&(struct wanted){.cn = "one"}, NULL);
    struct identity two = identity_new(&(struct wanted){.cn = "two"}, NULL);
    quicpro_config *first = config_of(&one), *second = config_of(&two), *none;
    char subject[64];
    struct pair p;
    naming_pair(&p);
    CHECK_INT(quicpro_config_new(&none), ==, 0);
    shown_to(&p, "localhost", subject);
    CHECK(strstr(subject, "CN=localhost") != NULL);
    CHECK_INT(quicpro_server_add_certificate(p.server, "LocalHost.", first), ==, 0);
    shown_to(&p, "localhost", subject);
    CHECK_STR(subject, "CN=one");
    shown_to(&p, "127.0.0.1", subject); /* asks for no name */
    CHECK(strstr(subject, "CN=localhost") != NULL);
    CHECK_INT(quicpro_server_add_certificate(p.server, "localhost", second), ==, 0);
    shown_to(&p, "localhost", subject);
    CHECK_STR(subject, "CN=two");
    const struct {
        const char *host;
        const quicpro_config *config;
        int want;
        const char *says;
    } row[] = {
        {"localhost", none, QUICPRO_ECERT, "cert_file is not set for 'localhost'"},
        {"fresh.example", none, QUICPRO_ECERT, "cert_file is not set for 'fresh.example'"},
        {"127.0.0.1", first, QUICPRO_EVALUE, "'127.0.0.1' is an address"},
        {"a\nb", first, QUICPRO_EVALUE, "'a\\x0ab' is not a host name"},
        {NULL, first, QUICPRO_EINVAL, ""},
        {"a", NULL, QUICPRO_EINVAL, ""},
    };
    for (size_t i = 0; i < COUNTOF(row); i++) {
        CHECK_INT(quicpro_server_add_certificate(p.server, row[i].host, row[i].config), ==,
                  row[i].want);
        if (!CHECK(strstr(quicpro_loop_error(p.server_loop), row[i].says) != NULL))
            printf("#   said: %s\n", quicpro_loop_error(p.server_loop));
    }
    CHECK_INT(quicpro_server_add_certificate(NULL, "a", first), ==, QUICPRO_EINVAL);
    shown_to(&p, "localhost", subject);
    CHECK_STR(subject, "CN=two");
    CHECK_INT(quicpro_server_reload_tls(p.server), ==, 0); /* forgets none of them */
    shown_to(&p, "localhost", subject);
    CHECK_STR(subject, "CN=two");
    quicpro_config_free(first), quicpro_config_free(second), quicpro_config_free(none);
    pair_done(&p);
    identity_done(&one), identity_done(&two);
}

static void answer(struct pair *p, const quicpro_batch *batch, const quicpro_event *event)
{
    (void)batch;
    if (event->type == QUICPRO_EVENT_REQUEST)
        CHECK_INT(quicpro_respond(p->server_loop, event->stream, 200, NULL, 0, "x", 1, 1), ==, 0);
}

static void note_response(struct pair *p, const quicpro_batch *batch, const quicpro_event *event)
{
    (void)batch;
    if (event->type == QUICPRO_EVENT_DATA)
        *(bool *)p->data = true;
}

static void test_reload_leaves_connections_alone(void)
{
    struct identity next = identity_new(&(struct wanted){.cn = "next"}, NULL);
    char subject[64];
    bool answered = false;
    quicpro_stream stream;
    struct pair p;
    naming_pair(&p);
    p.data = &answered;
    p.on_server = answer;
    p.on_client = note_response;
    CHECK_INT(pair_connect(&p, "127.0.0.1"), ==, 0);
    CHECK(pair_until(&p, &p.connected));
    for (int i = 0; i < 3; i++) {
        if (i == 1) { /* a pair that is none: the old one stays */
            put_text(p.cert, pem_of(next.cert, NULL));
            CHECK_INT(quicpro_server_reload_tls(p.server), ==, QUICPRO_ECERT);
            CHECK(strstr(quicpro_loop_error(p.server_loop), "is not the key of") != NULL);
        } else {
            if (i == 2)
                put_text(p.key, pem_of_key(next.key, NULL));
            CHECK_INT(quicpro_server_reload_tls(p.server), ==, 0);
        }
        shown_to(&p, "localhost", subject);
        CHECK(strstr(subject, i < 2 ? "CN=localhost" : "CN=next") != NULL);
        answered = false; /* on the connection from before */
        CHECK_INT(pair_request(&p, "GET", "/", NULL, 0, 1, NULL, &stream), ==, 0);
        CHECK(pair_until(&p, &answered));
        CHECK_INT(p.closed, ==, 0);
    }
    CHECK_INT(quicpro_server_reload_tls(NULL), ==, QUICPRO_EINVAL);
    pair_done(&p);
    identity_done(&next);
}

static void resumed_by(struct pair *p, bool want)
{
    quicpro_conn_info info = {.size = sizeof(info)};
    bool answered = false;
    quicpro_stream stream;
    p->connected = false;
    p->data = &answered;
    CHECK_INT(pair_connect(p, "127.0.0.1"), ==, 0);
    CHECK(pair_until(p, &p->connected));
    CHECK_INT(quicpro_conn_get_info(p->client_loop, p->conn, &info), ==, 0);
    CHECK_INT(info.resumed, ==, want);
    /* An answer comes behind the ticket. */
    CHECK_INT(pair_request(p, "GET", "/", NULL, 0, 1, NULL, &stream), ==, 0);
    CHECK(pair_until(p, &answered));
}

/* Ticket keys outlive a reload; what a ticket stands for may not: once clients must prove who they
 * are to another authority, those who did not get nothing by one. */
static void test_tickets_after_a_reload(void)
{
    struct identity root = identity_new(&(struct wanted){.cn = "root", .ca = true}, NULL);
    struct identity other = identity_new(&(struct wanted){.cn = "root", .ca = true}, NULL);
    char ca[96];
    struct pair p;
    pair_init(&p, "localhost");
    snprintf(ca, sizeof(ca), "%s/clients.pem", p.dir);
    put_text(ca, pem_of(root.cert, NULL));
    quicpro_config_set(p.server_config, "client_auth", "optional");
    quicpro_config_set(p.server_config, "ca_file", ca);
    p.on_server = answer;
    p.on_client = note_response;
    pair_start(&p);
    resumed_by(&p, false);
    resumed_by(&p, true);
    CHECK_INT(quicpro_server_reload_tls(p.server), ==, 0);
    resumed_by(&p, true);
    put_text(ca, pem_of(other.cert, NULL));
    CHECK_INT(quicpro_server_reload_tls(p.server), ==, 0);
    resumed_by(&p, false);
    resumed_by(&p, true);
    unlink(ca);
    pair_done(&p);
    identity_done(&root), identity_done(&other);
}

struct watched {
    int events, error;
    char text[512];
    void *user;
};

static void note_certificates(struct pair *p, const quicpro_batch *batch,
                              const quicpro_event *event)
{
    struct watched *watched = p->data;
    (void)batch;
    if (event->type != QUICPRO_EVENT_CERTIFICATES)
        return;
    watched->events++;
    watched->error = event->error;
    watched->user = event->user;
    snprintf(watched->text, sizeof(watched->text), "%.*s", (int)event->len,
             (const char *)event->data);
}

static void watch_until(struct pair *p, int events)
{
    const struct watched *watched = p->data;
    quicpro_tstamp end = quicpro_now() + PAIR_DEADLINE_S * QUICPRO_SECOND;
    while (watched->events < events && quicpro_now() < end)
        pair_step(p);
    CHECK_INT(watched->events, ==, events);
}

static void test_files_that_change_are_read_again(void)
{
    struct identity next = identity_new(&(struct wanted){.cn = "next"}, NULL);
    struct watched watched = {0};
    char subject[64];
    struct pair p;
    pair_init(&p, "localhost");
    quicpro_config_set(p.client_config, "verify_peer", "false");
    quicpro_config_set(p.client_config, "session_tickets", "false");
    quicpro_config_set(p.server_config, "tls_watch_ms", "5");
    p.data = &watched;
    p.on_server = note_certificates;
    pair_start(&p);
    quicpro_server_set_user(p.server, &p);
    for (int i = 0; i < 5; i++)
        pair_step(&p);
    CHECK_INT(watched.events, ==, 0);
    unlink(p.key); /* gone: the old one stays */
    watch_until(&p, 1);
    CHECK_INT(watched.error, ==, QUICPRO_ECERT);
    CHECK(watched.user == &p);
    CHECK(strstr(watched.text, "certificates were not reloaded, the old ones stay: key_file: ") !=
          NULL);
    shown_to(&p, "localhost", subject);
    CHECK(strstr(subject, "CN=localhost") != NULL);
    CHECK_INT(watched.events, ==, 1); /* told once */
    put_text(p.key, pem_of_key(next.key, NULL));
    watch_until(&p, 2);
    CHECK_INT(watched.error, ==, QUICPRO_ECERT); /* half of a pair */
    put_text(p.cert, pem_of(next.cert, NULL));
    watch_until(&p, 3);
    CHECK_INT(watched.error, ==, 0);
    CHECK_STR(watched.text, "certificates were reloaded");
    shown_to(&p, "localhost", subject);
    CHECK_STR(subject, "CN=next");
    pair_done(&p);
    identity_done(&next);
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_a_context_for_each_side),          TEST(test_certificates_of_peers),
        TEST(test_a_peer_without_a_certificate),     TEST(test_certificates_for_names),
        TEST(test_reload_leaves_connections_alone),  TEST(test_tickets_after_a_reload),
        TEST(test_files_that_change_are_read_again),
    };
    return RUN(tests);
}
