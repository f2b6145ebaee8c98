#include "pair.h"

#include <netinet/in.h>
#include <sys/socket.h>

static void test_certificates_that_cannot_be_used(void)
{
    struct pair p;
    char garbage[128];
    pair_init(&p, "localhost");
    snprintf(garbage, sizeof(garbage), "%s/garbage.pem", p.dir);
    pair_write(garbage, "no PEM in here\n");
    quicpro_devcert other;
    const char *name[] = {"localhost"};
    char other_key[128];
    CHECK_INT(quicpro_devcert_make(&other, name, 1, 1), ==, 0);
    snprintf(other_key, sizeof(other_key), "%s/other.pem", p.dir);
    pair_write(other_key, other.key_pem);
    quicpro_devcert_done(&other);
    const struct {
        const char *cert, *key, *says;
    } row[] = {
        {"", p.key, "cert_file is not set"},
        {p.cert, "", "key_file is not set"},
        {"/nonexistent/c.pem", p.key, "/nonexistent/c.pem"},
        {garbage, p.key, "no usable certificate"},
        {p.cert, garbage, "no usable private key"},
        {p.cert, other_key, "is not the key of the certificate"},
    };
    CHECK_INT(quicpro_loop_new(&p.server_loop, NULL), ==, 0);
    for (size_t i = 0; i < COUNTOF(row); i++) {
        quicpro_config_set(p.server_config, "cert_file", row[i].cert);
        quicpro_config_set(p.server_config, "key_file", row[i].key);
        CHECK_INT(quicpro_server_new(&p.server, p.server_loop, p.server_config), ==, QUICPRO_ECERT);
        if (!CHECK(strstr(quicpro_loop_error(p.server_loop), row[i].says) != NULL))
            printf("#   said: %s\n", quicpro_loop_error(p.server_loop));
    }
    unlink(garbage);
    unlink(other_key);
    pair_done(&p);
}

static void test_port_taken(void)
{
    struct pair p;
    pair_init(&p, "localhost");
    pair_start(&p);
    CHECK_INT(quicpro_server_listen(p.server, "127.0.0.1", p.port), ==, -EADDRINUSE);
    CHECK(strstr(quicpro_loop_error(p.server_loop), "127.0.0.1") != NULL);
    CHECK_INT(quicpro_server_listen(p.server, "no.such.name.invalid", 0), ==, QUICPRO_ERESOLVE);
    pair_done(&p);
}

/* A socket of both families serves both, and clients may write an IPv4 address either way. */
static void test_a_socket_of_both_families(void)
{
    static const char *const host[] = {"127.0.0.1", "::ffff:127.0.0.1", "[::ffff:127.0.0.1]",
                                       "::1"};
    struct sockaddr_in6 any = {.sin6_family = AF_INET6};
    int fd = socket(AF_INET6, SOCK_DGRAM, 0), zero = 0;
    if (fd < 0 || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero)) < 0 ||
        bind(fd, (struct sockaddr *)&any, sizeof(any)) < 0) {
        check_skip("no IPv6 here");
        return;
    }
    struct pair p;
    pair_init(&p, "localhost");
    pair_start(&p);
    int port = quicpro_server_listen_fd(p.server, fd);
    CHECK_INT(port, >, 0);
    for (size_t i = 0; i < COUNTOF(host); i++) {
        quicpro_conn_info info = {.size = sizeof(info)};
        p.port = (uint16_t)port;
        p.connected = false;
        CHECK_INT(pair_connect(&p, host[i]), ==, 0);
        if (!CHECK(pair_until(&p, &p.connected)))
            break;
        CHECK_INT(quicpro_conn_get_info(p.client_loop, p.conn, &info), ==, 0);
        CHECK((strncmp(info.peer, "127.0.0.1:", 10) == 0) == (i < 3));
    }
    pair_done(&p);
}

/* The error comes where the option is given, and names it. */
static void test_an_interface_that_does_not_exist(void)
{
    struct pair p;
    pair_init(&p, "localhost");
    CHECK_INT(quicpro_loop_new(&p.server_loop, NULL), ==, 0);
    quicpro_config_set(p.server_config, "iface", "qp-nowhere");
    quicpro_config_set(p.client_config, "iface", "qp-nowhere");
    CHECK_INT(quicpro_server_new(&p.server, p.server_loop, p.server_config), ==, -ENODEV);
    CHECK_STR(quicpro_loop_error(p.server_loop),
              "iface \"qp-nowhere\": there is no such network interface");
    CHECK_INT(quicpro_client_new(&p.client, p.server_loop, p.client_config), ==, -ENODEV);
    CHECK(strstr(quicpro_loop_error(p.server_loop), "\"qp-nowhere\"") != NULL);
    pair_done(&p);
}

