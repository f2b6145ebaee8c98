/* Counters of one worker in memory that is given: its own, or shared with whoever reads them. One
 * thread writes, any number in any process read, nobody waits: every number is a 64-bit word that
 * is stored whole. Plain names in code, those of Prometheus in the text (exposition.c). */
#ifndef QP_METRICS_METRICS_H
#define QP_METRICS_METRICS_H

#include <quicpro/base.h>

/* M(ID, TYPE, name, labels, help). Rows of one name follow each other and differ in their labels;
 * the help is that of the first one. */
#define QP_METRICS(M)                                                                              \
    M(CONNECTIONS, GAUGE, "connections", "", "connections that are open")                          \
    M(HANDSHAKES, GAUGE, "handshakes_pending", "", "connections not done with their handshake")    \
    M(STREAMS, GAUGE, "streams", "", "requests and streams that are open")                         \
    M(CONNECTIONS_MADE, COUNTER, "connections_total", "", "connections begun, accepted or made")   \
    M(HANDSHAKES_FULL, COUNTER, "handshakes_total", "kind=\"full\"", "handshakes done")            \
    M(HANDSHAKES_RESUMED, COUNTER, "handshakes_total", "kind=\"resumed\"", "")                     \
    M(EARLY_ACCEPTED, COUNTER, "early_data_total", "result=\"accepted\"",                          \
      "handshakes with data sent before they were done")                                           \
    M(EARLY_REJECTED, COUNTER, "early_data_total", "result=\"rejected\"", "")                      \
    M(CLOSED_DONE, COUNTER, "connections_closed_total", "reason=\"done\"",                         \
      "connections that ended, by why")                                                            \
    M(CLOSED_APPLICATION, COUNTER, "connections_closed_total", "reason=\"application\"", "")       \
    M(CLOSED_IDLE, COUNTER, "connections_closed_total", "reason=\"idle\"", "")                     \
    M(CLOSED_HANDSHAKE, COUNTER, "connections_closed_total", "reason=\"handshake_timeout\"", "")   \
    M(CLOSED_TLS, COUNTER, "connections_closed_total", "reason=\"tls\"", "")                       \
    M(CLOSED_PROTOCOL, COUNTER, "connections_closed_total", "reason=\"protocol\"", "")             \
    M(CLOSED_UNREACHABLE, COUNTER, "connections_closed_total", "reason=\"unreachable\"", "")       \
    M(CLOSED_INTERNAL, COUNTER, "connections_closed_total", "reason=\"internal\"", "")             \
    M(PATHS_PEER_MOVED, COUNTER, "path_changes_total", "change=\"peer_moved\"",                    \
      "connections on another network path")                                                       \
    M(PATHS_MOVED, COUNTER, "path_changes_total", "change=\"moved\"", "")                          \
    M(PATHS_UNUSABLE, COUNTER, "path_changes_total", "change=\"unusable\"", "")                    \
    M(PACKETS_LOST, COUNTER, "packets_lost_total", "",                                             \
      "packets declared lost (RFC 9002 section 6.1), of connections that ended")                   \
    M(PACKETS_SPURIOUS, COUNTER, "packets_spuriously_lost_total", "",                              \
      "packets declared lost and acknowledged later, of connections that ended")                   \
    M(STREAMS_MADE, COUNTER, "streams_total", "", "requests and streams begun, by either side")    \
    M(RESPONSES_1XX, COUNTER, "http_responses_total", "class=\"1xx\"", "HTTP responses given")     \
    M(RESPONSES_2XX, COUNTER, "http_responses_total", "class=\"2xx\"", "")                         \
    M(RESPONSES_3XX, COUNTER, "http_responses_total", "class=\"3xx\"", "")                         \
    M(RESPONSES_4XX, COUNTER, "http_responses_total", "class=\"4xx\"", "")                         \
    M(RESPONSES_5XX, COUNTER, "http_responses_total", "class=\"5xx\"", "")                         \
    M(FRAMES_REFUSED, COUNTER, "datagram_frames_refused_total", "",                                \
      "DATAGRAM frames (RFC 9221) that found their queue full")                                    \
    M(UDP_IN, COUNTER, "udp_datagrams_total", "direction=\"in\"", "UDP datagrams")                 \
    M(UDP_OUT, COUNTER, "udp_datagrams_total", "direction=\"out\"", "")                            \
    M(BYTES_IN, COUNTER, "udp_bytes_total", "direction=\"in\"", "bytes of UDP payload")            \
    M(BYTES_OUT, COUNTER, "udp_bytes_total", "direction=\"out\"", "")                              \
    M(SYSCALLS_IN, COUNTER, "udp_syscalls_total", "direction=\"in\"",                              \
      "calls of the kernel that moved UDP datagrams")                                              \
    M(SYSCALLS_OUT, COUNTER, "udp_syscalls_total", "direction=\"out\"", "")                        \
    M(SEND_BLOCKED, COUNTER, "udp_send_blocked_total", "", "times the kernel took no more")        \
    M(SEND_REFUSED, COUNTER, "udp_send_refused_total", "reason=\"other\"",                         \
      "UDP datagrams that the kernel did not send: too large, or no route, a filter")              \
    M(SEND_TOO_LARGE, COUNTER, "udp_send_refused_total", "reason=\"too_large\"", "")               \
    M(DROPPED, COUNTER, "udp_dropped_total", "",                                                   \
      "UDP datagrams that belong to no connection and make none")                                  \
    M(VERSIONS_SENT, COUNTER, "strangers_answered_total", "with=\"version_negotiation\"",          \
      "UDP datagrams that begin no connection, answered with something else")                      \
    M(RETRIES_SENT, COUNTER, "strangers_answered_total", "with=\"retry\"", "")                     \
    M(TOKENS_REFUSED, COUNTER, "strangers_answered_total", "with=\"invalid_token\"", "")           \
    M(RESETS_SENT, COUNTER, "strangers_answered_total", "with=\"stateless_reset\"", "")            \
    M(REFUSED_SOURCE, COUNTER, "strangers_refused_total", "reason=\"source\"",                     \
      "UDP datagrams that begin no connection, not answered, by why")                              \
    M(REFUSED_PACKET, COUNTER, "strangers_refused_total", "reason=\"packet\"", "")                 \
    M(REFUSED_FULL, COUNTER, "strangers_refused_total", "reason=\"max_connections\"", "")          \
    M(REFUSED_HANDSHAKES, COUNTER, "strangers_refused_total", "reason=\"max_handshakes\"", "")     \
    M(REFUSED_PREFIX, COUNTER, "strangers_refused_total", "reason=\"max_handshakes_per_prefix\"",  \
      "")                                                                                          \
    M(KEYS_SPENT, COUNTER, "keys_spent_total", "",                                                 \
      "connections ended because their keys had sealed enough (RFC 9001 section 6.6)")             \
    M(RESET_FLOODS, COUNTER, "reset_floods_total", "",                                             \
      "connections ended because their clients took back too many requests")                       \
    M(PANICS, COUNTER, "panics_total", "", "connections lost to an internal error of the engine")  \
    M(QLOG_FILES, COUNTER, "qlog_files_total", "", "qlogs begun")                                  \
    M(QLOG_FAILED, COUNTER, "qlog_failed_total", "", "qlogs not begun, or not written to the end") \
    M(WAKEUPS, COUNTER, "wakeups_total", "", "waits that found something ready")                   \
    M(SPINS, COUNTER, "spins_total", "",                                                           \
      "waits that found something ready while they spun (option spin_us)")

