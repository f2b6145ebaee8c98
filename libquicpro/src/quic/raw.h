/* Streams and datagrams of a connection whose application protocol is none of ours. A function of
 * what the engine knows: it reads and writes the connection's streams, appends events to a batch,
 * and calls nobody.
 *
 * What is received stays in the engine until the application reads it, straight into its buffer:
 * reading is what gives the peer credit. A stream (struct qp_raw_stream) lives until both of its
 * directions ended; its handle is what the application holds. Streams that ended cost nothing:
 * which ids of the peer were there is known by number (base/seen.h). */
#ifndef QP_QUIC_RAW_H
#define QP_QUIC_RAW_H

#include <quicpro/event.h>
#include <stdbool.h>

#include "base/batch.h"
#include "base/buf.h"
#include "base/idmap.h"
#include "base/seen.h"
#include "base/slab.h"
#include "quic/conn.h"

enum { QP_RAW_URGENCIES = 8 }; /* RFC 9218 section 4.1 */

struct qp_raw_stream {
    struct qp_raw *raw;
    quicpro_handle handle;
    uint64_t id;
    void *user;
    struct qp_batch_places events; /* its latest ones */
    struct qp_queue queue;         /* bytes the transport has not taken */
    struct qp_raw_stream *next;    /* in the ring of its urgency, if pending */
    uint8_t urgency;
    bool incremental;
    bool pending;       /* has something to send that was not refused */
    bool blocked;       /* the transport took no more */
    bool told;          /* READABLE was reported and not everything read since */
    bool end;           /* the application ended its direction */
    bool send_done;     /* the transport took our end, or it was reset or stopped */
    bool recv_done;     /* the peer's end or reset was read, or we want no more */
    bool stopped;       /* the peer wants no more */
    bool broken;        /* memory ran out in the middle of a write: only a reset ends it */
    bool want_writable; /* a write was told EAGAIN */
};

struct qp_raw_options {
    uint64_t send_queue_bytes, burst_bytes;
    bool datagrams;
};

struct qp_raw {
    struct qp_conn *conn;
    struct qp_batch *batch;
    struct qp_slab *slab; /* of struct qp_raw_stream, shared by all sessions of a loop */
    const struct qp_raw_options *options;
    quicpro_handle conn_handle;
    void *user;                                      /* of the connection, the default for its
                                                        streams */
    struct qp_idmap streams;                         /* by id */
    struct qp_raw_stream *pending[QP_RAW_URGENCIES]; /* rings: the last of each */
    uint64_t next[2];                                /* numbers of ours: bidirectional, uni */
    struct qp_seen seen[2];                          /* the peer's */
    uint64_t drained_to[4];                          /* numbers below, by type, are collected */
    size_t open;                                     /* streams with a handle */
    size_t room;  /* bytes that writes may still hand on before the next qp_raw_write() */
    bool want[2]; /* an open was told ELIMIT */
    bool started, over, shutdown, retired;
    bool early; /* started before the handshake is done */
    bool last;  /* in qp_raw_read_rest() */
    bool more;  /* qp_raw_read() stopped at its bound */
};

void qp_raw_init(struct qp_raw *raw, struct qp_conn *conn, const struct qp_raw_options *options,
                 struct qp_batch *batch, struct qp_slab *slab, quicpro_handle handle);
/* Ends every stream, silently. */
void qp_raw_done(struct qp_raw *raw);
/* The handshake is done: streams may be opened. */
void qp_raw_start(struct qp_raw *raw);
/* The same for early data: EARLY. Until qp_raw_early_over(), streams of the peer are marked. */
void qp_raw_start_early(struct qp_raw *raw);
void qp_raw_early_over(struct qp_raw *raw);
/* The peer has rejected it: RESET for each stream, and all is as after qp_raw_init(). */
void qp_raw_early_rejected(struct qp_raw *raw);
/* Says what is new; at most about max_bytes of datagrams. */
void qp_raw_read(struct qp_raw *raw, size_t max_bytes);
/* The connection is over: hands out as DATA events all that was received and not read. A peer may
 * close as soon as its last byte was acknowledged, long before a slow reader has taken it; the
 * windows we gave bound what that can be. */
void qp_raw_read_rest(struct qp_raw *raw);
/* True if qp_raw_read() stopped at max_bytes and should be called again. */
bool qp_raw_has_unread(const struct qp_raw *raw);
/* Hands the transport at most about max_bytes. True if there was more. */
bool qp_raw_write(struct qp_raw *raw, size_t max_bytes);
/* To be closed as soon as no stream is open. There is no word for it on the wire, so streams that
 * the peer opens meanwhile are as welcome as the others. */
void qp_raw_shutdown(struct qp_raw *raw);
/* True, after qp_raw_shutdown(), when every stream has ended and was acknowledged. */
bool qp_raw_drained(struct qp_raw *raw);
/* Whether writes, or ends, wait for the transport. */
bool qp_raw_has_unsent(const struct qp_raw *raw);
/* The connection ended: RESET for each stream that is open. */
void qp_raw_lost(struct qp_raw *raw, const struct qp_conn_close *close);

/* As quicpro_datagram_send() and quicpro_datagram_max(). */
int qp_raw_datagram_send(struct qp_raw *raw, const void *data, size_t len);
int64_t qp_raw_datagram_max(const struct qp_raw *raw);

#endif
