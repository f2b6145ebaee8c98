#include "loop/app.h"

#include <string.h>

#include "h3/early.h"
#include "loop/loop.h"
#include "os/random.h"
#include "quic/tls.h"

enum { H3_NO_ERROR = 0x100 };

/* Whether a list of names separated by commas has this one. */
static bool has_name(const char *list, const char *name)
{
    const size_t len = strlen(name);
    for (size_t n; *list != '\0'; list += n + (list[n] == ',')) {
        n = strcspn(list, ",");
        if (n == len && memcmp(list, name, n) == 0)
            return true;
    }
    return false;
}

void qp_app_options(struct qp_endpoint *endpoint)
{
    const struct qp_options *o = &endpoint->options;
    endpoint->h3_options = (struct qp_h3_options){
        .max_field_section_bytes = o->max_field_section_bytes,
        .qpack_max_table_bytes = o->qpack_max_table_bytes,
        .qpack_blocked_streams = o->qpack_blocked_streams,
        .max_streams_bidi = o->initial_max_streams_bidi,
        .send_queue_bytes = o->send_queue_bytes,
        .max_pending_requests = o->max_pending_requests,
        .resets_per_second = o->request_resets_per_second,
        .early_unsafe = o->early_data_unsafe,
        .random = qp_random,
    };
    endpoint->raw_options = (struct qp_raw_options){
        .send_queue_bytes = o->send_queue_bytes,
        .burst_bytes = o->burst_bytes,
        .datagrams = o->datagrams_enable,
    };
    endpoint->offers_http3 = has_name(o->alpn, "h3");
}

static void init(struct qp_link *link, enum qp_app app)
{
    struct quicpro_loop *loop = link->loop;
    const struct qp_endpoint *endpoint = link->endpoint;
    link->app = app;
    if (app == QP_APP_HTTP3)
        qp_h3_init(&link->h3, &link->conn, &endpoint->h3_options, &loop->batch, &loop->streams,
                   link->handle);
    else
        qp_raw_init(&link->raw, &link->conn, &endpoint->raw_options, &loop->batch,
                    &loop->raw_streams, link->handle);
}

void qp_app_init(struct qp_link *link)
{
    init(link, link->endpoint->offers_http3 ? QP_APP_HTTP3 : QP_APP_RAW);
}

void qp_app_done(struct qp_link *link)
{
    if (link->app == QP_APP_HTTP3)
        qp_h3_done(&link->h3);
    else if (link->app == QP_APP_RAW)
        qp_raw_done(&link->raw);
}

bool qp_app_is_http3(const struct qp_link *link)
{
    struct qp_tls_facts facts;
    if (link->app != QP_APP_HTTP3)
        return false;
    qp_tls_get_facts(link->conn.engine->ssl(link->conn.impl), &facts);
    return strcmp(facts.alpn, "h3") == 0;
}

bool qp_app_is_early(const struct qp_link *link)
{
    return link->app == QP_APP_HTTP3 ? link->h3.early : link->app == QP_APP_RAW && link->raw.early;
}

/* Follows what the handshake chose; requests that wait for HTTP/3 end. */
static void choose(struct qp_link *link)
{
    if (link->app == QP_APP_RAW || qp_app_is_http3(link))
        return;
    static const struct qp_conn_close close = {
        .error = QUICPRO_EALPN,
        .text = "the handshake chose another protocol than HTTP/3",
    };
    void *user = link->h3.user;
    qp_h3_lost(&link->h3, &close);
    init(link, QP_APP_RAW);
    link->raw.user = user;
}

int qp_app_start(struct qp_link *link)
{
    choose(link);
    link->conn.http3 = link->app == QP_APP_HTTP3;
    if (link->app == QP_APP_HTTP3)
        return link->h3.impl != NULL ? 0 : qp_h3_start(&link->h3);
    qp_raw_start(&link->raw);
    return 0;
}

