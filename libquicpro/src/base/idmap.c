#include "base/idmap.h"

#include <assert.h>
#include <stdlib.h>

enum { FIRST_CAPACITY = 16 };

static uint32_t home(const struct qp_idmap *map, uint64_t id)
{
    return (uint32_t)(((id >> 2) * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & (map->capacity - 1);
}

static void insert(struct qp_idmap *map, uint64_t id, void *value)
{
    uint32_t i = home(map, id);
    while (map->slots[i].value != NULL)
        i = (i + 1) & (map->capacity - 1);
    map->slots[i] = (struct qp_idmap_slot){id, value};
}

static int resize(struct qp_idmap *map, uint32_t capacity)
{
    struct qp_idmap old = *map;
    struct qp_idmap_slot *slots = calloc(capacity, sizeof(*slots));
    if (slots == NULL)
        return QUICPRO_ENOMEM;
    map->slots = slots;
    map->capacity = capacity;
    for (uint32_t i = 0; i < old.capacity; i++)
        if (old.slots[i].value != NULL)
            insert(map, old.slots[i].id, old.slots[i].value);
    free(old.slots);
    return 0;
}

void qp_idmap_done(struct qp_idmap *map)
{
    free(map->slots);
    *map = (struct qp_idmap){0};
}

int qp_idmap_put(struct qp_idmap *map, uint64_t id, void *value)
{
    assert(value != NULL && qp_idmap_get(map, id) == NULL);
    if ((map->count + 1) * 4 > map->capacity * 3) {
        int r = resize(map, map->capacity == 0 ? FIRST_CAPACITY : map->capacity * 2);
        if (r < 0)
            return r;
    }
    insert(map, id, value);
    map->count++;
    return 0;
}

static struct qp_idmap_slot *find(const struct qp_idmap *map, uint64_t id)
{
    if (map->count == 0)
        return NULL;
    for (uint32_t i = home(map, id); map->slots[i].value != NULL; i = (i + 1) & (map->capacity - 1))
        if (map->slots[i].id == id)
            return &map->slots[i];
    return NULL;
}

void *qp_idmap_get(const struct qp_idmap *map, uint64_t id)
{
    struct qp_idmap_slot *slot = find(map, id);
    return slot == NULL ? NULL : slot->value;
}

void qp_idmap_replace(struct qp_idmap *map, uint64_t id, void *value)
{
    struct qp_idmap_slot *slot = find(map, id);
    assert(slot != NULL && value != NULL);
    slot->value = value;
}

void qp_idmap_remove(struct qp_idmap *map, uint64_t id)
{
    struct qp_idmap_slot *slot = find(map, id);
    if (slot == NULL)
        return;
    /* Close the gap: whatever follows and does not sit at home moves back. */
    uint32_t mask = map->capacity - 1;
    uint32_t hole = (uint32_t)(slot - map->slots);
    for (uint32_t i = (hole + 1) & mask; map->slots[i].value != NULL; i = (i + 1) & mask) {
        if (((i - home(map, map->slots[i].id)) & mask) >= ((i - hole) & mask)) {
            map->slots[hole] = map->slots[i];
            hole = i;
        }
    }
    map->slots[hole].value = NULL;
    /* A burst of streams does not pin its table; the first, small one stays. */
    if (--map->count == 0 && map->capacity > FIRST_CAPACITY)
        qp_idmap_done(map);
}
