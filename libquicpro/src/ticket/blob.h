/* A client's memory of one session as bytes, and the key under which it is kept.
 *
 *   "QPS" 1 | flags 1 byte | 3 bytes 0 | stored 8 | expires 8 | length 4 | the engine's bytes
 *
 * Numbers are big-endian. The engine's bytes are the TLS session and the transport parameters that
 * the server had (RFC 9001 section 4.6.3). The server's SETTINGS are not remembered: "if the client
 * has none, it uses the initial values" (RFC 9114 section 7.2.4.2), which no server may reduce. */
#ifndef QP_TICKET_BLOB_H
#define QP_TICKET_BLOB_H

#include <quicpro/base.h>
#include <stdbool.h>

enum {
    QP_BLOB_HEAD_BYTES = 28,
    /* Bytes of the engine. A certificate chain is in them: 10 KiB is a long one. */
    QP_BLOB_MAX = 65536,
    QP_BLOB_KEY_MAX = 2 + 255 + 2 + 1 + 255 + 32,
};

struct qp_blob {
    bool early;               /* the ticket allows early data */
    uint64_t stored, expires; /* wall clock, seconds since 1970 */
    const uint8_t *engine;    /* borrowed from what was parsed */
    size_t engine_len;
};

size_t qp_blob_size(const struct qp_blob *blob);
/* Writes qp_blob_size() bytes. engine_len is at most QP_BLOB_MAX. */
void qp_blob_write(uint8_t *out, const struct qp_blob *blob);
/* False: not one of this version, cut short, or more than one. */
bool qp_blob_parse(struct qp_blob *ret, const uint8_t *data, size_t len);

/* Whom a session may be resumed with: same host (without regard to case), port, protocols offered
 * and way of verifying (a hash; a session made without verifying must not serve one who verifies).
 * @param out  QP_BLOB_KEY_MAX bytes
 * @return its length, 0: host or alpn is empty or longer than 255 bytes */
size_t qp_blob_key(uint8_t *out, const char *host, uint16_t port, const char *alpn,
                   const uint8_t policy[32]);

#endif
