/* HTTP/3 over one QUIC connection (RFC 9114), on nghttp3. A function of streams and time: it reads
 * and writes the connection's streams, appends events to a batch, and calls nobody.
 *
 * A stream (struct qp_h3_stream) lives from its first byte, or from the request that waits for it,
 * until both directions ended or it was reset; its handle is what the application holds. Streams
 * that ended cost nothing, however they did: which ids of the peer were there is known by number
 * (base/seen.h), so that what arrives late is thrown away and not taken for a new stream. */
#ifndef QP_H3_SESSION_H
#define QP_H3_SESSION_H

#include <quicpro/http.h>
#include <stdbool.h>

#include "base/batch.h"
#include "base/buf.h"
#include "base/idmap.h"
#include "base/rate.h"
#include "base/seen.h"
#include "base/slab.h"
#include "quic/conn.h"

struct nghttp3_conn;
struct qp_h3_held;

struct qp_h3_stream {
    struct qp_h3 *h3;
    quicpro_handle handle;
    uint64_t id; /* QUIC stream id; QP_H3_NO_ID while a request waits for one */
    void *user;
    struct qp_batch_places events; /* its latest ones */
    struct qp_queue body;          /* bytes nghttp3 or the transport has not taken */
    size_t peeked;                 /* of these, bytes nghttp3 holds pointers to */
    struct qp_buf
        pending; /* a request's field section while it may have to be sent again, packed */
    uint32_t pending_fields;
    struct qp_buf section;     /* fields received of a section whose rest is to come, packed */
    size_t section_size;       /* of all its fields, as RFC 9114 section 4.2.2 counts */
    struct qp_h3_held *held;   /* server: not to be shown early (h3/early.h) */
    struct qp_h3_stream *next; /* in the list of its session that `queued` names */
    bool queued;               /* in `waiting` or `unread` */
    struct qp_h3_stream *next_touched;
    bool touched;     /* in `touched`: to be looked at when nghttp3 has returned */
    bool seen;        /* the application knows the handle */
    bool headers_out; /* a final field section was submitted */
    bool body_end;    /* the application ended its body */
    bool trailers_out;
    bool fin_out;       /* the transport took our end */
    bool fin_in;        /* the transport gave us the peer's end */
    bool end_in;        /* and it was delivered to the application */
    bool paused;        /* by the application */
    bool blocked_in;    /* by QPACK: nghttp3 waits for the encoder stream */
    bool blocked_out;   /* the transport took no more */
    bool want_writable; /* quicpro_stream_write() said EAGAIN */
    bool unread;        /* the transport has bytes we did not take */
    bool early_method;  /* a request that may be early data as far as its method goes */
    bool early_field;   /* server: a gateway took it as early data ("Early-Data: 1") */
    bool too_early;     /* of 425: the server gives it, the client got it. Nothing of it is shown */
    bool refused;       /* nghttp3 found the message malformed or not welcome */
    uint64_t refused_code;
    uint64_t status; /* client: of the field section at hand */
};

#define QP_H3_NO_ID UINT64_MAX

struct qp_h3_options {
    uint64_t max_field_section_bytes, qpack_max_table_bytes, qpack_blocked_streams;
    uint64_t max_streams_bidi; /* as announced by us: bounds ids in PRIORITY_UPDATE */
    uint64_t send_queue_bytes, max_pending_requests;
    uint64_t resets_per_second; /* server: requests that a client may give up; 0: any number */
    uint64_t early_unsafe;      /* enum qp_h3_early_unsafe: the option's words in their order */
    void (*random)(uint8_t *out, size_t len); /* seeds hash tables */
};

struct qp_h3 {
    struct qp_conn *conn;
    struct nghttp3_conn *impl; /* NULL until qp_h3_start() */
    struct qp_batch *batch;
    struct qp_slab *slab; /* of struct qp_h3_stream, shared by all sessions of a loop */
    const struct qp_h3_options *options;
    quicpro_handle conn_handle;
    void *user;              /* of the connection, the default for its streams */
    struct qp_idmap streams; /* by id */
    struct qp_h3_stream *waiting, *waiting_last; /* requests without a stream id */
    struct qp_h3_stream *unread;                 /* streams to read when they may be */
    struct qp_h3_stream *touched;
    struct qp_h3_stream *current; /* the stream being read */
    uint64_t next_bidi;           /* client: next stream id */
    struct qp_seen seen;          /* server: numbers of streams that were there */
    uint64_t drained_to;          /* server: ids below are collected by the transport */
    size_t open;                  /* streams with a handle */
    size_t waiting_count;
    const uint8_t *feed; /* the bytes nghttp3 is reading now, to tell them from its own copies */
    size_t feed_len, feed_data;      /* and how many of them were delivered as body */
    struct qp_h3_stream *in_section; /* whose fields the batch ends with; NULL outside nghttp3 */
    size_t field_mark;               /* where they begin */
    quicpro_tstamp now;
    struct qp_rate resets;
    bool flooded; /* by requests that were given up: why it failed */
    int failed;   /* an HTTP/3 error closed the connection: nothing goes in or out any more */
    bool server, goaway_out, goaway_in;
    bool early; /* the handshake is not done: set before qp_h3_start() (h3/early.h) */
    bool last;  /* in qp_h3_read_rest() */
    bool more;  /* qp_h3_read() stopped at its bound: the transport may have more */
    bool dry;   /* a body that nghttp3 asked for has nothing now; another may have */
};

void qp_h3_init(struct qp_h3 *h3, struct qp_conn *conn, const struct qp_h3_options *options,
                struct qp_batch *batch, struct qp_slab *slab, quicpro_handle handle);
/* Ends every stream, silently. */
void qp_h3_done(struct qp_h3 *h3);
/* The handshake is done, or early data travels: opens the control and QPACK streams and sends
 * waiting requests. */
int qp_h3_start(struct qp_h3 *h3);
/* Reads what the transport has, appends events; at most about max_bytes of bodies. */
void qp_h3_read(struct qp_h3 *h3, quicpro_tstamp now, size_t max_bytes);
/* The connection is over: reads all the transport still has, paused streams too. A peer may close
 * as soon as its last byte was acknowledged, long before a slow consumer has taken it; the windows
 * we gave bound what that can be. */
void qp_h3_read_rest(struct qp_h3 *h3, quicpro_tstamp now);
/* True if qp_h3_read() stopped at max_bytes and should be called again. */
bool qp_h3_has_unread(const struct qp_h3 *h3);
/* Hands the transport at most about max_bytes. True if there was more. */
bool qp_h3_write(struct qp_h3 *h3, size_t max_bytes);
/* Server: GOAWAY; requests not seen yet are refused with H3_REQUEST_REJECTED. */
void qp_h3_shutdown(struct qp_h3 *h3);
/* True once, after qp_h3_shutdown(), every stream ended and was acknowledged. */
bool qp_h3_drained(struct qp_h3 *h3);
/* The connection ended: RESET for each stream the application knows. */
void qp_h3_lost(struct qp_h3 *h3, const struct qp_conn_close *close);

#endif
