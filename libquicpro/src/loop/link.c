/* A connection on the loop: made, looked at, flushed, ended. */
#include "loop/loop.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "loop/zero_rtt.h"
#include "os/random.h"
#include "quic/usage.h"

enum {
    READ_MAX = 262144, /* bytes of bodies of one connection in one run, so that all get theirs */
    MAX_SEGMENTS = 64, /* of one train */
    REASON_MAX = 256,  /* bytes of the words that a connection is closed with */
};

enum { AEAD_LIMIT_REACHED = 0x0f /* RFC 9000 section 20.1 */ };

struct qp_link *qp_link_new(struct qp_endpoint *endpoint)
{
    quicpro_handle handle;
    struct qp_link *link = qp_slab_take(&endpoint->loop->links, &handle);
    if (link == NULL)
        return NULL;
    link->loop = endpoint->loop;
    link->endpoint = endpoint;
    link->handle = handle;
    link->timer.at = QUICPRO_FOREVER;
    endpoint->open++;
    return link;
}

struct qp_link *qp_link_get(struct quicpro_loop *loop, quicpro_conn conn)
{
    struct qp_link *link = qp_slab_get(&loop->links, conn);
    return link == NULL || link->state == QP_LINK_ENDED ? NULL : link;
}

static void forget_odcid(struct qp_link *link)
{
    if (link->odcid_len != 0)
        qp_cid_map_remove(&link->loop->cids, link->odcid, link->odcid_len);
    link->odcid_len = 0;
}

void qp_link_uncount(struct qp_link *link)
{
    if (link->state == QP_LINK_ENDED)
        return;
    if (link->state == QP_LINK_HANDSHAKE)
        link->endpoint->handshakes--;
    qp_guard_leave(link);
    if (!link->hidden)
        link->endpoint->open--;
    link->state = QP_LINK_ENDED;
}

void qp_link_free(struct qp_link *link)
{
    struct quicpro_loop *loop = link->loop;
    qp_link_uncount(link);
    if (link->dirty) {
        struct qp_link **at = &loop->dirty;
        while (*at != link)
            at = &(*at)->next_dirty;
        *at = link->next_dirty;
        if (loop->dirty_tail == &link->next_dirty)
            loop->dirty_tail = at;
    }
    if (link->conn.impl != NULL) {
        qp_app_done(link);
        qp_link_forget_cids(link);
        forget_odcid(link);
        qp_trace_conn_done(link);
    }
    qp_heap_set(&loop->timers, &link->timer, QUICPRO_FOREVER);
    qp_dial_stop(link);
    if (link->parent != NULL)
        qp_dial_forget(link);
    free(link->target);
    free(link->close_reason);
    qp_migrate_done(link);
    if (link->port != NULL && link->port->link == link)
        qp_port_free(link->port);
    qp_slab_put(&loop->links, link->handle);
}

void qp_link_mark_dirty(struct qp_link *link)
{
    struct quicpro_loop *loop = link->loop;
    if (link->dirty)
        return;
    link->dirty = true;
    link->next_dirty = NULL;
    *loop->dirty_tail = link;
    loop->dirty_tail = &link->next_dirty;
}

int qp_link_add_cid(struct qp_link *link, const uint8_t *cid, size_t len)
{
    return qp_cid_map_put(&link->loop->cids, cid, len, (uint32_t)link->handle); /* tag is 0 */
}

void qp_link_make_cid(struct quicpro_loop *loop, uint8_t out[QP_CID_LEN])
{
    uint8_t random[15];
    do {
        qp_random(random, sizeof(random));
        qp_cid_make(out, &loop->cid_layout, random);
    } while (qp_cid_map_get(&loop->cids, out, QP_CID_LEN) >= 0);
}

void qp_link_begin(struct qp_link *link, quicpro_tstamp now)
{
    const struct qp_endpoint *endpoint = link->endpoint;
    link->state = QP_LINK_HANDSHAKE;
    link->begun_at = now;
    link->endpoint->handshakes++;
    if (endpoint->server) { /* a client's was set when it began to look the host up, and its
                               requests may be waiting in h3 already */
        link->handshake_until = now + endpoint->options.handshake_timeout_ms * QUICPRO_MILLISECOND;
        qp_app_init(link);
    }
    qp_link_mark_dirty(link);
}

