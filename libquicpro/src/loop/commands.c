/* The commands of http.h, those for streams of any kind among them: a handle is looked up, the core
 * does it, the connection becomes dirty. */
#include "loop/loop.h"

#include "h3/stream.h"
#include "quic/raw_stream.h"
#include "quic/tls.h"

static struct qp_h3_stream *stream_get(quicpro_loop *loop, quicpro_stream handle)
{
    return loop == NULL ? NULL : qp_slab_get(&loop->streams, handle);
}

static void touch(quicpro_loop *loop, const struct qp_h3_stream *stream)
{
    struct qp_link *link = qp_link_get(loop, stream->h3->conn_handle);
    if (link != NULL)
        qp_link_mark_dirty(link);
}

/* What a command of HTTP/3 answers where there is no such stream. */
static int no_stream(quicpro_loop *loop, quicpro_stream handle)
{
    return qp_link_raw_stream(loop, handle, NULL) == NULL ? QUICPRO_ESTALE : QUICPRO_ESTATE;
}

int quicpro_request(quicpro_loop *loop, quicpro_conn conn, const quicpro_nv *fields,
                    size_t field_count, const void *body, size_t len, int fin, void *user,
                    quicpro_stream *ret)
{
    if (loop == NULL || ret == NULL || (body == NULL && len != 0))
        return QUICPRO_EINVAL;
    struct qp_link *link = qp_link_get(loop, conn);
    if (link == NULL)
        return QUICPRO_ESTALE;
    if (link->endpoint->server || link->app != QP_APP_HTTP3)
        return QUICPRO_ESTATE;
    qp_link_mark_dirty(link);
    return qp_h3_request(&link->h3, fields, field_count, body, len, fin, user, ret);
}

int quicpro_respond(quicpro_loop *loop, quicpro_stream stream, unsigned status,
                    const quicpro_nv *fields, size_t field_count, const void *body, size_t len,
                    int fin)
{
    struct qp_h3_stream *s = stream_get(loop, stream);
    if (s == NULL)
        return no_stream(loop, stream);
    if (body == NULL && len != 0)
        return QUICPRO_EINVAL;
    touch(loop, s);
    int r = qp_h3_respond(s, status, fields, field_count, body, len, fin);
    if (r == 0)
        qp_count_response(loop, status);
    return r;
}

int quicpro_stream_write(quicpro_loop *loop, quicpro_stream stream, const void *data, size_t len,
                         int fin)
{
    struct qp_h3_stream *s = stream_get(loop, stream);
    struct qp_link *link = NULL;
    struct qp_raw_stream *raw = s == NULL ? qp_link_raw_stream(loop, stream, &link) : NULL;
    if (raw != NULL)
        return link != NULL && qp_link_is_closing(link) ? QUICPRO_ESTALE
                                                        : qp_raw_stream_write(raw, data, len, fin);
    if (s == NULL)
        return QUICPRO_ESTALE;
    touch(loop, s);
    return qp_h3_stream_write(s, data, len, fin);
}

int quicpro_stream_trailers(quicpro_loop *loop, quicpro_stream stream, const quicpro_nv *fields,
                            size_t field_count)
{
    struct qp_h3_stream *s = stream_get(loop, stream);
    if (s == NULL)
        return no_stream(loop, stream);
    touch(loop, s);
    return qp_h3_stream_trailers(s, fields, field_count);
}

int quicpro_stream_reset(quicpro_loop *loop, quicpro_stream stream, uint64_t code)
{
    struct qp_h3_stream *s = stream_get(loop, stream);
    struct qp_raw_stream *raw = s == NULL ? qp_link_raw_stream(loop, stream, NULL) : NULL;
    if (raw != NULL) {
        qp_raw_stream_abort(raw, code);
        return 0;
    }
    if (s == NULL)
        return QUICPRO_ESTALE;
    touch(loop, s);
    qp_h3_stream_abort(s, code);
    return 0;
}

int quicpro_stream_pause(quicpro_loop *loop, quicpro_stream stream, int paused)
{
    struct qp_h3_stream *s = stream_get(loop, stream);
    if (s == NULL)
        return no_stream(loop, stream);
    qp_h3_stream_pause(s, paused != 0);
    if (!paused)
        touch(loop, s); /* the flush sees what is unread and asks for a run */
    return 0;
}

int quicpro_stream_set_user(quicpro_loop *loop, quicpro_stream stream, void *user)
{
    struct qp_h3_stream *s = stream_get(loop, stream);
    struct qp_raw_stream *raw = s == NULL ? qp_link_raw_stream(loop, stream, NULL) : NULL;
    if (raw != NULL) {
        qp_raw_stream_set_user(raw, user, &loop->handed);
        return 0;
    }
    if (s == NULL)
        return QUICPRO_ESTALE;
    qp_h3_stream_set_user(s, user, &loop->handed);
    return 0;
}

int quicpro_conn_set_user(quicpro_loop *loop, quicpro_conn conn, void *user)
{
    struct qp_link *link = loop == NULL ? NULL : qp_link_get(loop, conn);
    if (link == NULL)
        return QUICPRO_ESTALE;
    qp_app_set_user(link, user);
    return 0;
}

int quicpro_conn_close(quicpro_loop *loop, quicpro_conn conn, uint64_t code, const char *reason)
{
    struct qp_link *link = loop == NULL ? NULL : qp_link_get(loop, conn);
    if (link == NULL)
        return QUICPRO_ESTALE;
    qp_link_close(link, code, reason);
    return 0;
}

int quicpro_conn_get_info(quicpro_loop *loop, quicpro_conn conn, quicpro_conn_info *info)
{
    struct qp_link *link = loop == NULL ? NULL : qp_link_get(loop, conn);
    if (info == NULL || info->size < sizeof(*info))
        return QUICPRO_EINVAL;
    if (link == NULL)
        return QUICPRO_ESTALE;
    const size_t size = info->size;
    *info = (quicpro_conn_info){.size = size, .version = 1, .streams = qp_app_open(link)};
    if (link->conn.impl == NULL)
        return 0;
    struct qp_engine_stats stats;
    link->conn.engine->get_stats(link->conn.impl, &stats);
    info->rtt = stats.rtt_ns;
    info->min_rtt = stats.min_rtt_ns;
    info->cwnd = stats.cwnd_bytes;
    info->bytes_in = stats.bytes_in;
    info->bytes_out = stats.bytes_out;
    info->packets_in = stats.packets_in;
    info->packets_out = stats.packets_out;
    info->packets_lost = stats.packets_lost;
    qp_addr_text(&link->local, info->local, sizeof(info->local));
    qp_addr_text(&link->peer, info->peer, sizeof(info->peer));
    if (link->state != QP_LINK_OPEN)
        return 0;
    struct qp_tls_facts facts;
    qp_tls_get_facts(link->conn.engine->ssl(link->conn.impl), &facts);
    info->established = 1;
    info->resumed = (link->conn.engine->flags(link->conn.impl) & QP_ENGINE_RESUMED) != 0;
    info->early_data = link->early_data;
    memcpy(info->alpn, facts.alpn, sizeof(info->alpn));
    memcpy(info->cipher, facts.cipher, sizeof(info->cipher));
    memcpy(info->group, facts.group, sizeof(info->group));
    return 0;
}
