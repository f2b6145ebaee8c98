/* Names of hosts, as certificates are looked up by them. */
#ifndef QP_QUIC_TLS_NAME_H
#define QP_QUIC_TLS_NAME_H

#include <quicpro/base.h>
#include <stdbool.h>

enum { QP_TLS_NAME_MAX = 253 }; /* characters of a name (RFC 1035 section 3.1, as text) */

/* Lower case, without the dot at its end; ASCII only: names of other scripts are looked up in their
 * xn-- form (RFC 5890). False: too long. */
bool qp_tls_name_lower(char out[QP_TLS_NAME_MAX + 1], const char *name);
/* A name as it is looked up: lower case, without the dot at its end. "*.example" is one, too: for
 * names with exactly one label more. 0; QUICPRO_EVALUE: *why says why */
int qp_tls_name_read(char out[QP_TLS_NAME_MAX + 1], const char *name, const char **why);

#endif
