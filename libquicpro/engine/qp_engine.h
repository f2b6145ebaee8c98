/* The engine: quiche behind functions of our own (src/ in Rust implements exactly this header).
 *
 * - Every function catches panics: the connection it was called on is poisoned (every later call
 *   returns QUICPRO_EENGINE or the neutral value) and the process goes on. So does every function
 *   when memory runs out: a reserve of 1 MiB lets it finish.
 * - Errors are QUICPRO_E... codes; "nothing to do" is QUICPRO_EAGAIN. quiche's own numbers, which
 *   overlap errno, never leave the engine.
 * - Nothing here reads a socket, or a clock that was set: qp_engine_set_now() holds for the calling
 *   thread and everything it calls until it is set again.
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
    uint64_t max_recv_udp_payload_bytes;
    uint64_t max_ack_delay_ms;
    uint64_t ack_delay_exponent;
    uint64_t initial_rtt_ms;
    uint64_t max_amplification_factor;
    uint64_t max_pacing_rate_mbps; /* 10^6 bits a second, BBR2 only; 0: no limit */
    uint64_t dgram_recv_queue;     /* datagrams; 0 in both: DATAGRAM frames are off (RFC 9221) */
    uint64_t dgram_send_queue;
    uint64_t disable_active_migration; /* these are 0 or 1 */
    uint64_t hystart;
    uint64_t pacing; /* release times, BBR2 only */
    uint64_t grease;
    uint64_t pmtud; /* DPLPMTUD (RFC 8899) */
    uint64_t early_data;
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
    QP_ENGINE_NO_MEMORY = 512,  /* poisoned because memory ran out */
    QP_ENGINE_CONFIRMED = 1024, /* the handshake is confirmed (RFC 9001 section 4.1.2) */
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
    uint64_t packets_in, packets_out, packets_lost, packets_spurious_lost, packets_retransmitted;
    uint64_t bytes_in, bytes_out, bytes_acked, bytes_lost, stream_bytes_retransmitted;
    uint64_t datagrams_in, datagrams_out;                /* DATAGRAM frames */
    uint64_t resets_in, resets_out, stops_in, stops_out; /* RESET_STREAM, STOP_SENDING */
    uint64_t data_blocked_in, data_blocked_out;
    uint64_t stream_data_blocked_in, stream_data_blocked_out;
    uint64_t streams_blocked_bidi_in, streams_blocked_uni_in;
    uint64_t path_challenges_in, amplification_limited;
    uint64_t paths;
    uint64_t in_flight_ns;                   /* time with bytes that were sent and not acknowledged */
    uint64_t send_count_wrong;               /* 1: its count of bytes that wait to be sent is off */
    uint64_t rtt_ns, min_rtt_ns, cwnd_bytes; /* of the active path */
};

enum qp_engine_path_state {
    QP_ENGINE_PATH_FAILED = 0,
    QP_ENGINE_PATH_UNKNOWN = 1,
    QP_ENGINE_PATH_VALIDATING = 2,
    QP_ENGINE_PATH_MTU_UNKNOWN = 3, /* validated, but not for 1200 bytes yet (RFC 9000 8.2.1) */
    QP_ENGINE_PATH_VALIDATED = 4,
};

/* One network path. */
struct qp_engine_path {
    uint64_t state; /* enum qp_engine_path_state */
    uint64_t active;
    uint64_t packets_in, packets_out, packets_lost, packets_retransmitted, ptos;
    uint64_t bytes_in, bytes_out, bytes_lost, stream_bytes_retransmitted;
    uint64_t datagrams_in, datagrams_out, datagrams_lost;
    uint64_t rtt_ns, min_rtt_ns, max_rtt_ns, rttvar_ns; /* 0: not measured */
    uint64_t cwnd_bytes, mtu_bytes, delivery_rate;      /* the rate in bytes a second */
    uint64_t max_bandwidth, rtt_jumps;                  /* BBR2 only; bytes a second */
    uint64_t startup_exit_cwnd_bytes; /* when the congestion controller left slow start; 0: not yet */
};

