/* The part of UDP that no poller changes: opening a socket, and trains in and out of it. */
#ifndef QP_OS_UDP_SOCKET_H
#define QP_OS_UDP_SOCKET_H

#include "os/udp.h"

/* Opens, binds, and connects if peer is not NULL; socket->features in and out. 0 or -errno. */
int qp_udp_socket_open(struct qp_udp_socket *socket, const struct qp_addr *local,
                       const struct qp_addr *peer);
/* Takes a socket that is bound already. 0; -EINVAL: not a bound UDP socket; -errno. */
int qp_udp_socket_adopt(struct qp_udp_socket *socket, int fd);

/* Whether sending failed because of an earlier datagram: a connected socket was told that nobody
 * listens, and says so to the next call, whatever it is. Sent again, the datagram makes the peer
 * say so again, and the receiver, who can do something about it, hears of it. True once for each
 * *count. */
static inline bool qp_udp_is_old_error(int error, unsigned *count)
{
    return error == ECONNREFUSED && (*count)++ == 0;
}

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