void qp_link_end(struct qp_link *link, const struct qp_conn_close *close)
{
    struct qp_batch *batch = &link->loop->batch;
    void *user = qp_app_user(link);
    if (link->state == QP_LINK_ENDED)
        return;
    qp_dial_stop(link);
    qp_trace_closed(link, close);
    qp_metrics_add(link->loop->metrics, QP_METRIC_RESET_FLOODS, qp_app_is_flooded(link));
    qp_app_lost(link, close);
    qp_link_uncount(link);
    quicpro_event *event = qp_batch_add(batch, QUICPRO_EVENT_CLOSED);
    if (event != NULL) {
        event->conn = link->handle;
        event->error = close->error;
        event->code = close->code;
        event->user = user;
        event->flags = (uint16_t)((close->remote ? QUICPRO_FLAG_REMOTE : 0) |
                                  (close->app ? QUICPRO_FLAG_APP : 0));
        qp_batch_set_text(batch, event, close->text);
    }
    qp_count_closed(link, close->error);
    qp_log(&link->loop->log, close->error == 0 ? QUICPRO_LOG_DEBUG : QUICPRO_LOG_INFO,
           "connection closed: %s", close->text);
    qp_endpoint_check_drained(link->endpoint);
}

bool qp_link_start_app(struct qp_link *link, bool early)
{
    if ((early ? qp_app_start_early(link) : qp_app_start(link)) < 0) {
        qp_conn_fail(&link->conn, false, 1, "out of memory");
        return false;
    }
    if (link->endpoint->shutdown)
        qp_app_shutdown(link);
    return true;
}

static void established(struct qp_link *link, quicpro_tstamp now)
{
    quicpro_event *event;
    link->state = QP_LINK_OPEN;
    link->endpoint->handshakes--;
    qp_guard_leave(link);
    forget_odcid(link);
    qp_trace_established(link);
    if (!qp_link_start_app(link, false))
        return;
    event = qp_batch_add(&link->loop->batch, QUICPRO_EVENT_CONNECTED);
    if (event != NULL) {
        event->conn = link->handle;
        event->user = qp_app_user(link);
    }
    qp_zero_rtt_over(link);
    qp_count_established(link, now);
}

void qp_link_close(struct qp_link *link, uint64_t code, const char *reason)
{
    if (link->state == QP_LINK_RESOLVING) {
        const struct qp_conn_close close = {.code = code, .app = true, .text = "closed by us"};
        qp_link_end(link, &close);
    } else if (link->close_reason == NULL || link->finishing) {
        free(link->close_reason);
        link->close_reason = strndup(reason == NULL ? "" : reason, REASON_MAX);
        link->close_code = code;
    }
    link->finishing = false;
    qp_link_mark_dirty(link);
}

void qp_link_finish(struct qp_link *link, uint64_t code, const char *reason)
{
    if (qp_link_is_closing(link))
        return;
    qp_link_close(link, code, reason);
    link->finishing = link->state == QP_LINK_OPEN || qp_app_is_early(link);
}

/* Whether the peer is to be told now that it is over. */
static bool closes_now(const struct qp_link *link)
{
    if (link->close_reason == NULL)
        return false;
    return !link->finishing ||
           (!qp_raw_has_unsent(&link->raw) && link->conn.engine->all_acked(link->conn.impl));
}

bool qp_link_is_closing(const struct qp_link *link)
{
    return link->close_reason != NULL || link->state == QP_LINK_ENDED;
}

/* Whether the connection is over, and how: 0 no, QP_ENGINE_DRAINING or QP_ENGINE_CLOSED. A closing
 * packet that the engine does not make when asked (quiche makes none for an application while a
 * handshake packet waits to be repeated) is not waited for: the peer's idle timeout does the rest.
 */
static uint32_t over(const struct qp_link *link)
{
    uint32_t flags = link->conn.engine->flags(link->conn.impl);
    if (flags & QP_ENGINE_CLOSED)
        return QP_ENGINE_CLOSED;
    if (flags & QP_ENGINE_DRAINING)
        return QP_ENGINE_DRAINING;
    return (flags & QP_ENGINE_LOCAL_ERROR) && link->close_tried ? QP_ENGINE_CLOSED : 0;
}

