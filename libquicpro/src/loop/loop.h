/* The loop's own structures: who owns what.
 *
 *   loop ── endpoints (a server or a client each) ── ports (sockets)
 *     └──── links (connections), each of one endpoint, on one port
 *
 * A link is in `dirty` while something may have to be sent or looked at; quicpro_loop_run() fills
 * it, quicpro_loop_flush() empties it. */
#ifndef QP_LOOP_LOOP_H
#define QP_LOOP_LOOP_H

#include <quicpro/client.h>
#include <quicpro/http.h>
#include <quicpro/server.h>

#include "base/batch.h"
#include "base/hash.h"
#include "base/heap.h"
#include "base/log.h"
#include "base/options.h"
#include "base/slab.h"
#include "h3/session.h"
#include "loop/app.h"
#include "loop/count.h"
#include "loop/detached.h"
#include "loop/dial.h"
#include "loop/guard.h"
#include "loop/migrate.h"
#include "loop/resume.h"
#include "loop/trace.h"
#include "metrics/metrics.h"
#include "os/addr.h"
#include "os/fork.h"
#include "os/resolve.h"
#include "os/udp_backend.h"
#include "quic/cid.h"
#include "quic/conn.h"
#include "quic/pacer.h"
#include "quic/raw.h"
#include "quic/reset.h"

/* A socket of an endpoint, with the one train the kernel did not take: packets that are made count
 * as sent, so they wait here, and nothing more is made for this socket until they are gone. */
struct qp_port {
    struct qp_udp_socket socket; /* .owner is the port */
    struct qp_endpoint *endpoint;
    struct qp_link *link; /* client: the one connection it serves */
    struct qp_port *next;
    bool received;
    uint8_t *left; /* malloc'd; NULL: nothing */
    size_t left_len, left_segment;
    struct qp_addr left_local, left_peer;
};

/* What a server's TLS context is made from besides its options (certs.c). */
struct qp_certs {
    struct qp_host *host; /* certificates for names */
    size_t count;
    uint64_t mark;          /* of the files when they were read */
    quicpro_tstamp look_at; /* when to look at them again */
};

struct qp_endpoint {
    struct quicpro_loop *loop;
    struct qp_endpoint *next;
    struct qp_options options;
    struct qp_h3_options h3_options;
    struct qp_raw_options raw_options;
    struct qp_conn_factory factory;
    struct qp_guard guard;
    struct qp_resume resume;
    struct qp_certs certs;
    struct qp_tracing tracing;
    struct qp_port *ports;
    void *user;
    size_t open, handshakes; /* links not reported closed; of these, not established */
    uint64_t packets_max;    /* of one connection (quic/usage.h) */
    bool server, shutdown, drained;
    bool offers_http3; /* in its ALPN */
};

enum qp_link_state {
    QP_LINK_RESOLVING, /* client: no attempt under way, no engine connection */
    QP_LINK_HANDSHAKE,
    QP_LINK_OPEN,
    QP_LINK_ENDED, /* reported; waits for the engine to let go (RFC 9000 section 10.2) */
};

struct qp_link {
    struct quicpro_loop *loop;
    struct qp_endpoint *endpoint;
    struct qp_port *port;
    quicpro_handle handle;
    enum qp_link_state state;
    struct qp_conn conn; /* .impl is NULL while resolving */
    enum qp_app app;     /* which of the two it is */
    union {
        struct qp_h3 h3;
        struct qp_raw raw;
    };
    struct qp_timer timer;
    quicpro_tstamp begun_at, handshake_until;
    struct qp_link *next_dirty;
    bool dirty, fed, handshake_expired; /* fed: got datagrams since it was processed */
    uint8_t odcid_len; /* server: the DCID of the client's first flight, until established */
    uint8_t odcid[QP_CID_MAX];
    uint64_t prefix; /* server: what it is counted with until established; 0: nothing */
    uint64_t packets_out;
    struct qp_addr local, peer;
    unsigned early_data;                 /* enum quicpro_early_data */
    struct qp_target *target;            /* client */
    struct qp_dial *dial;                /* client: until it is connected */
    struct qp_link *parent, *next_rival; /* an attempt of another link (loop/dial.h) */
    unsigned attempt;                    /* of the dial's, what this link holds */
    bool hidden;                         /* an attempt: nobody knows its handle */
    bool finishing;                      /* with close_reason: once all was acknowledged */
    char *close_reason;                  /* asked to close: once what is ready has been sent */
    uint64_t close_code;
    bool keys_spent;
    bool close_tried;          /* the engine was asked for its closing packet */
    struct qp_pacer pacer;     /* for congestion controllers that do not pace by themselves */
    quicpro_tstamp release_at; /* when more packets may go; 0: now */
    bool prompted;             /* datagrams or a timeout came since packets were made */
    /* Of loop/keepalive.c: when anything came, was sent to have an answer, was counted last. */
    quicpro_tstamp heard_at, pinged_at, checked_at;
    uint64_t heard_packets, idle_ns; /* the idle timeout that both want; 0: none */
    uint8_t (*cids)[QP_CID_LEN];     /* malloc'd: IDs of ours besides the first one */
    size_t cid_count;
    /* Client, of loop/migrate.c: the socket of a path besides the one in use. */
    struct qp_port *other;
    enum qp_other other_is;
    bool move_wanted;                           /* as soon as it is known to work */
    quicpro_tstamp probe_until, probe_again_at; /* while it is probed */
    int send_error;                             /* -errno of the path in use since the last flush */
    quicpro_tstamp move_again_at;               /* not before it */
};

