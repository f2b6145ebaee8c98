#include "quic/tls.h"

#include "pair.h"

static void test_alerts_have_names(void)
{
    static const struct {
        unsigned alert;
        const char *name;
    } row[] = {
        {0, "close notify"},         {40, "handshake failure"}, {42, "bad certificate"},
        {45, "certificate expired"}, {48, "unknown CA"},        {250, "unknown"},
    };
    for (size_t i = 0; i < COUNTOF(row); i++)
        CHECK_STR(qp_tls_alert_text(row[i].alert), row[i].name);
}

static void test_facts_of_a_handshake(void)
{
    struct pair p;
    quicpro_conn_info info = {.size = sizeof(info)};
    pair_init(&p, "localhost");
    pair_start(&p);
    CHECK_INT(pair_connect(&p, "127.0.0.1"), ==, 0);
    CHECK_INT(quicpro_conn_get_info(p.client_loop, p.conn, &info), ==, 0);
    CHECK_STR(info.alpn, ""); /* not yet */
    CHECK_STR(info.cipher, "");
    CHECK(pair_until(&p, &p.connected));
    CHECK_INT(quicpro_conn_get_info(p.client_loop, p.conn, &info), ==, 0);
    CHECK_STR(info.alpn, "h3");
    CHECK_STR(info.group, "X25519MLKEM768");
    CHECK(strstr(info.cipher, "_SHA256") != NULL || strstr(info.cipher, "_SHA384") != NULL);
    CHECK(strncmp(info.cipher, "TLS_", 4) != 0);
    pair_done(&p);
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_alerts_have_names),
        TEST(test_facts_of_a_handshake),
    };
    return RUN(tests);
}
