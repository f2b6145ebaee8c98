/* The qlog of one connection: JSON text sequences (RFC 7464) as
 * draft-ietf-quic-qlog-main-schema-14, -quic-events-13 and -h3-events-13 have them. The engine
 * writes the events of the transport, we those that it cannot know, and the record about the file.
 * A function of records and time: whoever owns it takes the bytes out, between two calls of the
 * engine.
 *
 * Never in it: keys, tickets, stateless reset tokens, address tokens, bodies, and the values of
 * header fields that carry credentials. */
#ifndef QP_QUIC_QLOG_H
#define QP_QUIC_QLOG_H

#include <quicpro/base.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/hash.h"

struct sockaddr;
struct qp_conn_close;

enum qp_qlog_level { /* in the order of the option's words, and of enum qp_engine_qlog_level */
                     QP_QLOG_CORE,
                     QP_QLOG_BASE,
                     QP_QLOG_EXTRA,
};

enum qp_qlog_addresses { /* in the order of the option's words */
                         QP_QLOG_FULL,
                         QP_QLOG_PREFIX, /* the first 24 bits of IPv4, 48 of IPv6, and no ports */
                         QP_QLOG_NONE,
};

struct qp_qlog_args {
    bool server;
    const uint8_t *odcid; /* what the client called the server first; names the trace */
    size_t odcid_len;
    quicpro_tstamp now; /* times of records count from it */
    int64_t wall;       /* the same in seconds since 1970 */
    enum qp_qlog_level level;
    enum qp_qlog_addresses addresses;
    uint64_t max_bytes;  /* then a last record says so, and no more follow */
    uint64_t ring_bytes; /* 0: every record goes to out; else the last ones are kept */
};

struct qp_qlog {
    struct qp_buf out;  /* whole records to be taken; of a ring, what goes before it */
    struct qp_buf ring; /* whole records from `first` on */
    size_t first;       /* of the ring: where its oldest record begins */
    size_t record;      /* where the record being written begins in `out` or `ring` */
    uint64_t bytes;     /* put into out since the beginning */
    uint64_t max_bytes, ring_bytes;
    quicpro_tstamp start, latest; /* latest: of a record of ours */
    enum qp_qlog_level level;
    enum qp_qlog_addresses addresses;
    uint8_t odcid[QP_CID_MAX];
    uint8_t odcid_len;
    bool server;
    bool engine_head; /* the engine's first record has passed: ours stands in its place */
    bool broken;      /* memory ran out in this record: it is dropped at its end */
    bool full;        /* max_bytes: nothing more is written */
    bool cut;         /* of the ring: records were dropped */
    bool closed;      /* the end was written */
};

/* The record about the file, and the first events. 0; QUICPRO_ENOMEM */
int qp_qlog_init(struct qp_qlog *qlog, const struct qp_qlog_args *args);
void qp_qlog_done(struct qp_qlog *qlog);
/* Bytes of the engine: parts of records, each of which ends with a newline. */
void qp_qlog_engine(struct qp_qlog *qlog, const uint8_t *data, size_t len);
/* All of the ring goes to out: the connection ended in an error. */
void qp_qlog_spill(struct qp_qlog *qlog);
/* The bytes in out were taken. */
void qp_qlog_taken(struct qp_qlog *qlog);

/* "ODCID_server.sqlog"; with `other` bytes after the vantage point when that name is taken.
 * Returns the length. */
enum { QP_QLOG_NAME_BYTES = 2 * QP_CID_MAX + 32 };
size_t qp_qlog_name(const struct qp_qlog *qlog, const uint8_t *other, size_t other_len,
                    char out[QP_QLOG_NAME_BYTES]);

/* Events. */
void qp_qlog_started(struct qp_qlog *qlog, quicpro_tstamp now, const struct sockaddr *local,
                     const struct sockaddr *peer);
void qp_qlog_established(struct qp_qlog *qlog, quicpro_tstamp now, const uint8_t *alpn,
                         size_t alpn_len);
/* http3: an application's code is one of RFC 9114. Once: what comes later is not heard. */
void qp_qlog_closed(struct qp_qlog *qlog, quicpro_tstamp now, const struct qp_conn_close *close,
                    bool http3);

/* For events of other layers: begin, then the members of "data", then end. */
void qp_qlog_begin(struct qp_qlog *qlog, quicpro_tstamp now, const char *name);
__attribute__((format(printf, 2, 3))) void qp_qlog_put(struct qp_qlog *qlog, const char *format,
                                                       ...);
/* A string of JSON from any bytes: those that are not printable ASCII become \u00NN. */
void qp_qlog_text(struct qp_qlog *qlog, const void *data, size_t len);
void qp_qlog_hex(struct qp_qlog *qlog, const void *data, size_t len);
void qp_qlog_end(struct qp_qlog *qlog);

#endif
