#include "loop/certs.h"

#include <quicpro/tls.h>

#include "os/clock.h"
#include "os/env.h"
#include "os/file.h"
#include "quic/tls.h"

static const struct qp_tls_env env = {
    .wall = qp_clock_wall,
    .read_file = qp_file_read,
    .each_file = qp_file_each,
    .variable = qp_env_get,
    .log_open = qp_file_append_open,
    .log_line = qp_file_append,
    .log_close = qp_file_append_close,
};

int qp_certs_new_tls(struct ssl_ctx_st **ret, struct qp_endpoint *endpoint)
{
    struct quicpro_loop *loop = endpoint->loop;
    const struct qp_tls_args args = {
        .options = &endpoint->options,
        .env = &env,
        .log = &loop->log,
        .error = loop->error,
        .error_size = sizeof(loop->error),
    };
    return (endpoint->server ? qp_tls_server_new : qp_tls_client_new)(ret, &args);
}

/* The SSL of a connection whose handshake is done; NULL: not yet. */
static int established(quicpro_loop *loop, quicpro_conn conn, struct ssl_st **ret)
{
    const struct qp_link *link = qp_link_get(loop, conn);
    if (link == NULL)
        return QUICPRO_ESTALE;
    *ret = link->state == QP_LINK_OPEN ? link->conn.engine->ssl(link->conn.impl) : NULL;
    return 0;
}

int quicpro_conn_get_peer_certificate(quicpro_loop *loop, quicpro_conn conn, size_t index,
                                      const void **der, size_t *len)
{
    struct ssl_st *ssl;
    const uint8_t *data;
    if (loop == NULL || der == NULL || len == NULL)
        return QUICPRO_EINVAL;
    int r = established(loop, conn, &ssl);
    if (r < 0 || ssl == NULL || !qp_tls_peer_cert(ssl, index, &data, len))
        return r;
    *der = data;
    return 1;
}

int quicpro_conn_get_peer_subject(quicpro_loop *loop, quicpro_conn conn, char *out, size_t size)
{
    struct ssl_st *ssl;
    if (loop == NULL || out == NULL || size == 0)
        return QUICPRO_EINVAL;
    int r = established(loop, conn, &ssl);
    if (r < 0)
        return r;
    out[0] = '\0';
    if (ssl != NULL)
        qp_tls_peer_subject(ssl, out, size);
    return 0;
}
