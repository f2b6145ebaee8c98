/* Items live in blocks of 64. generation[i] is odd while item i is in use and goes up by one at
 * each take and put, so that an old handle never matches. */
#include "base/slab.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_ITEMS ((uint32_t)QP_SLAB_BLOCK)
#define ITEMS_MAX (UINT32_C(1) << 30) /* tags are above */

void qp_slab_init(struct qp_slab *slab, size_t item_size, uint32_t max)
{
    assert(item_size != 0);
    *slab = (struct qp_slab){
        .item_size = item_size,
        .max = max == 0 || max > ITEMS_MAX ? ITEMS_MAX : max,
    };
}

void qp_slab_done(struct qp_slab *slab)
{
    for (uint32_t i = 0; i < slab->block_count; i++)
        free(slab->blocks[i]);
    free(slab->blocks);
    free(slab->generation);
    free(slab->free_list);
    qp_slab_init(slab, slab->item_size, slab->max);
}

static void *item(const struct qp_slab *slab, uint32_t i)
{
    return (char *)slab->blocks[i / BLOCK_ITEMS] + i % BLOCK_ITEMS * slab->item_size;
}

static quicpro_handle handle_of(const struct qp_slab *slab, uint32_t i)
{
    return (quicpro_handle)slab->generation[i] << 32 | (i ^ slab->tag);
}

/* Grows the tables; a table that was moved stays valid if a later one fails. */
static int grow_tables(struct qp_slab *slab)
{
    uint32_t capacity = slab->capacity == 0 ? BLOCK_ITEMS : slab->capacity * 2;
    void **blocks = realloc(slab->blocks, capacity / BLOCK_ITEMS * sizeof(*blocks));
    if (blocks == NULL)
        return QUICPRO_ENOMEM;
    slab->blocks = blocks;
    uint32_t *generation = realloc(slab->generation, capacity * sizeof(*generation));
    if (generation == NULL)
        return QUICPRO_ENOMEM;
    slab->generation = generation;
    uint32_t *free_list = realloc(slab->free_list, capacity * sizeof(*free_list));
    if (free_list == NULL)
        return QUICPRO_ENOMEM;
    slab->free_list = free_list;
    slab->capacity = capacity;
    return 0;
}

static int add_block(struct qp_slab *slab)
{
    uint32_t first = slab->block_count * BLOCK_ITEMS;
    if (first == slab->capacity && grow_tables(slab) < 0)
        return QUICPRO_ENOMEM;
    void *block = calloc(BLOCK_ITEMS, slab->item_size);
    if (block == NULL)
        return QUICPRO_ENOMEM;
    slab->blocks[slab->block_count++] = block;
    memset(slab->generation + first, 0, BLOCK_ITEMS * sizeof(*slab->generation));
    for (uint32_t i = BLOCK_ITEMS; i-- > 0;)
        slab->free_list[slab->free_count++] = first + i;
    return 0;
}

void *qp_slab_take(struct qp_slab *slab, quicpro_handle *ret)
{
    if (slab->used >= slab->max || (slab->free_count == 0 && add_block(slab) < 0))
        return NULL;
    uint32_t i = slab->free_list[--slab->free_count];
    slab->used++;
    slab->generation[i]++;
    slab->made++;
    *ret = handle_of(slab, i);
    return memset(item(slab, i), 0, slab->item_size);
}

void *qp_slab_get(const struct qp_slab *slab, quicpro_handle handle)
{
    uint32_t i = (uint32_t)handle ^ slab->tag, generation = (uint32_t)(handle >> 32);
    if (i >= slab->block_count * BLOCK_ITEMS || (generation & 1) == 0 ||
        slab->generation[i] != generation)
        return NULL;
    return item(slab, i);
}

void qp_slab_put(struct qp_slab *slab, quicpro_handle handle)
{
    assert(qp_slab_get(slab, handle) != NULL);
    uint32_t i = (uint32_t)handle ^ slab->tag;
    slab->generation[i]++;
    slab->free_list[slab->free_count++] = i;
    slab->used--;
}

void *qp_slab_next(const struct qp_slab *slab, uint32_t *cursor, quicpro_handle *ret)
{
    for (uint32_t i = *cursor; i < slab->block_count * BLOCK_ITEMS; i++) {
        if ((slab->generation[i] & 1) == 0)
            continue;
        *cursor = i + 1;
        *ret = handle_of(slab, i);
        return item(slab, i);
    }
    *cursor = slab->block_count * BLOCK_ITEMS;
    return NULL;
}
