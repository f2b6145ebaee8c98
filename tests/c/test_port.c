#include "exchange.h"
#include "netns.h"

#include "loop/loop.h"

#include <sys/resource.h>
#include <sys/wait.h>

static void switch_off(quicpro_config *config, const char *options)
{
    static const char *const name[] = {"gso", "gro", "mmsg"};
    for (size_t i = 0; i < COUNTOF(name); i++)
        if (strstr(options, name[i]) != NULL)
            CHECK_INT(quicpro_config_set(config, name[i], "false"), ==, 0);
}

/* Whatever the kernel can do for us, the bytes are the same. */
static void test_transfers_without_help_of_the_kernel(void)
{
    static const char *const off[] = {"", "gso", "gro", "mmsg", "gso gro", "gso gro mmsg"};
    for (size_t i = 0; i < COUNTOF(off); i++) {
        struct pair p;
        struct exchanges all = {.expected = 2};
        struct exchange down, up;
        quicpro_loop_stats stats = {.size = sizeof(stats)};
        pair_init(&p, "localhost");
        switch_off(p.server_config, off[i]);
        switch_off(p.client_config, off[i]);
        pair_start(&p);
        p.data = &all;
        p.on_server = exchange_serve;
        p.on_client = exchange_client;
        CHECK_INT(pair_connect(&p, "127.0.0.1"), ==, 0);
        CHECK_INT(exchange_get(&p, &down, 500000, 1), ==, 0);
        CHECK_INT(exchange_post(&p, &up, 300000, 2), ==, 0);
        CHECK(pair_until(&p, &all.finished));
        CHECK(exchange_good(&down));
        CHECK(exchange_good(&up));
        CHECK_INT(quicpro_loop_get_stats(p.server_loop, &stats), ==, 0);
        CHECK_U64(stats.datagrams_out, >, 500);
        if (strcmp(off[i], "gso gro mmsg") == 0)
            CHECK_U64(stats.syscalls_out, ==, stats.datagrams_out);
        exchange_close(&p);
    }
}

/* Sockets are their server's or client's: what those were configured with counts, not the loop. */
static void test_a_socket_has_the_options_of_its_endpoint(void)
{
    struct pair p;
    quicpro_server *other;
    pair_init(&p, "localhost");
    CHECK_INT(quicpro_config_set(p.server_config, "io", "epoll"), ==, 0); /* another has none */
    pair_start(&p);
    switch_off(p.server_config, "gso gro mmsg");
    CHECK_INT(quicpro_server_new(&other, p.server_loop, p.server_config), ==, 0);
    CHECK_INT(quicpro_server_listen(other, "127.0.0.1", 0), >, 0);
    const struct qp_endpoint *first = p.server_loop->endpoints; /* the one made last */
    const struct qp_udp_features off = first->ports->socket.features,
                                 on = first->next->ports->socket.features;
    CHECK(!off.gso && !off.gro && !off.mmsg);
    CHECK(on.mmsg);
    quicpro_server_free(other);
    pair_done(&p);
}

static void keep_busy_poll(void *user, int level, const char *line)
{
    if (strstr(line, "busy_poll_us") != NULL) {
        CHECK_INT(level, ==, QUICPRO_LOG_INFO);
        snprintf(user, 128, "%s", line);
    }
}

static uint64_t busy_poll(const quicpro_loop *loop)
{
    quicpro_loop_stats stats = {.size = sizeof(stats)};
    CHECK_INT(quicpro_loop_get_stats(loop, &stats), ==, 0);
    return stats.busy_poll;
}

/* Loopback has no device to poll: accepted is all that it can be, and we say so. */
static void test_busy_polling_is_reported(void)
{
    struct pair p;
    char line[128] = "";
    pair_init(&p, "localhost");
    quicpro_config_set(p.server_config, "busy_poll_us", "50");
    CHECK_INT(quicpro_loop_new(&p.server_loop, p.server_config), ==, 0);
    CHECK_INT(quicpro_loop_new(&p.client_loop, p.client_config), ==, 0);
    CHECK_INT(quicpro_server_new(&p.server, p.server_loop, p.server_config), ==, 0);
    CHECK_INT(quicpro_client_new(&p.client, p.client_loop, p.client_config), ==, 0);
    quicpro_loop_set_log(p.server_loop, keep_busy_poll, line, QUICPRO_LOG_INFO);
    CHECK_U64(busy_poll(p.server_loop), ==, QUICPRO_BUSY_POLL_OFF);
    p.port = (uint16_t)quicpro_server_listen(p.server, "127.0.0.1", 0);
    const uint64_t state = busy_poll(p.server_loop);
    CHECK(state == QUICPRO_BUSY_POLL_REFUSED || state == QUICPRO_BUSY_POLL_ACCEPTED);
    CHECK(strstr(line, state == QUICPRO_BUSY_POLL_REFUSED ? "refused: " : "accepted") != NULL);
    CHECK_INT(pair_connect(&p, "127.0.0.1"), ==, 0);
    CHECK(pair_until(&p, &p.connected));
    if (state == QUICPRO_BUSY_POLL_ACCEPTED) {
        CHECK_U64(busy_poll(p.server_loop), ==, QUICPRO_BUSY_POLL_NO_EFFECT);
        CHECK(strstr(line, "without effect") != NULL);
    }
    CHECK_U64(busy_poll(p.client_loop), ==, QUICPRO_BUSY_POLL_OFF);
    pair_done(&p);
}

