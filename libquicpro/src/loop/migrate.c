/* A client moves to another network path (RFC 9000 section 9): because its application wants it, or
 * because the address it had is gone. The new path has a socket of its own; the old one's stays
 * until the engine has let that path go, for what is still under way. */
#include "loop/migrate.h"

#include <errno.h>
#include <string.h>

#include "loop/loop.h"

enum {
    RETRY_MS = 50, /* between two tries to find another address */
    /* A probe is given up after three probe timeouts of a path that is not measured, or of the one
     * in use if that is slower (RFC 9000 section 8.2.4; RFC 9002 section 6.2.2: 999 ms). */
    PROBE_MS = 3 * 999,
    PROBE_ROUND_TRIPS = 9,
    PROBES = 3, /* the engine repeats a challenge that was lost, but not one whose answer was */
};

/* With this peer, and now. 0; QUICPRO_ESTATE and why in quicpro_loop_error() */
static int may_move(const struct qp_link *link)
{
    struct quicpro_loop *loop = link->loop;
    struct qp_engine_peer_params peer;
    if (link->endpoint->server)
        return qp_loop_fail(loop, QUICPRO_ESTATE, "only clients move to another path");
    if (link->endpoint->options.migration == QP_MIGRATION_OFF)
        return qp_loop_fail(loop, QUICPRO_ESTATE, "migration is off");
    /* "An endpoint MUST NOT initiate connection migration before the handshake is confirmed" */
    if (link->state != QP_LINK_OPEN ||
        !(link->conn.engine->flags(link->conn.impl) & QP_ENGINE_CONFIRMED))
        return qp_loop_fail(loop, QUICPRO_ESTATE, "the handshake is not confirmed");
    if (link->conn.engine->get_peer_params(link->conn.impl, &peer) && peer.disable_active_migration)
        return qp_loop_fail(loop, QUICPRO_ESTATE, "the server does not want clients to move");
    return 0;
}

void qp_migrate_done(struct qp_link *link)
{
    if (link->other != NULL)
        qp_port_free(link->other);
    link->other = NULL;
    link->other_is = QP_OTHER_NONE;
    link->move_wanted = false;
}

static void leave_other(struct qp_link *link)
{
    if (link->other != NULL)
        link->conn.engine->leave_path(link->conn.impl, &link->other->socket.local.sa,
                                      &link->peer.sa);
    qp_migrate_done(link);
}

static quicpro_tstamp patience(const struct qp_link *link)
{
    const quicpro_tstamp least = PROBE_MS * QUICPRO_MILLISECOND;
    struct qp_engine_stats stats;
    link->conn.engine->get_stats(link->conn.impl, &stats);
    return PROBE_ROUND_TRIPS * stats.rtt_ns > least ? PROBE_ROUND_TRIPS * stats.rtt_ns : least;
}

/* Another socket to the same peer. */
static int open_other(struct qp_link *link, const struct qp_addr *local)
{
    leave_other(link);
    int r = qp_port_open(&link->other, link->endpoint, local, &link->peer);
    if (r < 0)
        return r;
    link->other->link = link;
    link->other_is = QP_OTHER_PROBED;
    const quicpro_tstamp now = link->loop->now, span = patience(link);
    link->probe_until = now + span;
    link->probe_again_at = now + span / PROBES;
    return 0;
}

static void tell(struct qp_link *link, enum quicpro_path_change change, const struct qp_addr *addr)
{
    static const enum qp_metric metric[] = {
        [QUICPRO_PATH_UNUSABLE] = QP_METRIC_PATHS_UNUSABLE,
        [QUICPRO_PATH_MOVED] = QP_METRIC_PATHS_MOVED,
        [QUICPRO_PATH_PEER_MOVED] = QP_METRIC_PATHS_PEER_MOVED,
    };
    struct qp_batch *batch = &link->loop->batch;
    char text[64];
    if (change != QUICPRO_PATH_USABLE)
        qp_metrics_add(link->loop->metrics, metric[change], 1);
    quicpro_event *event = qp_batch_add(batch, QUICPRO_EVENT_PATH);
    if (event == NULL)
        return;
    qp_addr_text(addr, text, sizeof(text));
    event->conn = link->handle;
    event->user = qp_app_user(link);
    event->code = change;
    qp_batch_set_text(batch, event, text);
}

/* From the path in use to the other one. */
static int move(struct qp_link *link)
{
    const struct qp_addr to = link->other->socket.local;
    int r = link->conn.engine->migrate(link->conn.impl, &to.sa, &link->peer.sa);
    if (r < 0)
        return r;
    struct qp_port *old = link->port;
    link->port = link->other;
    link->other = old;
    link->other_is = QP_OTHER_LEFT;
    link->move_wanted = false;
    link->local = to;
    tell(link, QUICPRO_PATH_MOVED, &to);
    qp_link_mark_dirty(link);
    return 0;
}

/* Numbers of a path to be: text NULL and port 0 leave it to the kernel. */
static int parse(struct qp_addr *ret, const struct qp_link *link, const char *text, uint16_t port)
{
    if (text == NULL || text[0] == '\0') {
        *ret = link->local; /* its address, another port */
    } else {
        int r = qp_addr_parse(ret, text);
        if (r < 0 || ret->sa.sa_family != link->peer.sa.sa_family)
            return qp_loop_fail(link->loop, QUICPRO_EINVAL,
                                "'%s' is not an address of the peer's family", text);
    }
    qp_addr_set_port(ret, port);
    return 0;
}

