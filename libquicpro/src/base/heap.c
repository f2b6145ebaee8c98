/* 4-ary heap: no child is earlier than its parent, and every node knows its place. */
#include "base/heap.h"

#include <assert.h>
#include <stdlib.h>

enum { CAPACITY_MIN = 64 };

void qp_heap_done(struct qp_heap *heap)
{
    free(heap->nodes);
    *heap = (struct qp_heap){0};
}

static void place(struct qp_heap *heap, uint32_t i, struct qp_timer *timer)
{
    heap->nodes[i] = timer;
    timer->pos = i + 1;
}

static void sift_up(struct qp_heap *heap, uint32_t i, struct qp_timer *timer)
{
    while (i > 0) {
        uint32_t parent = (i - 1) / 4;
        if (heap->nodes[parent]->at <= timer->at)
            break;
        place(heap, i, heap->nodes[parent]);
        i = parent;
    }
    place(heap, i, timer);
}

static void sift_down(struct qp_heap *heap, uint32_t i, struct qp_timer *timer)
{
    for (;;) {
        uint64_t child = (uint64_t)i * 4 + 1, end = child + 4;
        if (child >= heap->count)
            break;
        if (end > heap->count)
            end = heap->count;
        uint32_t least = (uint32_t)child;
        for (uint32_t c = least + 1; c < end; c++)
            if (heap->nodes[c]->at < heap->nodes[least]->at)
                least = c;
        if (timer->at <= heap->nodes[least]->at)
            break;
        place(heap, i, heap->nodes[least]);
        i = least;
    }
    place(heap, i, timer);
}

/* Puts timer where it belongs, starting from a place where another one was. */
static void settle(struct qp_heap *heap, uint32_t i, struct qp_timer *timer)
{
    if (i > 0 && timer->at < heap->nodes[(i - 1) / 4]->at)
        sift_up(heap, i, timer);
    else
        sift_down(heap, i, timer);
}

static void take_out(struct qp_heap *heap, struct qp_timer *timer)
{
    uint32_t i = timer->pos - 1;
    assert(i < heap->count && heap->nodes[i] == timer);
    struct qp_timer *last = heap->nodes[--heap->count];
    timer->pos = 0;
    if (last != timer)
        settle(heap, i, last);
}

int qp_heap_set(struct qp_heap *heap, struct qp_timer *timer, quicpro_tstamp at)
{
    if (at == QUICPRO_FOREVER) {
        if (timer->pos != 0)
            take_out(heap, timer);
        timer->at = at;
        return 0;
    }
    if (timer->pos != 0) {
        assert(timer->pos <= heap->count && heap->nodes[timer->pos - 1] == timer);
        timer->at = at;
        settle(heap, timer->pos - 1, timer);
        return 0;
    }
    if (heap->count == heap->capacity) {
        uint32_t capacity = heap->capacity == 0 ? CAPACITY_MIN : heap->capacity * 2;
        struct qp_timer **nodes = realloc(heap->nodes, capacity * sizeof(struct qp_timer *));
        if (nodes == NULL)
            return QUICPRO_ENOMEM;
        heap->nodes = nodes;
        heap->capacity = capacity;
    }
    timer->at = at;
    sift_up(heap, heap->count++, timer);
    return 0;
}

struct qp_timer *qp_heap_first(const struct qp_heap *heap)
{
    return heap->count == 0 ? NULL : heap->nodes[0];
}
