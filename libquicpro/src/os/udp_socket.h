/* The part of UDP that no poller changes: opening a socket, and trains in and out of it. */
#ifndef QP_OS_UDP_SOCKET_H
#define QP_OS_UDP_SOCKET_H

#include "os/udp.h"

/* Opens, binds, and connects if peer is not NULL; socket->features in and out. 0 or -errno. */
int qp_udp_socket_open(struct qp_udp_socket *socket, const struct qp_addr *local,
                       const struct qp_addr *peer);
/* Takes a socket that is bound already. 0; -EINVAL: not a bound UDP socket; -errno. */
int qp_udp_socket_adopt(struct qp_udp_socket *socket, int fd);

/* Whether sending failed because of an earlier datagram: a connected socket keeps an error and says
 * so to the next call, whatever it is. True once for each *count, to try again. ECONNREFUSED:
 * nobody listens; sent again, the datagram makes the peer say so again, and the receiver, who can
 * do something about it, hears of it. EMSGSIZE: with PMTUDISC_PROBE Linux says it twice for each
 * datagram that the interface does not take (measured on 6.18), and the second time is the next
 * one's. */
static inline bool qp_udp_is_old_error(const struct qp_udp_socket *socket, int error,
                                       unsigned *count)
{
    return socket->connected && (error == ECONNREFUSED || error == EMSGSIZE) && (*count)++ == 0;
}

/* The datagrams of a train are larger than the interface takes (EMSGSIZE): such a probe, or such a
 * packet, is lost as on a path that does not carry it (RFC 9000 section 14.3), but not a shorter
 * one behind it. How many bytes are not to be tried again. */
static inline int64_t qp_udp_too_large(struct qp_udp_counts *counts, size_t len, size_t segment)
{
    counts->too_large += len / segment;
    return (int64_t)(len - len % segment);
}

/* Whether the kernel polls the device that datagrams of this socket come from: it has taken one
 * from a queue that it can poll. */
bool qp_udp_busy_polls(const struct qp_udp_socket *socket);

/* 0; -ENODEV: there is no interface of this name. "" is any. */
int qp_udp_iface_check(const char *name);

/* Buffers and message heads of one poller, made once. */
struct qp_udp_area;
int qp_udp_area_new(struct qp_udp_area **ret); /* 0; QUICPRO_ENOMEM */
void qp_udp_area_free(struct qp_udp_area *area);

/* As the members of struct qp_udp_ops; `send` does not arm anything. */
int qp_udp_area_receive(struct qp_udp_area *area, struct qp_udp_socket *socket,
                        struct qp_udp_train *train, size_t max);
int64_t qp_udp_area_send(struct qp_udp_area *area, struct qp_udp_socket *socket,
                         const struct qp_addr *local, const struct qp_addr *peer,
                         const uint8_t *data, size_t len, size_t segment);
const struct qp_udp_counts *qp_udp_area_counts(const struct qp_udp_area *area);

#endif
