#include "loop/guard.h"

#include <string.h>

#include "loop/loop.h"
#include "os/random.h"
#include "os/secret.h"
#include "quic/initial.h"

enum { INVALID_TOKEN = 0x0b }; /* RFC 9000 section 20.1 */

int qp_guard_init(struct qp_guard *guard, struct qp_endpoint *endpoint)
{
    const char *path = endpoint->server ? endpoint->options.secret_file : "";
    uint8_t bytes[QP_SECRET_FILE_MAX], key[16];
    int len = QP_SECRET_FILE_MIN;
    *guard = (struct qp_guard){.resets.per_second = endpoint->options.stateless_resets_per_second};
    if (path[0] == '\0')
        qp_random(bytes, QP_SECRET_FILE_MIN);
    else
        len = qp_secret_read(bytes, path);
    if (len < 0)
        return qp_loop_fail(endpoint->loop, QUICPRO_EVALUE, "secret_file %s: %s", path,
                            len == -EPERM    ? "others than its owner may read it (chmod 600)"
                            : len == -EINVAL ? "no plain file of 32 to 4096 bytes"
                                             : quicpro_strerror(len));
    qp_secret_extract(guard->secret, bytes, (size_t)len);
    qp_wipe(bytes, sizeof(bytes));
    qp_secret_derive(guard->reset_key, guard->secret, "stateless reset", 0);
    qp_random(key, sizeof(key));
    qp_tally_init(&guard->neighbours, key);
    return 0;
}

void qp_guard_done(struct qp_guard *guard)
{
    qp_tally_done(&guard->neighbours);
    qp_wipe(guard, sizeof(*guard));
}

/* Keys follow from the secret and the hour, so that workers with the same secret have the same. */
static void rotate(struct qp_guard *guard, quicpro_tstamp now)
{
    if (guard->rotate_at > now)
        return;
    const uint64_t period = now / QP_GUARD_ROTATION;
    uint8_t key[QP_SECRET];
    for (uint64_t p = period == 0 ? 0 : period - 1; p <= period; p++) {
        qp_secret_derive(key, guard->secret, "retry", p);
        qp_retry_rotate(&guard->retry_keys, key, (uint8_t)p);
    }
    qp_wipe(key, sizeof(key));
    guard->rotate_at = (period + 1) * QP_GUARD_ROTATION;
}

static void answer(struct qp_port *port, const struct qp_udp_train *train, const uint8_t *out,
                   size_t len)
{
    if (len != 0)
        qp_port_send(port, &train->local, &train->peer, out, len, len);
}

static void answer_version(struct qp_port *port, const struct qp_udp_train *train,
                           const struct qp_packet *packet)
{
    uint8_t out[QP_VERSION_MAX], random;
    qp_random(&random, 1);
    answer(port, train, out, qp_packet_write_version(out, packet, random));
}

static void answer_retry(struct qp_port *port, const struct qp_udp_train *train,
                         const struct qp_packet *packet, quicpro_tstamp now)
{
    const struct qp_retry_address address = qp_retry_address(&train->peer.sa);
    uint8_t scid[QP_CID_LEN], nonce[QP_RETRY_NONCE], token[QP_RETRY_TOKEN_MAX], out[QP_RETRY_MAX];
    qp_link_make_cid(port->endpoint->loop, scid);
    qp_random(nonce, sizeof(nonce));
    size_t len = qp_retry_token(token, &port->endpoint->guard.retry_keys, &address, packet->dcid,
                                packet->dcid_len, scid, nonce, now);
    if (len != 0)
        answer(port, train, out, qp_retry_write(out, packet, scid, QP_CID_LEN, token, len));
}

static void answer_reset(struct qp_port *port, const struct qp_udp_train *train,
                         const struct qp_packet *packet, size_t received, quicpro_tstamp now)
{
    struct qp_guard *guard = &port->endpoint->guard;
    struct quicpro_loop *loop = port->endpoint->loop;
    uint8_t out[QP_RESET_MAX], random[QP_RESET_MAX], slot;
    /* Never for a connection that lives: not in this worker, or it would have been found, and not
     * in a sibling, whose slot the ID names. */
    if (received <= QP_RESET_MIN ||
        (qp_cid_slot(packet->dcid, packet->dcid_len, loop->cid_layout.k, &slot) &&
         slot != loop->cid_layout.slot) ||
        !qp_rate_take(&guard->resets, now))
        return;
    qp_random(random, sizeof(random));
    qp_metrics_add(loop->metrics, QP_METRIC_RESETS_SENT, 1);
    answer(port, train, out, qp_reset_write(out, received, guard->reset_key, packet->dcid, random));
}