static void test_bound_to_an_interface(void)
{
    struct pair p;
    pair_init(&p, "localhost");
    quicpro_config_set(p.server_config, "iface", "lo");
    quicpro_config_set(p.client_config, "iface", "lo");
    pair_start(&p);
    CHECK_INT(pair_connect(&p, "127.0.0.1"), ==, 0);
    CHECK(pair_until(&p, &p.connected));
    quicpro_server_free(p.server);
    p.server = NULL;
    CHECK(pair_until_closed(&p));
    p.closed = 0;
    CHECK_INT(pair_connect(&p, "127.0.0.1"), ==, 0);
    CHECK(pair_until_closed(&p));
    CHECK_INT(p.closed_error, ==, QUICPRO_ECONNREFUSED);
    CHECK(strstr(p.closed_text, " by interface lo: ") != NULL);
    pair_done(&p);
}

static void test_a_socket_is_taken_over(void)
{
    struct pair p;
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    pair_init(&p, "localhost");
    pair_start(&p);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    CHECK(bind(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0);
    int port = quicpro_server_listen_fd(p.server, fd);
    if (CHECK_INT(port, >, 0)) {
        p.port = (uint16_t)port;
        CHECK_INT(pair_connect(&p, "127.0.0.1"), ==, 0);
        CHECK(pair_until(&p, &p.connected));
    }
    CHECK_INT(quicpro_server_listen_fd(p.server, -1), ==, QUICPRO_EINVAL);
    int tcp = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_INT(quicpro_server_listen_fd(p.server, tcp), <, 0);
    close(tcp);
    pair_done(&p);
}

static void answer_later(struct pair *p, const quicpro_batch *batch, const quicpro_event *event)
{
    (void)batch;
    if (event->type == QUICPRO_EVENT_REQUEST)
        *(quicpro_stream *)p->data = event->stream;
}

static void test_shutdown_lets_requests_finish(void)
{
    struct pair p;
    quicpro_stream at_client, at_server = 0;
    pair_open(&p);
    p.data = &at_server;
    p.on_server = answer_later;
    CHECK_INT(pair_request(&p, "GET", "/", NULL, 0, 1, NULL, &at_client), ==, 0);
    while (at_server == 0)
        pair_step(&p);
    quicpro_server_shutdown(p.server);
    CHECK(pair_until(&p, &p.goaway));
    CHECK(!p.drained);
    CHECK_INT(p.closed, ==, 0);
    CHECK_INT(pair_request(&p, "GET", "/", NULL, 0, 1, NULL, &at_client), ==, QUICPRO_ESTATE);
    CHECK_INT(quicpro_respond(p.server_loop, at_server, 200, NULL, 0, "late", 4, 1), ==, 0);
    CHECK(pair_until(&p, &p.drained));
    CHECK(pair_until_closed(&p));
    CHECK_INT(p.closed_error, ==, 0);
    CHECK_U64(p.closed_code, ==, 0x100);
    CHECK_INT(p.resets, ==, 0);
    CHECK_U64(quicpro_server_connections(p.server), ==, 0);
    pair_done(&p);
}

static void test_shutdown_without_connections_is_drained_at_once(void)
{
    struct pair p;
    pair_init(&p, "localhost");
    pair_start(&p);
    quicpro_server_shutdown(p.server);
    CHECK(pair_until(&p, &p.drained));
    pair_done(&p);
}

/* A client that vanished in the middle of its handshake must not hold it up. */
static void test_shutdown_refuses_unfinished_handshakes(void)
{
    struct pair p;
    pair_init(&p, "localhost");
    quicpro_config_set(p.server_config, "handshake_timeout_ms", "600000");
    pair_start(&p);
    CHECK_INT(pair_connect(&p, "127.0.0.1"), ==, 0);
    while (quicpro_server_connections(p.server) == 0)
        pair_step(&p);
    quicpro_server_shutdown(p.server);
    quicpro_loop *client_loop = p.client_loop;
    p.client_loop = NULL;
    CHECK(pair_until(&p, &p.drained));
    p.client_loop = client_loop;
    CHECK(pair_until_closed(&p));
    CHECK_INT(p.closed_error, ==, QUICPRO_ECLOSED);
    CHECK_U64(p.closed_code, ==, 2);
    pair_done(&p);
}

static void test_abort_ends_requests(void)
{
    struct pair p;
    quicpro_stream at_client, at_server = 0;
    pair_open(&p);
    p.data = &at_server;
    p.on_server = answer_later;
    CHECK_INT(pair_request(&p, "GET", "/", NULL, 0, 1, NULL, &at_client), ==, 0);
    while (at_server == 0)
        pair_step(&p);
    quicpro_server_abort(p.server);
    CHECK(pair_until(&p, &p.drained));
    CHECK(pair_until_closed(&p));
    CHECK_INT(p.resets, ==, 1);
    CHECK_INT(quicpro_respond(p.server_loop, at_server, 200, NULL, 0, "x", 1, 1), ==,
              QUICPRO_ESTALE);
    pair_done(&p);
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_certificates_that_cannot_be_used),
        TEST(test_port_taken),
        TEST(test_a_socket_is_taken_over),
        TEST(test_a_socket_of_both_families),
        TEST(test_an_interface_that_does_not_exist),
        TEST(test_bound_to_an_interface),
        TEST(test_shutdown_lets_requests_finish),
        TEST(test_shutdown_without_connections_is_drained_at_once),
        TEST(test_shutdown_refuses_unfinished_handshakes),
        TEST(test_abort_ends_requests),
    };
    return RUN(tests);
}
