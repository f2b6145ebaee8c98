/* Datagrams one by one, with nothing but POSIX: what every system has. */
#ifndef QP_OS_UDP_PLAIN_H
#define QP_OS_UDP_PLAIN_H

#include "os/udp.h"

/* Buffers of one poller. */
struct qp_udp_plain;
int qp_udp_plain_new(struct qp_udp_plain **ret); /* 0; QUICPRO_ENOMEM */
void qp_udp_plain_free(struct qp_udp_plain *plain);

/* As the members of struct qp_udp_ops; `send` does not arm anything. */
int qp_udp_plain_receive(struct qp_udp_plain *plain, struct qp_udp_socket *socket,
                         struct qp_udp_train *train, size_t max);
int64_t qp_udp_plain_send(struct qp_udp_plain *plain, struct qp_udp_socket *socket,
                          const struct qp_addr *local, const struct qp_addr *peer,
                          const uint8_t *data, size_t len, size_t segment);
const struct qp_udp_counts *qp_udp_plain_counts(const struct qp_udp_plain *plain);

#endif