enum qp_metric {
#define QP_METRIC_ID(id, type, name, labels, help) QP_METRIC_##id,
    QP_METRICS(QP_METRIC_ID)
#undef QP_METRIC_ID
        QP_METRIC_COUNT
};

/* Bounds of a histogram's buckets: 1 ms, doubled up to 16.384 s, and infinity. */
enum { QP_HISTOGRAM_BUCKETS = 16 };

struct qp_histogram {
    uint64_t bucket[QP_HISTOGRAM_BUCKETS]; /* that are not in a smaller one */
    uint64_t sum_ns;
};

struct qp_metrics {
    uint64_t layout; /* QP_METRICS_LAYOUT; 0: not begun */
    uint64_t value[QP_METRIC_COUNT];
    struct qp_histogram handshake; /* how long they took */
};

/* Changes whenever the meaning of the words does: readers and writers may be of two builds. */
#define QP_METRICS_LAYOUT (0x71706d0100000000 | sizeof(struct qp_metrics))

static inline uint64_t qp_metrics_get(const struct qp_metrics *m, enum qp_metric id)
{
    return __atomic_load_n(&m->value[id], __ATOMIC_RELAXED);
}

static inline void qp_metrics_set(struct qp_metrics *m, enum qp_metric id, uint64_t value)
{
    __atomic_store_n(&m->value[id], value, __ATOMIC_RELAXED);
}

/* There is one writer, so this need not be one step. */
static inline void qp_metrics_add_word(uint64_t *word, uint64_t n)
{
    __atomic_store_n(word, __atomic_load_n(word, __ATOMIC_RELAXED) + n, __ATOMIC_RELAXED);
}

static inline void qp_metrics_add(struct qp_metrics *m, enum qp_metric id, uint64_t n)
{
    qp_metrics_add_word(&m->value[id], n);
}

void qp_metrics_init(struct qp_metrics *m);
void qp_histogram_add(struct qp_histogram *h, quicpro_tstamp duration);

#endif
