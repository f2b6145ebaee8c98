/* Which certificate a server shows for which name (RFC 6066 section 3). */
#ifndef QP_QUIC_TLS_HOSTS_H
#define QP_QUIC_TLS_HOSTS_H

#include "quic/tls_cert.h"

struct qp_tls_hosts {
    struct qp_tls_host *entry; /* in the order of their names */
    size_t count, capacity;
};

/* Takes cert over, in the place of another for that name. name: of qp_tls_name_read().
 * 0; QUICPRO_ENOMEM */
int qp_tls_hosts_put(struct qp_tls_hosts *hosts, const char *name, struct qp_tls_cert *cert);
/* For a name that a client asks for: the exact one, else the wildcard; NULL: neither is there. */
struct qp_tls_cert *qp_tls_hosts_find(const struct qp_tls_hosts *hosts, const char *name);
void qp_tls_hosts_done(struct qp_tls_hosts *hosts);

#endif
