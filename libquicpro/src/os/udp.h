/* UDP sockets: trains of datagrams in and out, and a way to wait for them. One const table for each
 * backend. */
#ifndef QP_OS_UDP_H
#define QP_OS_UDP_H

#include <quicpro/loop.h>
#include <stdbool.h>

#include "os/addr.h"

enum {
    QP_UDP_MAX_SEGMENTS = 64, /* portable limit of UDP_SEGMENT */
    QP_UDP_MAX_TRAIN = 65507, /* bytes of one GSO send over IPv4 */
    QP_UDP_MESSAGES = 8,      /* messages of one receive call, 64 KiB each */
};

/* Datagrams that came in one message: len bytes, each segment bytes but the last, which may be
 * shorter. segment == len: a single one. */
struct qp_udp_train {
    uint8_t *data; /* writable (the engine decrypts in place); owned by the poller until the next
                      receive */
    size_t len, segment;
    struct qp_addr peer, local;
};

struct qp_udp_features {
    bool gso, gro, mmsg;   /* in: wanted; out: what the kernel gave */
    size_t buffer_bytes;   /* in: SO_RCVBUF and SO_SNDBUF to ask for; 0: leave */
    unsigned busy_poll_us; /* in: SO_BUSY_POLL to ask for; 0: leave */
    int busy_poll_error;   /* out: 0 or -errno */
};

struct qp_udp_counts {
    uint64_t syscalls_in, syscalls_out, messages_out;
    uint64_t too_large; /* datagrams lost to EMSGSIZE in trains that were sent */
};

struct qp_udp_socket {
    int fd;
    bool connected;
    bool wildcard;        /* `local` is one: datagrams tell their destination */
    bool want_write;      /* the kernel took no more; armed for writing */
    sa_family_t family;   /* AF_INET6 also if it speaks IPv4 (`dual`): addresses here and in trains
                             are never v4-mapped */
    bool dual;            /* adopted only */
    struct qp_addr local; /* as bound; port known, address may be the wildcard */
    struct qp_addr peer;  /* connected only */
    const char *iface;    /* in: interface to bind to, borrowed for the call; NULL or "": any */
    struct qp_udp_features features;
    void *owner;
    uint32_t tag; /* for its owner */
};

struct qp_udp_poller;

struct qp_udp_ops {
    const char *name; /* "epoll" */
    bool single;      /* one descriptor has everything, the timer included */
    int (*poller_new)(struct qp_udp_poller **ret);
    void (*poller_free)(struct qp_udp_poller *poller);
    /* The one descriptor a foreign loop watches: readable when something is ready, timer included;
     * also when the timer was taken back or put off. -ENOTSUP: there are several, and the timer is
     * not in them. Who has it from here or from fds() may wait on it at any time. */
    int (*poller_fd)(struct qp_udp_poller *poller);
    /* All of them: how many there are, of which at most max are written. Numbers that were listed
     * once are given to nothing else before they have been missing from a complete list. */
    size_t (*fds)(struct qp_udp_poller *poller, quicpro_watch *ret, size_t max);
    uint64_t (*fds_version)(const struct qp_udp_poller *poller); /* changes with the list */
    /* The armed point in time, if the descriptors do not tell of it, else QUICPRO_FOREVER. */
    quicpro_tstamp (*expiry)(const struct qp_udp_poller *poller);
    /* Blocks up to timeout ns; 1 ready, 0 timeout, -EINTR. Remembers what is ready. */
    int (*wait)(struct qp_udp_poller *poller, quicpro_tstamp timeout);
    /* Next ready socket, each once a turn; NULL when there are no more. A turn begins with wait()
     * or, if wait() was not called since the last turn ended, with a look that does not block.
     * *ret_readable, *ret_writable say for what. Also clears the wake and timer descriptors. */
    struct qp_udp_socket *(*next_ready)(struct qp_udp_poller *poller, bool *ret_readable,
                                        bool *ret_writable);
    /* Arms the timer for a point in time; QUICPRO_FOREVER disarms. */
    void (*arm)(struct qp_udp_poller *poller, quicpro_tstamp at);
    /* Wakes wait(); any thread, signal handlers. */
    void (*wake)(struct qp_udp_poller *poller);
    int (*wake_fd)(const struct qp_udp_poller *poller); /* eight bytes written to it do the same */

    /* Opens, binds, and connects if peer is not NULL. features: in and out. The socket is part of
     * the poller from here on. local NULL with a peer: any address. Wildcards report the
     * destination address of each datagram (IP_PKTINFO, IPV6_RECVPKTINFO). IPv6 sockets are
     * IPV6_V6ONLY. -ENODEV: there is no such interface. */
    int (*open)(struct qp_udp_poller *poller, struct qp_udp_socket *socket,
                const struct qp_addr *local, const struct qp_addr *peer);
    /* The same for a socket that is bound already; fd is moved on success. */
    int (*adopt)(struct qp_udp_poller *poller, struct qp_udp_socket *socket, int fd);
    void (*close)(struct qp_udp_poller *poller, struct qp_udp_socket *socket);
    /* Fills at most max trains; 0: nothing there now; -errno: ECONNREFUSED and the like of a
     * connected socket (more may follow). Zero-length datagrams come as trains of len 0. */
    int (*receive)(struct qp_udp_poller *poller, struct qp_udp_socket *socket,
                   struct qp_udp_train *train, size_t max);
    /* Sends one train from `local` (if the socket is a wildcard) to `peer` (ignored if connected).
     * len; 0: the kernel takes no more now, nothing was sent, want_write is set and armed;
     * a shorter count (whole segments): the same after a part; -errno: this train is lost
     * (EMSGSIZE, ENETUNREACH, ECONNREFUSED ...). Datagrams of a train that are too large for the
     * interface are lost alone, and count as sent. Falls back from UDP_SEGMENT to sendmmsg to
     * sendmsg when the kernel refuses one for good. */
    int64_t (*send)(struct qp_udp_poller *poller, struct qp_udp_socket *socket,
                    const struct qp_addr *local, const struct qp_addr *peer, const uint8_t *data,
                    size_t len, size_t segment);
    void (*disarm_write)(struct qp_udp_poller *poller, struct qp_udp_socket *socket);
    const struct qp_udp_counts *(*counts)(const struct qp_udp_poller *poller);
};

extern const struct qp_udp_ops qp_udp_epoll, qp_udp_poll;

#endif
