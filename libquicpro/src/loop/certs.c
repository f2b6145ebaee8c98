#include "loop/certs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <quicpro/tls.h>

#include "os/clock.h"
#include "os/env.h"
#include "os/file.h"
#include "quic/tls.h"
#include "quic/tls_name.h"

/* A certificate for a name: the options of the configuration it was given with. */
struct qp_host {
    char name[QP_TLS_NAME_MAX + 1];
    struct qp_options options;
};

static const struct qp_tls_env env = {
    .wall = qp_clock_wall,
    .read_file = qp_file_read,
    .each_file = qp_file_each,
    .variable = qp_env_get,
    .log_open = qp_file_append_open,
    .log_line = qp_file_append,
    .log_close = qp_file_append_close,
};

static struct qp_tls_args args_of(struct quicpro_loop *loop, const struct qp_options *options)
{
    return (struct qp_tls_args){
        .options = options,
        .env = &env,
        .log = &loop->log,
        .error = loop->error,
        .error_size = sizeof(loop->error),
    };
}

/* Marks are mixed so that two files that change places make a difference. */
static uint64_t mix(uint64_t mark, const char *path)
{
    return path[0] == '\0' ? mark : (mark ^ qp_file_mark(path)) * UINT64_C(0x100000001b3);
}

static uint64_t mark_of_options(uint64_t mark, const struct qp_options *o)
{
    const char *const path[] = {o->cert_file, o->key_file, o->ocsp_file, o->ca_file, o->ca_path};
    for (size_t i = 0; i < sizeof(path) / sizeof(path[0]); i++)
        mark = mix(mark, path[i]);
    return mark;
}

static uint64_t mark_now(const struct qp_endpoint *endpoint)
{
    uint64_t mark = mark_of_options(1, &endpoint->options);
    for (size_t i = 0; i < endpoint->certs.count; i++)
        mark = mark_of_options(mark, &endpoint->certs.host[i].options);
    return mark;
}

int qp_certs_new_tls(struct ssl_ctx_st **ret, struct qp_endpoint *endpoint)
{
    struct quicpro_loop *loop = endpoint->loop;
    const struct qp_tls_args args = args_of(loop, &endpoint->options);
    struct ssl_ctx_st *tls;
    loop->error[0] = '\0';
    endpoint->certs.mark = mark_now(endpoint); /* before: a change in between is seen later */
    int r = (endpoint->server ? qp_tls_server_new : qp_tls_client_new)(&tls, &args);
    if (r < 0)
        return r;
    for (size_t i = 0; i < endpoint->certs.count && r == 0; i++) {
        const struct qp_host *host = &endpoint->certs.host[i];
        const struct qp_tls_args of_host = args_of(loop, &host->options);
        r = qp_tls_add_host(tls, host->name, &of_host);
    }
    if (r < 0) {
        qp_tls_free(tls);
        return r;
    }
    *ret = tls;
    return 0;
}

void qp_certs_done(struct qp_certs *certs)
{
    for (size_t i = 0; i < certs->count; i++)
        qp_options_done(&certs->host[i].options);
    free(certs->host);
    *certs = (struct qp_certs){0};
}

/* Where options for a name go: in the place of older ones, or behind the others. */
static struct qp_host *host_for(struct qp_certs *certs, const char *name)
{
    for (size_t i = 0; i < certs->count; i++)
        if (strcmp(certs->host[i].name, name) == 0)
            return &certs->host[i];
    struct qp_host *grown = realloc(certs->host, (certs->count + 1) * sizeof(*grown));
    if (grown == NULL)
        return NULL;
    certs->host = grown;
    struct qp_host *host = &grown[certs->count];
    memset(host, 0, sizeof(*host));
    snprintf(host->name, sizeof(host->name), "%s", name);
    return host;
}

int qp_certs_add(struct qp_endpoint *endpoint, const char *host, const quicpro_config *config)
{
    struct qp_certs *certs = &endpoint->certs;
    struct qp_options options;
    char name[QP_TLS_NAME_MAX + 1];
    const char *why;
    endpoint->loop->error[0] = '\0';
    int r = qp_options_copy(&options, config);
    if (r < 0)
        return r;
    const struct qp_tls_args args = args_of(endpoint->loop, &options);
    struct qp_host *entry = NULL;
    if (qp_tls_name_read(name, host, &why) == 0 && (entry = host_for(certs, name)) == NULL)
        r = QUICPRO_ENOMEM;
    if (r == 0)
        r = qp_tls_add_host(endpoint->factory.tls, host, &args); /* also refuses what is no name */
    if (r < 0) {
        qp_options_done(&options);
        return r;
    }
    if (entry == &certs->host[certs->count])
        certs->count++;
    else
        qp_options_done(&entry->options);
    entry->options = options;
    certs->mark = mark_now(endpoint);
    return 0;
}

int qp_certs_reload(struct qp_endpoint *endpoint)
{
    struct qp_conn_factory factory;
    struct ssl_ctx_st *tls;
    int r = qp_certs_new_tls(&tls, endpoint);
    if (r < 0)
        return r;
    r = qp_resume_install(endpoint, tls); /* the keys of tickets stay */
    if (r == 0)
        r = qp_conn_factory_init(&factory, &qp_engine_quiche, &endpoint->options, tls);
    if (r < 0) {
        qp_tls_free(tls);
        return r;
    }
    /* Connections hold their context themselves: the old one goes with the last of them. */
    qp_conn_factory_done(&endpoint->factory);
    endpoint->factory = factory;
    return 0;
}

/* The loop wakes for the first of its servers. */
static void set_time(struct quicpro_loop *loop)
{
    loop->certs_at = QUICPRO_FOREVER;
    for (const struct qp_endpoint *e = loop->endpoints; e != NULL; e = e->next)
        if (e->certs.look_at != 0 && e->certs.look_at < loop->certs_at)
            loop->certs_at = e->certs.look_at;
}

void qp_certs_watch(struct qp_endpoint *endpoint, quicpro_tstamp now)
{
    const uint64_t every = endpoint->options.tls_watch_ms * QUICPRO_MILLISECOND;
    endpoint->certs.look_at = endpoint->server && every != 0 ? now + every : 0;
    set_time(endpoint->loop);
}

static void tell(struct qp_endpoint *endpoint, int error)
{
    struct quicpro_loop *loop = endpoint->loop;
    char text[sizeof(loop->error) + 64];
    if (error < 0)
        snprintf(text, sizeof(text), "certificates were not reloaded, the old ones stay: %s",
                 loop->error[0] != '\0' ? loop->error : quicpro_strerror(error));
    else
        snprintf(text, sizeof(text), "certificates were reloaded");
    qp_log(&loop->log, error < 0 ? QUICPRO_LOG_ERROR : QUICPRO_LOG_INFO, "%s", text);
    quicpro_event *event = qp_batch_add(&loop->batch, QUICPRO_EVENT_CERTIFICATES);
    if (event == NULL)
        return;
    event->error = error;
    event->user = endpoint->user;
    qp_batch_set_text(&loop->batch, event, text);
}

void qp_certs_look(struct quicpro_loop *loop, quicpro_tstamp now)
{
    for (struct qp_endpoint *e = loop->endpoints; e != NULL; e = e->next) {
        if (e->certs.look_at == 0 || e->certs.look_at > now)
            continue;
        if (mark_now(e) != e->certs.mark)
            tell(e, qp_certs_reload(e));
        qp_certs_watch(e, now);
    }
    set_time(loop);
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
