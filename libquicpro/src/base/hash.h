/* SipHash-2-4 and a table from connection IDs to 32-bit values, open addressing, keyed so that a
 * peer cannot aim for collisions (RFC 9000 section 21.11 leaves the choice of IDs to peers). */
#ifndef QP_BASE_HASH_H
#define QP_BASE_HASH_H

#include <quicpro/base.h>

enum { QP_CID_MAX = 20 }; /* RFC 9000 section 17.2 */

struct qp_cid {
    uint8_t len;
    uint8_t data[QP_CID_MAX];
};

uint64_t qp_siphash(const uint8_t key[16], const void *data, size_t len);

struct qp_cid_slot {
    struct qp_cid cid;
    uint8_t used;
    uint32_t value;
};
struct qp_cid_map {
    struct qp_cid_slot *slots; /* power of two; NULL while empty */
    size_t capacity, count;
    uint8_t key[16];
};

void qp_cid_map_init(struct qp_cid_map *map, const uint8_t key[16]);
void qp_cid_map_done(struct qp_cid_map *map);
/* 0; QUICPRO_ENOMEM; QUICPRO_ESTATE: there already, unchanged. Removal leaves no tombstones
 * (backward shift), the table shrinks below 1/8 full. */
int qp_cid_map_put(struct qp_cid_map *map, const uint8_t *cid, size_t len, uint32_t value);
/* Value, or -1. */
int64_t qp_cid_map_get(const struct qp_cid_map *map, const uint8_t *cid, size_t len);
/* Another value for an ID that is there; otherwise nothing. */
void qp_cid_map_move(struct qp_cid_map *map, const uint8_t *cid, size_t len, uint32_t value);
void qp_cid_map_remove(struct qp_cid_map *map, const uint8_t *cid, size_t len);

#endif
