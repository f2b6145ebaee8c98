#include "ticket/ring.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"

#define MAGIC UINT64_C(0x3130676e69525451) /* "QTRing01": layout version 1 */

enum {
    SECRET_WORDS = QP_RING_SECRET_BYTES / 8,
    NEXT = 0, /* places of the keys, in the order they move through them */
    CURRENT = 1,
    TRIES = 1000, /* of a reader: a writer needs less than a microsecond */
};

typedef _Atomic uint64_t word;

struct slot {
    word live; /* 0: empty */
    word made; /* ns */
    word secret[SECRET_WORDS];
};

struct qp_ring {
    word magic;
    word seq;    /* odd while somebody writes */
    word period; /* ns */
    word turned; /* when the current key became it */
    word unused[2];
    struct slot slots[QP_RING_KEYS];
};

static_assert(sizeof(struct qp_ring) == QP_RING_BYTES, "the ring has no padding");
static_assert(sizeof(struct qp_ring_key) == QP_RING_SECRET_BYTES + 8, "nor has a key");

static uint64_t load(const word *w)
{
    return atomic_load_explicit(w, memory_order_relaxed);
}

static void store(word *w, uint64_t value)
{
    atomic_store_explicit(w, value, memory_order_relaxed);
}

/* The writer's part of the sequence lock. */
static void begin_write(struct qp_ring *ring)
{
    uint64_t seq = load(&ring->seq);
    store(&ring->seq, seq | 1); /* one that died while writing left it odd */
    atomic_thread_fence(memory_order_release);
}

static void end_write(struct qp_ring *ring)
{
    atomic_store_explicit(&ring->seq, load(&ring->seq) + 1, memory_order_release);
}

static void put_key(struct slot *slot, const uint8_t *secret, quicpro_tstamp made)
{
    for (size_t i = 0; i < SECRET_WORDS; i++) {
        uint64_t value = 0;
        if (secret != NULL)
            memcpy(&value, secret + 8 * i, 8);
        store(&slot->secret[i], value);
    }
    store(&slot->made, made);
    store(&slot->live, secret != NULL);
}

static void move_key(struct slot *to, struct slot *from)
{
    for (size_t i = 0; i < SECRET_WORDS; i++)
        store(&to->secret[i], load(&from->secret[i]));
    store(&to->made, load(&from->made));
    store(&to->live, load(&from->live));
}

struct qp_ring *qp_ring_init(void *memory, quicpro_tstamp period, quicpro_tstamp now,
                             const uint8_t fresh[QP_RING_FRESH_BYTES])
{
    struct qp_ring *ring = memory;
    assert(period > 0);
    begin_write(ring);
    store(&ring->period, period);
    store(&ring->turned, now);
    for (size_t i = 0; i < QP_RING_KEYS; i++)
        put_key(&ring->slots[i], i <= CURRENT ? fresh + i * QP_RING_SECRET_BYTES : NULL, now);
    store(&ring->magic, MAGIC);
    end_write(ring);
    return ring;
}

const struct qp_ring *qp_ring_attach(const void *memory)
{
    const struct qp_ring *ring = memory;
    return atomic_load(&ring->magic) == MAGIC && load(&ring->period) != 0 ? ring : NULL;
}

void qp_ring_done(struct qp_ring *ring)
{
    begin_write(ring);
    for (size_t i = 0; i < QP_RING_KEYS; i++)
        put_key(&ring->slots[i], NULL, 0);
    end_write(ring);
}

/* Whole periods since the ring was turned. */
static uint64_t periods(uint64_t turned, uint64_t period, quicpro_tstamp now)
{
    return now < turned ? 0 : (now - turned) / period;
}

quicpro_tstamp qp_ring_due(const struct qp_ring *ring)
{
    return load(&ring->turned) + load(&ring->period);
}

void qp_ring_turn(struct qp_ring *ring, quicpro_tstamp now,
                  const uint8_t fresh[QP_RING_FRESH_BYTES])
{
    const uint64_t period = load(&ring->period), turned = load(&ring->turned);
    const uint64_t passed = periods(turned, period, now);
    const size_t steps = passed > QP_RING_KEYS ? QP_RING_KEYS : (size_t)passed;
    if (steps == 0)
        return;
    begin_write(ring);
    for (size_t i = QP_RING_KEYS; i-- > steps;)
        move_key(&ring->slots[i], &ring->slots[i - steps]);
    /* Of a long sleep only two keys are made: nothing was sealed with those between. */
    for (size_t i = 0; i < steps; i++)
        put_key(&ring->slots[i], i <= CURRENT ? fresh + i * QP_RING_SECRET_BYTES : NULL, now);
    store(&ring->turned, turned + passed * period);
    end_write(ring);
}

/* Copies the key at a place. */
static bool copy(const struct qp_ring *ring, size_t place, struct qp_ring_key *ret)
{
    const struct slot *slot = &ring->slots[place];
    uint64_t secret[SECRET_WORDS];
    for (size_t i = 0; i < SECRET_WORDS; i++)
        secret[i] = load(&slot->secret[i]);
    memcpy(ret, secret, sizeof(secret));
    qp_wipe(secret, sizeof(secret));
    ret->made = load(&slot->made);
    return load(&slot->live) != 0;
}

/* One look at the ring, valid only if nobody wrote meanwhile. name NULL: the current key. A key's
 * place now is where it lies plus the turns that are due. */
static bool look(const struct qp_ring *ring, quicpro_tstamp now, const uint8_t *name,
                 struct qp_ring_key *ret, size_t *ret_place)
{
    const uint64_t period = load(&ring->period);
    const uint64_t passed = period == 0 ? QP_RING_KEYS : periods(load(&ring->turned), period, now);
    if (name == NULL) {
        *ret_place = CURRENT;
        return passed <= CURRENT - NEXT && copy(ring, CURRENT - (size_t)passed, ret);
    }
    for (size_t i = 0; i + passed < QP_RING_KEYS; i++)
        if (copy(ring, i, ret) && memcmp(ret->name, name, QP_RING_NAME_BYTES) == 0) {
            *ret_place = i + (size_t)passed;
            return true;
        }
    return false;
}

static bool read_key(const struct qp_ring *ring, quicpro_tstamp now, const uint8_t *name,
                     struct qp_ring_key *ret, size_t *ret_place)
{
    for (int i = 0; i < TRIES; i++) {
        uint64_t before = atomic_load_explicit(&ring->seq, memory_order_acquire);
        bool found = (before & 1) == 0 && look(ring, now, name, ret, ret_place);
        atomic_thread_fence(memory_order_acquire);
        if ((before & 1) == 0 && load(&ring->seq) == before) {
            if (!found)
                qp_ring_key_done(ret);
            return found;
        }
    }
    qp_ring_key_done(ret);
    return false;
}

bool qp_ring_current(const struct qp_ring *ring, quicpro_tstamp now, struct qp_ring_key *ret)
{
    size_t place;
    return read_key(ring, now, NULL, ret, &place);
}

bool qp_ring_find(const struct qp_ring *ring, quicpro_tstamp now,
                  const uint8_t name[QP_RING_NAME_BYTES], struct qp_ring_key *ret, bool *ret_renew)
{
    size_t place = 0;
    if (!read_key(ring, now, name, ret, &place))
        return false;
    *ret_renew = place > CURRENT;
    return true;
}

void qp_ring_key_done(struct qp_ring_key *key)
{
    qp_wipe(key, sizeof(*key));
}