enum qp_engine_path_event_type {
    QP_ENGINE_PATH_EVENT_NEW = 1, /* server: a packet came on it */
    QP_ENGINE_PATH_EVENT_VALIDATED = 2,
    QP_ENGINE_PATH_EVENT_FAILED = 3,
    QP_ENGINE_PATH_EVENT_CLOSED = 4,
    QP_ENGINE_PATH_EVENT_REUSED_ID = 5, /* value: sequence number of our ID seen on two paths */
    QP_ENGINE_PATH_EVENT_MIGRATED = 6,  /* server: the peer moved there */
    QP_ENGINE_PATH_EVENT_MTU = 7,       /* value: bytes */
};

/* What the peer's transport parameters say (RFC 9000 section 18.2). */
struct qp_engine_peer_params {
    uint64_t max_idle_timeout_ms, max_udp_payload_bytes;
    uint64_t initial_max_data_bytes;
    uint64_t initial_max_stream_data_bidi_local_bytes, initial_max_stream_data_bidi_remote_bytes;
    uint64_t initial_max_stream_data_uni_bytes;
    uint64_t initial_max_streams_bidi, initial_max_streams_uni;
    uint64_t ack_delay_exponent, max_ack_delay_ms;
    uint64_t active_connection_id_limit, disable_active_migration;
    uint64_t max_datagram_frame_bytes; /* 0: it takes none */
};

/* IDs of a connection to be made. */
struct qp_engine_ids {
    const uint8_t *scid; /* ours, at most 20 bytes */
    size_t scid_len;
    /* Server, after a Retry: the DCID of the client's first Initial; scid is the Retry's SCID. */
    const uint8_t *odcid;
    size_t odcid_len;           /* 0: there was no Retry */
    const uint8_t *reset_token; /* server: 16 bytes, of scid (RFC 9000 section 10.3); or NULL */
};

enum qp_engine_qlog_level {
    QP_ENGINE_QLOG_CORE = 0,
    QP_ENGINE_QLOG_BASE = 1,
    QP_ENGINE_QLOG_EXTRA = 2,
};

/* Takes bytes of a qlog, on the thread of the connection, from inside calls on it. */
typedef void qp_engine_write_fn(void *user, const uint8_t *data, size_t len);

/* The time in ns that engine calls of this thread see from here on; any origin, as long as it does
 * not run backwards for one connection. UINT64_MAX: the system's monotonic clock again. */
void qp_engine_set_now(uint64_t now);

/* A configuration around an SSL_CTX. Takes a reference of its own on ctx.
 * 0; QUICPRO_ENOMEM; QUICPRO_EINVAL; QUICPRO_EENGINE */
int qp_engine_config_new(qp_engine_config **ret, struct ssl_ctx_st *ctx,
                         const struct qp_engine_params *params);
void qp_engine_config_free(qp_engine_config *config);

/* Server: a connection for a client's first Initial. 0; EENGINE; EINVAL */
int qp_engine_accept(qp_engine_conn **ret, qp_engine_config *config,
                     const struct qp_engine_ids *ids, const struct sockaddr *local,
                     const struct sockaddr *peer);
/* Client: a connection whose first flight waits in qp_engine_send(). Server name and verification
 * are set on the SSL by the caller before that. 0; EENGINE; EINVAL */
int qp_engine_connect(qp_engine_conn **ret, qp_engine_config *config,
                      const struct qp_engine_ids *ids, const struct sockaddr *local,
                      const struct sockaddr *peer);
void qp_engine_conn_free(qp_engine_conn *conn);

/* The SSL of a connection, borrowed as long as it lives. */
struct ssl_st *qp_engine_ssl(qp_engine_conn *conn);

/* Feeds datagrams of `segment` bytes each, the last may be shorter; decrypts in place. 0, or the
 * error of the first that failed (the connection then closes itself). */
int qp_engine_recv(qp_engine_conn *conn, uint8_t *data, size_t len, size_t segment,
                   const struct sockaddr *local, const struct sockaddr *peer);
/* Makes packets for one path, one behind the other in out, until there are no more, `max` are made
 * or fewer than `payload` bytes are left; sizes go to lens. Writes the path to local and peer
 * (sockaddr_in6 is the larger). *at: when more may be made, as the congestion controller paces; 0:
 * at any time. Packets made, 0 for none; EENGINE. A fatal error of the engine closes the connection
 * and counts as none. */
int qp_engine_send(qp_engine_conn *conn, uint8_t *out, size_t cap, size_t payload, uint16_t *lens,
                   size_t max, struct sockaddr *local, struct sockaddr *peer, uint64_t *at);
