/* HTTP/3 messages: requests, responses, bodies (RFC 9114), and facts about a connection.
 *
 * A command of HTTP/3 on a connection or stream of another protocol (stream.h) returns
 * QUICPRO_ESTATE. */
#ifndef QUICPRO_HTTP_H
#define QUICPRO_HTTP_H

#include <quicpro/loop.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A field to send. Names in lower case. Borrowed for the call. */
typedef struct quicpro_nv {
    const char *name;
    size_t name_len; /* bytes */
    const char *value;
    size_t value_len; /* bytes */
} quicpro_nv;

/** A quicpro_nv from two string literals. */
#define QUICPRO_NV(name, value)                                                                    \
    {                                                                                              \
        (name), sizeof(name) - 1, (value), sizeof(value) - 1                                       \
    }

/** Client: sends a request.
 *  @param conn    of quicpro_client_connect(); if its handshake is not done the request waits
 *  @param fields  ":method", ":scheme", ":authority", ":path", then the others; borrowed, copied
 *  @param body    bytes of the body, borrowed, copied; may be NULL with len 0
 *  @param fin     non-zero: this is the whole request; zero: quicpro_stream_write() follows
 *  @param user    handed out in the events of the stream
 *  @param ret     the stream
 *  @return 0; QUICPRO_ESTALE; QUICPRO_EINVAL: a field that RFC 9114 section 4.2 forbids;
 *          QUICPRO_ESTATE: the peer sent GOAWAY; QUICPRO_ELIMIT: too many wait for the
 *          handshake or for the peer's stream limit ("max_pending_requests"); QUICPRO_ENOMEM
 *  @since 0.1 */
QUICPRO_API int quicpro_request(quicpro_loop *loop, quicpro_conn conn, const quicpro_nv *fields,
                                size_t field_count, const void *body, size_t len, int fin,
                                void *user, quicpro_stream *ret);

/** Server: sends a response, or with a status of 1xx an informational one.
 *  @param status  100 to 999
 *  @param fields  without ":status"; borrowed, copied
 *  @param body    borrowed, copied; may be NULL with len 0
 *  @param fin     non-zero: this is the whole response; zero: quicpro_stream_write() follows
 *  @return 0; QUICPRO_ESTALE; QUICPRO_EINVAL: a field or status that is not allowed;
 *          QUICPRO_ESTATE: already responded; QUICPRO_ENOMEM
 *  @since 0.1 */
QUICPRO_API int quicpro_respond(quicpro_loop *loop, quicpro_stream stream, unsigned status,
                                const quicpro_nv *fields, size_t field_count, const void *body,
                                size_t len, int fin);

/** Appends bytes to a message body, or to a stream of another protocol. All of them are taken, or
 *  none.
 *  @param data  borrowed, copied; may be NULL with len 0
 *  @param fin   non-zero: the body ends here
 *  @return 0; QUICPRO_EAGAIN: "send_queue_bytes" wait already, QUICPRO_EVENT_WRITABLE will come;
 *          QUICPRO_ESTALE; QUICPRO_ESTATE: no field section was sent, the body has ended,
 *          or the stream is for receiving only; QUICPRO_ERESET (other protocols): the peer wants no
 *          more, QUICPRO_EVENT_STOPPED has the code; QUICPRO_ENOMEM: of another protocol's stream a
 *          part may have gone, it takes no more and wants a reset
 *  @since 0.1 */
QUICPRO_API int quicpro_stream_write(quicpro_loop *loop, quicpro_stream stream, const void *data,
                                     size_t len, int fin);

/** Ends a message body with a trailer section (RFC 9114 section 4.1).
 *  @param fields  borrowed, copied; no pseudo-header fields
 *  @return 0; QUICPRO_ESTALE; QUICPRO_EINVAL; QUICPRO_ESTATE; QUICPRO_ENOMEM
 *  @since 0.1 */
QUICPRO_API int quicpro_stream_trailers(quicpro_loop *loop, quicpro_stream stream,
                                        const quicpro_nv *fields, size_t field_count);

/** Gives a stream up in both directions; the handle is stale afterwards and no event follows.
 *  @param code  an HTTP/3 code, such as 0x10c H3_REQUEST_CANCELLED (RFC 9114 section 8.1), or one
 *               of the other protocol
 *  @return 0; QUICPRO_ESTALE
 *  @since 0.1 */
QUICPRO_API int quicpro_stream_reset(quicpro_loop *loop, quicpro_stream stream, uint64_t code);

/** Stops or resumes the receiving of a stream. A paused stream gives the peer no more credit
 *  (RFC 9000 section 4.1); at most 64 KiB more arrive in the batch at hand. When the connection
 *  ends, what was received is delivered all the same.
 *  @param paused  non-zero stops
 *  @return 0; QUICPRO_ESTALE
 *  @since 0.1 */
