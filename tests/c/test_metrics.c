#include "metrics/metrics.h"

#include "check.h"

static void test_counters_and_gauges(void)
{
    struct qp_metrics m;
    memset(&m, 0xff, sizeof(m));
    qp_metrics_init(&m);
    CHECK_U64(m.layout, ==, QP_METRICS_LAYOUT);
    for (int id = 0; id < QP_METRIC_COUNT; id++)
        CHECK_U64(qp_metrics_get(&m, (enum qp_metric)id), ==, 0);
    qp_metrics_add(&m, QP_METRIC_UDP_IN, 3);
    qp_metrics_add(&m, QP_METRIC_UDP_IN, 4);
    qp_metrics_set(&m, QP_METRIC_CONNECTIONS, 9);
    qp_metrics_set(&m, QP_METRIC_CONNECTIONS, 2);
    CHECK_U64(qp_metrics_get(&m, QP_METRIC_UDP_IN), ==, 7);
    CHECK_U64(qp_metrics_get(&m, QP_METRIC_CONNECTIONS), ==, 2);
    CHECK_U64(qp_metrics_get(&m, QP_METRIC_UDP_OUT), ==, 0);
}

static void test_buckets(void)
{
    static const struct {
        quicpro_tstamp duration;
        unsigned bucket;
    } row[] = {
        {0, 0},
        {QUICPRO_MILLISECOND, 0},
        {QUICPRO_MILLISECOND + 1, 1},
        {2 * QUICPRO_MILLISECOND, 1},
        {100 * QUICPRO_MILLISECOND, 7},
        {(1 << 14) * QUICPRO_MILLISECOND, 14},
        {(1 << 14) * QUICPRO_MILLISECOND + 1, 15},
        {QUICPRO_FOREVER / 2, 15},
    };
    for (size_t i = 0; i < COUNTOF(row); i++) {
        struct qp_histogram h = {0};
        qp_histogram_add(&h, row[i].duration);
        CHECK_U64(h.sum_ns, ==, row[i].duration);
        for (unsigned n = 0; n < QP_HISTOGRAM_BUCKETS; n++)
            CHECK_U64(h.bucket[n], ==, n == row[i].bucket);
    }
}

static const struct check_test tests[] = {
    TEST(test_counters_and_gauges),
    TEST(test_buckets),
};

int main(void)
{
    return RUN(tests);
}