/* Whether the congestion controller paces by itself, so that *at of qp_engine_send() means it. */
int qp_engine_paces(const qp_engine_conn *conn);
/* When qp_engine_on_timeout() is due, on the clock that is set; UINT64_MAX: never. */
uint64_t qp_engine_expiry(qp_engine_conn *conn);
void qp_engine_on_timeout(qp_engine_conn *conn);
/* Has a packet sent that the peer must acknowledge (keep-alive, RFC 9000 section 10.1.2). 0; an
 * error: not now */
int qp_engine_ping(qp_engine_conn *conn);

/* 0; EAGAIN: closed or closing already; EENGINE */
int qp_engine_close(qp_engine_conn *conn, int app, uint64_t code, const uint8_t *reason,
                    size_t reason_len);
uint32_t qp_engine_flags(const qp_engine_conn *conn);
/* Who closed and why; the peer's word if both did. */
void qp_engine_get_error(const qp_engine_conn *conn, struct qp_engine_error *ret);
void qp_engine_get_stats(const qp_engine_conn *conn, struct qp_engine_stats *ret);
/* 1 with the peer's parameters; 0: not known yet. */
int qp_engine_get_peer_params(const qp_engine_conn *conn, struct qp_engine_peer_params *ret);

/* Path number `index`, from 0. 1; 0: there is none. */
int qp_engine_path_at(const qp_engine_conn *conn, size_t index, struct qp_engine_path *ret,
                      struct sockaddr *local, struct sockaddr *peer);
/* Takes the next path event: an enum qp_engine_path_event_type with its path; 0: none. */
int qp_engine_path_event(qp_engine_conn *conn, uint64_t *value, struct sockaddr *local,
                         struct sockaddr *peer);
/* Probes a path: a client one of its choice, a server one that it was told of as NEW. 0; EAGAIN: no
 * spare connection IDs; ESTATE; EENGINE */
int qp_engine_probe_path(qp_engine_conn *conn, const struct sockaddr *local,
                         const struct sockaddr *peer);
/* Client: moves to a path at once. As above. */
int qp_engine_migrate(qp_engine_conn *conn, const struct sockaddr *local,
                      const struct sockaddr *peer);
/* Client: gives up a path that is not in use: its connection ID is retired. 0; ESTATE: there is
 * none such, or it is in use; EENGINE */
int qp_engine_leave_path(qp_engine_conn *conn, const struct sockaddr *local,
                         const struct sockaddr *peer);
/* Whether the peer has acknowledged all that was sent, and no stream has more for it here. */
int qp_engine_all_acked(const qp_engine_conn *conn);
/* Connection IDs that the peer still lets us issue. */
size_t qp_engine_scids_left(const qp_engine_conn *conn);
/* Issues one (NEW_CONNECTION_ID). token: 16 bytes. 0; EAGAIN; EINVAL; EENGINE */
int qp_engine_new_scid(qp_engine_conn *conn, const uint8_t *scid, size_t len, const uint8_t *token);
/* Takes the next ID of ours that the peer retired; its length, 0: none. out has 20 bytes. */
size_t qp_engine_retired_scid(qp_engine_conn *conn, uint8_t *out);
/* The ID that packets to the peer carry now; its length, 0: none. out has 20 bytes. */
size_t qp_engine_dcid(const qp_engine_conn *conn, uint8_t *out);
/* IDs of the peer that no path uses. */
size_t qp_engine_dcids_left(const qp_engine_conn *conn);

/* What a client needs to resume, the engine's form of it: copies at most cap bytes; the length of
 * all of it, 0: nothing yet. */
size_t qp_engine_session(const qp_engine_conn *conn, uint8_t *out, size_t cap);
/* Client, before the first packet. 0; EINVAL: not such bytes; EENGINE */
int qp_engine_set_session(qp_engine_conn *conn, const uint8_t *data, size_t len);
/* Writes a qlog (JSON-SEQ), right after the connection was made: a first record about the file, then
 * events, whose time counts from this call on. title: UTF-8, NUL-terminated. fn gets whole
 * records. 0; EENGINE */
int qp_engine_set_qlog(qp_engine_conn *conn, enum qp_engine_qlog_level level, const char *title,
                       qp_engine_write_fn *fn, void *user);