/* Where a client's link wants to go. */
struct qp_target {
    char host[256]; /* without brackets */
    uint16_t port;
    /* Of loop/resume.c. */
    bool resume_tried;     /* looked for a session to resume */
    bool early_wanted;     /* it allows early data, and so do the options */
    size_t session_len;    /* of the session kept last; 0: none yet */
    uint64_t session_mark; /* its hash */
};

struct quicpro_loop {
    const struct qp_udp_ops *udp;
    const struct qp_resolver_ops *resolver; /* NULL: detached, only `hosts` are known */
    struct qp_udp_poller *poller;
    char backend[160]; /* which it is and why */
    struct qp_fork_guard *guard;
    struct qp_options options;
    struct qp_batch batch;  /* being filled, also by commands between two runs */
    struct qp_batch handed; /* the application's until the next run */
    struct qp_slab links, streams, raw_streams;
    struct qp_cid_map cids; /* to the index of a link */
    struct qp_heap timers;
    struct qp_endpoint *endpoints;
    struct qp_link *dirty, **dirty_tail;
    size_t resolving;
    uint8_t *out;            /* QP_OUT_BYTES, where packets are made */
    quicpro_tstamp certs_at; /* the first look_at of its servers */
    struct qp_cid_layout cid_layout;
    quicpro_tstamp now;    /* when run or flush began */
    bool detached;         /* without I/O (quicpro/sans_io.h): `poller` is one of os/udp_memory.h */
    quicpro_tstamp given;  /* detached: what the caller says that the time is */
    struct qp_hosts hosts; /* detached: where they are */
    bool again;            /* run has work although nothing is ready */
    struct qp_log log;
    char error[256];
    size_t qlogs_open;
    struct qp_metrics *metrics; /* own_metrics, or the application's memory */
    struct qp_metrics own_metrics;
};

enum { QP_OUT_BYTES = 65536 };

#define QP_LINK_OF_TIMER(t) ((struct qp_link *)((char *)(t)-offsetof(struct qp_link, timer)))

/* loop.c: a loop with everything but what it does I/O by. */
int qp_loop_make(struct quicpro_loop **ret, const quicpro_config *config);
/* False: it was made before a fork(). */
bool qp_loop_is_ours(const struct quicpro_loop *loop);
/* Reads the clock, for the loop and for engine calls from here on. */
quicpro_tstamp qp_loop_now(struct quicpro_loop *loop);
/* Keeps one line for quicpro_loop_error(); returns error. */
__attribute__((format(printf, 3, 4))) int qp_loop_fail(struct quicpro_loop *loop, int error,
                                                       const char *format, ...);

/* link.c */
struct qp_link *qp_link_new(struct qp_endpoint *endpoint);
/* NULL: stale, or reported closed. */
struct qp_link *qp_link_get(struct quicpro_loop *loop, quicpro_conn conn);
void qp_link_free(struct qp_link *link);
void qp_link_mark_dirty(struct qp_link *link);
/* Leaves the counts of its endpoint: it counts as ended. */
void qp_link_uncount(struct qp_link *link);
int qp_link_add_cid(struct qp_link *link, const uint8_t *cid, size_t len);
/* A fresh connection ID of ours that no link has. */
void qp_link_make_cid(struct quicpro_loop *loop, uint8_t out[QP_CID_LEN]);
/* The engine connection exists: the handshake begins. */
void qp_link_begin(struct qp_link *link, quicpro_tstamp now);
/* Looks at what the engine knows now and appends events. */
void qp_link_process(struct qp_link *link, quicpro_tstamp now);
/* What it carries begins, before the handshake is done if it is early. False: out of memory, the
 * connection ends. */
