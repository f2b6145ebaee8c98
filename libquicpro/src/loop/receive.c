/* From a train of datagrams to the connection it belongs to. */
#include "loop/loop.h"

#include <string.h>

#include "quic/packet.h"

static struct qp_link *find_link(struct quicpro_loop *loop, const struct qp_packet *packet)
{
    int64_t index = qp_cid_map_get(&loop->cids, packet->dcid, packet->dcid_len);
    return index < 0 ? NULL : qp_slab_at(&loop->links, (uint32_t)index);
}

/* A connection for a first Initial that was let in, or NULL. */
static struct qp_link *accept_link(struct qp_port *port, const struct qp_udp_train *train,
                                   const struct qp_packet *packet, const struct qp_guard_pass *pass,
                                   quicpro_tstamp now)
{
    struct qp_endpoint *endpoint = port->endpoint;
    struct qp_link *link = qp_link_new(endpoint);
    if (link == NULL)
        return NULL;
    const struct qp_engine_ids ids = {
        .scid = pass->scid,
        .scid_len = QP_CID_LEN,
        .odcid = pass->odcid.data,
        .odcid_len = pass->odcid.len,
        .reset_token = pass->reset_token,
    };
    link->port = port;
    link->local = train->local;
    link->peer = train->peer;
    if (qp_conn_accept(&link->conn, &endpoint->factory, &ids, &train->local.sa, &train->peer.sa) <
            0 ||
        qp_link_add_cid(link, pass->scid, QP_CID_LEN) < 0) {
        qp_link_free(link);
        return NULL;
    }
    /* Retransmitted and coalesced packets of the first flight carry the client's choice of ID;
     * after a Retry it is the connection's own. */
    if (pass->odcid.len == 0 && qp_link_add_cid(link, packet->dcid, packet->dcid_len) == 0) {
        link->odcid_len = packet->dcid_len;
        memcpy(link->odcid, packet->dcid, packet->dcid_len);
    }
    qp_guard_enter(link, pass->prefix);
    if (pass->odcid.len != 0)
        qp_trace_begin(link, pass->odcid.data, pass->odcid.len);
    else
        qp_trace_begin(link, packet->dcid, packet->dcid_len);
    qp_link_begin(link, now);
    qp_metrics_add(endpoint->loop->metrics, QP_METRIC_CONNECTIONS_MADE, 1);
    return link;
}

static void feed(struct qp_link *link, const struct qp_udp_train *train, uint8_t *data, size_t len,
                 size_t segment)
{
    if (link->conn.impl == NULL)
        return;
    qp_conn_recv(&link->conn, data, len, segment, &train->local.sa, &train->peer.sa);
    link->fed = link->prompted = true;
    link->heard_at = link->loop->now;
    qp_link_mark_dirty(link);
}

/* "If decryption fails [...], the receiver MAY either discard or buffer the packet for later
 * processing and MUST attempt to process the remaining packets" (section 12.2). The engine drops
 * what is behind a packet that it has no keys for, so it gets them one by one: the packet that
 * closes a connection may come behind one of the handshake, whose keys are gone.
 *
 * What is behind the last packet is padding, or not for this connection, and nothing to the engine.
 * Only it counts in what a server may send to an address that is not validated, which is three
 * times what came in datagrams (section 8.1): so there it gets that too, as zeros, which are no
 * packet. */
static void feed_coalesced(struct qp_link *link, const struct qp_udp_train *train, uint8_t *data,
                           size_t len, struct qp_packet *packet)
{
    size_t left = qp_packet_same_dcid(data, len, packet);
    size_t rest = len - left;
    if (link->state != QP_LINK_HANDSHAKE || !link->endpoint->server)
        rest = 0;
    memset(data + left, 0, rest);
    for (;;) {
        size_t n = packet->len < left ? packet->len : left;
        left -= n;
        if (left == 0)
            n += rest;
        feed(link, train, data, n, n);
        data += n;
        if (left == 0 || !qp_packet_parse(packet, data, left, QP_CID_LEN))
            return;
    }
}