/* Queues a DATAGRAM frame. 0; EAGAIN: the queue is full; E2BIG: longer than qp_engine_dgram_max();
 * ESTATE: the peer takes none; EENGINE */
int qp_engine_dgram_send(qp_engine_conn *conn, const uint8_t *data, size_t len);
/* Largest payload now; -1: the peer takes none, or is not known yet. */
int64_t qp_engine_dgram_max(const qp_engine_conn *conn);
/* Length of the next one received; -1: none. */
int64_t qp_engine_dgram_next(const qp_engine_conn *conn);
/* Takes it; its length; EAGAIN: none; EINVAL: cap too small (it stays) */
int64_t qp_engine_dgram_recv(qp_engine_conn *conn, uint8_t *out, size_t cap);

/* Next stream with something to read; each once until more arrives. An id, or -1. */
int64_t qp_engine_readable_next(qp_engine_conn *conn);
/* Next stream that takes bytes (again), each once; none while the connection takes no bytes. An id,
 * or -1. *stopped is set to 1 if the peer sent STOP_SENDING, with *code, else to 0. */
int64_t qp_engine_writable_next(qp_engine_conn *conn, int *stopped, uint64_t *code);
/* 1 if nothing of the stream is left: never opened, or all of it received, sent and acknowledged.
 */
int qp_engine_stream_collected(qp_engine_conn *conn, uint64_t id);
/* 1 if the peer sent STOP_SENDING for the stream, with *code; asked for a stream that is new, whose
 * mark qp_engine_writable_next() may have handed out before. */
int qp_engine_stream_stopped(qp_engine_conn *conn, uint64_t id, uint64_t *code);
/* Bytes read, *fin set at the end. EAGAIN; ERESET: *code says with what; ESTALE: no such stream */
int64_t qp_engine_stream_recv(qp_engine_conn *conn, uint64_t id, uint8_t *out, size_t cap, int *fin,
                              uint64_t *code);
/* Bytes taken (maybe fewer than len; fin counts only if all were). EAGAIN: none now; ERESET: the
 * peer sent STOP_SENDING with *code; ELIMIT: the peer allows no more streams; ESTALE */
int64_t qp_engine_stream_send(qp_engine_conn *conn, uint64_t id, const uint8_t *data, size_t len,
                              int fin, uint64_t *code);
/* The same without a copy: data is inside a block of malloc(), whose head this is, and stays as it
 * is until the block has no users. The engine counts itself as a user of what it took until that is
 * acknowledged, and whoever is the last to go frees the block. A connection and the blocks lent to
 * it are for one thread at a time. */
struct qp_engine_block {
    uint32_t users; /* the caller is one */
};
int64_t qp_engine_stream_lend(qp_engine_conn *conn, uint64_t id, struct qp_engine_block *block,
                              const uint8_t *data, size_t len, int fin, uint64_t *code);
/* read: STOP_SENDING and forget what comes; write: RESET_STREAM. 0; EAGAIN: done already; ESTALE */
int qp_engine_stream_stop_read(qp_engine_conn *conn, uint64_t id, uint64_t code);
int qp_engine_stream_reset_write(qp_engine_conn *conn, uint64_t id, uint64_t code);
/* urgency: 0 first, 255 last; incremental: shares with its equals (RFC 9218 section 4). Opens the
 * stream if it is new. 0; ESTALE; ELIMIT; EENGINE */
int qp_engine_stream_priority(qp_engine_conn *conn, uint64_t id, uint8_t urgency, int incremental);
/* Streams the peer still allows us to open. */
uint64_t qp_engine_streams_left(const qp_engine_conn *conn, int bidi);

/* Text of the last panic caught on this thread, copied and NUL-terminated; its length. */
size_t qp_engine_panic_text(char *out, size_t size);
/* Tests only: panics inside a guarded call on this connection. QUICPRO_EENGINE */
int qp_engine_panic_for_test(qp_engine_conn *conn);
/* Sizes of the structs above as Rust sees them, for the layout check: params, error, stats, path,
 * peer_params, ids. */
enum { QP_ENGINE_LAYOUTS = 6 };
void qp_engine_layout(size_t ret[QP_ENGINE_LAYOUTS]);
/* Version of the quiche crate. */
const char *qp_engine_quiche_version(void);

#endif
