/* Field sections: checks on what we send, names on what we receive. */
#ifndef QP_H3_FIELDS_H
#define QP_H3_FIELDS_H

#include <nghttp3/nghttp3.h>
#include <quicpro/http.h>
#include <stdbool.h>

enum { QP_H3_MAX_FIELDS = 256 }; /* of one section we send; more is surely a mistake */

enum qp_h3_section { QP_H3_REQUEST, QP_H3_RESPONSE, QP_H3_TRAILERS };

/* Checks names and values (RFC 9114 section 4.2, RFC 9110 section 5.5) and the pseudo-header fields
 * (RFC 9114 section 4.3). 0; QUICPRO_EINVAL */
int qp_h3_fields_check(enum qp_h3_section section, const quicpro_nv *fields, size_t count);
/* The known name of an nghttp3 token, or -1. */
int qp_h3_known_name(int32_t token);

#endif
