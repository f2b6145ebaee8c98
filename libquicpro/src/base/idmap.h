/* Table from stream ids to pointers: open addressing, linear probing, empty until used, so that an
 * idle connection pays nothing. A peer chooses among its ids but not their spacing (multiples of 4,
 * RFC 9000 section 2.1), and they are spread by a multiplication. */
#ifndef QP_BASE_IDMAP_H
#define QP_BASE_IDMAP_H

#include <quicpro/base.h>

struct qp_idmap_slot {
    uint64_t id;
    void *value; /* NULL: free */
};
struct qp_idmap {
    struct qp_idmap_slot *slots;
    uint32_t capacity, count; /* capacity is 0 or a power of two */
};

void qp_idmap_done(struct qp_idmap *map);
/* 0; QUICPRO_ENOMEM. The id must not be there; value is not NULL. */
int qp_idmap_put(struct qp_idmap *map, uint64_t id, void *value);
/* The id is there and gets another value. */
void qp_idmap_replace(struct qp_idmap *map, uint64_t id, void *value);
void *qp_idmap_get(const struct qp_idmap *map, uint64_t id);
void qp_idmap_remove(struct qp_idmap *map, uint64_t id);

#endif
