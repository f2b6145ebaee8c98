/* A client's sessions: bounded in number and bytes, each with an end, each used once ("clients
 * SHOULD NOT reuse a ticket for multiple connections", RFC 8446 appendix C.4). Keys and values are
 * bytes. What comes first goes first when it gets full: it would expire first, too. */
#ifndef QP_TICKET_STORE_H
#define QP_TICKET_STORE_H

#include <quicpro/base.h>

#include "base/buf.h"

enum {
    QP_STORE_EACH = 4, /* sessions under one key: for connections side by side */
    /* Sessions in all; a search looks at each. */
    QP_STORE_MAX = 4096,
    QP_STORE_BYTES = 4 << 20,
};

struct qp_session; /* one in the store */

struct qp_store {
    struct qp_session *oldest, *newest;
    size_t count, bytes; /* bytes of keys and values */
    size_t max_count, max_bytes;
    uint64_t hits, misses, evicted, expired;
};

/* All numbers are at most those above. */
void qp_store_init(struct qp_store *store, size_t max_count, size_t max_bytes);
/* Zeroes and frees everything. */
void qp_store_done(struct qp_store *store);
/* Copies a session into the store; others make room. Times are seconds of the wall clock.
 * 0; QUICPRO_E2BIG: larger than the whole store; QUICPRO_ENOMEM */
int qp_store_put(struct qp_store *store, const uint8_t *key, size_t key_len, const uint8_t *value,
                 size_t value_len, uint64_t expires);
/* Takes the newest session of a key that is not over out of the store and appends it to *ret, which
 * the caller zeroes. 1; 0: none; QUICPRO_ENOMEM: it stays */
int qp_store_take(struct qp_store *store, const uint8_t *key, size_t key_len, uint64_t now,
                  struct qp_buf *ret);

/* The whole store as bytes with a checksum against accidents, appended to *out. 0; QUICPRO_ENOMEM
 */
int qp_store_save(const struct qp_store *store, struct qp_buf *out);
/* Fills an empty store from such bytes; what is over at `now` is left out. All or nothing: 0;
 * QUICPRO_EPROTO: not a store of this version, or damaged; QUICPRO_ENOMEM */
int qp_store_load(struct qp_store *store, const uint8_t *data, size_t len, uint64_t now);

#endif