static void report_end(struct qp_link *link, quicpro_tstamp now)
{
    struct qp_conn_close close;
    if (!over(link) || link->state == QP_LINK_ENDED)
        return;
    if (link->state == QP_LINK_OPEN) {
        qp_app_read_rest(link, now);
        qp_resume_keep(link, true);
    }
    qp_conn_get_close(&link->conn, &close);
    if (link->handshake_expired)
        close.error = QUICPRO_EHANDSHAKE;
    qp_trace_closed(link, &close);
    if (!qp_dial_failed(link, &close, now))
        qp_link_end(link, &close);
}

void qp_link_process(struct qp_link *link, quicpro_tstamp now)
{
    link->fed = false;
    if (link->conn.impl == NULL || link->state == QP_LINK_ENDED)
        return;
    const struct qp_engine_ops *engine = link->conn.engine;
    if (link->state == QP_LINK_HANDSHAKE &&
        (engine->flags(link->conn.impl) & QP_ENGINE_ESTABLISHED)) {
        if (qp_zero_rtt_rejected(link, now))
            return;
        link = qp_dial_won(link);
        established(link, now);
        qp_keepalive_begin(link, now);
    }
    if (link->state == QP_LINK_HANDSHAKE)
        qp_zero_rtt_receive(link);
    qp_link_update_paths(link);
    if (link->state == QP_LINK_OPEN || (qp_app_is_early(link) && link->endpoint->server))
        qp_app_read(link, now, READ_MAX);
    if (link->state == QP_LINK_OPEN)
        qp_resume_keep(link, false);
    report_end(link, now);
}

/* Runs of packets of one size become one train each (the last of a run may be shorter). */
static bool send_packets(struct qp_link *link, const uint16_t *lens, int count,
                         const struct qp_addr *local, const struct qp_addr *peer)
{
    const uint8_t *data = link->loop->out;
    bool open = true;
    for (int i = 0; i < count && open;) {
        size_t segment = lens[i], len = 0;
        do
            len += lens[i++];
        while (i < count && lens[i - 1] == segment && lens[i] <= segment);
        struct qp_port *port = qp_migrate_port(link, local);
        if (port != NULL)
            open = qp_port_send(port, local, peer, data, len, segment);
        data += len;
    }
    return open;
}

/* Makes and sends packets up to max_bytes, as the pacer lets. True: there may be more to go at
 * once. */
static bool send_all(struct qp_link *link, size_t max_bytes, bool paced, quicpro_tstamp now)
{
    const struct qp_engine_ops *engine = link->conn.engine;
    const size_t payload = (size_t)link->endpoint->options.max_udp_payload_bytes;
    struct qp_addr local = {0}, peer = {0};
    uint16_t lens[MAX_SEGMENTS];
    for (size_t total = 0, bytes; total < max_bytes; total += bytes) {
        const size_t max =
            paced ? qp_link_may_send(link, payload, MAX_SEGMENTS, now) : MAX_SEGMENTS;
        int n = max == 0 ? 0
                         : engine->send(link->conn.impl, link->loop->out, QP_OUT_BYTES, payload,
                                        lens, max, &local.sa, &peer.sa, &link->release_at);
        if (n <= 0)
            return false;
        link->packets_out += (uint64_t)n;
        bytes = 0;
        for (int i = 0; i < n; i++)
            bytes += lens[i];
        qp_link_has_sent(link, bytes, now);
        if (!send_packets(link, lens, n, &local, &peer))
            return true;
    }
    return true;
}

void qp_link_send(struct qp_link *link, size_t max_bytes, quicpro_tstamp now)
{
    send_all(link, max_bytes, false, now);
}

