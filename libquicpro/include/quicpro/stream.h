/* Streams and datagrams of QUIC itself, for any application protocol but HTTP/3 (RFC 9000 section
 * 2, RFC 9221).
 *
 * A connection whose handshake chose another protocol than "h3" (option "alpn") carries these. What
 * arrives stays in the transport, which tells of it once by QUICPRO_EVENT_READABLE, and is read
 * straight into the caller's memory; reading is what lets the peer send more. The functions of
 * http.h for streams, quicpro_stream_write(), quicpro_stream_reset() and quicpro_stream_set_user(),
 * are for these too, and a code is the application's own, 0 to 2^62 - 1 (RFC 9000 section 20.2).
 *
 * A stream's handle lives until both directions ended: receiving by an end or a reset that was
 * read, or by QUICPRO_SHUT_READ; sending by an end that the transport took, by a reset, by
 * QUICPRO_SHUT_WRITE or by QUICPRO_EVENT_STOPPED. A unidirectional stream has one of the two. */
#ifndef QUICPRO_STREAM_H
#define QUICPRO_STREAM_H

#include <quicpro/http.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Opens a stream. The peer hears of it with its first byte or its end.
 *  @param bidi  non-zero: bidirectional; zero: for sending only
 *  @param user  handed out in the events of the stream
 *  @param ret   the stream
 *  @return 0; QUICPRO_ESTALE; QUICPRO_EINVAL; QUICPRO_ESTATE: the handshake is not done and
 *          there was no QUICPRO_EVENT_EARLY, or the connection speaks HTTP/3; QUICPRO_ELIMIT: the
 * peer allows no more now (RFC 9000 section 4.6), QUICPRO_EVENT_STREAMS tells when it does;
 * QUICPRO_ENOMEM
 *  @since 0.1 */
QUICPRO_API int quicpro_stream_open(quicpro_loop *loop, quicpro_conn conn, int bidi, void *user,
                                    quicpro_stream *ret);

/** Takes bytes that were received, in order. After a QUICPRO_EVENT_READABLE there is no other
 * before a read returned QUICPRO_EAGAIN or fewer bytes than asked for. When the connection ends,
 * what was not read comes as QUICPRO_EVENT_DATA before the CLOSED, and reads say QUICPRO_ESTALE.
 *  @param buf   where they go
 *  @param cap   bytes of room, at least 1
 *  @param fin   set to 1 with the last bytes of the stream, maybe none; else to 0
 *  @param code  set with QUICPRO_ERESET; may be NULL
 *  @return bytes read; QUICPRO_EAGAIN: none now; QUICPRO_ERESET: the peer gave the stream up with
 *          *code, and what it had sent is lost (RFC 9000 section 19.4); QUICPRO_ESTALE;
 *          QUICPRO_EINVAL; QUICPRO_ESTATE: the stream is for sending only, or receiving has ended
 *  @since 0.1 */
QUICPRO_API int64_t quicpro_stream_read(quicpro_loop *loop, quicpro_stream stream, void *buf,
                                        size_t cap, int *fin, uint64_t *code);

/** Directions of a stream. */
enum quicpro_shutdown {
    QUICPRO_SHUT_READ = 1,
    QUICPRO_SHUT_WRITE = 2,
};

/** Ends one direction before its time: of reading by STOP_SENDING, of writing by RESET_STREAM (RFC
 *  9000 sections 19.5 and 19.4). What waited in it is thrown away. With both directions ended the
 *  handle is stale.
 *  @param how   enum quicpro_shutdown; both are as quicpro_stream_reset()
 *  @param code  the application's
 *  @return 0, also if that direction ended already; QUICPRO_ESTALE; QUICPRO_EINVAL; QUICPRO_ESTATE:
 *          the stream has no such direction
 *  @since 0.1 */
QUICPRO_API int quicpro_stream_shutdown(quicpro_loop *loop, quicpro_stream stream, unsigned how,
                                        uint64_t code);

/** Says which streams send first. New streams have urgency 3 and are incremental.
 *  @param urgency      0, the first, to 7, as RFC 9218 section 4.1 counts; nothing of a stream is
 *                      sent while one of a lower number has something to send and may
 *  @param incremental  non-zero: shares with its equals, a piece each in turn; zero: those that
 *                      are not incremental go one after the other, lower ids first
 *  @return 0; QUICPRO_ESTALE; QUICPRO_EINVAL; QUICPRO_ESTATE: the stream does not send
 *  @since 0.1 */
QUICPRO_API int quicpro_stream_set_priority(quicpro_loop *loop, quicpro_stream stream,
                                            unsigned urgency, int incremental);

/** Sends a datagram (RFC 9221): it may be lost, and it is not sent again.
 *  @param data  borrowed, copied; may be NULL with len 0
 *  @return 0: it waits for its turn; QUICPRO_EAGAIN: "dgram_send_queue_len" wait already, this one
 *          is dropped and counted; QUICPRO_E2BIG: longer than quicpro_datagram_max();
 * QUICPRO_ESTATE: the handshake is not done, the peer or we take no datagrams, or the connection
 * speaks HTTP/3; QUICPRO_ESTALE; QUICPRO_EINVAL
 *  @since 0.1 */
QUICPRO_API int quicpro_datagram_send(quicpro_loop *loop, quicpro_conn conn, const void *data,
                                      size_t len);

/** The longest datagram that can be sent now: what the peer takes, and what fits into a packet.
 *  @return bytes; QUICPRO_ESTATE: as quicpro_datagram_send(); QUICPRO_ESTALE
 *  @since 0.1 */
QUICPRO_API int64_t quicpro_datagram_max(quicpro_loop *loop, quicpro_conn conn);

/** Closes a connection as quicpro_conn_close() does, but not before the peer has acknowledged
 *  everything that was written: until then it is sent, and sent again. What the peer writes
 *  meanwhile is still handed out. One that does not read holds it up until the idle timeout, or a
 *  quicpro_conn_close().
 *  @param code    the application's, 0 is no error
 *  @param reason  as of quicpro_conn_close()
 *  @return 0; QUICPRO_ESTALE; QUICPRO_ESTATE: the connection speaks HTTP/3
 *  @since 0.1 */
QUICPRO_API int quicpro_conn_finish(quicpro_loop *loop, quicpro_conn conn, uint64_t code,
                                    const char *reason);

#ifdef __cplusplus
}
#endif
#endif
