/* Network byte order; the two top bits of the first byte say how long the number is. */
#include "base/varint.h"

#include <assert.h>

size_t qp_varint_get(const uint8_t *data, size_t len, uint64_t *ret)
{
    if (len == 0)
        return 0;
    size_t n = (size_t)1 << (data[0] >> 6);
    if (len < n)
        return 0;
    uint64_t value = data[0] & 0x3f;
    for (size_t i = 1; i < n; i++)
        value = value << 8 | data[i];
    *ret = value;
    return n;
}

size_t qp_varint_put(uint8_t *out, uint64_t value)
{
    assert(value <= QP_VARINT_MAX);
    unsigned log = value < 0x40 ? 0 : value < 0x4000 ? 1 : value < 0x40000000 ? 2 : 3;
    size_t n = (size_t)1 << log;
    for (size_t i = n; i-- > 0; value >>= 8)
        out[i] = (uint8_t)value;
    out[0] |= (uint8_t)(log << 6);
    return n;
}
