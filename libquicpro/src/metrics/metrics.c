#include "metrics/metrics.h"

#include <string.h>

void qp_metrics_init(struct qp_metrics *m)
{
    memset(m, 0, sizeof(*m));
    __atomic_store_n(&m->layout, QP_METRICS_LAYOUT, __ATOMIC_RELEASE);
}

void qp_histogram_add(struct qp_histogram *h, quicpro_tstamp duration)
{
    unsigned i = 0;
    while (i < QP_HISTOGRAM_BUCKETS - 1 && duration > QUICPRO_MILLISECOND << i)
        i++;
    qp_metrics_add_word(&h->bucket[i], 1);
    qp_metrics_add_word(&h->sum_ns, duration);
}