/* Neighbours of one connection go to the engine in one call. */
void qp_port_route(struct qp_port *port, const struct qp_udp_train *train, quicpro_tstamp now)
{
    struct quicpro_loop *loop = port->endpoint->loop;
    struct qp_link *run_link = NULL;
    size_t run_start = 0, run_end = 0;
    const size_t step = train->segment == 0 ? 1 : train->segment;
    for (size_t off = 0; off < train->len; off += step) {
        uint8_t *data = train->data + off;
        size_t len = train->len - off < step ? train->len - off : step;
        struct qp_packet packet;
        qp_metrics_add(loop->metrics, QP_METRIC_UDP_IN, 1);
        if (run_link != NULL && (data[0] & 0x80) == 0 && len > QP_CID_LEN &&
            memcmp(data + 1, run_link->conn.scid, QP_CID_LEN) == 0) {
            run_end = off + len;
            continue;
        }
        if (run_link != NULL)
            feed(run_link, train, train->data + run_start, run_end - run_start, step);
        run_link = NULL;
        if (!qp_packet_parse(&packet, data, len, QP_CID_LEN)) {
            qp_metrics_add(loop->metrics, QP_METRIC_DROPPED, 1);
            continue;
        }
        struct qp_link *link = find_link(loop, &packet);
        /* A stateless reset has no ID of ours; a client's socket tells whom it is for. */
        if (link == NULL && packet.type == QP_PACKET_SHORT)
            link = port->link;
        struct qp_guard_pass pass;
        if (link == NULL && qp_guard_admit(port, train, &packet, len, now, &pass))
            link = accept_link(port, train, &packet, &pass, now);
        if (link == NULL) {
            qp_metrics_add(loop->metrics, QP_METRIC_DROPPED, 1);
            continue;
        }
        if (packet.type == QP_PACKET_SHORT) {
            run_link = link;
            run_start = off;
            run_end = off + len;
        } else {
            feed_coalesced(link, train, data, len, &packet);
        }
    }
    if (run_link != NULL)
        feed(run_link, train, train->data + run_start, run_end - run_start, step);
}

void qp_port_take(struct qp_port *port, const struct qp_udp_train *train, quicpro_tstamp now)
{
    struct quicpro_loop *loop = port->endpoint->loop;
    qp_metrics_add(loop->metrics, QP_METRIC_BYTES_IN, train->len);
    if (train->len == 0)
        qp_metrics_add(loop->metrics, QP_METRIC_DROPPED, 1);
    qp_port_route(port, train, now);
}

void qp_port_receive(struct qp_port *port, quicpro_tstamp now, size_t budget)
{
    /* Rounds of QP_UDP_MESSAGES: bounded, so that a flood cannot starve timers and flushes. */
    enum { ROUNDS = 4 };
    struct quicpro_loop *loop = port->endpoint->loop;
    struct qp_udp_train train[QP_UDP_MESSAGES];
    qp_resume_tick(port->endpoint, now);
    for (int round = 0; round < ROUNDS; round++) {
        int n = loop->udp->receive(loop->poller, &port->socket, train, QP_UDP_MESSAGES);
        if (n < 0 && port->link != NULL && port->link->state == QP_LINK_HANDSHAKE) {
            qp_dial_refused(port->link, n, now);
            return;
        }
        if (n <= 0)
            return;
        if (!port->received) {
            port->received = true;
            qp_port_report(port);
        }
        for (int i = 0; i < n; i++)
            qp_port_take(port, &train[i], now);
        for (struct qp_link *link = loop->dirty; link != NULL; link = link->next_dirty)
            if (link->fed)
                qp_link_process(link, now);
        if (n < QP_UDP_MESSAGES || qp_batch_count(&loop->batch) >= budget)
            return;
    }
}
