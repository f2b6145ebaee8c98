/* What a loop without I/O has in place of a network (quicpro/sans_io.h). */
#ifndef QP_LOOP_DETACHED_H
#define QP_LOOP_DETACHED_H

#include "os/resolve.h"

struct quicpro_loop;

/* Addresses of hosts, as the caller told them. */
struct qp_hosts {
    struct qp_host_entry *entry; /* malloc'd */
    size_t count;
};

void qp_detached_done(struct qp_hosts *hosts);
/* What a resolver would say, at once. */
void qp_detached_look_up(const struct quicpro_loop *loop, struct qp_resolve_result *result,
                         const char *host, uint16_t port, int family);
/* The same for a server: literals, hosts that were told, and NULL for all addresses. */
void qp_detached_listen(const struct quicpro_loop *loop, struct qp_resolve_result *result,
                        const char *host, uint16_t port);

#endif
