#include "pair.h"

#include <netinet/in.h>
#include <sys/socket.h>

/* One connection attempt that must fail, with its reason. */
static void expect_closed(struct pair *p, const char *host, int error, const char *says)
{
    CHECK_INT(pair_connect(p, host), ==, 0);
    CHECK(pair_until_closed(p));
    CHECK_INT(p->closed_error, ==, error);
    if (!CHECK(strstr(p->closed_text, says) != NULL))
        printf("#   said: %s\n", p->closed_text);
    CHECK(!p->connected);
}

static void test_bad_arguments(void)
{
    struct pair p;
    quicpro_conn conn;
    pair_init(&p, "localhost");
    pair_start(&p);
    CHECK_INT(quicpro_client_connect(p.client, NULL, 1, NULL, &conn), ==, QUICPRO_EINVAL);
    CHECK_INT(quicpro_client_connect(p.client, "", 1, NULL, &conn), ==, QUICPRO_EINVAL);
    CHECK_INT(quicpro_client_connect(p.client, "x", 0, NULL, &conn), ==, QUICPRO_EINVAL);
    CHECK_INT(quicpro_client_connect(p.client, "x", 1, NULL, NULL), ==, QUICPRO_EINVAL);
    pair_done(&p);
}

static void test_by_name_and_by_literal(void)
{
    static const char *const host[] = {"localhost", "127.0.0.1"};
    for (size_t i = 0; i < COUNTOF(host); i++) {
        struct pair p;
        quicpro_conn_info info = {.size = sizeof(info)};
        pair_init(&p, "localhost");
        pair_start(&p);
        CHECK_INT(pair_connect(&p, host[i]), ==, 0);
        CHECK(pair_until(&p, &p.connected));
        CHECK_INT(quicpro_conn_get_info(p.client_loop, p.conn, &info), ==, 0);
        CHECK_STR(info.alpn, "h3");
        CHECK_STR(info.group, "X25519MLKEM768");
        CHECK_U64(info.established, ==, 1);
        CHECK_U64(info.rtt, >, 0);
        CHECK(strncmp(info.peer, "127.0.0.1:", 10) == 0);
        pair_done(&p);
    }
}

static void test_nobody_listens(void)
{
    struct pair p;
    pair_init(&p, "localhost");
    pair_start(&p);
    quicpro_server_free(p.server); /* the port is free again */
    p.server = NULL;
    expect_closed(&p, "127.0.0.1", QUICPRO_ECONNREFUSED, "connection refused");
    pair_done(&p);
}

static void test_nobody_answers(void)
{
    struct pair p;
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(addr);
    int silent = socket(AF_INET, SOCK_DGRAM, 0);
    CHECK(bind(silent, (struct sockaddr *)&addr, len) == 0);
    CHECK(getsockname(silent, (struct sockaddr *)&addr, &len) == 0);
    pair_init(&p, "localhost");
    quicpro_config_set(p.client_config, "handshake_timeout_ms", "200");
    pair_start(&p);
    p.port = ntohs(addr.sin_port);
    expect_closed(&p, "127.0.0.1", QUICPRO_EHANDSHAKE, "");
    close(silent);
    pair_done(&p);
}

static void test_unknown_host(void)
{
    struct pair p;
    pair_init(&p, "localhost");
    pair_start(&p);
    expect_closed(&p, "no.such.name.invalid", QUICPRO_ERESOLVE, "no.such.name.invalid");
    pair_done(&p);
}

static void test_untrusted_certificate(void)
{
    struct pair p;
    quicpro_devcert other;
    const char *name[] = {"localhost"};
    pair_init(&p, "localhost");
    CHECK_INT(quicpro_devcert_make(&other, name, 1, 1), ==, 0);
    pair_write(p.ca, other.ca_pem); /* the client trusts somebody else */
    quicpro_devcert_done(&other);
    pair_start(&p);
    expect_closed(&p, "127.0.0.1", QUICPRO_EVERIFY, "certificate");
    pair_done(&p);
}

static void test_certificate_of_another_name(void)
{
    struct pair p;
    pair_init(&p, "example.org");
    pair_start(&p);
    expect_closed(&p, "localhost", QUICPRO_EVERIFY,
                  "host name 'localhost' does not match 'example.org'");
    pair_done(&p);
}

static void test_verification_can_be_turned_off(void)
{
    struct pair p;
    pair_init(&p, "example.org");
    quicpro_config_set(p.client_config, "ca_file", "");
    quicpro_config_set(p.client_config, "verify_peer", "false");
    pair_start(&p);
    CHECK_INT(pair_connect(&p, "localhost"), ==, 0);
    CHECK(pair_until(&p, &p.connected));
    pair_done(&p);
}

static void test_no_protocol_in_common(void)
{
    struct pair p;
    pair_init(&p, "localhost");
    quicpro_config_set(p.client_config, "alpn", "h4");
    pair_start(&p);
    expect_closed(&p, "127.0.0.1", QUICPRO_EALPN, "no_application_protocol");
    pair_done(&p);
}

static void test_authorities_that_cannot_be_read(void)
{
    struct pair p;
    pair_init(&p, "localhost");
    CHECK_INT(quicpro_loop_new(&p.client_loop, NULL), ==, 0);
    quicpro_config_set(p.client_config, "ca_file", "/nonexistent/ca.pem");
    CHECK_INT(quicpro_client_new(&p.client, p.client_loop, p.client_config), ==, QUICPRO_ECERT);
    CHECK(strstr(quicpro_loop_error(p.client_loop), "/nonexistent/ca.pem") != NULL);
    pair_done(&p);
}

static void test_connections_are_limited(void)
{
    struct pair p;
    quicpro_conn conn;
    pair_init(&p, "localhost");
    quicpro_config_set(p.client_config, "max_connections", "1");
    pair_start(&p);
    CHECK_INT(pair_connect(&p, "127.0.0.1"), ==, 0);
    CHECK_INT(quicpro_client_connect(p.client, "127.0.0.1", p.port, NULL, &conn), ==,
              QUICPRO_ELIMIT);
    pair_done(&p);
}

static void test_a_vanished_peer_is_noticed(void)
{
    struct pair p;
    pair_init(&p, "localhost");
    quicpro_config_set(p.client_config, "max_idle_timeout_ms", "300");
    pair_start(&p);
    CHECK_INT(pair_connect(&p, "127.0.0.1"), ==, 0);
    CHECK(pair_until(&p, &p.connected));
    quicpro_loop *silent = p.server_loop;
    p.server_loop = NULL; /* nobody drives it any more */
    CHECK(pair_until_closed(&p));
    CHECK_INT(p.closed_error, ==, QUICPRO_EIDLE);
    p.server_loop = silent;
    pair_done(&p);
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_bad_arguments),
        TEST(test_by_name_and_by_literal),
        TEST(test_nobody_listens),
        TEST(test_nobody_answers),
        TEST(test_unknown_host),
        TEST(test_untrusted_certificate),
        TEST(test_certificate_of_another_name),
        TEST(test_verification_can_be_turned_off),
        TEST(test_no_protocol_in_common),
        TEST(test_authorities_that_cannot_be_read),
        TEST(test_connections_are_limited),
        TEST(test_a_vanished_peer_is_noticed),
    };
    return RUN(tests);
}
