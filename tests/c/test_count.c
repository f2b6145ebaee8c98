#include <quicpro/metrics.h>

#include "exchange.h"

#include "loop/loop.h"

static uint64_t value(const quicpro_loop *loop, enum qp_metric id)
{
    return pair_metric(loop, id);
}

static uint64_t histogram_count(const quicpro_loop *loop)
{
    const struct qp_metrics *m = quicpro_loop_get_metrics(loop);
    uint64_t count = 0;
    for (int i = 0; i < QP_HISTOGRAM_BUCKETS; i++)
        count += m->handshake.bucket[i];
    return count;
}

static void test_a_connection_from_its_beginning_to_its_end(void)
{
    struct pair p;
    struct exchanges all;
    struct exchange x;
    exchange_open(&p, &all, 1);
    quicpro_loop *const loop[] = {p.client_loop, p.server_loop};
    CHECK_INT(exchange_get(&p, &x, 100000, 3), ==, 0);
    CHECK(pair_until(&p, &all.finished) && exchange_good(&x));
    CHECK_U64(value(p.server_loop, QP_METRIC_RESPONSES_2XX), ==, 1);
    CHECK_U64(value(p.client_loop, QP_METRIC_RESPONSES_2XX), ==, 0);
    for (int i = 0; i < 2; i++) {
        CHECK_U64(value(loop[i], QP_METRIC_CONNECTIONS), ==, 1);
        CHECK_U64(value(loop[i], QP_METRIC_CONNECTIONS_MADE), ==, 1);
        CHECK_U64(value(loop[i], QP_METRIC_HANDSHAKES), ==, 0);
        CHECK_U64(value(loop[i], QP_METRIC_HANDSHAKES_FULL), ==, 1);
        CHECK_U64(value(loop[i], QP_METRIC_HANDSHAKES_RESUMED), ==, 0);
        CHECK_U64(histogram_count(loop[i]), ==, 1);
        CHECK_U64(value(loop[i], QP_METRIC_STREAMS_MADE), ==, 1);
        CHECK_U64(value(loop[i], QP_METRIC_SYSCALLS_OUT), >, 0);
    }
    CHECK_U64(value(p.client_loop, QP_METRIC_BYTES_IN), >, 100000);
    CHECK_INT(quicpro_conn_close(p.client_loop, p.conn, 0x100, NULL), ==, 0);
    while (value(p.server_loop, QP_METRIC_CONNECTIONS) != 0)
        pair_step(&p);
    CHECK_U64(value(p.server_loop, QP_METRIC_CLOSED_DONE), ==, 1);
    CHECK_U64(value(p.client_loop, QP_METRIC_CLOSED_DONE), ==, 1);
    exchange_close(&p);
}

static void test_why_connections_end(void)
{
    static const struct {
        int error;
        enum qp_metric metric;
    } row[] = {
        {0, QP_METRIC_CLOSED_DONE},
        {QUICPRO_ECLOSED, QP_METRIC_CLOSED_APPLICATION},
        {QUICPRO_EIDLE, QP_METRIC_CLOSED_IDLE},
        {QUICPRO_EHANDSHAKE, QP_METRIC_CLOSED_HANDSHAKE},
        {QUICPRO_ETLS, QP_METRIC_CLOSED_TLS},
        {QUICPRO_EVERIFY, QP_METRIC_CLOSED_TLS},
        {QUICPRO_EALPN, QP_METRIC_CLOSED_TLS},
        {QUICPRO_EPROTO, QP_METRIC_CLOSED_PROTOCOL},
        {QUICPRO_EVERSION, QP_METRIC_CLOSED_PROTOCOL},
        {QUICPRO_EENGINE, QP_METRIC_CLOSED_INTERNAL},
        {QUICPRO_ENOMEM, QP_METRIC_CLOSED_INTERNAL},
        {QUICPRO_ERESOLVE, QP_METRIC_CLOSED_UNREACHABLE},
        {QUICPRO_ECONNREFUSED, QP_METRIC_CLOSED_UNREACHABLE},
    };
    quicpro_loop *loop;
    if (!CHECK_INT(quicpro_loop_new(&loop, NULL), ==, 0))
        return;
    const struct qp_link link = {.loop = loop}; /* that never had an address */
    for (size_t i = 0; i < COUNTOF(row); i++) {
        const uint64_t before = value(loop, row[i].metric);
        qp_count_closed(&link, row[i].error);
        CHECK_U64(value(loop, row[i].metric), ==, before + 1);
    }
    quicpro_loop_free(loop);
}

