#include "loop/certs.h"

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
