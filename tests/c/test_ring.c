#include "ticket/ring.h"

#include <pthread.h>
#include <stdatomic.h>

#include "check.h"

#define HOUR (3600 * QUICPRO_SECOND)

static uint64_t memory[QP_RING_BYTES / 8];

/* Secrets of which each is one letter. */
static const uint8_t *fresh(char next, char current)
{
    static uint8_t out[QP_RING_FRESH_BYTES];
    memset(out, next, QP_RING_SECRET_BYTES);
    memset(out + QP_RING_SECRET_BYTES, current, QP_RING_SECRET_BYTES);
    return out;
}

static struct qp_ring *made(quicpro_tstamp now)
{
    return qp_ring_init(memory, HOUR, now, fresh('b', 'a'));
}

/* The letter of the key that seals; '-': none. */
static char current(const struct qp_ring *ring, quicpro_tstamp now)
{
    struct qp_ring_key key;
    if (!qp_ring_current(ring, now, &key))
        return '-';
    CHECK_INT(key.name[15], ==, key.name[0]);
    CHECK_INT(key.cipher[0], ==, key.name[0]);
    CHECK_INT(key.mac[31], ==, key.name[0]);
    return (char)key.name[0];
}

/* 'y': the key of a letter opens, 'r': opens and wants to be renewed, '-': does not. */
static char opens(const struct qp_ring *ring, quicpro_tstamp now, char letter)
{
    struct qp_ring_key key;
    uint8_t name[QP_RING_NAME_BYTES];
    bool renew;
    memset(name, letter, sizeof(name));
    if (!qp_ring_find(ring, now, name, &key, &renew))
        return '-';
    CHECK_INT(key.mac[7], ==, letter);
    return renew ? 'r' : 'y';
}

static void check_opens(const struct qp_ring *ring, quicpro_tstamp now, const char *want)
{
    char got[8];
    for (size_t i = 0; i < 6; i++)
        got[i] = opens(ring, now, (char)('a' + i));
    got[6] = '\0';
    CHECK_STR(got, want);
}

static void test_turning_once_a_period(void)
{
    static const struct {
        char fresh, current;
        const char *opens; /* keys a to f */
    } row[] = {
        {'c', 'b', "ryy---"},
        {'d', 'c', "rryy--"},
        {'e', 'd', "-rryy-"},
        {'f', 'e', "--rryy"},
    };
    struct qp_ring *ring = made(5);
    CHECK_INT(current(ring, 5), ==, 'a');
    check_opens(ring, 5, "yy----");
    for (size_t i = 0; i < COUNTOF(row); i++) {
        quicpro_tstamp now = 5 + (i + 1) * HOUR;
        CHECK_U64(qp_ring_due(ring), ==, now);
        qp_ring_turn(ring, now - 1, fresh('?', '?'));
        qp_ring_turn(ring, now, fresh(row[i].fresh, '?'));
        CHECK_INT(current(ring, now), ==, row[i].current);
        check_opens(ring, now, row[i].opens);
    }
}

/* Keys get old by the clock, whether somebody turns the ring or not. */
static void test_ring_that_nobody_turns(void)
{
    static const struct {
        quicpro_tstamp now;
        char current;
        const char *opens;
    } row[] = {
        {5 + HOUR - 1, 'a', "yy----"},     {5 + HOUR, 'b', "ry----"},
        {5 + 2 * HOUR - 1, 'b', "ry----"}, {5 + 2 * HOUR, '-', "rr----"},
        {5 + 3 * HOUR, '-', "-r----"},     {5 + 4 * HOUR, '-', "------"},
        {5 + 4000 * HOUR, '-', "------"},  {0, 'a', "yy----"}, /* a clock that is behind */
    };
    struct qp_ring *ring = made(5);
    for (size_t i = 0; i < COUNTOF(row); i++) {
        CHECK_INT(current(ring, row[i].now), ==, row[i].current);
        check_opens(ring, row[i].now, row[i].opens);
    }
}