static enum qp_admit judge(struct qp_endpoint *endpoint, const struct qp_udp_train *train,
                           const struct qp_packet *packet, size_t datagram_len, quicpro_tstamp now,
                           struct qp_guard_pass *pass)
{
    const struct qp_options *o = &endpoint->options;
    struct qp_guard *guard = &endpoint->guard;
    if (!qp_admit_source(&train->peer.sa, &train->local.sa))
        return QP_ADMIT_NO_SOURCE;
    enum qp_admit verdict = qp_admit_packet(packet, datagram_len);
    if (verdict != QP_ADMIT_ACCEPT)
        return verdict;
    pass->prefix = qp_admit_prefix(&train->peer.sa);
    const struct qp_admit_load load = {
        .shutdown = endpoint->shutdown,
        .connections = endpoint->open,
        .max_connections = o->max_connections,
        .handshakes = endpoint->handshakes,
        .max_handshakes = o->max_handshakes,
        .neighbours = pass->prefix == 0 ? 0 : qp_tally_get(&guard->neighbours, pass->prefix),
        .max_neighbours = o->max_handshakes_per_prefix,
        .retry_handshakes = o->retry_handshakes,
        .retry = (enum qp_retry_mode)o->retry,
    };
    enum qp_token token = QP_TOKEN_NONE;
    rotate(guard, now);
    if (packet->token_len != 0) {
        const struct qp_retry_address address = qp_retry_address(&train->peer.sa);
        token = qp_retry_check(&guard->retry_keys, &address, packet->token, packet->token_len,
                               packet->dcid, packet->dcid_len, now, &pass->odcid);
    }
    return qp_admit_load(&load, token);
}

bool qp_guard_admit(struct qp_port *port, const struct qp_udp_train *train,
                    const struct qp_packet *packet, size_t datagram_len, quicpro_tstamp now,
                    struct qp_guard_pass *pass)
{
    struct qp_endpoint *endpoint = port->endpoint;
    uint8_t out[QP_INITIAL_CLOSE_MAX];
    if (!endpoint->server)
        return false;
    *pass = (struct qp_guard_pass){.prefix = 0};
    enum qp_admit verdict = judge(endpoint, train, packet, datagram_len, now, pass);
    qp_count_admit(endpoint->loop, verdict);
    switch (verdict) {
    case QP_ADMIT_ACCEPT:
        /* "The client MUST use the value from the Source Connection ID field of the Retry packet"
         * (RFC 9000 section 17.2.5.2): it becomes the connection's. */
        if (pass->odcid.len != 0)
            memcpy(pass->scid, packet->dcid, QP_CID_LEN);
        else
            qp_link_make_cid(endpoint->loop, pass->scid);
        qp_reset_token(pass->reset_token, endpoint->guard.reset_key, pass->scid);
        return true;
    case QP_ADMIT_RETRY:
        answer_retry(port, train, packet, now);
        return false;
    case QP_ADMIT_VERSION:
        answer_version(port, train, packet);
        return false;
    case QP_ADMIT_RESET:
        answer_reset(port, train, packet, datagram_len, now);
        return false;
    case QP_ADMIT_TOKEN:
        answer(port, train, out, qp_initial_close(out, packet, INVALID_TOKEN));
        return false;
    default:
        return false;
    }
}

void qp_guard_enter(struct qp_link *link, uint64_t prefix)
{
    /* Without memory it is not counted with its neighbours; the other limits hold. */
    if (prefix != 0 && qp_tally_add(&link->endpoint->guard.neighbours, prefix) == 0)
        link->prefix = prefix;
}

void qp_guard_leave(struct qp_link *link)
{
    if (link->prefix != 0)
        qp_tally_sub(&link->endpoint->guard.neighbours, link->prefix);
    link->prefix = 0;
}
