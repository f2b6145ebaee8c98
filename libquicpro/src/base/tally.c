#include "base/tally.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

enum { CAPACITY_MIN = 16 };

void qp_tally_init(struct qp_tally *tally, const uint8_t key[16])
{
    *tally = (struct qp_tally){.slots = NULL};
    memcpy(tally->key, key, sizeof(tally->key));
}

void qp_tally_done(struct qp_tally *tally)
{
    free(tally->slots);
    tally->slots = NULL;
    tally->capacity = tally->used = 0;
}

static size_t home(const struct qp_tally *tally, uint64_t group)
{
    return (size_t)qp_siphash(tally->key, &group, sizeof(group)) & (tally->capacity - 1);
}

/* The slot of a group, or the free one where it would be. */
static struct qp_tally_slot *find(const struct qp_tally *tally, uint64_t group)
{
    size_t i = home(tally, group);
    while (tally->slots[i].count != 0 && tally->slots[i].group != group)
        i = (i + 1) & (tally->capacity - 1);
    return &tally->slots[i];
}

static int resize(struct qp_tally *tally, size_t capacity)
{
    struct qp_tally old = *tally;
    struct qp_tally_slot *slots = calloc(capacity, sizeof(*slots));
    if (slots == NULL)
        return QUICPRO_ENOMEM;
    tally->slots = slots;
    tally->capacity = capacity;
    for (size_t i = 0; i < old.capacity; i++)
        if (old.slots[i].count != 0)
            *find(tally, old.slots[i].group) = old.slots[i];
    free(old.slots);
    return 0;
}

uint32_t qp_tally_get(const struct qp_tally *tally, uint64_t group)
{
    return tally->used == 0 ? 0 : find(tally, group)->count;
}

int qp_tally_add(struct qp_tally *tally, uint64_t group)
{
    if ((tally->used + 1) * 4 > tally->capacity * 3) {
        int r = resize(tally, tally->capacity == 0 ? CAPACITY_MIN : tally->capacity * 2);
        if (r < 0)
            return r;
    }
    struct qp_tally_slot *slot = find(tally, group);
    if (slot->count == 0)
        tally->used++;
    slot->group = group;
    slot->count++;
    return 0;
}

void qp_tally_sub(struct qp_tally *tally, uint64_t group)
{
    struct qp_tally_slot *slot = find(tally, group);
    assert(slot->count > 0);
    if (--slot->count > 0)
        return;
    /* A group behind the hole may fill it unless its home lies between the two. */
    size_t mask = tally->capacity - 1, hole = (size_t)(slot - tally->slots);
    for (size_t i = (hole + 1) & mask; tally->slots[i].count != 0; i = (i + 1) & mask)
        if (((i - home(tally, tally->slots[i].group)) & mask) >= ((i - hole) & mask)) {
            tally->slots[hole] = tally->slots[i];
            hole = i;
        }
    tally->slots[hole].count = 0;
    tally->used--;
    if (tally->capacity > CAPACITY_MIN && tally->used * 8 < tally->capacity)
        (void)resize(tally, tally->capacity / 2); /* without memory it stays as large as it is */
}