int qp_app_start_early(struct qp_link *link)
{
    /* A client has not heard yet what is chosen; it sends what the session was for. */
    if (link->endpoint->server)
        choose(link);
    if (link->app == QP_APP_HTTP3) {
        link->h3.early = true;
        return qp_h3_start(&link->h3);
    }
    qp_raw_start_early(&link->raw);
    return 0;
}

void qp_app_early_over(struct qp_link *link)
{
    if (link->app == QP_APP_HTTP3)
        qp_h3_early_over(&link->h3);
    else
        qp_raw_early_over(&link->raw);
}

void qp_app_early_rejected(struct qp_link *link)
{
    if (link->app == QP_APP_HTTP3)
        qp_h3_early_rejected(&link->h3);
    else
        qp_raw_early_rejected(&link->raw);
}

void qp_app_read(struct qp_link *link, quicpro_tstamp now, size_t max_bytes)
{
    if (link->app == QP_APP_HTTP3)
        qp_h3_read(&link->h3, now, max_bytes);
    else
        qp_raw_read(&link->raw, max_bytes);
}

void qp_app_read_rest(struct qp_link *link, quicpro_tstamp now)
{
    if (link->app == QP_APP_HTTP3)
        qp_h3_read_rest(&link->h3, now);
    else
        qp_raw_read_rest(&link->raw);
}

bool qp_app_has_unread(const struct qp_link *link)
{
    return link->app == QP_APP_HTTP3 ? qp_h3_has_unread(&link->h3) : qp_raw_has_unread(&link->raw);
}

bool qp_app_write(struct qp_link *link, size_t max_bytes)
{
    return link->app == QP_APP_HTTP3 ? qp_h3_write(&link->h3, max_bytes)
                                     : qp_raw_write(&link->raw, max_bytes);
}

void qp_app_shutdown(struct qp_link *link)
{
    if (link->app == QP_APP_HTTP3)
        qp_h3_shutdown(&link->h3);
    else
        qp_raw_shutdown(&link->raw);
}

bool qp_app_drained(struct qp_link *link)
{
    return link->app == QP_APP_HTTP3 ? qp_h3_drained(&link->h3) : qp_raw_drained(&link->raw);
}

void qp_app_lost(struct qp_link *link, const struct qp_conn_close *close)
{
    if (link->app == QP_APP_HTTP3)
        qp_h3_lost(&link->h3, close);
    else if (link->app == QP_APP_RAW)
        qp_raw_lost(&link->raw, close);
}

void qp_app_retire(struct qp_link *link)
{
    bool *told = link->app == QP_APP_HTTP3 ? &link->h3.goaway_in : &link->raw.retired;
    if (link->app == QP_APP_HTTP3 && link->endpoint->server) {
        qp_h3_shutdown(&link->h3);
        return;
    }
    if (*told)
        return;
    *told = true; /* as if the peer had said so */
    quicpro_event *event = qp_batch_add(&link->loop->batch, QUICPRO_EVENT_GOAWAY);
    if (event == NULL)
        return;
    event->conn = link->handle;
    event->user = qp_app_user(link);
}

bool qp_app_is_flooded(const struct qp_link *link)
{
    return link->app == QP_APP_HTTP3 && link->h3.flooded;
}

uint64_t qp_app_no_error(const struct qp_link *link)
{
    return link->app == QP_APP_HTTP3 ? H3_NO_ERROR : 0;
}

size_t qp_app_open(const struct qp_link *link)
{
    return link->app == QP_APP_HTTP3 ? link->h3.open : link->raw.open;
}

void *qp_app_user(const struct qp_link *link)
{
    return link->app == QP_APP_HTTP3 ? link->h3.user : link->raw.user;
}

void qp_app_set_user(struct qp_link *link, void *user)
{
    if (link->app == QP_APP_HTTP3)
        link->h3.user = user;
    else
        link->raw.user = user;
}