/* A kernel that takes a part of every other train, and then nothing until it is asked again. */
static const struct qp_udp_ops *kernel; /* the real one */
static unsigned moody_turn;
static bool moody_full;

static int64_t moody_send(struct qp_udp_poller *poller, struct qp_udp_socket *socket,
                          const struct qp_addr *local, const struct qp_addr *peer,
                          const uint8_t *data, size_t len, size_t segment)
{
    size_t segments = (len + segment - 1) / segment, some = len;
    if (moody_full)
        return 0;
    if (++moody_turn % 2 == 0) {
        some = segments / 2 * segment;
        moody_full = true;
    }
    if (some == 0)
        return 0;
    int64_t n = kernel->send(poller, socket, local, peer, data, some, segment);
    CHECK_INT(n, ==, some);
    return n;
}

static void test_a_train_that_is_taken_in_parts(void)
{
    struct pair p;
    struct exchanges all;
    struct exchange x;
    quicpro_loop_stats stats = {.size = sizeof(stats)};
    struct qp_udp_ops moody;
    exchange_open(&p, &all, 1);
    kernel = p.server_loop->udp;
    moody = *kernel;
    moody.send = moody_send;
    p.server_loop->udp = &moody;
    CHECK_INT(exchange_get(&p, &x, 400000, 7), ==, 0);
    quicpro_tstamp end = quicpro_now() + PAIR_DEADLINE_S * QUICPRO_SECOND;
    while (!all.finished && quicpro_now() < end) {
        moody_full = false;
        for (struct qp_port *port = p.server_loop->endpoints->ports; port != NULL;
             port = port->next)
            qp_port_send_left(port);
        quicpro_loop_wake(p.server_loop); /* as room in the socket's buffer would */
        pair_step(&p);
    }
    CHECK(exchange_good(&x));
    CHECK_INT(quicpro_loop_get_stats(p.server_loop, &stats), ==, 0);
    CHECK_U64(stats.send_blocked, >, 0);
    p.server_loop->udp = kernel;
    exchange_close(&p);
}

static int fault;      /* what the kernel says, */
static unsigned every; /* to each n-th train */

static int64_t failing_send(struct qp_udp_poller *poller, struct qp_udp_socket *socket,
                            const struct qp_addr *local, const struct qp_addr *peer,
                            const uint8_t *data, size_t len, size_t segment)
{
    if (++moody_turn % every == 0)
        return fault;
    return kernel->send(poller, socket, local, peer, data, len, segment);
}

/* How often a pair turns while nothing can move. */
static unsigned steps_for(struct pair *p, quicpro_tstamp span)
{
    unsigned steps = 0;
    for (const quicpro_tstamp end = quicpro_now() + span; quicpro_now() < end; steps++)
        pair_step(p);
    return steps;
}

/* A train that is refused is lost as on the wire: it comes again, whatever the reason was. While
 * all are refused nothing ends and nothing spins; afterwards it goes on. */
static void test_trains_that_are_refused(void)
{
    static const int row[] = {-ENOBUFS, -EPERM, -EMSGSIZE, -ENETUNREACH, -EINVAL};
    for (size_t i = 0; i < COUNTOF(row); i++) {
        struct pair p;
        struct exchanges all;
        struct exchange x;
        quicpro_loop_stats stats = {.size = sizeof(stats)};
        struct qp_udp_ops failing;
        moody_turn = 0;
        fault = row[i];
        every = 5;
        exchange_open(&p, &all, 1);
        kernel = p.server_loop->udp;
        failing = *kernel;
        failing.send = failing_send;
        p.server_loop->udp = &failing;
        CHECK_INT(exchange_get(&p, &x, 400000, 7), ==, 0);
        for (int step = 0; step < 3; step++)
            pair_step(&p);
        every = 1;
        CHECK_U64(steps_for(&p, 10 * QUICPRO_MILLISECOND), <, 50);
        CHECK_INT(p.closed, ==, 0);
        every = 5;
        if (!CHECK(pair_until(&p, &all.finished)))
            printf("# %s\n", quicpro_strerror(row[i]));
        CHECK(exchange_good(&x));
        CHECK_INT(quicpro_loop_get_stats(p.server_loop, &stats), ==, 0);
        CHECK_U64(stats.send_refused, >, 0);
        CHECK_U64(stats.send_blocked, ==, 0);
        p.server_loop->udp = kernel;
        exchange_close(&p);
    }
}

