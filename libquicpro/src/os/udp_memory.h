/* The backend of a loop without I/O: datagrams that are sent wait here until the caller takes them,
 * what he has received goes to the loop's ports directly (loop/detached.c), and time is what he
 * says. No descriptor and no system call. */
#ifndef QP_OS_UDP_MEMORY_H
#define QP_OS_UDP_MEMORY_H

#include "os/udp.h"

enum {
    /* Bytes that wait before sockets take no more; as "socket_buffer_bytes" asks a kernel for. */
    QP_UDP_MEMORY_QUEUE = 4194304,
    QP_UDP_MEMORY_PORT = 49152, /* the first of those to be given out (RFC 6335 section 6) */
};

/* Its poller_new() is qp_udp_memory_new() with the defaults. */
extern const struct qp_udp_ops qp_udp_memory;

/* queue_bytes: 0 means QP_UDP_MEMORY_QUEUE. 0; QUICPRO_ENOMEM */
int qp_udp_memory_new(struct qp_udp_poller **ret, size_t queue_bytes, quicpro_tstamp now);
/* Never less than before. */
void qp_udp_memory_set_now(struct qp_udp_poller *poller, quicpro_tstamp now);
/* Where sockets are that are opened without a local address; its port does not count. */
void qp_udp_memory_set_address(struct qp_udp_poller *poller, const struct qp_addr *addr);
/* The socket that a datagram is for: the connected one of that port and peer, else the one bound to
 * that address, else the one bound to all of that family; NULL: there is none. */
struct qp_udp_socket *qp_udp_memory_find(const struct qp_udp_poller *poller,
                                         const struct qp_addr *local, const struct qp_addr *peer);
/* Something came: run is due now. */
void qp_udp_memory_prompt(struct qp_udp_poller *poller);
/* The next datagrams that were sent, at most max of them, and how many; their bytes are the
 * poller's until the next send. */
size_t qp_udp_memory_take(struct qp_udp_poller *poller, size_t max, struct qp_udp_train *ret);

#endif