int quicpro_conn_probe(quicpro_loop *loop, quicpro_conn conn, const char *local, unsigned port)
{
    struct qp_link *link = loop == NULL ? NULL : qp_link_get(loop, conn);
    struct qp_addr addr;
    if (loop == NULL || port > UINT16_MAX)
        return QUICPRO_EINVAL;
    if (link == NULL)
        return QUICPRO_ESTALE;
    int r = may_move(link);
    if (r == 0)
        r = parse(&addr, link, local, (uint16_t)port);
    if (r < 0)
        return r;
    r = open_other(link, &addr);
    if (r < 0) {
        char text[64];
        qp_addr_text(&addr, text, sizeof(text));
        return qp_loop_fail(loop, r, "%s: %s", text, quicpro_strerror(r));
    }
    r = link->conn.engine->probe_path(link->conn.impl, &link->other->socket.local.sa,
                                      &link->peer.sa);
    if (r < 0) {
        qp_migrate_done(link);
        return r == QUICPRO_EAGAIN
                   ? qp_loop_fail(loop, r, "the peer has given no connection ID to move with yet")
                   : r;
    }
    qp_link_mark_dirty(link);
    return 0;
}

int quicpro_conn_migrate(quicpro_loop *loop, quicpro_conn conn)
{
    struct qp_link *link = loop == NULL ? NULL : qp_link_get(loop, conn);
    if (loop == NULL)
        return QUICPRO_EINVAL;
    if (link == NULL)
        return QUICPRO_ESTALE;
    if (link->other_is == QP_OTHER_VALID)
        return move(link);
    if (link->other_is != QP_OTHER_PROBED) {
        int r = quicpro_conn_probe(loop, conn, NULL, 0);
        if (r < 0)
            return r;
    }
    link->move_wanted = true;
    return 0;
}

static void probe_failed(struct qp_link *link)
{
    tell(link, QUICPRO_PATH_UNUSABLE, &link->other->socket.local);
    leave_other(link);
}

quicpro_tstamp qp_migrate_due(const struct qp_link *link)
{
    if (link->other_is != QP_OTHER_PROBED)
        return QUICPRO_FOREVER;
    return link->probe_again_at < link->probe_until ? link->probe_again_at : link->probe_until;
}

void qp_migrate_on_timer(struct qp_link *link, quicpro_tstamp now)
{
    if (qp_migrate_due(link) > now)
        return;
    if (link->probe_until <= now) {
        probe_failed(link);
        return;
    }
    link->probe_again_at += patience(link) / PROBES;
    if (link->probe_again_at <= now)
        link->probe_again_at = QUICPRO_FOREVER;
    link->conn.engine->probe_path(link->conn.impl, &link->other->socket.local.sa, &link->peer.sa);
    qp_link_mark_dirty(link);
}

void qp_migrate_event(struct qp_link *link, int type, const struct qp_addr *local)
{
    if (link->other == NULL || !qp_addr_equal(local, &link->other->socket.local))
        return;
    switch (type) {
    case QP_ENGINE_PATH_EVENT_VALIDATED:
        if (link->other_is != QP_OTHER_PROBED)
            return;
        link->other_is = QP_OTHER_VALID;
        tell(link, QUICPRO_PATH_USABLE, local);
        if (link->move_wanted && move(link) < 0)
            link->move_wanted = false;
        return;
    case QP_ENGINE_PATH_EVENT_FAILED:
        if (link->other_is == QP_OTHER_LEFT)
            qp_migrate_done(link);
        else
            probe_failed(link);
        return;
    case QP_ENGINE_PATH_EVENT_CLOSED:
        qp_migrate_done(link);
        return;
    default:
        return;
    }
}

void qp_migrate_peer_moved(struct qp_link *link)
{
    tell(link, QUICPRO_PATH_PEER_MOVED, &link->peer);
}

/* Whether an error of a send means that the address sent from, or the way from it, is gone. */
static bool is_gone(struct qp_link *link, int error)
{
    if (error == -EADDRNOTAVAIL || error == -ENETUNREACH || error == -ENETDOWN)
        return true;
    if (error != -EINVAL) /* Linux says so of an IPv4 source that vanished, and of other things */
        return false;
    struct qp_addr same = link->local;
    qp_addr_set_port(&same, 0);
    int r = open_other(link, &same);
    qp_migrate_done(link);
    return r == -EADDRNOTAVAIL;
}

void qp_migrate_lost(struct qp_link *link, int error, quicpro_tstamp now)
{
    if (link->endpoint->options.migration != QP_MIGRATION_AUTO || now < link->move_again_at ||
        may_move(link) < 0 || !is_gone(link, error))
        return;
    link->move_again_at = now + RETRY_MS * QUICPRO_MILLISECOND;
    /* The kernel chooses the address. Without one now, the next probe timeout asks again. */
    if (open_other(link, NULL) < 0)
        return;
    const struct qp_addr *local = &link->other->socket.local;
    if (link->conn.engine->probe_path(link->conn.impl, &local->sa, &link->peer.sa) < 0 ||
        move(link) < 0) {
        leave_other(link);
        return;
    }
    qp_migrate_done(link); /* nothing comes to the old one any more */
}

struct qp_port *qp_migrate_port(const struct qp_link *link, const struct qp_addr *local)
{
    if (link->other != NULL && qp_addr_equal(local, &link->other->socket.local))
        return link->other;
    /* Of a path whose socket is closed: lost, as on the wire. */
    if (link->port->link == link && !qp_addr_equal(local, &link->port->socket.local))
        return NULL;
    return link->port;
}
