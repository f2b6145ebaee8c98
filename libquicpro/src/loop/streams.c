/* The commands of stream.h: a handle is looked up, the core does it, the connection becomes dirty.
 */
#include <quicpro/stream.h>

#include "loop/loop.h"
#include "quic/raw_stream.h"

struct qp_raw_stream *qp_link_raw_stream(quicpro_loop *loop, quicpro_stream handle,
                                         struct qp_link **ret_link)
{
    struct qp_raw_stream *stream = loop == NULL ? NULL : qp_slab_get(&loop->raw_streams, handle);
    struct qp_link *link = stream == NULL ? NULL : qp_link_get(loop, stream->raw->conn_handle);
    if (link != NULL)
        qp_link_mark_dirty(link);
    if (ret_link != NULL)
        *ret_link = link;
    return stream;
}

/* QUICPRO_ESTATE for a stream of HTTP/3, else QUICPRO_ESTALE. */
static int no_stream(quicpro_loop *loop, quicpro_stream handle)
{
    return loop != NULL && qp_slab_get(&loop->streams, handle) != NULL ? QUICPRO_ESTATE
                                                                       : QUICPRO_ESTALE;
}

/* 0 with the link in *ret; QUICPRO_EINVAL; QUICPRO_ESTALE; QUICPRO_ESTATE */
static int link_get(struct qp_link **ret, quicpro_loop *loop, quicpro_conn conn)
{
    if (loop == NULL)
        return QUICPRO_EINVAL;
    *ret = qp_link_get(loop, conn);
    if (*ret == NULL || qp_link_is_closing(*ret))
        return QUICPRO_ESTALE;
    return (*ret)->app == QP_APP_RAW ? 0 : QUICPRO_ESTATE;
}

int quicpro_stream_open(quicpro_loop *loop, quicpro_conn conn, int bidi, void *user,
                        quicpro_stream *ret)
{
    struct qp_link *link;
    if (ret == NULL)
        return QUICPRO_EINVAL;
    int r = link_get(&link, loop, conn);
    return r < 0 ? r : qp_raw_open(&link->raw, bidi != 0, user, ret);
}

int64_t quicpro_stream_read(quicpro_loop *loop, quicpro_stream stream, void *buf, size_t cap,
                            int *fin, uint64_t *code)
{
    struct qp_raw_stream *s = qp_link_raw_stream(loop, stream, NULL);
    return s == NULL ? no_stream(loop, stream) : qp_raw_stream_read(s, buf, cap, fin, code);
}

int quicpro_stream_shutdown(quicpro_loop *loop, quicpro_stream stream, unsigned how, uint64_t code)
{
    struct qp_raw_stream *s = qp_link_raw_stream(loop, stream, NULL);
    return s == NULL ? no_stream(loop, stream) : qp_raw_stream_shutdown(s, how, code);
}

int quicpro_stream_set_priority(quicpro_loop *loop, quicpro_stream stream, unsigned urgency,
                                int incremental)
{
    struct qp_raw_stream *s = qp_link_raw_stream(loop, stream, NULL);
    return s == NULL ? no_stream(loop, stream)
                     : qp_raw_stream_set_priority(s, urgency, incremental != 0);
}

int quicpro_datagram_send(quicpro_loop *loop, quicpro_conn conn, const void *data, size_t len)
{
    struct qp_link *link;
    int r = link_get(&link, loop, conn);
    if (r < 0)
        return r;
    qp_link_mark_dirty(link);
    r = qp_raw_datagram_send(&link->raw, data, len);
    qp_metrics_add(loop->metrics, QP_METRIC_FRAMES_REFUSED, r == QUICPRO_EAGAIN);
    return r;
}

int quicpro_conn_finish(quicpro_loop *loop, quicpro_conn conn, uint64_t code, const char *reason)
{
    struct qp_link *link = loop == NULL ? NULL : qp_link_get(loop, conn);
    if (link == NULL)
        return QUICPRO_ESTALE;
    if (link->app != QP_APP_RAW)
        return QUICPRO_ESTATE;
    qp_link_finish(link, code, reason);
    return 0;
}

int64_t quicpro_datagram_max(quicpro_loop *loop, quicpro_conn conn)
{
    struct qp_link *link;
    int r = link_get(&link, loop, conn);
    return r < 0 ? r : qp_raw_datagram_max(&link->raw);
}
