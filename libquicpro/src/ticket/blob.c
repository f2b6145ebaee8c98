#include "ticket/blob.h"

#include <string.h>

#include "ticket/be.h"

static const uint8_t magic[4] = {'Q', 'P', 'S', 1};
enum { FLAG_EARLY = 1 };

size_t qp_blob_size(const struct qp_blob *blob)
{
    return QP_BLOB_HEAD_BYTES + blob->engine_len;
}

void qp_blob_write(uint8_t *out, const struct qp_blob *blob)
{
    memcpy(out, magic, sizeof(magic));
    out = qp_be_put(out + sizeof(magic), (uint64_t)(blob->early ? FLAG_EARLY : 0) << 24, 4);
    out = qp_be_put(out, blob->stored, 8);
    out = qp_be_put(out, blob->expires, 8);
    out = qp_be_put(out, blob->engine_len, 4);
    memcpy(out, blob->engine, blob->engine_len);
}

bool qp_blob_parse(struct qp_blob *ret, const uint8_t *data, size_t len)
{
    if (len < QP_BLOB_HEAD_BYTES || memcmp(data, magic, sizeof(magic)) != 0)
        return false;
    const uint64_t flags = qp_be_get(data + 4, 4), engine_len = qp_be_get(data + 24, 4);
    if ((flags & ~((uint64_t)FLAG_EARLY << 24)) != 0 || engine_len > QP_BLOB_MAX ||
        engine_len != len - QP_BLOB_HEAD_BYTES)
        return false;
    *ret = (struct qp_blob){
        .early = flags != 0,
        .stored = qp_be_get(data + 8, 8),
        .expires = qp_be_get(data + 16, 8),
        .engine = data + QP_BLOB_HEAD_BYTES,
        .engine_len = (size_t)engine_len,
    };
    return true;
}

size_t qp_blob_key(uint8_t *out, const char *host, uint16_t port, const char *alpn,
                   const uint8_t policy[32])
{
    const size_t host_len = strlen(host), alpn_len = strlen(alpn);
    uint8_t *at = out;
    if (host_len == 0 || host_len > 255 || alpn_len == 0 || alpn_len > 255)
        return 0;
    at = qp_be_put(at, host_len, 2);
    for (size_t i = 0; i < host_len; i++)
        *at++ = (uint8_t)(host[i] >= 'A' && host[i] <= 'Z' ? host[i] - 'A' + 'a' : host[i]);
    at = qp_be_put(at, port, 2);
    at = qp_be_put(at, alpn_len, 1);
    memcpy(at, alpn, alpn_len);
    memcpy(at + alpn_len, policy, 32);
    return (size_t)(at + alpn_len + 32 - out);
}
