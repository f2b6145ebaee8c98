/* Which backend a loop runs on. */
#ifndef QP_OS_UDP_BACKEND_H
#define QP_OS_UDP_BACKEND_H

#include "os/udp.h"

/* The choices of the option "io", in its order. */
enum qp_udp_choice { QP_UDP_AUTO, QP_UDP_EPOLL, QP_UDP_POLL };

struct qp_udp_chosen {
    const struct qp_udp_ops *ops;
    struct qp_udp_poller *poller; /* the caller's */
    char reason[160];             /* one line for people: which, by whose choice */
};

/* Makes a poller. QP_UDP_AUTO asks the environment (QUICPRO_IO), then takes the best that works;
 * every other choice is that one or an error. 0; QUICPRO_EVALUE: QUICPRO_IO holds another word, or
 * one that is not built in; -errno of the poller; reason says what is wrong. */
int qp_udp_choose(struct qp_udp_chosen *ret, enum qp_udp_choice choice);
/* "epoll, poll": those that are built in, best first. */
const char *qp_udp_backends(void);

#endif
