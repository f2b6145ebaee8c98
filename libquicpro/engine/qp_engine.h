/* The engine: quiche behind functions of our own (src/ in Rust implements exactly this header).
 *
 * - Every function catches panics: the connection it was called on is poisoned (every later call
 *   returns QUICPRO_EENGINE or the neutral value) and the process goes on.
 * - Errors are QUICPRO_E... codes; "nothing to do" is QUICPRO_EAGAIN. quiche's own numbers, which
 *   overlap errno, never leave the engine.
 * - Nothing here reads a socket. quiche reads the monotonic clock itself.
 * - A configuration and its connections belong to one thread at a time.
 *
 * The build hashes this file: an engine built from another version of it does not link.
 */
#ifndef QP_ENGINE_H
#define QP_ENGINE_H

#include <stddef.h>
#include <stdint.h>

struct sockaddr;
struct ssl_ctx_st; /* BoringSSL's SSL_CTX */
struct ssl_st;     /* BoringSSL's SSL */

typedef struct qp_engine_config qp_engine_config;
typedef struct qp_engine_conn qp_engine_conn;

enum qp_engine_cc {
    QP_ENGINE_CC_CUBIC = 0,
    QP_ENGINE_CC_RENO = 1,
    QP_ENGINE_CC_BBR2 = 2,
};

/* Transport parameters and limits; units in the names. */
struct qp_engine_params {
    uint64_t max_idle_timeout_ms;
    uint64_t initial_max_data_bytes;
    uint64_t initial_max_stream_data_bidi_local_bytes;
    uint64_t initial_max_stream_data_bidi_remote_bytes;
    uint64_t initial_max_stream_data_uni_bytes;
    uint64_t initial_max_streams_bidi;
    uint64_t initial_max_streams_uni;
    uint64_t max_connection_window_bytes;
    uint64_t max_stream_window_bytes;
    uint64_t max_send_udp_payload_bytes;
    uint64_t active_connection_id_limit;
    uint64_t initial_cwnd_packets;
    uint64_t cc; /* enum qp_engine_cc */
};

enum qp_engine_flag {
    QP_ENGINE_ESTABLISHED = 1,
    QP_ENGINE_DRAINING = 2, /* closing: waits for late packets (RFC 9000 section 10.2) */
    QP_ENGINE_CLOSED = 4,
    QP_ENGINE_TIMED_OUT = 8,
    QP_ENGINE_RESUMED = 16,
    QP_ENGINE_EARLY_DATA = 32,
    QP_ENGINE_POISONED = 64,
    QP_ENGINE_LOCAL_ERROR = 128, /* we closed, or are about to */
    QP_ENGINE_PEER_ERROR = 256,
};

struct qp_engine_error {
    uint64_t code;
    uint32_t app;    /* 1: an application's code */
    uint32_t remote; /* 1: the peer closed */
    uint32_t reason_len;
    uint8_t reason[256]; /* cut at its end; the peer's bytes, not checked */
    uint32_t found;      /* 0: nobody closed */
};

struct qp_engine_stats {
    uint64_t packets_in, packets_out, packets_lost;
    uint64_t bytes_in, bytes_out;
    uint64_t rtt_ns, min_rtt_ns, cwnd_bytes; /* of the active path */
    uint64_t resets_in, stops_in;            /* RESET_STREAM, STOP_SENDING received */
};

/* A configuration around an SSL_CTX. Takes a reference of its own on ctx.
 * 0; QUICPRO_ENOMEM; QUICPRO_EINVAL; QUICPRO_EENGINE */
int qp_engine_config_new(qp_engine_config **ret, struct ssl_ctx_st *ctx,
                         const struct qp_engine_params *params);
void qp_engine_config_free(qp_engine_config *config);

/* Server: a connection for a client's first Initial. scid is ours, at most 20 bytes. 0; EENGINE */
int qp_engine_accept(qp_engine_conn **ret, qp_engine_config *config, const uint8_t *scid,
                     size_t scid_len, const struct sockaddr *local, const struct sockaddr *peer);
/* Client: a connection whose first flight waits in qp_engine_send(). Server name and verification
 * are set on the SSL by the caller before that. 0; EENGINE */
int qp_engine_connect(qp_engine_conn **ret, qp_engine_config *config, const uint8_t *scid,
                      size_t scid_len, const struct sockaddr *local, const struct sockaddr *peer);
