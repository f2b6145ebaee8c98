/* What happens to connections, counted; and the counters, handed out. */
#include "loop/count.h"

#include <quicpro/metrics.h>
#include <stdint.h>
#include <string.h>

#include "loop/loop.h"

void qp_count_init(struct quicpro_loop *loop)
{
    qp_metrics_init(&loop->own_metrics);
    loop->metrics = &loop->own_metrics;
}

void qp_count_admit(struct quicpro_loop *loop, enum qp_admit verdict)
{
    static const enum qp_metric metric[QP_ADMIT_KINDS] = {
        [QP_ADMIT_VERSION] = QP_METRIC_VERSIONS_SENT,
        [QP_ADMIT_RETRY] = QP_METRIC_RETRIES_SENT,
        [QP_ADMIT_TOKEN] = QP_METRIC_TOKENS_REFUSED,
        [QP_ADMIT_NO_SOURCE] = QP_METRIC_REFUSED_SOURCE,
        [QP_ADMIT_NO_PACKET] = QP_METRIC_REFUSED_PACKET,
        [QP_ADMIT_NO_ROOM] = QP_METRIC_REFUSED_FULL,
        [QP_ADMIT_NO_HANDSHAKE] = QP_METRIC_REFUSED_HANDSHAKES,
        [QP_ADMIT_NO_NEIGHBOURS] = QP_METRIC_REFUSED_PREFIX,
    };
    /* Accepted ones and resets, of which a rate is the bound, are counted where they happen. */
    if (verdict != QP_ADMIT_ACCEPT && verdict != QP_ADMIT_RESET)
        qp_metrics_add(loop->metrics, metric[verdict], 1);
}

void qp_count_established(const struct qp_link *link, quicpro_tstamp now)
{
    struct qp_metrics *m = link->loop->metrics;
    const bool resumed = link->conn.engine->flags(link->conn.impl) & QP_ENGINE_RESUMED;
    qp_metrics_add(m, resumed ? QP_METRIC_HANDSHAKES_RESUMED : QP_METRIC_HANDSHAKES_FULL, 1);
    qp_histogram_add(&m->handshake, now > link->begun_at ? now - link->begun_at : 0);
    if (link->early_data == QUICPRO_EARLY_ACCEPTED)
        qp_metrics_add(m, QP_METRIC_EARLY_ACCEPTED, 1);
    else if (link->early_data == QUICPRO_EARLY_REJECTED)
        qp_metrics_add(m, QP_METRIC_EARLY_REJECTED, 1);
}

static enum qp_metric reason(int error)
{
    switch (error) {
    case 0:
        return QP_METRIC_CLOSED_DONE;
    case QUICPRO_ECLOSED:
        return QP_METRIC_CLOSED_APPLICATION;
    case QUICPRO_EIDLE:
        return QP_METRIC_CLOSED_IDLE;
    case QUICPRO_EHANDSHAKE:
        return QP_METRIC_CLOSED_HANDSHAKE;
    case QUICPRO_ETLS:
    case QUICPRO_EVERIFY:
    case QUICPRO_EALPN:
        return QP_METRIC_CLOSED_TLS;
    case QUICPRO_EPROTO:
    case QUICPRO_EVERSION:
        return QP_METRIC_CLOSED_PROTOCOL;
    case QUICPRO_EENGINE:
    case QUICPRO_ENOMEM:
    case QUICPRO_ELIMIT:
    case QUICPRO_ESTATE:
        return QP_METRIC_CLOSED_INTERNAL;
    default: /* no address, no route, nobody there */
        return QP_METRIC_CLOSED_UNREACHABLE;
    }
}

void qp_count_closed(const struct qp_link *link, int error)
{
    struct qp_metrics *m = link->loop->metrics;
    struct qp_engine_stats stats;
    qp_metrics_add(m, reason(error), 1);
    if (error == QUICPRO_EENGINE)
        qp_metrics_add(m, QP_METRIC_PANICS, 1);
    if (link->conn.impl == NULL)
        return;
    link->conn.engine->get_stats(link->conn.impl, &stats);
    qp_metrics_add(m, QP_METRIC_PACKETS_LOST, stats.packets_lost);
    qp_metrics_add(m, QP_METRIC_PACKETS_SPURIOUS, stats.packets_spurious_lost);
}

void qp_count_response(struct quicpro_loop *loop, unsigned status)
{
    const unsigned class = status / 100;
    if (class >= 1 && class <= 5)
        qp_metrics_add(loop->metrics, (enum qp_metric)(QP_METRIC_RESPONSES_1XX + class - 1), 1);
}