QUICPRO_API int quicpro_stream_pause(quicpro_loop *loop, quicpro_stream stream, int paused);

/** @param user  handed out in the events of the stream, those of the batch at hand that were not
 *               looked at yet included
 *  @return 0; QUICPRO_ESTALE @since 0.1 */
QUICPRO_API int quicpro_stream_set_user(quicpro_loop *loop, quicpro_stream stream, void *user);

/** @param user  handed out in the following events of the connection and of new streams
 *  @return 0; QUICPRO_ESTALE @since 0.1 */
QUICPRO_API int quicpro_conn_set_user(quicpro_loop *loop, quicpro_conn conn, void *user);

/** Closes a connection; its streams end with it, and from now on nothing more is taken for those of
 *  an own protocol: QUICPRO_ESTALE. QUICPRO_EVENT_CLOSED follows.
 *  @param code    an HTTP/3 code, 0x100 is H3_NO_ERROR; or one of the other protocol, 0 is no error
 *  @param reason  sent to the peer, at most 256 bytes of UTF-8; borrowed; NULL means ""
 *  @return 0; QUICPRO_ESTALE
 *  @since 0.1 */
QUICPRO_API int quicpro_conn_close(quicpro_loop *loop, quicpro_conn conn, uint64_t code,
                                   const char *reason);

/** What became of the data sent before the handshake was done (RFC 9001 section 4.6). */
enum quicpro_early_data {
    QUICPRO_EARLY_NONE = 0, /* there was none */
    QUICPRO_EARLY_ACCEPTED = 1,
    QUICPRO_EARLY_REJECTED = 2, /* a client then connects again, and sends all of it anew */
};

/** Facts about a connection. Texts are "" until the handshake is done. */
typedef struct quicpro_conn_info {
    size_t size;    /* in: sizeof the struct the caller knows */
    char local[64]; /* address and port, such as "127.0.0.1:4433" or "[::1]:4433" */
    char peer[64];
    char alpn[16];        /* "h3" */
    char cipher[32];      /* "AES_128_GCM" */
    char group[32];       /* "X25519MLKEM768" */
    uint32_t version;     /* QUIC version, 1 */
    uint32_t established; /* 1 once the handshake is done */
    quicpro_tstamp rtt;   /* smoothed, ns; 0 if not measured */
    quicpro_tstamp min_rtt;
    uint64_t cwnd; /* bytes */
    uint64_t bytes_in, bytes_out;
    uint64_t packets_in, packets_out, packets_lost;
    uint64_t streams;    /* open now */
    uint32_t resumed;    /* 1: from a session of an earlier connection (RFC 8446 section 2.2) */
    uint32_t early_data; /* enum quicpro_early_data */
} quicpro_conn_info;

/** @param info  size set by the caller; unknown tail bytes are left alone
 *  @return 0; QUICPRO_ESTALE; QUICPRO_EINVAL: size too small
 *  @since 0.1 */
QUICPRO_API int quicpro_conn_get_info(quicpro_loop *loop, quicpro_conn conn,
                                      quicpro_conn_info *info);

/* Many commands in one call, for bindings where a call is dear. */

enum quicpro_op {
    QUICPRO_OP_RESPOND = 1,  /* code: status; fields; body */
    QUICPRO_OP_WRITE = 2,    /* body */
    QUICPRO_OP_TRAILERS = 3, /* fields */
    QUICPRO_OP_RESET = 4,    /* code: HTTP/3 code */
    QUICPRO_OP_PAUSE = 5,
    QUICPRO_OP_RESUME = 6,
};

/** Head of one record: 32 bytes in the machine's byte order, at any alignment. After it come
 *  field_count pairs of uint32_t {name length, value length}, then the names and values one after
 *  the other (name, value, name, value ...), then body_len bytes of body. */
typedef struct quicpro_record {
    uint32_t op;    /* enum quicpro_op */
    uint32_t flags; /* QUICPRO_FLAG_FIN */
    quicpro_stream stream;
    uint64_t code;
    uint32_t field_count;
    uint32_t body_len;
} quicpro_record;

/** Carries out records in order, each as the function of its name would.
 *  @param records  borrowed, copied
 *  @param len      bytes
 *  @param refused  may be NULL; where the number of records goes that their stream did not take
 *                  (stale, wrong state, bad field); a RESPOND refused for its fields resets the
 *                  stream with H3_INTERNAL_ERROR
 *  @return number of records; QUICPRO_EINVAL: cut short or unknown op, the records before it were
 *          carried out; QUICPRO_ENOMEM
 *  @since 0.1 */
QUICPRO_API int quicpro_loop_submit(quicpro_loop *loop, const void *records, size_t len,
                                    size_t *refused);

#ifdef __cplusplus
}
#endif
#endif
