/* Table from connection IDs to numbers: linear probing, at most 3/4 full. Between the home of an
 * entry and its slot no slot is free; removal keeps that true by moving entries back. */
#include "base/hash.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { CAPACITY_MIN = 16 };

void qp_cid_map_init(struct qp_cid_map *map, const uint8_t key[16])
{
    *map = (struct qp_cid_map){0};
    memcpy(map->key, key, sizeof(map->key));
}

void qp_cid_map_done(struct qp_cid_map *map)
{
    free(map->slots);
    map->slots = NULL;
    map->capacity = map->count = 0;
}

static size_t home(const struct qp_cid_map *map, const uint8_t *cid, size_t len)
{
    return (size_t)qp_siphash(map->key, cid, len) & (map->capacity - 1);
}

/* The slot that holds cid, or the free one where it belongs. The table is not empty or full. */
static struct qp_cid_slot *find(const struct qp_cid_map *map, const uint8_t *cid, size_t len)
{
    size_t i = home(map, cid, len);
    for (;; i = (i + 1) & (map->capacity - 1)) {
        struct qp_cid_slot *slot = &map->slots[i];
        if (!slot->used)
            return slot;
        if (slot->cid.len == len && (len == 0 || memcmp(slot->cid.data, cid, len) == 0))
            return slot;
    }
}

static int resize(struct qp_cid_map *map, size_t capacity)
{
    struct qp_cid_map old = *map;
    struct qp_cid_slot *slots = calloc(capacity, sizeof(*slots));
    if (slots == NULL)
        return QUICPRO_ENOMEM;
    map->slots = slots;
    map->capacity = capacity;
    for (size_t i = 0; i < old.capacity; i++)
        if (old.slots[i].used)
            *find(map, old.slots[i].cid.data, old.slots[i].cid.len) = old.slots[i];
    free(old.slots);
    return 0;
}

int qp_cid_map_put(struct qp_cid_map *map, const uint8_t *cid, size_t len, uint32_t value)
{
    assert(len <= QP_CID_MAX);
    if (qp_cid_map_get(map, cid, len) >= 0)
        return QUICPRO_ESTATE;
    if ((map->count + 1) * 4 > map->capacity * 3) {
        int r = resize(map, map->capacity == 0 ? CAPACITY_MIN : map->capacity * 2);
        if (r < 0)
            return r;
    }
    struct qp_cid_slot *slot = find(map, cid, len);
    *slot = (struct qp_cid_slot){.cid.len = (uint8_t)len, .used = 1, .value = value};
    if (len != 0)
        memcpy(slot->cid.data, cid, len);
    map->count++;
    return 0;
}

int64_t qp_cid_map_get(const struct qp_cid_map *map, const uint8_t *cid, size_t len)
{
    if (map->count == 0 || len > QP_CID_MAX)
        return -1;
    const struct qp_cid_slot *slot = find(map, cid, len);
    return slot->used ? (int64_t)slot->value : -1;
}

void qp_cid_map_move(struct qp_cid_map *map, const uint8_t *cid, size_t len, uint32_t value)
{
    if (map->count == 0 || len > QP_CID_MAX)
        return;
    struct qp_cid_slot *slot = find(map, cid, len);
    if (slot->used)
        slot->value = value;
}

void qp_cid_map_remove(struct qp_cid_map *map, const uint8_t *cid, size_t len)
{
    if (map->count == 0 || len > QP_CID_MAX)
        return;
    struct qp_cid_slot *slot = find(map, cid, len);
    if (!slot->used)
        return;
    /* An entry behind the hole may fill it unless its home lies between the two. */
    size_t mask = map->capacity - 1, hole = (size_t)(slot - map->slots);
    for (size_t i = (hole + 1) & mask; map->slots[i].used; i = (i + 1) & mask) {
        const struct qp_cid *moved = &map->slots[i].cid;
        if (((i - home(map, moved->data, moved->len)) & mask) >= ((i - hole) & mask)) {
            map->slots[hole] = map->slots[i];
            hole = i;
        }
    }
    map->slots[hole] = (struct qp_cid_slot){0};
    map->count--;
    if (map->capacity > CAPACITY_MIN && map->count * 8 < map->capacity)
        (void)resize(map, map->capacity / 2); /* without memory it stays as large as it is */
}
