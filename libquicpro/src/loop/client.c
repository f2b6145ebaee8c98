#include "loop/loop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct quicpro_client {
    struct qp_endpoint endpoint;
};

int quicpro_client_new(quicpro_client **ret, quicpro_loop *loop, const quicpro_config *config)
{
    if (ret == NULL || loop == NULL)
        return QUICPRO_EINVAL;
    quicpro_client *client = calloc(1, sizeof(*client));
    if (client == NULL)
        return QUICPRO_ENOMEM;
    int r = qp_endpoint_init(&client->endpoint, loop, config, false);
    if (r < 0) {
        free(client);
        return r;
    }
    *ret = client;
    return 0;
}

int quicpro_client_set_option(quicpro_client *client, const char *key, const char *value)
{
    return client == NULL ? QUICPRO_EINVAL : qp_endpoint_set_option(&client->endpoint, key, value);
}

void quicpro_client_free(quicpro_client *client)
{
    if (client == NULL)
        return;
    qp_endpoint_done(&client->endpoint);
    free(client);
}

static void end(struct qp_link *link, int error, const char *text)
{
    struct qp_conn_close close = {.error = error};
    snprintf(close.text, sizeof(close.text), "%s", text);
    qp_link_end(link, &close);
    qp_link_mark_dirty(link); /* the next flush frees it */
}

/* Drops what an earlier address left. */
static void forget_address(struct qp_link *link)
{
    if (link->conn.impl != NULL) {
        qp_link_forget_cids(link);
        qp_heap_set(&link->loop->timers, &link->timer, QUICPRO_FOREVER);
        qp_conn_done(&link->conn);
    }
    if (link->port != NULL)
        qp_port_free(link->port);
    link->port = NULL;
    if (link->state == QP_LINK_HANDSHAKE)
        link->endpoint->handshakes--;
    link->state = QP_LINK_RESOLVING;
}

/* One address: a socket, an engine connection, its first flight on the next flush. */
static int try_address(struct qp_link *link, const struct qp_addr *peer, quicpro_tstamp now)
{
    struct quicpro_loop *loop = link->loop;
    uint8_t scid[QP_CID_LEN];
    link->port = qp_port_new(link->endpoint);
    if (link->port == NULL)
        return QUICPRO_ENOMEM;
    link->port->link = link;
    int r = loop->udp->open(loop->poller, &link->port->socket, NULL, peer);
    if (r < 0) {
        link->port->socket.fd = -1;
        return r;
    }
    link->local = link->port->socket.local;
    link->peer = *peer;
    qp_link_make_cid(loop, scid);
    const struct qp_engine_ids ids = {.scid = scid, .scid_len = QP_CID_LEN};
    r = qp_conn_connect(&link->conn, &link->endpoint->factory, &ids, &link->local.sa, &peer->sa,
                        link->target->host);
    if (r < 0)
        return r;
    r = qp_link_add_cid(link, scid, QP_CID_LEN);
    if (r < 0)
        return r;
    qp_link_begin(link, now);
    return 0;
}

void qp_client_next_address(struct qp_link *link, int error, quicpro_tstamp now)
{
    struct qp_target *target = link->target;
    char text[600], where[64] = "";
    while (target->tried < target->result.count) {
        forget_address(link);
        const struct qp_addr *peer = &target->result.addr[target->tried++];
        int r = try_address(link, peer, now);
        if (r == 0)
            return;
        error = r;
    }
    if (target->tried != 0)
        qp_addr_text(&target->result.addr[target->tried - 1], where, sizeof(where));
    snprintf(text, sizeof(text), "cannot connect to %s port %u (%s): %s", target->host,
             target->port, where, quicpro_strerror(error));
    forget_address(link);
    end(link, error, text);
}

static void resolved(struct qp_link *link, quicpro_tstamp now)
{
    struct qp_target *target = link->target;
    char text[600];
    if (target->result.error == 0) {
        qp_client_next_address(link, QUICPRO_ERESOLVE, now);
        return;
    }
    snprintf(text, sizeof(text), "cannot resolve host '%s': %s", target->host, target->result.text);
    end(link, target->result.error, text);
}

void qp_client_poll_resolver(struct qp_link *link, quicpro_tstamp now)
{
    struct qp_target *target = link->target;
    if (target->resolve == NULL || !qp_resolve_poll(target->resolve, &target->result))
        return;
    qp_resolve_free(target->resolve);
    target->resolve = NULL;
    link->loop->resolving--;
    resolved(link, now);
}

/* "[::1]" without its brackets. */
static int copy_host(char *out, size_t size, const char *host)
{
    size_t len = strlen(host);
    if (len >= 2 && host[0] == '[' && host[len - 1] == ']') {
        host++;
        len -= 2;
    }
    if (len == 0 || len >= size)
        return QUICPRO_EINVAL;
    memcpy(out, host, len);
    out[len] = '\0';
    return 0;
}

int quicpro_client_connect(quicpro_client *client, const char *host, uint16_t port, void *user,
                           quicpro_conn *ret)
{
    if (client == NULL || host == NULL || port == 0 || ret == NULL)
        return QUICPRO_EINVAL;
    struct quicpro_loop *loop = client->endpoint.loop;
    if (client->endpoint.open >= client->endpoint.options.max_connections)
        return qp_loop_fail(loop, QUICPRO_ELIMIT, "max_connections (%llu) are open",
                            (unsigned long long)client->endpoint.options.max_connections);
    struct qp_target *target = calloc(1, sizeof(*target));
    struct qp_link *link = target == NULL ? NULL : qp_link_new(&client->endpoint);
    if (link == NULL) {
        free(target);
        return QUICPRO_ENOMEM;
    }
    link->target = target;
    target->port = port;
    int r = copy_host(target->host, sizeof(target->host), host);
    if (r < 0) {
        qp_link_free(link);
        return r;
    }
    qp_h3_init(&link->h3, &link->conn, &client->endpoint.h3_options, &loop->batch, &loop->streams,
               link->handle);
    link->h3.user = user;
    if (qp_resolve_literal(&target->result.addr[0], target->host, port)) {
        target->result.count = 1;
        resolved(link, qp_loop_now(loop));
    } else {
        r = qp_resolve_start(&target->resolve, target->host, port,
                             loop->udp->wake_fd(loop->poller));
        if (r < 0) {
            qp_link_free(link);
            return r;
        }
        loop->resolving++;
    }
    *ret = link->handle;
    return 0;
}
