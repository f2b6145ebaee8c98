#include "loop/loop.h"

#include "os/udp_socket.h"

#include <stdlib.h>
#include <string.h>

struct qp_port *qp_port_new(struct qp_endpoint *endpoint)
{
    struct qp_port *port = calloc(1, sizeof(*port));
    if (port == NULL)
        return NULL;
    port->endpoint = endpoint;
    port->socket.fd = -1;
    port->socket.owner = port;
    port->socket.features = (struct qp_udp_features){
        .gso = endpoint->options.gso,
        .gro = endpoint->options.gro,
        .mmsg = endpoint->options.mmsg,
        .buffer_bytes = (size_t)endpoint->options.socket_buffer_bytes,
        .busy_poll_us = (unsigned)endpoint->options.busy_poll_us,
    };
    port->socket.iface = endpoint->options.iface;
    port->next = endpoint->ports;
    endpoint->ports = port;
    return port;
}

int qp_port_open(struct qp_port **ret, struct qp_endpoint *endpoint, const struct qp_addr *local,
                 const struct qp_addr *peer)
{
    struct quicpro_loop *loop = endpoint->loop;
    struct qp_port *port = qp_port_new(endpoint);
    if (port == NULL)
        return QUICPRO_ENOMEM;
    int r = loop->udp->open(loop->poller, &port->socket, local, peer);
    if (r < 0) {
        port->socket.fd = -1;
        qp_port_free(port);
        return r;
    }
    *ret = port;
    return 0;
}

void qp_port_free(struct qp_port *port)
{
    struct quicpro_loop *loop = port->endpoint->loop;
    for (struct qp_port **at = &port->endpoint->ports; *at != NULL; at = &(*at)->next)
        if (*at == port) {
            *at = port->next;
            break;
        }
    if (port->socket.fd >= 0)
        loop->udp->close(loop->poller, &port->socket);
    free(port->left);
    free(port);
}

enum quicpro_busy_poll qp_port_busy_poll(const struct qp_port *port)
{
    if (port->socket.features.busy_poll_us == 0)
        return QUICPRO_BUSY_POLL_OFF;
    if (port->socket.features.busy_poll_error < 0)
        return QUICPRO_BUSY_POLL_REFUSED;
    if (!port->received)
        return QUICPRO_BUSY_POLL_ACCEPTED;
    return qp_udp_busy_polls(&port->socket) ? QUICPRO_BUSY_POLL_ACTIVE
                                            : QUICPRO_BUSY_POLL_NO_EFFECT;
}

void qp_port_report(const struct qp_port *port)
{
    static const char *const word[] = {
        [QUICPRO_BUSY_POLL_REFUSED] = "refused",
        [QUICPRO_BUSY_POLL_NO_EFFECT] = "accepted, without effect: the device has nothing to poll",
        [QUICPRO_BUSY_POLL_ACCEPTED] = "accepted",
        [QUICPRO_BUSY_POLL_ACTIVE] = "in effect",
    };
    const enum quicpro_busy_poll state = qp_port_busy_poll(port);
    const int error = port->socket.features.busy_poll_error;
    char text[64];
    if (state == QUICPRO_BUSY_POLL_OFF)
        return;
    qp_addr_text(&port->socket.local, text, sizeof(text));
    qp_log(&port->endpoint->loop->log, QUICPRO_LOG_INFO, "busy_poll_us on %s: %s%s%s", text,
           word[state], error < 0 ? ": " : "", error < 0 ? quicpro_strerror(error) : "");
}

static bool keep(struct qp_port *port, const struct qp_addr *local, const struct qp_addr *peer,
                 const uint8_t *data, size_t len, size_t segment)
{
    port->left = malloc(len);
    if (port->left == NULL)
        return false; /* lost, as on the wire: the engine sends it again */
    memcpy(port->left, data, len);
    port->left_len = len;
    port->left_segment = segment;
    port->left_local = *local;
    port->left_peer = *peer;
    return false;
}

bool qp_port_send(struct qp_port *port, const struct qp_addr *local, const struct qp_addr *peer,
                  const uint8_t *data, size_t len, size_t segment)
{
    struct quicpro_loop *loop = port->endpoint->loop;
    if (port->left != NULL) /* the kernel takes no more: lost, as on the wire */
        return false;
    int64_t n = loop->udp->send(loop->poller, &port->socket, local, peer, data, len, segment);
    if (n < 0) {
        /* This train is lost, as on the wire; loss recovery or the idle timeout see to the rest. */
        qp_metrics_add(loop->metrics, QP_METRIC_SEND_REFUSED, (len + segment - 1) / segment);
        if (port->link != NULL && port == port->link->port)
            port->link->send_error = (int)n;
        qp_log(&loop->log, QUICPRO_LOG_DEBUG, "send: %s", quicpro_strerror((int)n));
        return true;
    }
    qp_metrics_add(loop->metrics, QP_METRIC_BYTES_OUT, (uint64_t)n);
    qp_metrics_add(loop->metrics, QP_METRIC_UDP_OUT, ((uint64_t)n + segment - 1) / segment);
    if ((size_t)n == len)
        return true;
    qp_metrics_add(loop->metrics, QP_METRIC_SEND_BLOCKED, 1);
    return keep(port, local, peer, data + n, len - (size_t)n, segment);
}

bool qp_port_send_left(struct qp_port *port)
{
    struct quicpro_loop *loop = port->endpoint->loop;
    uint8_t *left = port->left;
    if (left == NULL) {
        loop->udp->disarm_write(loop->poller, &port->socket);
        return true;
    }
    port->left = NULL;
    bool all = qp_port_send(port, &port->left_local, &port->left_peer, left, port->left_len,
                            port->left_segment);
    free(left);
    if (all)
        loop->udp->disarm_write(loop->poller, &port->socket);
    return all;
}