/* The same from a real kernel: an address that vanishes (ENETUNREACH and the like), an interface
 * whose MTU is too small for our datagrams (EMSGSIZE). */
static void interface_comes_and_goes(int control)
{
    netns_set_address(control, "lo:1", "192.0.2.1", true);
    for (int mtu = 0; mtu < 2; mtu++) {
        struct pair p;
        struct exchanges all = {.expected = 1};
        struct exchange x;
        quicpro_loop_stats stats = {.size = sizeof(stats)};
        pair_init(&p, "localhost");
        quicpro_config_set(p.client_config, "verify_peer", "false");
        pair_start(&p);
        p.data = &all;
        p.on_server = exchange_serve;
        p.on_client = exchange_client;
        p.port = (uint16_t)quicpro_server_listen(p.server, "192.0.2.1", 0);
        CHECK_INT(pair_connect(&p, "192.0.2.1"), ==, 0);
        CHECK_INT(exchange_get(&p, &x, 8 << 20, 7), ==, 0);
        while (x.got == 0)
            pair_step(&p);
        if (mtu)
            netns_set_mtu(control, 1300);
        else
            netns_set_address(control, "lo:1", "192.0.2.1", false);
        CHECK_U64(steps_for(&p, 100 * QUICPRO_MILLISECOND), <, 100);
        CHECK(!x.fin && p.closed == 0);
        CHECK_INT(quicpro_loop_get_stats(p.server_loop, &stats), ==, 0);
        if (!CHECK_U64(stats.send_refused, >, 0))
            printf("# mtu %d\n", mtu);
        netns_set_mtu(control, 65536);
        netns_set_address(control, "lo:1", "192.0.2.1", true);
        CHECK(pair_until(&p, &all.finished));
        CHECK(exchange_good(&x));
        exchange_close(&p);
    }
}

static void test_an_interface_that_comes_and_goes(void)
{
    in_namespace(interface_comes_and_goes);
}

/* No descriptor is left: whoever needs one hears of it, and the others go on. */
static void test_descriptors_run_out(void)
{
    struct pair p;
    struct exchanges all;
    struct exchange x;
    struct rlimit limit, few;
    quicpro_loop *loop = NULL;
    exchange_open(&p, &all, 1);
    const quicpro_conn first = p.conn;
    const int next = dup(0);
    close(next);
    CHECK_INT(getrlimit(RLIMIT_NOFILE, &limit), ==, 0);
    for (rlim_t free_ones = 0; free_ones < 2; free_ones++) {
        few = limit;
        few.rlim_cur = (rlim_t)next + free_ones;
        CHECK_INT(setrlimit(RLIMIT_NOFILE, &few), ==, 0);
        CHECK_INT(quicpro_loop_new(&loop, NULL), ==, -EMFILE);
    }
    few.rlim_cur = (rlim_t)next;
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &few), ==, 0);
    CHECK_INT(quicpro_server_listen(p.server, "127.0.0.1", 0), ==, -EMFILE);
    CHECK(strstr(quicpro_loop_error(p.server_loop), "Too many open files") != NULL);
    CHECK_INT(pair_connect(&p, "127.0.0.1"), ==, 0);
    CHECK(pair_until_closed(&p));
    CHECK_INT(p.closed_error, ==, -EMFILE);
    CHECK(strstr(p.closed_text, "127.0.0.1") != NULL);
    p.conn = first;
    CHECK_INT(exchange_get(&p, &x, 300000, 1), ==, 0);
    CHECK(pair_until(&p, &all.finished));
    CHECK(exchange_good(&x));
    CHECK_U64(steps_for(&p, 100 * QUICPRO_MILLISECOND), <, 20);
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &limit), ==, 0);
    p.connected = false;
    CHECK_INT(pair_connect(&p, "127.0.0.1"), ==, 0);
    CHECK(pair_until(&p, &p.connected));
    exchange_close(&p);
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_transfers_without_help_of_the_kernel),
        TEST(test_a_socket_has_the_options_of_its_endpoint),
        TEST(test_busy_polling_is_reported),
        TEST(test_a_train_that_is_taken_in_parts),
        TEST(test_trains_that_are_refused),
        TEST(test_an_interface_that_comes_and_goes),
        TEST(test_descriptors_run_out),
    };
    return RUN(tests);
}
