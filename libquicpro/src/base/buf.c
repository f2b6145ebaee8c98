/* The contiguous buffer and the arena. An arena block in front of `current` is in use, `current` is
 * being filled, those behind it are empty and wait for reuse. */
#include "base/buf.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { BUF_FIRST = 256, ARENA_BLOCK = 65536, ARENA_ALIGN = 8 };

void qp_buf_done(struct qp_buf *buf)
{
    free(buf->data);
    *buf = (struct qp_buf){0};
}

uint8_t *qp_buf_reserve(struct qp_buf *buf, size_t n)
{
    if (buf->data != NULL && n <= buf->cap - buf->len)
        return buf->data + buf->len;
    if (n > SIZE_MAX / 2 - buf->len)
        return NULL;
    size_t cap = buf->cap < BUF_FIRST ? BUF_FIRST : buf->cap * 2;
    if (cap < buf->len + n)
        cap = buf->len + n;
    uint8_t *data = realloc(buf->data, cap);
    if (data == NULL)
        return NULL;
    buf->data = data;
    buf->cap = cap;
    return data + buf->len;
}

int qp_buf_append(struct qp_buf *buf, const void *data, size_t n)
{
    uint8_t *to = qp_buf_reserve(buf, n);
    if (to == NULL)
        return QUICPRO_ENOMEM;
    if (n != 0)
        memcpy(to, data, n);
    buf->len += n;
    return 0;
}

struct qp_arena_block {
    struct qp_arena_block *next;
    size_t size, used; /* of data; multiples of ARENA_ALIGN */
    _Alignas(ARENA_ALIGN) uint8_t data[];
};

void qp_arena_init(struct qp_arena *arena, size_t keep)
{
    *arena = (struct qp_arena){.keep = keep};
}

/* Frees the blocks that together are more than `keep`, empties the others. */
static void trim(struct qp_arena *arena, size_t keep)
{
    struct qp_arena_block **link = &arena->head;
    while (*link != NULL) {
        struct qp_arena_block *block = *link;
        if (block->size > keep) {
            *link = block->next;
            free(block);
            continue;
        }
        keep -= block->size;
        block->used = 0;
        link = &block->next;
    }
    arena->current = arena->head;
}

void qp_arena_done(struct qp_arena *arena)
{
    trim(arena, 0);
}

void qp_arena_reset(struct qp_arena *arena)
{
    trim(arena, arena->keep);
}

uint8_t *qp_arena_reserve(struct qp_arena *arena, size_t need, size_t *ret_avail)
{
    struct qp_arena_block *block = arena->current;
    while (block != NULL && block->size - block->used < need) {
        if (block->next == NULL)
            break;
        block = block->next;
    }
    if (block == NULL || block->size - block->used < need) {
        if (need > SIZE_MAX / 2)
            return NULL;
        size_t size = need <= ARENA_BLOCK ? ARENA_BLOCK
                                          : (need + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
        struct qp_arena_block *fresh = malloc(sizeof(*fresh) + size);
        if (fresh == NULL)
            return NULL;
        *fresh = (struct qp_arena_block){.size = size};
        if (block == NULL)
            arena->head = fresh;
        else
            block->next = fresh;
        block = fresh;
    }
    arena->current = block;
    *ret_avail = block->size - block->used;
    return block->data + block->used;
}

void qp_arena_commit(struct qp_arena *arena, size_t n)
{
    if (n == 0)
        return;
    struct qp_arena_block *block = arena->current;
    assert(block != NULL && n <= block->size - block->used);
    block->used += (n + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
}
