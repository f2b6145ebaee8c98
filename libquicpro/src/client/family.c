#include "client/family.h"

#include <string.h>

#include "base/hash.h"

enum { HOST_MAX = 256 };

void qp_family_init(struct qp_family_cache *cache, const uint8_t key[16])
{
    *cache = (struct qp_family_cache){.count = 0};
    memcpy(cache->key, key, sizeof(cache->key));
}

static uint64_t hash_of(const struct qp_family_cache *cache, const char *host)
{
    char lower[HOST_MAX];
    size_t len = 0;
    for (; host[len] != '\0' && len < sizeof(lower); len++)
        lower[len] = host[len] >= 'A' && host[len] <= 'Z' ? (char)(host[len] | 0x20) : host[len];
    return qp_siphash(cache->key, lower, len);
}

static struct qp_family_entry *find(struct qp_family_cache *cache, uint64_t host)
{
    for (uint32_t i = 0; i < cache->count; i++)
        if (cache->entry[i].host == host)
            return &cache->entry[i];
    return NULL;
}

/* Before the clock that tells old from new runs over, everything becomes older together; the order
 * is kept but for ties. */
static void touch(struct qp_family_cache *cache, struct qp_family_entry *entry)
{
    if (cache->clock == UINT32_MAX) {
        for (uint32_t i = 0; i < cache->count; i++)
            cache->entry[i].used >>= 16;
        cache->clock >>= 16;
    }
    entry->used = ++cache->clock;
}

enum qp_family qp_family_get(struct qp_family_cache *cache, const char *host)
{
    struct qp_family_entry *entry = find(cache, hash_of(cache, host));
    if (entry == NULL)
        return QP_FAMILY_ANY;
    touch(cache, entry);
    return (enum qp_family)entry->family;
}

void qp_family_put(struct qp_family_cache *cache, const char *host, enum qp_family family)
{
    const uint64_t hash = hash_of(cache, host);
    struct qp_family_entry *entry = find(cache, hash);
    if (family == QP_FAMILY_ANY) {
        if (entry != NULL)
            *entry = cache->entry[--cache->count];
        return;
    }
    if (entry == NULL && cache->count < QP_FAMILY_CACHE)
        entry = &cache->entry[cache->count++];
    if (entry == NULL) {
        entry = &cache->entry[0];
        for (uint32_t i = 1; i < cache->count; i++)
            if (cache->entry[i].used < entry->used)
                entry = &cache->entry[i];
    }
    entry->host = hash;
    entry->family = (uint8_t)family;
    touch(cache, entry);
}
