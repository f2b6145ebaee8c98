/* Numbers in network byte order. */
#ifndef QP_TICKET_BE_H
#define QP_TICKET_BE_H

#include <stddef.h>
#include <stdint.h>

/* Writes the low `bytes` bytes of a value; returns what is behind them. */
static inline uint8_t *qp_be_put(uint8_t *out, uint64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        out[i] = (uint8_t)(value >> 8 * (bytes - 1 - i));
    return out + bytes;
}

static inline uint64_t qp_be_get(const uint8_t *data, size_t bytes)
{
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; i++)
        value = value << 8 | data[i];
    return value;
}

#endif
