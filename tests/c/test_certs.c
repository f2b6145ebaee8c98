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

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_a_context_for_each_side),
        TEST(test_certificates_of_peers),
        TEST(test_a_peer_without_a_certificate),
    };
    return RUN(tests);
}
