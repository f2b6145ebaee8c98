#include <quicpro/metrics.h>

#include <stdlib.h>

#include "check.h"
#include "metrics/metrics.h"

enum { TEXT = 1 << 16 };

static char text[TEXT];

static size_t lines(const char *s)
{
    size_t n = 0;
    for (; *s != '\0'; s++)
        n += *s == '\n';
    return n;
}

static void test_one_source(void)
{
    struct qp_metrics m;
    qp_metrics_init(&m);
    qp_metrics_set(&m, QP_METRIC_CONNECTIONS, 2);
    qp_metrics_add(&m, QP_METRIC_UDP_OUT, UINT64_MAX);
    qp_histogram_add(&m.handshake, 1500000);
    qp_histogram_add(&m.handshake, 3000000000);
    const quicpro_metrics_source source = {&m, NULL};
    size_t len = quicpro_metrics_text(&source, 1, text, sizeof(text));
    CHECK_U64(len, ==, strlen(text));
    CHECK(strstr(text, "# HELP quicpro_connections connections that are open\n"
                       "# TYPE quicpro_connections gauge\n"
                       "quicpro_connections 2\n") == text);
    CHECK(strstr(text, "# TYPE quicpro_udp_datagrams_total counter\n"
                       "quicpro_udp_datagrams_total{direction=\"in\"} 0\n"
                       "quicpro_udp_datagrams_total{direction=\"out\"} 18446744073709551615\n"));
    CHECK(strstr(text, "quicpro_handshake_seconds_bucket{le=\"0.001\"} 0\n"
                       "quicpro_handshake_seconds_bucket{le=\"0.002\"} 1\n"));
    CHECK(strstr(text, "le=\"16.384\"} 2\n"
                       "quicpro_handshake_seconds_bucket{le=\"+Inf\"} 2\n"
                       "quicpro_handshake_seconds_sum 3.0015\n"
                       "quicpro_handshake_seconds_count 2\n"));
}

static void test_several_sources(void)
{
    struct qp_metrics m[2], other, none = {0};
    qp_metrics_init(&m[0]);
    qp_metrics_init(&m[1]);
    qp_metrics_init(&other);
    other.layout++;
    qp_metrics_add(&m[1], QP_METRIC_CLOSED_IDLE, 5);
    const quicpro_metrics_source source[] = {
        {&m[0], "worker=\"0\""},  {NULL, "worker=\"x\""},  {&none, "worker=\"x\""},
        {&other, "worker=\"x\""}, {&m[1], "worker=\"1\""},
    };
    quicpro_metrics_text(source, COUNTOF(source), text, sizeof(text));
    CHECK(strstr(text, "worker=\"x\"") == NULL);
    CHECK(
        strstr(text, "quicpro_connections{worker=\"0\"} 0\nquicpro_connections{worker=\"1\"} 0\n"));
    CHECK(strstr(text, "{worker=\"1\",reason=\"idle\"} 5\n"));
    CHECK(strstr(text, "_bucket{worker=\"1\",le=\"+Inf\"} 0\n"));
    CHECK(strstr(text, "_sum{worker=\"1\"} 0\n"));
    /* Each name is explained once. */
    const char *help = strstr(text, "# HELP quicpro_handshake_seconds");
    CHECK(help != NULL && strstr(help + 1, "# HELP quicpro_handshake_seconds") == NULL);
}

static void test_nothing_to_tell(void)
{
    size_t len = quicpro_metrics_text(NULL, 0, text, sizeof(text));
    CHECK_U64(len, ==, strlen(text));
    CHECK_U64(lines(text) % 2, ==, 0); /* HELP and TYPE of each name */
    CHECK(strstr(text, "# TYPE") != NULL);
}

static void test_room(void)
{
    struct qp_metrics m;
    qp_metrics_init(&m);
    const quicpro_metrics_source source = {&m, ""};
    const size_t len = quicpro_metrics_text(&source, 1, NULL, 0);
    CHECK(len > 1000 && len < TEXT);
    quicpro_metrics_text(&source, 1, text, sizeof(text));
    char *exact = malloc(len + 1);
    if (CHECK(exact != NULL)) {
        CHECK_U64(quicpro_metrics_text(&source, 1, exact, len + 1), ==, len);
        CHECK_STR(exact, text);
        for (size_t cap = 1; cap < len; cap += 97) {
            CHECK_U64(quicpro_metrics_text(&source, 1, exact, cap), ==, len);
            CHECK_U64(strlen(exact), ==, cap - 1);
            CHECK(memcmp(exact, text, cap - 1) == 0);
        }
    }
    free(exact);
    CHECK_U64(quicpro_metrics_size(), ==, sizeof(m));
}

static const struct check_test tests[] = {
    TEST(test_one_source),
    TEST(test_several_sources),
    TEST(test_nothing_to_tell),
    TEST(test_room),
};

int main(void)
{
    return RUN(tests);
}
