#include "loop/loop.h"

#include <stdlib.h>
#include <string.h>

#include "loop/certs.h"

enum { CONNECTION_REFUSED = 2 }; /* RFC 9000 section 20.1 */

struct quicpro_server {
    struct qp_endpoint endpoint;
};

int quicpro_server_new(quicpro_server **ret, quicpro_loop *loop, const quicpro_config *config)
{
    if (ret == NULL || loop == NULL)
        return QUICPRO_EINVAL;
    quicpro_server *server = calloc(1, sizeof(*server));
    if (server == NULL)
        return QUICPRO_ENOMEM;
    int r = qp_endpoint_init(&server->endpoint, loop, config, true);
    if (r < 0) {
        free(server);
        return r;
    }
    *ret = server;
    return 0;
}

int quicpro_server_set_option(quicpro_server *server, const char *key, const char *value)
{
    return server == NULL ? QUICPRO_EINVAL : qp_endpoint_set_option(&server->endpoint, key, value);
}

int quicpro_server_add_certificate(quicpro_server *server, const char *host,
                                   const quicpro_config *config)
{
    if (server == NULL || host == NULL || config == NULL)
        return QUICPRO_EINVAL;
    return qp_certs_add(&server->endpoint, host, config);
}

int quicpro_server_reload_tls(quicpro_server *server)
{
    return server == NULL ? QUICPRO_EINVAL : qp_certs_reload(&server->endpoint);
}

void quicpro_server_free(quicpro_server *server)
{
    if (server == NULL)
        return;
    qp_endpoint_done(&server->endpoint);
    free(server);
}

static int open_one(quicpro_server *server, const struct qp_addr *addr)
{
    struct quicpro_loop *loop = server->endpoint.loop;
    struct qp_port *port;
    int r = qp_port_open(&port, &server->endpoint, addr, NULL);
    if (r < 0) {
        char text[64];
        qp_addr_text(addr, text, sizeof(text));
        const char *iface = server->endpoint.options.iface;
        return qp_loop_fail(loop, r, "cannot listen on %s%s%s: %s", text,
                            iface[0] == '\0' ? "" : " of interface ", iface, strerror(-r));
    }
    qp_port_report(port);
    return qp_addr_port(&port->socket.local);
}

int quicpro_server_listen(quicpro_server *server, const char *host, uint16_t port)
{
    if (server == NULL)
        return QUICPRO_EINVAL;
    struct quicpro_loop *loop = server->endpoint.loop;
    struct qp_resolve_result result;
    if (loop->detached)
        qp_detached_listen(loop, &result, host, port);
    else
        qp_resolve_now(&result, host, port, 1);
    if (result.error < 0)
        return qp_loop_fail(loop, result.error, "%s: %s", host == NULL ? "*" : host, result.text);
    /* All addresses of a name share a port; those of a family this machine lacks are passed over.
     */
    int opened = 0, first_error = 0;
    for (size_t i = 0; i < result.count; i++) {
        if (opened > 0)
            qp_addr_set_port(&result.addr[i], (uint16_t)opened);
        int r = open_one(server, &result.addr[i]);
        if (r > 0 && opened == 0)
            opened = r;
        else if (r == -EADDRINUSE || r == -EACCES || r == QUICPRO_ENOMEM)
            return r;
        else if (r < 0 && first_error == 0)
            first_error = r;
    }
    return opened > 0 ? opened : first_error;
}

int quicpro_server_listen_fd(quicpro_server *server, int fd)
{
    if (server == NULL || fd < 0)
        return QUICPRO_EINVAL;
    struct quicpro_loop *loop = server->endpoint.loop;
    struct qp_port *port = qp_port_new(&server->endpoint);
    if (port == NULL)
        return QUICPRO_ENOMEM;
    int r = loop->udp->adopt(loop->poller, &port->socket, fd);
    if (r < 0) {
        port->socket.fd = -1;
        qp_port_free(port);
        return qp_loop_fail(loop, r, "descriptor %d is no bound UDP socket: %s", fd,
                            quicpro_strerror(r));
    }
    qp_port_report(port);
    return qp_addr_port(&port->socket.local);
}

/* Whoever has not finished its handshake has asked for nothing yet, and may be gone. */
static void shut_down(struct qp_link *link)
{
    if (link->state == QP_LINK_OPEN || qp_app_is_early(link))
        qp_app_shutdown(link);
    else if (link->state == QP_LINK_HANDSHAKE)
        qp_conn_fail(&link->conn, false, CONNECTION_REFUSED, "the server stops");
    else
        return;
    qp_link_mark_dirty(link);
}

void quicpro_server_shutdown(quicpro_server *server)
{
    uint32_t cursor = 0;
    quicpro_handle handle;
    struct qp_link *link;
    if (server == NULL || server->endpoint.shutdown)
        return;
    struct quicpro_loop *loop = server->endpoint.loop;
    server->endpoint.shutdown = true;
    while ((link = qp_slab_next(&loop->links, &cursor, &handle)) != NULL)
        if (link->endpoint == &server->endpoint)
            shut_down(link);
    qp_endpoint_check_drained(&server->endpoint);
}

void quicpro_server_abort(quicpro_server *server)
{
    if (server == NULL)
        return;
    server->endpoint.shutdown = true;
    qp_endpoint_abort(&server->endpoint);
    qp_endpoint_check_drained(&server->endpoint);
}

void quicpro_server_set_user(quicpro_server *server, void *user)
{
    server->endpoint.user = user;
}

size_t quicpro_server_connections(const quicpro_server *server)
{
    return server->endpoint.open;
}
