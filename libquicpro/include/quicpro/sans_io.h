/* A loop without I/O, for event loops, packet paths and simulators of the caller's own.
 *
 * Everything else stays as it is: servers, clients, streams, commands and batches of events work on
 * such a loop as on one with sockets. But its datagrams go through memory, and its time is what the
 * caller says it is; the loop has no descriptor, and reads neither a clock nor a network. One turn:
 *
 *     quicpro_loop_set_now(loop, now);
 *     while (a datagram has come)
 *         quicpro_loop_recv(loop, &train);
 *     quicpro_loop_run(loop, 0, &batch);          // events, then commands
 *     quicpro_loop_flush(loop);
 *     while (quicpro_loop_send(loop, 1, &train) > 0)
 *         send it;
 *     the next turn: when a datagram comes, or at quicpro_loop_expiry(loop)
 *
 * With a made-up clock years pass in a moment: idle timeouts, retransmissions, pacing and the
 * delays of Happy Eyeballs all run on it. What does not: certificates, OCSP responses and tickets
 * carry dates, which are compared with the system's. Keys and connection IDs are the system's
 * randomness, as ever. Files that options name are read.
 *
 * quicpro_loop_wait(), quicpro_loop_fd() and quicpro_server_listen_fd() return -ENOTSUP on such a
 * loop, quicpro_loop_fds() lists nothing, and there are no sockets for "iface" to bind. */
#ifndef QUICPRO_SANS_IO_H
#define QUICPRO_SANS_IO_H

#include <quicpro/loop.h>

#include <netinet/in.h>
#include <sys/socket.h>

#ifdef __cplusplus
extern "C" {
#endif

/** An IPv4 or IPv6 address with its port; sa.sa_family tells which. */
typedef union quicpro_address {
    struct sockaddr sa;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
} quicpro_address;

/** Datagrams one behind the other, all from one address to another and of one size but the last,
 *  which may be shorter: what UDP_SEGMENT sends and UDP_GRO receives at once. One datagram is a
 *  train with segment == len. */
typedef struct quicpro_train {
    uint8_t *data;
    size_t len;     /* bytes, all datagrams together */
    size_t segment; /* bytes of each */
    quicpro_address local, peer;
} quicpro_train;

/** Makes a loop without I/O.
 *  @param ret     owned by the caller, freed by quicpro_loop_free()
 *  @param config  as for quicpro_loop_new(), but "io" and "spin_us" mean nothing here; borrowed for
 *                 the call; NULL means the defaults
 *  @param now     the time it is, in ns from any origin
 *  @return 0; QUICPRO_EINVAL: now is QUICPRO_FOREVER; QUICPRO_ENOMEM
 *  @since 0.1 */
QUICPRO_API int quicpro_loop_new_detached(quicpro_loop **ret, const quicpro_config *config,
                                          quicpro_tstamp now);

/** Says what time it is, until the next call of this function. Timers that are due run in the next
 *  quicpro_loop_run().
 *  @param now  ns, on the clock of quicpro_loop_new_detached(); never less than before
 *  @return 0; QUICPRO_EINVAL: the time went back, it stays what it was; QUICPRO_ESTATE: the loop
 *          has a clock of its own
 *  @since 0.1 */
QUICPRO_API int quicpro_loop_set_now(quicpro_loop *loop, quicpro_tstamp now);

/** Says where clients are that connect from now on. Each gets a port of its own from 49152 up.
 *  Without this they are at 127.0.0.1 and ::1.
 *  @param address  one of each family counts, and its port does not; borrowed for the call
 *  @return 0; QUICPRO_EINVAL: neither IPv4 nor IPv6, or the wildcard; QUICPRO_ESTATE: the loop has
 *          sockets; QUICPRO_EFORK
 *  @since 0.1 */
QUICPRO_API int quicpro_loop_set_address(quicpro_loop *loop, const quicpro_address *address);

/** Says an address of a host, since such a loop looks up no names. A client that connects to that
 *  name tries all of its addresses as RFC 8305 wants it, and its server must have a certificate for
 *  the name. Address literals need no telling.
 *  @param host     borrowed for the call; up to 255 bytes
 *  @param address  one more of its addresses, its port does not count; borrowed for the call
 *  @return 0; QUICPRO_EINVAL; QUICPRO_ELIMIT: it has 16 already; QUICPRO_ENOMEM; QUICPRO_ESTATE:
 *          the loop has sockets; QUICPRO_EFORK
 *  @since 0.1 */
QUICPRO_API int quicpro_loop_add_host(quicpro_loop *loop, const char *host,
                                      const quicpro_address *address);

/** Takes datagrams that came for a server or a client of this loop. What they say comes with the
 *  next quicpro_loop_run().
 *  @param train  borrowed for the call. data is decrypted in place: what it holds afterwards is
 *                undefined. local is where they were sent to: for a server that listens on all
 *                addresses the one it was, for a client its port is enough. peer is where they came
 *                from.
 *  @return 0: taken, or dropped as what comes from a network can be (see quicpro_loop_stats);
 *          QUICPRO_ECONNREFUSED: nothing here has that local address, or is connected to that peer;
 *          QUICPRO_EINVAL; QUICPRO_ESTATE: the loop has sockets; QUICPRO_EFORK
 *  @since 0.1 */
QUICPRO_API int quicpro_loop_recv(quicpro_loop *loop, const quicpro_train *train);

/** Takes what is to be sent next. It is to go now: what pacing keeps back is not in here yet. The
 *  loop keeps at most "socket_buffer_bytes" (0: 4 MiB) ready and a train more; connections wait
 *  while so much is not taken, and quicpro_loop_expiry() says when to go on.
 *  @param max  datagrams that may come at once, at least 1; more than one for those who have
 *              segmentation
 *  @param ret  data is owned by the loop until its next recv, run, flush or free, and may be
 *              overwritten
 *  @return datagrams in *ret; 0: there are no more; QUICPRO_EINVAL; QUICPRO_ESTATE: the loop has
 *          sockets; QUICPRO_EFORK
 *  @since 0.1 */
QUICPRO_API int quicpro_loop_send(quicpro_loop *loop, size_t max, quicpro_train *ret);

/** Passes on what a network said of datagrams that were sent, such as an ICMP message. A client
 *  that has no answer from that address yet tries its next one at once, and if there is none its
 *  connection ends; a connection that works stays, for anybody can forge such a message.
 *  @param train  as quicpro_loop_send() gave it; data, len and segment do not count
 *  @param error  -ECONNREFUSED, -ENETUNREACH, -EHOSTUNREACH or another -errno
 *  @return 0; as quicpro_loop_recv()
 *  @since 0.1 */
QUICPRO_API int quicpro_loop_refused(quicpro_loop *loop, const quicpro_train *train, int error);

#ifdef __cplusplus
}
#endif
#endif
