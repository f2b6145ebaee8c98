/* Variable-length integers (RFC 9000 section 16). */
#ifndef QP_BASE_VARINT_H
#define QP_BASE_VARINT_H

#include <quicpro/base.h>

#define QP_VARINT_MAX ((UINT64_C(1) << 62) - 1)

/* Bytes read (1, 2, 4, 8), or 0 if data is cut short. */
size_t qp_varint_get(const uint8_t *data, size_t len, uint64_t *ret);
/* Bytes written; value is at most QP_VARINT_MAX, out has room for 8. */
size_t qp_varint_put(uint8_t *out, uint64_t value);

#endif