bool qp_link_start_app(struct qp_link *link, bool early);
/* Makes and sends packets up to about max_bytes, unpaced: the first and last few. */
void qp_link_send(struct qp_link *link, size_t max_bytes, quicpro_tstamp now);
/* Sends what there is to send; true if the link should come again at once. */
bool qp_link_flush(struct qp_link *link, quicpro_tstamp now);
void qp_link_on_timer(struct qp_link *link, quicpro_tstamp now);
/* Closes with an HTTP/3 code, or before the handshake is done with a transport code of 0. reason:
 * as of quicpro_conn_close(). */
void qp_link_close(struct qp_link *link, uint64_t code, const char *reason);
/* The same once the peer has everything that was written; of raw connections. */
void qp_link_finish(struct qp_link *link, uint64_t code, const char *reason);
/* Whether its end is decided: by qp_link_close(), or because it is over. */
bool qp_link_is_closing(const struct qp_link *link);
/* A stream of an application's own protocol, whose connection will be looked at; NULL: it is none.
 * *ret_link: that connection, NULL if it was reported closed; ret_link may be NULL. */
struct qp_raw_stream *qp_link_raw_stream(quicpro_loop *loop, quicpro_stream handle,
                                         struct qp_link **ret_link);
/* Reports the end of a connection: streams first, then CLOSED. */
void qp_link_end(struct qp_link *link, const struct qp_conn_close *close);

/* paths.c */
/* What the engine has to say of paths and connection IDs; keeps the peer supplied with IDs. */
void qp_link_update_paths(struct qp_link *link);
/* Takes all IDs of ours out of the loop's map. */
void qp_link_forget_cids(struct qp_link *link);

/* keepalive.c: the handshake is done. */
void qp_keepalive_begin(struct qp_link *link, quicpro_tstamp now);
/* When to look whether a PING must go; QUICPRO_FOREVER: never. */
quicpro_tstamp qp_keepalive_due(const struct qp_link *link);
void qp_keepalive_on_timer(struct qp_link *link, quicpro_tstamp now);

/* pace.c: datagrams of at most payload bytes that may be made now, up to max; 0: wait until
 * link->release_at, which is set. */
size_t qp_link_may_send(struct qp_link *link, size_t payload, size_t max, quicpro_tstamp now);
void qp_link_has_sent(struct qp_link *link, size_t bytes, quicpro_tstamp now);

/* port.c */
struct qp_port *qp_port_new(struct qp_endpoint *endpoint);
/* The same with an open socket, see struct qp_udp_ops. 0; QUICPRO_ENOMEM; -errno: there is none. */
int qp_port_open(struct qp_port **ret, struct qp_endpoint *endpoint, const struct qp_addr *local,
                 const struct qp_addr *peer);
void qp_port_free(struct qp_port *port);
/* Says what its socket got, once it is open. */
void qp_port_report(const struct qp_port *port);
enum quicpro_busy_poll qp_port_busy_poll(const struct qp_port *port);
/* Sends one train or keeps it. False if the port takes no more. */
bool qp_port_send(struct qp_port *port, const struct qp_addr *local, const struct qp_addr *peer,
                  const uint8_t *data, size_t len, size_t segment);
/* The kernel takes bytes again. False if it took not all. */
bool qp_port_send_left(struct qp_port *port);

/* receive.c: takes what a port has, up to the budget of events. */
void qp_port_receive(struct qp_port *port, quicpro_tstamp now, size_t budget);
/* Counts a train that came, and routes it. */
void qp_port_take(struct qp_port *port, const struct qp_udp_train *train, quicpro_tstamp now);
/* Feeds every datagram of a train to the connection it belongs to, or to a new one. */
void qp_port_route(struct qp_port *port, const struct qp_udp_train *train, quicpro_tstamp now);

/* endpoint.c */
int qp_endpoint_init(struct qp_endpoint *endpoint, struct quicpro_loop *loop,
                     const quicpro_config *config, bool server);
int qp_endpoint_set_option(struct qp_endpoint *endpoint, const char *key, const char *value);
void qp_endpoint_done(struct qp_endpoint *endpoint);
/* Closes all its connections; they are told, not waited for. */
void qp_endpoint_abort(struct qp_endpoint *endpoint);
/* DRAINED, once, if it is time. */
void qp_endpoint_check_drained(struct qp_endpoint *endpoint);

#endif
