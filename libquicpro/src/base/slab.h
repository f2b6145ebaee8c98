/* Table of equally sized items behind handles: index in the low 32 bits, generation in the high.
 * Items never move (blocks of 64), freed ones are reused last in first out, a generation is never
 * 0, so handle 0 is never valid. */
#ifndef QP_BASE_SLAB_H
#define QP_BASE_SLAB_H

#include <quicpro/base.h>

enum { QP_SLAB_BLOCK = 64 }; /* items */
/* Slabs with different tags never give out the same handle. */
#define QP_SLAB_TAG (UINT32_C(1) << 31)
#define QP_SLAB_TAG_RAW (UINT32_C(1) << 30)

struct qp_slab {
    size_t item_size;
    void **blocks;
    uint32_t *generation; /* odd: in use; even: free */
    uint32_t *free_list;
    uint32_t block_count, capacity, free_count, used, max;
    uint32_t tag;  /* 0 or a QP_SLAB_TAG, set by the owner after init */
    uint64_t made; /* items taken since the beginning */
};

/* @param max  items that may be in use at once; 0: no limit but 2^30 */
void qp_slab_init(struct qp_slab *slab, size_t item_size, uint32_t max);
void qp_slab_done(struct qp_slab *slab);
/* Zeroed item; NULL: out of memory or max in use. */
void *qp_slab_take(struct qp_slab *slab, quicpro_handle *ret);
/* NULL: stale. */
void *qp_slab_get(const struct qp_slab *slab, quicpro_handle handle);
void qp_slab_put(struct qp_slab *slab, quicpro_handle handle);
/* The item at an index that is known to be in use. */
static inline void *qp_slab_at(const struct qp_slab *slab, uint32_t index)
{
    return (char *)slab->blocks[index / QP_SLAB_BLOCK] + (index % QP_SLAB_BLOCK) * slab->item_size;
}
/* Walks items in use: start with *cursor 0; NULL at the end. The item may be put during the walk.
 */
void *qp_slab_next(const struct qp_slab *slab, uint32_t *cursor, quicpro_handle *ret);

#endif
