#include "ticket/register.h"

#include <assert.h>
#include <stdatomic.h>
#include <string.h>

#include "base/hash.h"

#define MAGIC UINT64_C(0x3130746b69725451) /* "QTrikt01": layout version 1 */

enum {
    WHEN_BITS = 20,
    PERIOD = (1 << WHEN_BITS) - 1, /* windows until the count begins anew: five years */
    PROBES = 64,                   /* slots a flight may be in: eight cache lines */
    MAX_BINDER = 255,              /* RFC 8446 section 4.2.11 */
};

typedef _Atomic uint64_t word;

struct qp_register {
    word magic; /* written last */
    word capacity;
    word key[2];
    word born;   /* ns; moved on when the wall clock was set back */
    word offset; /* largest difference of wall clock and now seen, ns */
    word window; /* number of the latest window anybody was in */
    word counts[4];
    word unused[5];
    word slots[];
};

static_assert(sizeof(struct qp_register) == QP_REGISTER_HEAD_BYTES, "the head is two cache lines");
static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "a lock in shared memory would be lost with its holder");

static size_t capacity_of(size_t bytes)
{
    size_t slots = 1;
    if (bytes < QP_REGISTER_MIN_BYTES)
        return 0;
    while (slots <= (bytes - QP_REGISTER_HEAD_BYTES) / sizeof(word) / 2)
        slots *= 2;
    return slots;
}

static uint64_t offset_of(quicpro_tstamp now, uint64_t wall)
{
    return wall * QUICPRO_SECOND - now;
}

struct qp_register *qp_register_init(void *memory, size_t bytes, const uint8_t key[16],
                                     quicpro_tstamp now, uint64_t wall)
{
    struct qp_register *reg = memory;
    size_t capacity = capacity_of(bytes);
    uint64_t words[2];
    if (capacity == 0)
        return NULL;
    atomic_store(&reg->magic, 0);
    memcpy(words, key, sizeof(words));
    atomic_store(&reg->capacity, capacity);
    atomic_store(&reg->key[0], words[0]);
    atomic_store(&reg->key[1], words[1]);
    atomic_store(&reg->born, now);
    atomic_store(&reg->offset, offset_of(now, wall));
    atomic_store(&reg->window, now / QP_REGISTER_WINDOW);
    for (size_t i = 0; i < 4; i++)
        atomic_store(&reg->counts[i], 0);
    for (size_t i = 0; i < capacity; i++)
        atomic_store_explicit(&reg->slots[i], 0, memory_order_relaxed);
    atomic_store(&reg->magic, MAGIC);
    return reg;
}

struct qp_register *qp_register_attach(void *memory, size_t bytes)
{
    struct qp_register *reg = memory;
    size_t capacity = capacity_of(bytes);
    if (capacity == 0 || atomic_load(&reg->magic) != MAGIC ||
        atomic_load(&reg->capacity) != capacity)
        return NULL;
    return reg;
}

/* The window everybody is in, at least: time does not go back because one caller is late. */
static uint64_t enter_window(struct qp_register *reg, quicpro_tstamp now)
{
    uint64_t mine = now / QP_REGISTER_WINDOW, seen = atomic_load(&reg->window);
    while (seen < mine)
        if (atomic_compare_exchange_weak(&reg->window, &seen, mine))
            return mine;
    return seen;
}

/* The ticket's age goes by the wall clock. Set back by an hour, it makes flights of an hour ago
 * fit again, and those are forgotten: the register is as good as new, and says so. */
static void watch_clock(struct qp_register *reg, quicpro_tstamp now, uint64_t wall)
{
    uint64_t offset = offset_of(now, wall), seen = atomic_load(&reg->offset);
    while ((int64_t)(offset - seen) > 0)
        if (atomic_compare_exchange_weak(&reg->offset, &seen, offset))
            return;
    if ((int64_t)(seen - offset) > (int64_t)QP_REGISTER_CLOCK_SLACK) {
        atomic_store(&reg->born, now); /* before the offset: whoever dies between does it again */
        atomic_compare_exchange_strong(&reg->offset, &seen, offset);
    }
}

static uint64_t tag_of(uint64_t window)
{
    return window % PERIOD + 1; /* 0 is a slot never used */
}

/* Whether a slot's flight is still remembered in a window. Those of later windows, by callers who
 * were quicker, are. */
