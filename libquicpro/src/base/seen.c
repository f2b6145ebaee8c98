#include "base/seen.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 4 };

void qp_seen_done(struct qp_seen *seen)
{
    free(seen->missing);
    *seen = (struct qp_seen){0};
}

/* Makes room for a range at place i. */
static int insert(struct qp_seen *seen, uint32_t i, uint64_t from, uint64_t to)
{
    if (seen->count == seen->capacity) {
        uint32_t capacity = seen->capacity == 0 ? FIRST_CAPACITY : seen->capacity * 2;
        struct qp_seen_range *grown = realloc(seen->missing, capacity * sizeof(*grown));
        if (grown == NULL)
            return QUICPRO_ENOMEM;
        seen->missing = grown;
        seen->capacity = capacity;
    }
    memmove(&seen->missing[i + 1], &seen->missing[i], (seen->count - i) * sizeof(*seen->missing));
    seen->missing[i] = (struct qp_seen_range){from, to};
    seen->count++;
    return 0;
}

static void drop(struct qp_seen *seen, uint32_t i)
{
    seen->count--;
    memmove(&seen->missing[i], &seen->missing[i + 1], (seen->count - i) * sizeof(*seen->missing));
}

/* The first range that ends behind the number, or count. */
static uint32_t find(const struct qp_seen *seen, uint64_t number)
{
    uint32_t low = 0, high = seen->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (seen->missing[middle].to <= number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

int qp_seen_mark(struct qp_seen *seen, uint64_t number)
{
    if (number >= seen->top) {
        if (number > seen->top && insert(seen, seen->count, seen->top, number) < 0)
            return QUICPRO_ENOMEM;
        seen->top = number + 1;
        return 1;
    }
    uint32_t i = find(seen, number);
    if (i == seen->count || seen->missing[i].from > number)
        return 0;
    struct qp_seen_range *range = &seen->missing[i];
    if (range->from == number) {
        if (++range->from == range->to)
            drop(seen, i);
    } else if (range->to - 1 == number) {
        range->to--;
    } else {
        const uint64_t from = range->from;
        range->from = number + 1;
        if (insert(seen, i, from, number) < 0) {
            seen->missing[i].from = from;
            return QUICPRO_ENOMEM;
        }
    }
    return 1;
}