static void test_turning_after_a_long_sleep(void)
{
    static const struct {
        uint64_t periods;
        char current;
        const char *opens; /* fresh are d (next) and c (current) */
    } row[] = {
        {1, 'b', "ry-y--"}, {2, 'c', "rryy--"},    {3, 'c', "-ryy--"},
        {4, 'c', "--yy--"}, {1000, 'c', "--yy--"},
    };
    for (size_t i = 0; i < COUNTOF(row); i++) {
        struct qp_ring *ring = made(5);
        quicpro_tstamp now = 5 + row[i].periods * HOUR + 7;
        qp_ring_turn(ring, now, fresh('d', 'c'));
        CHECK_INT(current(ring, now), ==, row[i].current);
        check_opens(ring, now, row[i].opens);
        CHECK_U64(qp_ring_due(ring), ==, now - 7 + HOUR);
    }
}

static void test_key_knows_when_it_was_made(void)
{
    struct qp_ring *ring = made(5);
    struct qp_ring_key key;
    qp_ring_turn(ring, 5 + HOUR, fresh('c', '?'));
    qp_ring_turn(ring, 5 + 2 * HOUR, fresh('d', '?'));
    CHECK(qp_ring_current(ring, 5 + 2 * HOUR, &key));
    CHECK_U64(key.made, ==, 5 + HOUR); /* as the next one, a period before it seals */
}

static bool holds(char letter)
{
    uint64_t word;
    memset(&word, letter, sizeof(word));
    for (size_t i = 0; i < COUNTOF(memory); i++)
        if (memory[i] == word)
            return true;
    return false;
}

static void test_dropped_keys_leave_nothing(void)
{
    struct qp_ring *ring = made(5);
    CHECK(holds('a') && holds('b'));
    qp_ring_turn(ring, 5 + 3 * HOUR, fresh('d', 'c'));
    CHECK(!holds('a') && holds('b'));
    qp_ring_done(ring);
    for (char c = 'a'; c <= 'd'; c++)
        CHECK(!holds(c));
    check_opens(ring, 5, "------");
    CHECK_INT(current(ring, 5), ==, '-');
    struct qp_ring_key key;
    memset(&key, 7, sizeof(key));
    qp_ring_key_done(&key);
    for (size_t i = 0; i < sizeof(key); i++)
        CHECK_INT(((uint8_t *)&key)[i], ==, 0);
}

static void test_attach_wants_a_ring(void)
{
    struct qp_ring *ring = made(5);
    CHECK(qp_ring_attach(memory) == ring);
    memset(memory, 0, sizeof(memory)); /* as in the child of a fork whose secrets are wiped */
    CHECK(qp_ring_attach(memory) == NULL);
    check_opens(ring, 5, "------");
    CHECK_INT(current(ring, 5), ==, '-');
}

/* Word 1 is the sequence: odd is a writer that died. */
static void test_writer_that_died_leaves_no_key(void)
{
    struct qp_ring *ring = made(5);
    memory[1] |= 1;
    check_opens(ring, 5, "------");
    CHECK_INT(current(ring, 5), ==, '-');
    ring = made(6); /* its successor begins anew */
    CHECK_INT(current(ring, 6), ==, 'a');
}

static atomic_bool stop;

static void *keep_turning(void *arg)
{
    struct qp_ring *ring = arg;
    for (uint64_t i = 1; !atomic_load(&stop); i++) {
        uint8_t next[QP_RING_FRESH_BYTES];
        memset(next, (int)(i & 127), sizeof(next));
        qp_ring_turn(ring, 5 + i * HOUR, next);
    }
    return NULL;
}

/* A reader gets a key whole or not at all, however quickly the ring turns (current() compares its
 * parts). Time stands still for it, so every key is of its time or of a later one. */
static void test_reader_never_sees_half_a_key(void)
{
    struct qp_ring *ring = made(5);
    pthread_t thread;
    unsigned seen = 0;
    atomic_store(&stop, false);
    if (!CHECK(pthread_create(&thread, NULL, keep_turning, ring) == 0))
        return;
    for (unsigned i = 0; i < 200000; i++)
        seen += current(ring, 5) != '-';
    atomic_store(&stop, true);
    pthread_join(thread, NULL);
    CHECK_U64(seen, >, 0);
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_turning_once_a_period),          TEST(test_ring_that_nobody_turns),
        TEST(test_turning_after_a_long_sleep),     TEST(test_key_knows_when_it_was_made),
        TEST(test_dropped_keys_leave_nothing),     TEST(test_attach_wants_a_ring),
        TEST(test_writer_that_died_leaves_no_key), TEST(test_reader_never_sees_half_a_key),
    };
    return RUN(tests);
}