static bool is_live(uint64_t slot, uint64_t window)
{
    if (slot == 0)
        return false;
    uint64_t tag = slot & (((uint64_t)1 << WHEN_BITS) - 1);
    uint64_t age = (tag_of(window) + PERIOD - tag) % PERIOD;
    return age <= 1 || age > PERIOD / 2;
}

static uint64_t hash_of(const struct qp_register *reg, const struct qp_flight *flight)
{
    const uint64_t words[2] = {atomic_load(&reg->key[0]), atomic_load(&reg->key[1])};
    uint8_t key[16], text[sizeof(flight->random) + MAX_BINDER];
    assert(flight->binder_len <= MAX_BINDER);
    memcpy(key, words, sizeof(key));
    memcpy(text, flight->random, sizeof(flight->random));
    memcpy(text + sizeof(flight->random), flight->binder, flight->binder_len);
    return qp_siphash(key, text, sizeof(flight->random) + flight->binder_len);
}

/* The flight's slots, in order. The first free one is taken, and none is emptied, so behind a slot
 * never used there can be none of it. */
struct probe {
    word *slot[PROBES];
    size_t count;
};

static void probe_init(struct probe *probe, struct qp_register *reg, uint64_t hash)
{
    const size_t capacity = atomic_load(&reg->capacity);
    const size_t start = (size_t)hash & ~(size_t)7; /* of a cache line */
    probe->count = capacity < PROBES ? capacity : PROBES;
    for (size_t i = 0; i < probe->count; i++)
        probe->slot[i] = &reg->slots[(start + i) & (capacity - 1)];
}

/* Whether the flight is in a slot other than `except`. The first free slot goes to *ret_free, with
 * what was in it to *ret_old. */
static bool find(const struct probe *probe, uint64_t print, uint64_t window, const word *except,
                 word **ret_free, uint64_t *ret_old)
{
    *ret_free = NULL;
    for (size_t i = 0; i < probe->count; i++) {
        uint64_t slot = atomic_load(probe->slot[i]);
        if (is_live(slot, window)) {
            if (slot >> WHEN_BITS == print && probe->slot[i] != except)
                return true;
        } else if (*ret_free == NULL) {
            *ret_free = probe->slot[i];
            *ret_old = slot;
        }
        if (slot == 0)
            break;
    }
    return false;
}

/* Callers in the same window all see the same slots free, so they fight for one of them and exactly
 * one wins. Two callers on both sides of the border of windows may take different slots: each looks
 * again afterwards, and at least the later one sees the other. Both may lose; both cannot win. */
static enum qp_register_verdict insert(struct qp_register *reg, uint64_t hash, uint64_t window)
{
    const uint64_t print = hash >> WHEN_BITS;
    struct probe probe;
    word *free, *unused;
    uint64_t old;
    probe_init(&probe, reg, hash);
    do {
        if (find(&probe, print, window, NULL, &free, &old))
            return QP_REGISTER_SEEN;
        if (free == NULL)
            return QP_REGISTER_FULL;
    } while (!atomic_compare_exchange_strong(free, &old, print << WHEN_BITS | tag_of(window)));
    return find(&probe, print, window, free, &unused, &old) ? QP_REGISTER_SEEN : QP_REGISTER_FRESH;
}

enum qp_register_verdict qp_register_strike(struct qp_register *reg, const struct qp_flight *flight,
                                            quicpro_tstamp now, uint64_t wall)
{
    watch_clock(reg, now, wall);
    /* Recorded in any case: a client whose early data was refused sends it again afterwards, and a
     * replay must not bring it a second time once the register is old enough. */
    enum qp_register_verdict verdict = insert(reg, hash_of(reg, flight), enter_window(reg, now));
    quicpro_tstamp born = atomic_load(&reg->born);
    if (verdict == QP_REGISTER_FRESH && flight->key_made < born && now < born + QP_REGISTER_WINDOW)
        verdict = QP_REGISTER_TOO_YOUNG;
    atomic_fetch_add_explicit(&reg->counts[verdict], 1, memory_order_relaxed);
    return verdict;
}

void qp_register_counts(const struct qp_register *reg, uint64_t ret[4])
{
    for (size_t i = 0; i < 4; i++)
        ret[i] = atomic_load_explicit(&reg->counts[i], memory_order_relaxed);
}

size_t qp_register_capacity(const struct qp_register *reg)
{
    return (size_t)atomic_load(&reg->capacity);
}
