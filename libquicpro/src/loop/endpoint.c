/* What servers and clients have in common. */
#include "loop/loop.h"

#include "loop/certs.h"
#include "os/udp_socket.h"
#include "quic/tls.h"
#include "quic/usage.h"

int qp_endpoint_init(struct qp_endpoint *endpoint, struct quicpro_loop *loop,
                     const quicpro_config *config, bool server)
{
    struct qp_options *o = &endpoint->options;
    struct ssl_ctx_st *tls;
    *endpoint = (struct qp_endpoint){.loop = loop, .server = server};
    loop->error[0] = '\0';
    int r = qp_options_copy(o, config);
    if (r < 0)
        return r;
    r = loop->detached ? (o->iface[0] == '\0' ? 0 : -ENODEV) : qp_udp_iface_check(o->iface);
    if (r < 0) {
        qp_loop_fail(loop, r, "iface \"%s\": %s", o->iface,
                     loop->detached ? "a loop without I/O has no network interfaces"
                                    : "there is no such network interface");
        qp_options_done(o);
        return r;
    }
    r = qp_certs_new_tls(&tls, endpoint);
    if (r < 0) {
        qp_options_done(o);
        return r;
    }
    r = qp_guard_init(&endpoint->guard, endpoint);
    if (r == 0)
        r = qp_tracing_init(endpoint);
    if (r == 0)
        r = qp_resume_init(endpoint);
    if (r == 0)
        r = qp_resume_install(endpoint, tls);
    if (r == 0)
        r = qp_conn_factory_init(&endpoint->factory, &qp_engine_quiche, o, tls);
    if (r < 0) {
        qp_tls_free(tls);
        qp_resume_done(endpoint);
        qp_tracing_done(endpoint);
        qp_options_done(o);
        return r;
    }
    endpoint->packets_max = qp_usage_limit(o->max_udp_payload_bytes);
    qp_app_options(endpoint);
    endpoint->next = loop->endpoints;
    loop->endpoints = endpoint;
    qp_certs_watch(endpoint, qp_loop_now(loop));
    return 0;
}

/* LIVE rows are read from endpoint->options, or from the session's copy, each time they count. */
int qp_endpoint_set_option(struct qp_endpoint *endpoint, const char *key, const char *value)
{
    struct quicpro_loop *loop = endpoint->loop;
    if (key == NULL || value == NULL)
        return QUICPRO_EINVAL;
    int r =
        qp_options_change(&endpoint->options, key, value, true, loop->error, sizeof(loop->error));
    if (r == 0)
        qp_app_options(endpoint);
    return r;
}

/* Calls visit for each link of an endpoint. */
static void each_link(struct qp_endpoint *endpoint, void (*visit)(struct qp_link *link))
{
    uint32_t cursor = 0;
    quicpro_handle handle;
    struct qp_link *link;
    while ((link = qp_slab_next(&endpoint->loop->links, &cursor, &handle)) != NULL)
        if (link->endpoint == endpoint)
            visit(link);
}

static void close_link(struct qp_link *link)
{
    if (link->state != QP_LINK_ENDED)
        qp_link_close(link, qp_app_no_error(link), "");
}

void qp_endpoint_abort(struct qp_endpoint *endpoint)
{
    each_link(endpoint, close_link);
}

/* Silently: whoever frees an endpoint wants no more events of it. */
static void drop_link(struct qp_link *link)
{
    qp_link_free(link);
}

void qp_endpoint_done(struct qp_endpoint *endpoint)
{
    struct quicpro_loop *loop = endpoint->loop;
    endpoint->drained = true;
    qp_endpoint_abort(endpoint);
    quicpro_loop_flush(loop); /* the peers hear of it */
    each_link(endpoint, drop_link);
    while (endpoint->ports != NULL)
        qp_port_free(endpoint->ports);
    for (struct qp_endpoint **at = &loop->endpoints; *at != NULL; at = &(*at)->next)
        if (*at == endpoint) {
            *at = endpoint->next;
            break;
        }
    qp_conn_factory_done(&endpoint->factory);
    qp_guard_done(&endpoint->guard);
    qp_resume_done(endpoint);
    qp_certs_done(&endpoint->certs);
    qp_tracing_done(endpoint);
    qp_options_done(&endpoint->options);
}

void qp_endpoint_check_drained(struct qp_endpoint *endpoint)
{
    if (!endpoint->shutdown || endpoint->drained || endpoint->open != 0)
        return;
    quicpro_event *event = qp_batch_add(&endpoint->loop->batch, QUICPRO_EVENT_DRAINED);
    if (event == NULL)
        return;
    event->user = endpoint->user;
    endpoint->drained = true;
}