static void set_timer(struct qp_link *link)
{
    quicpro_tstamp at = link->conn.engine->expiry(link->conn.impl);
    if (link->state == QP_LINK_HANDSHAKE && link->handshake_until < at)
        at = link->handshake_until;
    if (link->dial != NULL && qp_dial_due(link) < at)
        at = qp_dial_due(link);
    if (link->release_at != 0 && link->release_at < at)
        at = link->release_at;
    if (qp_keepalive_due(link) < at)
        at = qp_keepalive_due(link);
    if (qp_migrate_due(link) < at)
        at = qp_migrate_due(link);
    qp_heap_set(&link->loop->timers, &link->timer, at);
}

/* Keys wear out: new requests go elsewhere in time, and what is left of it is not used up. */
static void check_usage(struct qp_link *link)
{
    const enum qp_usage usage = qp_usage(link->packets_out, link->endpoint->packets_max);
    if (usage == QP_USAGE_FINE || link->state != QP_LINK_OPEN)
        return;
    if (usage == QP_USAGE_SPENT && !link->keys_spent) {
        link->keys_spent = true;
        qp_metrics_add(link->loop->metrics, QP_METRIC_KEYS_SPENT, 1);
        qp_conn_fail(&link->conn, false, AEAD_LIMIT_REACHED, "packets sent with one key");
    } else {
        qp_app_retire(link);
    }
}

bool qp_link_flush(struct qp_link *link, quicpro_tstamp now)
{
    const size_t burst = (size_t)link->endpoint->options.burst_bytes;
    bool more = false;
    if (link->conn.impl == NULL) { /* a client's, without an address yet or for ever */
        if (link->state == QP_LINK_ENDED)
            qp_link_free(link);
        return false;
    }
    if (link->port->left != NULL) { /* the kernel takes no more: come back when it does */
        qp_link_mark_dirty(link);
        return false;
    }
    check_usage(link);
    if (link->state == QP_LINK_OPEN ||
        (link->state == QP_LINK_HANDSHAKE && qp_zero_rtt_send(link, now)))
        more = qp_app_write(link, burst);
    link->release_at = 0;
    more |= send_all(link, burst, link->close_reason == NULL || link->finishing, now);
    if (link->send_error != 0) {
        const int error = link->send_error;
        link->send_error = 0;
        qp_migrate_lost(link, error, now);
    }
    link->prompted &= link->release_at != 0; /* else there was nothing to answer */
    /* Not while the kernel takes no more: the closing packet would be lost. */
    if (link->port->left == NULL &&
        (closes_now(link) || (link->close_reason == NULL && !more && link->release_at == 0 &&
                              link->state == QP_LINK_OPEN && qp_app_drained(link)))) {
        const bool app = link->state == QP_LINK_OPEN;
        qp_conn_close(&link->conn, app,
                      !app                         ? 0
                      : link->close_reason == NULL ? qp_app_no_error(link)
                                                   : link->close_code,
                      link->close_reason == NULL ? "" : link->close_reason);
        more = send_all(link, burst, false, now);
    }
    if (more && link->port->left != NULL) {
        qp_link_mark_dirty(link);
        more = false;
    }
    more |= qp_app_has_unread(link);
    if (link->conn.engine->flags(link->conn.impl) & QP_ENGINE_LOCAL_ERROR)
        link->close_tried = true;
    uint32_t end = over(link);
    if (end == QP_ENGINE_CLOSED && link->state == QP_LINK_ENDED) {
        qp_link_free(link);
        return false;
    }
    set_timer(link);
    if (link->conn.qlog != NULL)
        qp_trace_write(link);
    return more || (end && link->state != QP_LINK_ENDED); /* the next run reports it */
}

void qp_link_on_timer(struct qp_link *link, quicpro_tstamp now)
{
    if (link->dial != NULL && !qp_dial_on_timer(link, now))
        return;
    if (link->state == QP_LINK_HANDSHAKE && link->handshake_until <= now) {
        link->handshake_expired = true;
        qp_conn_fail(&link->conn, false, 0, "handshake timeout");
    }
    if (link->handshake_expired || link->conn.engine->expiry(link->conn.impl) <= now) {
        link->conn.engine->on_timeout(link->conn.impl);
        link->fed = link->prompted = true;
    } /* else the pacer lets more go */
    qp_keepalive_on_timer(link, now);
    qp_migrate_on_timer(link, now);
    qp_link_mark_dirty(link);
}
