/* Which connections write a qlog, and where to: a file of "qlog_dir", a function, or nowhere. What
 * is in it: quic/qlog.h. Nothing that goes wrong here reaches a connection: it is counted, and told
 * once. */
#ifndef QP_LOOP_TRACE_H
#define QP_LOOP_TRACE_H

#include <quicpro/base.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/prefix.h"

struct qp_endpoint;
struct qp_link;
struct qp_conn_close;

enum {
    QP_TRACE_BUFFER = 65536,  /* bytes of one connection that wait for the end of a turn */
    QP_TRACE_OPEN_MAX = 1024, /* files open at once on a loop: descriptors are sockets' too */
};

struct qp_tracing {
    char *dir; /* of the options, or of QLOGDIR; "": none */
    struct qp_prefixes peers;
    uint64_t files; /* begun */
    bool warned;
};

/* After the endpoint's options are there. 0; QUICPRO_EVALUE: "qlog_peers" (the loop's error says
 * which word); QUICPRO_ENOMEM */
int qp_tracing_init(struct qp_endpoint *endpoint);
void qp_tracing_done(struct qp_endpoint *endpoint);

/* An engine connection was just made: does it write a qlog? */
void qp_trace_begin(struct qp_link *link, const uint8_t *odcid, size_t odcid_len);
void qp_trace_begin_client(struct qp_link *link);
/* For the connections that write one, else nothing. */
void qp_trace_established(struct qp_link *link);
/* The first that is said counts. */
void qp_trace_closed(struct qp_link *link, const struct qp_conn_close *close);
/* Hands over what has come together. */
void qp_trace_write(struct qp_link *link);
/* qp_conn_done(), and the end of what it wrote. */
void qp_trace_conn_done(struct qp_link *link);

#endif
