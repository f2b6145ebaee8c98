/* What a loop has to say: one batch of events for each quicpro_loop_run(). */
#ifndef QUICPRO_EVENT_H
#define QUICPRO_EVENT_H

#include <quicpro/base.h>

#ifdef __cplusplus
extern "C" {
#endif

enum quicpro_event_type {
    /* The handshake is done; requests travel. conn. */
    QUICPRO_EVENT_CONNECTED = 1,
    /* The connection has ended, its handle is stale from here on; every open stream had its RESET
     * before. error: 0 if somebody closed it without an error, else why; code: the wire code;
     * flags: QUICPRO_FLAG_REMOTE (the peer closed), QUICPRO_FLAG_APP (an application's code:
     * HTTP/3's, or its own); data, len: one line of text for people, NUL-terminated, bytes of the
     * peer escaped. */
    QUICPRO_EVENT_CLOSED = 2,
    /* Server: a request's field section. data, len: array of len quicpro_field, the
     * pseudo-header fields first. QUICPRO_FLAG_FIN: it has no body. */
    QUICPRO_EVENT_REQUEST = 3,
    /* Client: a response's field section. code: the status. QUICPRO_FLAG_INFORMATIONAL: 1xx,
     * another one follows. data, len as for REQUEST (":status" first). */
    QUICPRO_EVENT_RESPONSE = 4,
    /* Bytes of a message body, or, of a raw stream (stream.h) whose connection ended, those that
     * were not read. data, len; len may be 0 with QUICPRO_FLAG_FIN. */
    QUICPRO_EVENT_DATA = 5,
    /* A trailer section; always QUICPRO_FLAG_FIN. data, len as for REQUEST. */
    QUICPRO_EVENT_TRAILERS = 6,
    /* The stream ended before its time; its handle is stale. code: the application's, or of the
     * close; error: why. QUICPRO_FLAG_REMOTE: the peer's doing. data, len: one line of text as for
     * CLOSED. */
    QUICPRO_EVENT_RESET = 7,
    /* A stream whose quicpro_stream_write() returned QUICPRO_EAGAIN takes bytes again. */
    QUICPRO_EVENT_WRITABLE = 8,
    /* The peer will answer no new requests on conn (RFC 9114 section 5.2). code: the id it named.
     */
    QUICPRO_EVENT_GOAWAY = 9,
    /* A server told to shut down has lost its last connection. user: the server's user pointer. */
    QUICPRO_EVENT_DRAINED = 10,
    /* Files of a server's certificates changed ("tls_watch_ms") and were read anew. error: 0; or
     * why the old ones stay in use. user: the server's user pointer. data, len: one line of text as
     * for CLOSED. */
    QUICPRO_EVENT_CERTIFICATES = 11,

    /* Of connections that speak another protocol than HTTP/3 (stream.h): */
    /* The peer opened a stream. QUICPRO_FLAG_UNI: it is for receiving only. */
    QUICPRO_EVENT_STREAM = 12,
    /* quicpro_stream_read() has something to say: bytes, the end or a reset. */
    QUICPRO_EVENT_READABLE = 13,
    /* The peer wants no more of what a stream sends (RFC 9000 section 3.5): that direction has
     * ended. code: the application's. QUICPRO_FLAG_REMOTE. */
    QUICPRO_EVENT_STOPPED = 14,
    /* A datagram (RFC 9221). data, len; len may be 0. */
    QUICPRO_EVENT_DATAGRAM = 15,
    /* quicpro_stream_open() said QUICPRO_ELIMIT, and now there may be more. QUICPRO_FLAG_UNI: of
     * unidirectional streams. */
    QUICPRO_EVENT_STREAMS = 16,

    /* Of the network paths of conn (conn.h). code: an enum quicpro_path_change; data, len: an
     * address and port as text: for a client its own of that path, else the peer's new one. */
    QUICPRO_EVENT_PATH = 17,
    /* Of connections that speak another protocol than HTTP/3, before CONNECTED: early data (RFC
     * 9001 section 4.6). conn. Client: streams may be opened, and what is written now travels with
     * the first flight, or soon after it. Somebody may record it and send it to the server again,
     * so it should be harmless twice. If the server rejects it, each stream has its RESET with
     * QUICPRO_EEARLY, the server has seen nothing of it, and CONNECTED comes all the same. Server:
     * the streams that follow are such early data; only with "early_data_unsafe" at "show". */
    QUICPRO_EVENT_EARLY = 18,
};

enum quicpro_flag {
    QUICPRO_FLAG_FIN = 1,           /* nothing follows in this direction */
    QUICPRO_FLAG_REMOTE = 2,        /* the peer did it */
    QUICPRO_FLAG_APP = 4,           /* code is of the application, not of the transport */
    QUICPRO_FLAG_INFORMATIONAL = 8, /* a 1xx response */
    QUICPRO_FLAG_EARLY = 16,        /* a REQUEST or STREAM that may be a replay: it came before the
                                       handshake was done, here or at a gateway that says so (RFC 8470) */
    QUICPRO_FLAG_UNI = 32,          /* a unidirectional stream */
};

/** One event: 64 bytes, the same on every platform with 64-bit pointers. Fields that a type does
 *  not name above are zero. */
typedef struct quicpro_event {
    uint16_t type;  /* enum quicpro_event_type */
    uint16_t flags; /* enum quicpro_flag */
    int32_t error;  /* 0 or a QUICPRO_E... code */
    quicpro_conn conn;
    quicpro_stream stream; /* 0 for events of a whole connection */
    uint64_t code;
    const void *data; /* owned by the loop until its next run */
    size_t len;
    uint64_t stream_id; /* QUIC stream id (RFC 9000 section 2.1) */
    void *user;         /* as the application set it on the stream, else on the connection */
} quicpro_event;

/** One field of a field section: 16 bytes. Offsets count from quicpro_batch.text. */
typedef struct quicpro_field {
    uint32_t name;      /* name_len 0: index for quicpro_known_name(); else offset of the name */
    uint32_t name_len;  /* bytes */
    uint32_t value;     /* offset of the value; a NUL byte follows it, and none is in it */
    uint32_t value_len; /* bytes */
} quicpro_field;

/** All events of one run, in the order they happened. */
typedef struct quicpro_batch {
    const quicpro_event *events;
    size_t event_count;
    const quicpro_field *fields; /* those of all field sections, one after the other */
    size_t field_count;
    const char *text; /* the bytes of all fields of the batch, in their order */
    size_t text_len;
} quicpro_batch;

/** A well-known field name.
 *  @param index  from 0, as in quicpro_field.name
 *  @param len    where its length in bytes goes; may be NULL
 *  @return a static, NUL-terminated string in lower case, or NULL past the end
 *  @since 0.1 */
QUICPRO_API const char *quicpro_known_name(uint32_t index, size_t *len);

/** Name of a field, whichever way it is stored.
 *  @param len  where its length in bytes goes
 *  @return not NUL-terminated; valid as long as the batch
 *  @since 0.1 */
QUICPRO_API const char *quicpro_field_name(const quicpro_batch *batch, const quicpro_field *field,
                                           size_t *len);

/** Value of a field.
 *  @param len  where its length in bytes goes
 *  @return not NUL-terminated; valid as long as the batch
 *  @since 0.1 */
QUICPRO_API const char *quicpro_field_value(const quicpro_batch *batch, const quicpro_field *field,
                                            size_t *len);

/** Looks for a field by name in the field section of an event.
 *  @param event  a REQUEST, RESPONSE or TRAILERS of this batch
 *  @param name   lower case, NUL-terminated, ":path" and the like included
 *  @param len    where the value's length in bytes goes
 *  @return the first such value, not NUL-terminated, or NULL
 *  @since 0.1 */
QUICPRO_API const char *quicpro_event_field(const quicpro_batch *batch, const quicpro_event *event,
                                            const char *name, size_t *len);

/** Name of an event type, such as "REQUEST". @return a static string @since 0.1 */
QUICPRO_API const char *quicpro_event_name(unsigned type);

#ifdef __cplusplus
}
#endif
#endif
