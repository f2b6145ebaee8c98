#include <quicpro/conn.h>

#include "exchange.h"

#include "loop/loop.h"

static quicpro_conn server_conn(const struct pair *p)
{
    uint32_t cursor = 0;
    quicpro_handle handle;
    return qp_slab_next(&p->server_loop->links, &cursor, &handle) == NULL ? 0 : handle;
}

static quicpro_conn_stats stats_of(quicpro_loop *loop, quicpro_conn conn)
{
    quicpro_conn_stats stats = {.size = sizeof(stats)};
    CHECK_INT(quicpro_conn_get_stats(loop, conn, &stats), ==, 0);
    return stats;
}

static quicpro_path_stats path_of(quicpro_loop *loop, quicpro_conn conn)
{
    quicpro_path_stats path = {.size = sizeof(path)};
    CHECK_INT(quicpro_conn_get_path(loop, conn, 0, &path), ==, 1);
    return path;
}

/* What one side sent the other received, on a link that loses nothing. */
static void test_both_sides_count_the_same(void)
{
    struct pair p;
    struct exchanges all;
    struct exchange x;
    exchange_open(&p, &all, 1);
    CHECK_INT(exchange_get(&p, &x, 300000, 3), ==, 0);
    CHECK(pair_until(&p, &all.finished) && exchange_good(&x));
    bool quiet = false;
    quicpro_conn_stats c, s;
    do { /* acknowledgements are still under way */
        c = stats_of(p.client_loop, p.conn);
        s = stats_of(p.server_loop, server_conn(&p));
        quiet = c.packets_out == s.packets_in && s.packets_out == c.packets_in &&
                s.bytes_acked + s.bytes_lost > 300000;
        if (!quiet)
            pair_step(&p);
    } while (!quiet);
    CHECK_U64(c.bytes_out, ==, s.bytes_in);
    CHECK_U64(s.bytes_out, ==, c.bytes_in);
    CHECK_U64(c.bytes_in, >, 300000);
    CHECK_U64(s.in_flight_ns, >, 0);
    for (int i = 0; i < 2; i++) {
        const quicpro_conn_stats *one = i == 0 ? &c : &s;
        CHECK_U64(one->size, ==, sizeof(*one));
        CHECK_U64(one->paths, ==, 1);
        CHECK_U64(one->ids_issued, ==, 4); /* "active_connection_id_limit" */
        CHECK_U64(one->ids_spare, ==, 3);
        CHECK_U64(one->rtt_ns, >=, one->min_rtt_ns);
        CHECK_U64(one->min_rtt_ns, >, 0);
        CHECK_U64(one->cwnd_bytes, >, 0);
        CHECK_U64(one->send_count_wrong, ==, 0);
        CHECK_U64(one->resets_in + one->resets_out + one->stops_in + one->stops_out, ==, 0);
    }
    exchange_close(&p);
}

static void test_a_reset_is_counted_on_both_sides(void)
{
    struct pair p;
    struct exchanges all;
    struct exchange x;
    exchange_open(&p, &all, 1);
    CHECK_INT(exchange_get(&p, &x, 4000000, 3), ==, 0);
    while (x.got == 0)
        pair_step(&p);
    CHECK_INT(quicpro_stream_reset(p.client_loop, x.stream, 0x10c), ==, 0);
    while (stats_of(p.server_loop, server_conn(&p)).stops_in == 0)
        pair_step(&p);
    CHECK_U64(stats_of(p.client_loop, p.conn).stops_out, ==, 1);
    CHECK_U64(stats_of(p.server_loop, server_conn(&p)).stops_in, ==, 1);
    exchange_close(&p);
}