void qp_count_publish(const struct quicpro_loop *loop)
{
    const struct qp_udp_counts *counts = loop->udp->counts(loop->poller);
    struct qp_metrics *m = loop->metrics;
    uint64_t open = 0, handshakes = 0;
    for (const struct qp_endpoint *e = loop->endpoints; e != NULL; e = e->next) {
        open += e->open;
        handshakes += e->handshakes;
    }
    qp_metrics_set(m, QP_METRIC_CONNECTIONS, open);
    qp_metrics_set(m, QP_METRIC_HANDSHAKES, handshakes);
    qp_metrics_set(m, QP_METRIC_STREAMS, loop->streams.used + loop->raw_streams.used);
    qp_metrics_set(m, QP_METRIC_STREAMS_MADE, loop->streams.made + loop->raw_streams.made);
    qp_metrics_set(m, QP_METRIC_SYSCALLS_IN, counts->syscalls_in);
    qp_metrics_set(m, QP_METRIC_SYSCALLS_OUT, counts->syscalls_out);
    qp_metrics_set(m, QP_METRIC_SEND_TOO_LARGE, counts->too_large);
}

const void *quicpro_loop_get_metrics(const quicpro_loop *loop)
{
    return loop == NULL ? NULL : loop->metrics;
}

int quicpro_loop_set_metrics(quicpro_loop *loop, void *memory, size_t size)
{
    if (loop == NULL || (memory != NULL && (size < sizeof(struct qp_metrics) ||
                                            (uintptr_t)memory % _Alignof(struct qp_metrics) != 0)))
        return QUICPRO_EINVAL;
    struct qp_metrics *to = memory == NULL ? &loop->own_metrics : memory;
    if (to == loop->metrics)
        return 0;
    /* Whoever reads meanwhile sees none, or all. */
    __atomic_store_n(&to->layout, 0, __ATOMIC_RELEASE);
    memcpy((char *)to + sizeof(to->layout), (const char *)loop->metrics + sizeof(to->layout),
           sizeof(*to) - sizeof(to->layout));
    __atomic_store_n(&to->layout, QP_METRICS_LAYOUT, __ATOMIC_RELEASE);
    loop->metrics = to;
    return 0;
}

static uint64_t get(const quicpro_loop *loop, enum qp_metric id)
{
    return qp_metrics_get(loop->metrics, id);
}

int quicpro_loop_get_stats(const quicpro_loop *loop, quicpro_loop_stats *stats)
{
    if (loop == NULL || stats == NULL || stats->size < sizeof(*stats))
        return QUICPRO_EINVAL;
    const size_t size = stats->size;
    uint64_t busy_poll = QUICPRO_BUSY_POLL_OFF;
    for (const struct qp_endpoint *e = loop->endpoints; e != NULL; e = e->next)
        for (const struct qp_port *port = e->ports; port != NULL; port = port->next)
            if (qp_port_busy_poll(port) > busy_poll)
                busy_poll = qp_port_busy_poll(port);
    qp_count_publish(loop);
    *stats = (quicpro_loop_stats){
        .size = size,
        .wakeups = get(loop, QP_METRIC_WAKEUPS),
        .datagrams_in = get(loop, QP_METRIC_UDP_IN),
        .datagrams_out = get(loop, QP_METRIC_UDP_OUT),
        .bytes_in = get(loop, QP_METRIC_BYTES_IN),
        .bytes_out = get(loop, QP_METRIC_BYTES_OUT),
        .syscalls_in = get(loop, QP_METRIC_SYSCALLS_IN),
        .syscalls_out = get(loop, QP_METRIC_SYSCALLS_OUT),
        .dropped_in = get(loop, QP_METRIC_DROPPED),
        .send_blocked = get(loop, QP_METRIC_SEND_BLOCKED),
        .connections = get(loop, QP_METRIC_CONNECTIONS),
        .connections_made = get(loop, QP_METRIC_CONNECTIONS_MADE),
        .streams = get(loop, QP_METRIC_STREAMS),
        .streams_made = get(loop, QP_METRIC_STREAMS_MADE),
        .panics = get(loop, QP_METRIC_PANICS),
        .versions_sent = get(loop, QP_METRIC_VERSIONS_SENT),
        .retries_sent = get(loop, QP_METRIC_RETRIES_SENT),
        .tokens_refused = get(loop, QP_METRIC_TOKENS_REFUSED),
        .resets_sent = get(loop, QP_METRIC_RESETS_SENT),
        .refused_source = get(loop, QP_METRIC_REFUSED_SOURCE),
        .refused_packet = get(loop, QP_METRIC_REFUSED_PACKET),
        .refused_full = get(loop, QP_METRIC_REFUSED_FULL),
        .refused_handshakes = get(loop, QP_METRIC_REFUSED_HANDSHAKES),
        .refused_prefix = get(loop, QP_METRIC_REFUSED_PREFIX),
        .keys_spent = get(loop, QP_METRIC_KEYS_SPENT),
        .send_refused = get(loop, QP_METRIC_SEND_REFUSED) + get(loop, QP_METRIC_SEND_TOO_LARGE),
        .spins = get(loop, QP_METRIC_SPINS),
        .busy_poll = busy_poll,
        .datagrams_refused = get(loop, QP_METRIC_FRAMES_REFUSED),
        .qlog_files = get(loop, QP_METRIC_QLOG_FILES),
        .qlog_failed = get(loop, QP_METRIC_QLOG_FAILED),
    };
    return 0;
}
