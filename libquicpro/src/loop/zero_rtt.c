#include "loop/zero_rtt.h"

#include <stdio.h>

#include "h3/early.h"
#include "loop/loop.h"
#include "quic/tickets.h"

enum { LAST_BYTES = 4096 }; /* for the packets that close */

static enum qp_early outcome(const struct qp_link *link)
{
    return qp_tickets_early(link->conn.engine->ssl(link->conn.impl));
}

void qp_zero_rtt_receive(struct qp_link *link)
{
    const uint32_t flags = link->conn.engine->flags(link->conn.impl);
    if (!link->endpoint->server || !(flags & QP_ENGINE_EARLY_DATA) || qp_app_is_early(link))
        return;
    /* Which streams of other protocols are safe only the application knows: they wait. */
    if (qp_app_is_http3(link) || link->endpoint->options.early_data_unsafe == QP_H3_UNSAFE_SHOW)
        qp_link_start_app(link, true);
}

/* Whether there is something for early data, if it can be sent. */
static bool wanted(const struct qp_link *link)
{
    return link->target != NULL && link->target->early_wanted &&
           (link->app == QP_APP_RAW || qp_h3_early_ready(&link->h3));
}

bool qp_zero_rtt_send(struct qp_link *link, quicpro_tstamp now)
{
    const struct qp_engine_ops *engine = link->conn.engine;
    if (link->app == QP_APP_NONE)
        return false;
    if (qp_app_is_early(link) || !wanted(link))
        return qp_app_is_early(link);
    qp_link_send(link, SIZE_MAX, now); /* makes the ClientHello, and its packets */
    if (!(engine->flags(link->conn.impl) & QP_ENGINE_EARLY_DATA)) {
        link->target->early_wanted = false; /* not with this session */
        return false;
    }
    return qp_link_start_app(link, true);
}

/* A new connection in place of the old, over the same socket. */
static int begin_anew(struct qp_link *link)
{
    uint8_t scid[QP_CID_LEN];
    qp_link_make_cid(link->loop, scid);
    const struct qp_engine_ids ids = {.scid = scid, .scid_len = QP_CID_LEN};
    int r = qp_conn_connect(&link->conn, &link->endpoint->factory, &ids, &link->local.sa,
                            &link->peer.sa, link->target->host);
    if (r < 0)
        return r;
    qp_trace_begin_client(link);
    return qp_link_add_cid(link, scid, QP_CID_LEN);
}

bool qp_zero_rtt_rejected(struct qp_link *link, quicpro_tstamp now)
{
    if (link->endpoint->server || !qp_app_is_early(link) || outcome(link) == QP_EARLY_ACCEPTED)
        return false;
    /* "When 0-RTT is rejected, all connection characteristics that the client assumed might be
     * incorrect" (RFC 9001 section 4.6.2): the engine goes on with streams that it opened under
     * limits of the past. So it begins anew, with requests, which may all be repeated; streams of
     * other protocols are given back. */
    qp_log(&link->loop->log, QUICPRO_LOG_INFO,
           "early data was rejected (%s): connecting to %s port %u again",
           qp_tickets_early_reason(link->conn.engine->ssl(link->conn.impl)), link->target->host,
           link->target->port);
    qp_conn_close(&link->conn, false, 0, "early data was rejected");
    qp_link_send(link, LAST_BYTES, now);
    qp_link_forget_cids(link);
    qp_trace_conn_done(link);
    qp_app_early_rejected(link);
    link->early_data = QUICPRO_EARLY_REJECTED;
    link->target->early_wanted = false;
    int r = begin_anew(link);
    if (r < 0) {
        struct qp_conn_close close = {.error = r};
        snprintf(close.text, sizeof(close.text), "cannot connect again after early data: %s",
                 quicpro_strerror(r));
        qp_link_end(link, &close);
    }
    link->release_at = 0;
    link->close_tried = false;
    qp_link_mark_dirty(link);
    return true;
}

void qp_zero_rtt_over(struct qp_link *link)
{
    const enum qp_early early = outcome(link);
    if (qp_app_is_early(link))
        link->early_data = QUICPRO_EARLY_ACCEPTED;
    else if (link->endpoint->server && early == QP_EARLY_REJECTED)
        link->early_data = QUICPRO_EARLY_REJECTED;
    if (link->endpoint->server && early != QP_EARLY_ACCEPTED && link->endpoint->options.early_data)
        qp_log(&link->loop->log, QUICPRO_LOG_DEBUG, "no early data: %s",
               qp_tickets_early_reason(link->conn.engine->ssl(link->conn.impl)));
    if (qp_app_is_early(link))
        qp_app_early_over(link);
}