void qp_engine_conn_free(qp_engine_conn *conn);

/* The SSL of a connection, borrowed as long as it lives. */
struct ssl_st *qp_engine_ssl(qp_engine_conn *conn);

/* Feeds datagrams of `segment` bytes each, the last may be shorter; decrypts in place. 0, or the
 * error of the first that failed (the connection then closes itself). */
int qp_engine_recv(qp_engine_conn *conn, uint8_t *data, size_t len, size_t segment,
                   const struct sockaddr *local, const struct sockaddr *peer);
/* Makes packets for one path, one behind the other in out, until there are no more, `max` are made
 * or fewer than `payload` bytes are left; sizes go to lens. Writes the path to local and peer
 * (sockaddr_in6 is the larger). Packets made, 0 for none; EENGINE. A fatal error of the engine
 * closes the connection and counts as none. */
int qp_engine_send(qp_engine_conn *conn, uint8_t *out, size_t cap, size_t payload, uint16_t *lens,
                   size_t max, struct sockaddr *local, struct sockaddr *peer);
/* Time until qp_engine_on_timeout() is due, in ns from now; UINT64_MAX: never. */
uint64_t qp_engine_timeout(qp_engine_conn *conn);
void qp_engine_on_timeout(qp_engine_conn *conn);

/* 0; EAGAIN: closed or closing already; EENGINE */
int qp_engine_close(qp_engine_conn *conn, int app, uint64_t code, const uint8_t *reason,
                    size_t reason_len);
uint32_t qp_engine_flags(const qp_engine_conn *conn);
/* Who closed and why; the peer's word if both did. */
void qp_engine_get_error(const qp_engine_conn *conn, struct qp_engine_error *ret);
void qp_engine_get_stats(const qp_engine_conn *conn, struct qp_engine_stats *ret);
/* Forgets path events and retired connection IDs; returns how many of these there were. */
int qp_engine_drain_events(qp_engine_conn *conn);

/* Next stream with something to read; each once until more arrives. An id, or -1. */
int64_t qp_engine_readable_next(qp_engine_conn *conn);
/* Next stream that takes bytes (again), each once; none while the connection takes no bytes. An id,
 * or -1. *stopped is set to 1 if the peer sent STOP_SENDING, with *code, else to 0. */
int64_t qp_engine_writable_next(qp_engine_conn *conn, int *stopped, uint64_t *code);
/* 1 if nothing of the stream is left: never opened, or all of it received, sent and acknowledged.
 */
int qp_engine_stream_collected(qp_engine_conn *conn, uint64_t id);
/* Bytes read, *fin set at the end. EAGAIN; ERESET: *code says with what; ESTALE: no such stream */
int64_t qp_engine_stream_recv(qp_engine_conn *conn, uint64_t id, uint8_t *out, size_t cap, int *fin,
                              uint64_t *code);
/* Bytes taken (maybe fewer than len; fin counts only if all were). EAGAIN: none now; ERESET: the
 * peer sent STOP_SENDING with *code; ELIMIT: the peer allows no more streams; ESTALE */
int64_t qp_engine_stream_send(qp_engine_conn *conn, uint64_t id, const uint8_t *data, size_t len,
                              int fin, uint64_t *code);
/* read: STOP_SENDING and forget what comes; write: RESET_STREAM. 0; EAGAIN: done already; ESTALE */
int qp_engine_stream_stop_read(qp_engine_conn *conn, uint64_t id, uint64_t code);
int qp_engine_stream_reset_write(qp_engine_conn *conn, uint64_t id, uint64_t code);
/* Requests the peer still allows us to open. */
uint64_t qp_engine_streams_left_bidi(const qp_engine_conn *conn);

/* Text of the last panic caught on this thread, copied and NUL-terminated; its length. */
size_t qp_engine_panic_text(char *out, size_t size);
/* Tests only: panics inside a guarded call on this connection. QUICPRO_EENGINE */
int qp_engine_panic_for_test(qp_engine_conn *conn);
/* Sizes of the structs above as Rust sees them, for the layout check: params, error, stats. */
void qp_engine_layout(size_t ret[3]);
/* Version of the quiche crate. */
const char *qp_engine_quiche_version(void);

#endif
