/* FIFO of bytes. Blocks never move and none is empty: the queue is through with the head with its
 * last byte, and frees it unless somebody else uses it still. */
#include "base/buf.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct qp_queue_block {
    uint32_t users; /* first: whoever borrows a block knows nothing else of it */
    struct qp_queue_block *next;
    uint32_t start, end, size; /* bytes [start, end) of data are in the queue; data has size */
    uint8_t data[];
};

/* Sizes of blocks with their heads, so that they fit the allocator's classes. */
enum { BLOCK_FIRST = 256, BLOCK_MIN = 4096, BLOCK_MAX = 65536 };

static void leave(struct qp_queue_block *block)
{
    if (--block->users == 0)
        free(block);
}

static void leave_list(struct qp_queue_block *block)
{
    while (block != NULL) {
        struct qp_queue_block *next = block->next;
        leave(block);
        block = next;
    }
}

void qp_queue_done(struct qp_queue *queue)
{
    leave_list(queue->head);
    *queue = (struct qp_queue){0};
}

static struct qp_queue_block *block_new(size_t n, bool first)
{
    size_t head = offsetof(struct qp_queue_block, data);
    size_t size = BLOCK_MAX;
    if (first && n <= BLOCK_FIRST - head)
        size = BLOCK_FIRST;
    else if (n <= BLOCK_MIN - head)
        size = BLOCK_MIN;
    else if (n < BLOCK_MAX - head)
        size = head + n;
    struct qp_queue_block *block = malloc(size);
    if (block == NULL)
        return NULL;
    block->users = 1;
    block->next = NULL;
    block->start = block->end = 0;
    block->size = (uint32_t)(size - head);
    return block;
}

static size_t fill(struct qp_queue_block *block, const uint8_t *data, size_t n)
{
    size_t room = block->size - block->end;
    if (n > room)
        n = room;
    memcpy(block->data + block->end, data, n);
    block->end += (uint32_t)n;
    return n;
}

int qp_queue_append(struct qp_queue *queue, const void *data, size_t n)
{
    const uint8_t *from = data;
    struct qp_queue_block *fresh = NULL, *last = NULL;
    if (n == 0)
        return 0;
    size_t room = queue->tail == NULL ? 0 : queue->tail->size - queue->tail->end;
    /* Memory first: all of it or nothing. */
    for (size_t left = n > room ? n - room : 0; left != 0;) {
        struct qp_queue_block *block = block_new(left, queue->head == NULL && fresh == NULL);
        if (block == NULL) {
            leave_list(fresh);
            return QUICPRO_ENOMEM;
        }
        if (fresh == NULL)
            fresh = block;
        else
            last->next = block;
        last = block;
        left -= left < block->size ? left : block->size;
    }
    queue->len += n;
    if (room != 0) {
        size_t done = fill(queue->tail, from, n);
        from += done;
        n -= done;
    }
    if (fresh == NULL)
        return 0;
    for (struct qp_queue_block *block = fresh; block != NULL; block = block->next) {
        size_t done = fill(block, from, n);
        from += done;
        n -= done;
    }
    assert(n == 0);
    if (queue->tail == NULL)
        queue->head = fresh;
    else
        queue->tail->next = fresh;
    queue->tail = last;
    return 0;
}

size_t qp_queue_peek(const struct qp_queue *queue, size_t skip, struct qp_span *span, size_t max)
{
    size_t count = 0;
    for (const struct qp_queue_block *block = queue->head; block != NULL && count < max;
         block = block->next) {
        size_t len = block->end - block->start;
        if (skip >= len) {
            skip -= len;
            continue;
        }
        span[count++] = (struct qp_span){block->data + block->start + skip, len - skip};
        skip = 0;
    }
    return count;
}

uint32_t *qp_queue_block_of(const struct qp_queue *queue, const uint8_t *data)
{
    for (struct qp_queue_block *block = queue->head; block != NULL; block = block->next)
        if (data >= block->data && data < block->data + block->end)
            return &block->users;
    return NULL;
}

void qp_queue_consume(struct qp_queue *queue, size_t n)
{
    assert(n <= queue->len);
    queue->len -= n;
    while (n != 0) {
        struct qp_queue_block *block = queue->head;
        size_t len = block->end - block->start;
        if (n < len) {
            block->start += (uint32_t)n;
            return;
        }
        n -= len;
        queue->head = block->next;
        leave(block);
    }
    if (queue->head == NULL)
        queue->tail = NULL;
}