static void test_a_path_is_told_from_both_ends(void)
{
    struct pair p;
    struct exchanges all;
    struct exchange x;
    exchange_open(&p, &all, 1);
    CHECK_INT(exchange_get(&p, &x, 300000, 3), ==, 0);
    CHECK(pair_until(&p, &all.finished));
    const quicpro_path_stats c = path_of(p.client_loop, p.conn);
    const quicpro_path_stats s = path_of(p.server_loop, server_conn(&p));
    char text[64];
    snprintf(text, sizeof(text), "127.0.0.1:%u", p.port);
    CHECK_STR(c.peer, text);
    CHECK_STR(c.local, s.peer);
    CHECK_STR(s.local, text);
    CHECK_U64(c.state, ==, QUICPRO_PATH_VALIDATED);
    CHECK_U64(s.state, ==, QUICPRO_PATH_VALIDATED);
    CHECK_U64(c.active + s.active, ==, 2);
    CHECK_U64(c.bytes_in, >, 300000);
    CHECK_U64(s.bytes_out, >, 300000);
    CHECK_U64(s.mtu_bytes, ==, 1350); /* "max_udp_payload_bytes" */
    CHECK_U64(s.max_rtt_ns, >=, s.min_rtt_ns);
    CHECK_U64(s.min_rtt_ns, >, 0);
    CHECK_U64(s.delivery_rate, >, 0);
    quicpro_path_stats path = {.size = sizeof(path)};
    CHECK_INT(quicpro_conn_get_path(p.client_loop, p.conn, 1, &path), ==, 0);
    CHECK_INT(quicpro_conn_get_path(p.client_loop, p.conn, SIZE_MAX, &path), ==, 0);
    exchange_close(&p);
}

static void test_nothing_of_who_is_not_there(void)
{
    struct pair p;
    struct exchanges all;
    exchange_open(&p, &all, 1);
    quicpro_conn_stats stats = {.size = sizeof(stats)};
    quicpro_path_stats path = {.size = sizeof(path)};
    CHECK_INT(quicpro_conn_get_stats(NULL, p.conn, &stats), ==, QUICPRO_EINVAL);
    CHECK_INT(quicpro_conn_get_stats(p.client_loop, p.conn, NULL), ==, QUICPRO_EINVAL);
    CHECK_INT(quicpro_conn_get_path(NULL, p.conn, 0, &path), ==, QUICPRO_EINVAL);
    CHECK_INT(quicpro_conn_get_path(p.client_loop, p.conn, 0, NULL), ==, QUICPRO_EINVAL);
    stats.size--;
    path.size--;
    CHECK_INT(quicpro_conn_get_stats(p.client_loop, p.conn, &stats), ==, QUICPRO_EINVAL);
    CHECK_INT(quicpro_conn_get_path(p.client_loop, p.conn, 0, &path), ==, QUICPRO_EINVAL);
    /* A caller that knows more fields than this library. */
    struct {
        quicpro_conn_stats stats;
        uint64_t more;
    } later = {.stats.size = sizeof(later), .more = 7};
    CHECK_INT(quicpro_conn_get_stats(p.client_loop, p.conn, &later.stats), ==, 0);
    CHECK_U64(later.stats.size, ==, sizeof(later));
    CHECK_U64(later.more, ==, 7);
    stats.size = sizeof(stats);
    path.size = sizeof(path);
    CHECK_INT(quicpro_conn_close(p.client_loop, p.conn, 0x100, NULL), ==, 0);
    CHECK(pair_until_closed(&p));
    CHECK_INT(quicpro_conn_get_stats(p.client_loop, p.conn, &stats), ==, QUICPRO_ESTALE);
    CHECK_INT(quicpro_conn_get_path(p.client_loop, p.conn, 0, &path), ==, QUICPRO_ESTALE);
    exchange_close(&p);
}

/* A client whose host is still being looked up has neither numbers nor paths. */
static void test_before_there_is_an_address(void)
{
    struct pair p;
    pair_init(&p, "localhost");
    pair_start(&p);
    quicpro_conn_stats stats = {.size = sizeof(stats), .packets_in = 9};
    quicpro_path_stats path = {.size = sizeof(path)};
    CHECK_INT(pair_connect(&p, "localhost"), ==, 0);
    CHECK_INT(quicpro_conn_get_stats(p.client_loop, p.conn, &stats), ==, 0);
    CHECK_U64(stats.size, ==, sizeof(stats));
    CHECK_U64(stats.packets_in + stats.paths + stats.ids_issued, ==, 0);
    CHECK_INT(quicpro_conn_get_path(p.client_loop, p.conn, 0, &path), ==, 0);
    pair_done(&p);
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_both_sides_count_the_same),     TEST(test_a_reset_is_counted_on_both_sides),
        TEST(test_a_path_is_told_from_both_ends), TEST(test_nothing_of_who_is_not_there),
        TEST(test_before_there_is_an_address),
    };
    return RUN(tests);
}
