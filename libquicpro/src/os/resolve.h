/* Names to addresses, in a thread for each look-up so that a loop never waits for DNS. */
#ifndef QP_OS_RESOLVE_H
#define QP_OS_RESOLVE_H

#include <quicpro/base.h>

#include "os/addr.h"

enum { QP_RESOLVE_MAX = 16 }; /* addresses kept of one name */

struct qp_resolve_result {
    int error; /* 0; QUICPRO_ERESOLVE with text; QUICPRO_ENOMEM */
    char text[128];
    size_t count;
    struct qp_addr addr[QP_RESOLVE_MAX]; /* in the order of getaddrinfo(3), RFC 6724 */
    /* Look-ups only: where the system would send from; AF_UNSPEC: it knows no way. */
    struct qp_addr source[QP_RESOLVE_MAX];
};

/* Blocking. passive: for bind(2), host may be NULL. Literals never leave the process. */
void qp_resolve_now(struct qp_resolve_result *result, const char *host, uint16_t port, int passive);
/* 1 and an address if host is a literal ("[::1]" too), else 0. */
int qp_resolve_literal(struct qp_addr *ret, const char *host, uint16_t port);

struct qp_resolve;

/* How a loop looks names up; a table, so that a test can be the one who answers. */
struct qp_resolver_ops {
    /* Starts a look-up for the addresses of one family (AF_INET, AF_INET6, or AF_UNSPEC for both).
     * When it is done, 8 bytes (the number 1) are written to the eventfd wake_fd.
     * 0; QUICPRO_ENOMEM; -EAGAIN: no thread. */
    int (*start)(struct qp_resolve **ret, const char *host, uint16_t port, int family, int wake_fd);
    /* 1 and the result once done, else 0. */
    int (*poll)(struct qp_resolve *resolve, struct qp_resolve_result *result);
    /* Abandons it in any state; the thread cleans up after itself and writes to wake_fd no more (a
     * lock makes sure of it). */
    void (*free)(struct qp_resolve *resolve);
};

extern const struct qp_resolver_ops qp_resolver_system;

#endif
