/* Which family last led to a host, so that the next connection need not find out again (RFC 8305
 * section 4 lets history decide which family goes first). A hint only: a forgotten or mistaken
 * entry costs one delay. */
#ifndef QP_CLIENT_FAMILY_H
#define QP_CLIENT_FAMILY_H

#include "client/dest.h"

enum { QP_FAMILY_CACHE = 256 }; /* hosts remembered, 16 bytes each; the least recently used go */

struct qp_family_cache {
    uint8_t key[16]; /* hosts are kept as keyed hashes */
    uint32_t clock, count;
    struct qp_family_entry {
        uint64_t host;
        uint32_t used; /* by `clock` */
        uint8_t family;
    } entry[QP_FAMILY_CACHE];
};

/* @param key  16 random bytes */
void qp_family_init(struct qp_family_cache *cache, const uint8_t key[16]);
/* QP_FAMILY_ANY: not known. Looking counts as use. Case does not matter (RFC 4343). */
enum qp_family qp_family_get(struct qp_family_cache *cache, const char *host);
/* QP_FAMILY_ANY forgets the host. */
void qp_family_put(struct qp_family_cache *cache, const char *host, enum qp_family family);

#endif