static void test_classes_of_responses(void)
{
    static const unsigned status[] = {103, 200, 206, 304, 404, 503, 599, 0, 600};
    quicpro_loop *loop;
    if (!CHECK_INT(quicpro_loop_new(&loop, NULL), ==, 0))
        return;
    for (size_t i = 0; i < COUNTOF(status); i++)
        qp_count_response(loop, status[i]);
    CHECK_U64(value(loop, QP_METRIC_RESPONSES_1XX), ==, 1);
    CHECK_U64(value(loop, QP_METRIC_RESPONSES_2XX), ==, 2);
    CHECK_U64(value(loop, QP_METRIC_RESPONSES_3XX), ==, 1);
    CHECK_U64(value(loop, QP_METRIC_RESPONSES_4XX), ==, 1);
    CHECK_U64(value(loop, QP_METRIC_RESPONSES_5XX), ==, 2);
    quicpro_loop_free(loop);
}

/* In the middle of a connection; what was counted goes along. */
static void test_memory_of_somebody_else(void)
{
    struct pair p;
    struct exchanges all;
    struct exchange x;
    const size_t size = quicpro_metrics_size();
    char *memory = calloc(1, size + 1);
    exchange_open(&p, &all, 1);
    const uint64_t before = value(p.server_loop, QP_METRIC_UDP_IN);
    if (CHECK(memory != NULL)) {
        CHECK_INT(quicpro_loop_set_metrics(p.server_loop, memory, size - 1), ==, QUICPRO_EINVAL);
        CHECK_INT(quicpro_loop_set_metrics(p.server_loop, memory + 1, size), ==, QUICPRO_EINVAL);
        CHECK_INT(quicpro_loop_set_metrics(NULL, memory, size), ==, QUICPRO_EINVAL);
        CHECK_INT(quicpro_loop_set_metrics(p.server_loop, memory, size), ==, 0);
        CHECK(quicpro_loop_get_metrics(p.server_loop) == memory);
        CHECK_U64(value(p.server_loop, QP_METRIC_UDP_IN), ==, before);
        CHECK_INT(exchange_get(&p, &x, 100000, 3), ==, 0);
        CHECK(pair_until(&p, &all.finished) && exchange_good(&x));
        const struct qp_metrics *m = (const struct qp_metrics *)(const void *)memory;
        CHECK_U64(qp_metrics_get(m, QP_METRIC_UDP_IN), >, before);
        CHECK_U64(qp_metrics_get(m, QP_METRIC_CONNECTIONS), ==, 1);
        CHECK_INT(quicpro_loop_set_metrics(p.server_loop, NULL, 0), ==, 0);
        memset(memory, 0xff, size);
        CHECK_U64(value(p.server_loop, QP_METRIC_CONNECTIONS), ==, 1);
    }
    exchange_close(&p);
    free(memory);
    CHECK(quicpro_loop_get_metrics(NULL) == NULL);
}

/* The numbers of quicpro/loop.h are these. */
static void test_stats_are_the_same_counters(void)
{
    struct pair p;
    struct exchanges all;
    struct exchange x;
    quicpro_loop_stats stats = {.size = sizeof(stats)};
    exchange_open(&p, &all, 1);
    CHECK_INT(exchange_get(&p, &x, 1000, 3), ==, 0);
    CHECK(pair_until(&p, &all.finished) && exchange_good(&x));
    CHECK_INT(quicpro_loop_get_stats(p.server_loop, &stats), ==, 0);
    CHECK_U64(stats.datagrams_in, ==, value(p.server_loop, QP_METRIC_UDP_IN));
    CHECK_U64(stats.bytes_out, ==, value(p.server_loop, QP_METRIC_BYTES_OUT));
    CHECK_U64(stats.wakeups, ==, value(p.server_loop, QP_METRIC_WAKEUPS));
    CHECK_U64(stats.connections, ==, 1);
    CHECK_U64(stats.streams_made, ==, 1);
    exchange_close(&p);
}

static const struct check_test tests[] = {
    TEST(test_a_connection_from_its_beginning_to_its_end),
    TEST(test_why_connections_end),
    TEST(test_classes_of_responses),
    TEST(test_memory_of_somebody_else),
    TEST(test_stats_are_the_same_counters),
};

int main(void)
{
    return RUN(tests);
}
