/* Text for Prometheus: https://prometheus.io/docs/instrumenting/exposition_formats/ */
#include <quicpro/metrics.h>

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "metrics/metrics.h"

enum type { COUNTER, GAUGE };

static const struct row {
    enum type type;
    const char *name, *labels, *help;
} rows[] = {
#define ROW(id, type, name, labels, help) {type, name, labels, help},
    QP_METRICS(ROW)
#undef ROW
};

/* Written to as far as it goes; len counts on. */
struct text {
    char *buf;
    size_t cap, len;
};

__attribute__((format(printf, 2, 3))) static void put(struct text *t, const char *format, ...)
{
    va_list args;
    char *at = t->len < t->cap ? t->buf + t->len : NULL;
    va_start(args, format);
    int n = vsnprintf(at, at == NULL ? 0 : t->cap - t->len, format, args);
    va_end(args);
    t->len += n < 0 ? 0 : (size_t)n;
}

static const struct qp_metrics *metrics_of(const quicpro_metrics_source *source)
{
    const struct qp_metrics *m = source->memory;
    if (m == NULL || __atomic_load_n(&m->layout, __ATOMIC_ACQUIRE) != QP_METRICS_LAYOUT)
        return NULL;
    return m;
}

static void put_head(struct text *t, const char *name, const char *type, const char *help)
{
    put(t, "# HELP quicpro_%s %s\n# TYPE quicpro_%s %s\n", name, help, name, type);
}

/* name{labels,more} value */
static void put_name(struct text *t, const char *name, const char *labels, const char *more)
{
    const bool both = labels[0] != '\0' && more[0] != '\0';
    put(t, "quicpro_%s", name);
    if (labels[0] != '\0' || more[0] != '\0')
        put(t, "{%s%s%s}", labels, both ? "," : "", more);
}

static void put_row(struct text *t, const quicpro_metrics_source *source, size_t i)
{
    const struct qp_metrics *m = metrics_of(source);
    if (m == NULL)
        return;
    put_name(t, rows[i].name, source->labels == NULL ? "" : source->labels, rows[i].labels);
    put(t, " %" PRIu64 "\n", qp_metrics_get(m, (enum qp_metric)i));
}

static void put_histogram(struct text *t, const quicpro_metrics_source *source, const char *name)
{
    const struct qp_metrics *m = metrics_of(source);
    const char *labels = source->labels == NULL ? "" : source->labels;
    char part[64], bound[32];
    uint64_t count = 0;
    if (m == NULL)
        return;
    const struct qp_histogram *h = &m->handshake;
    snprintf(part, sizeof(part), "%s_bucket", name);
    for (unsigned i = 0; i < QP_HISTOGRAM_BUCKETS; i++) {
        count += __atomic_load_n(&h->bucket[i], __ATOMIC_RELAXED);
        if (i + 1 < QP_HISTOGRAM_BUCKETS)
            snprintf(bound, sizeof(bound), "le=\"%g\"", (double)(1 << i) / 1000);
        else
            snprintf(bound, sizeof(bound), "le=\"+Inf\"");
        put_name(t, part, labels, bound);
        put(t, " %" PRIu64 "\n", count);
    }
    snprintf(part, sizeof(part), "%s_sum", name);
    put_name(t, part, labels, "");
    put(t, " %.9g\n", (double)__atomic_load_n(&h->sum_ns, __ATOMIC_RELAXED) / 1e9);
    snprintf(part, sizeof(part), "%s_count", name);
    put_name(t, part, labels, "");
    put(t, " %" PRIu64 "\n", count);
}

size_t quicpro_metrics_size(void)
{
    return sizeof(struct qp_metrics);
}

size_t quicpro_metrics_text(const quicpro_metrics_source *sources, size_t count, char *buf,
                            size_t cap)
{
    struct text t = {buf, cap, 0};
    if (cap != 0)
        buf[0] = '\0';
    for (size_t i = 0, next; i < QP_METRIC_COUNT; i = next) {
        put_head(&t, rows[i].name, rows[i].type == COUNTER ? "counter" : "gauge", rows[i].help);
        for (next = i; next < QP_METRIC_COUNT && strcmp(rows[next].name, rows[i].name) == 0; next++)
            ;
        for (size_t s = 0; s < count; s++)
            for (size_t row = i; row < next; row++)
                put_row(&t, &sources[s], row);
    }
    static const char name[] = "handshake_seconds";
    put_head(&t, name, "histogram", "how long handshakes took, of those that were done");
    for (size_t s = 0; s < count; s++)
        put_histogram(&t, &sources[s], name);
    return t.len;
}
