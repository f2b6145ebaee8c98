#include "base/heap.h"

#include "check.h"
#include "oom.h"

static void test_order(void)
{
    static const quicpro_tstamp at[] = {50, 10, 40, 10, 30, 0, 20, 60};
    struct qp_timer timer[COUNTOF(at)] = {{0}};
    struct qp_heap heap = {0};
    CHECK(qp_heap_first(&heap) == NULL);
    for (size_t i = 0; i < COUNTOF(at); i++)
        CHECK_INT(qp_heap_set(&heap, &timer[i], at[i]), ==, 0);
    quicpro_tstamp last = 0;
    for (size_t i = 0; i < COUNTOF(at); i++) {
        struct qp_timer *first = qp_heap_first(&heap);
        if (!CHECK(first != NULL))
            break;
        CHECK_U64(first->at, >=, last);
        last = first->at;
        qp_heap_set(&heap, first, QUICPRO_FOREVER);
        CHECK(first->pos == 0 && first->at == QUICPRO_FOREVER);
    }
    CHECK_U64(last, ==, 60);
    CHECK(qp_heap_first(&heap) == NULL);
    qp_heap_done(&heap);
}

static void test_removing_what_is_not_there(void)
{
    struct qp_heap heap = {0};
    struct qp_timer timer = {.at = 5};
    CHECK_INT(qp_heap_set(&heap, &timer, QUICPRO_FOREVER), ==, 0);
    CHECK(timer.at == QUICPRO_FOREVER && timer.pos == 0 && heap.count == 0);
    qp_heap_done(&heap);
}

/* Against a walk over all timers. */
static void test_like_a_walk(void)
{
    enum { TIMERS = 300 };
    static struct qp_timer timer[TIMERS];
    struct qp_heap heap = {0};
    uint64_t seed = 11;
    for (size_t i = 0; i < TIMERS; i++)
        timer[i] = (struct qp_timer){.at = QUICPRO_FOREVER};
    for (int step = 0; step < 30000; step++) {
        uint64_t r = check_random(&seed);
        quicpro_tstamp at = r % 4 == 0 ? QUICPRO_FOREVER : (r >> 32) % 1000;
        CHECK_INT(qp_heap_set(&heap, &timer[(r >> 8) % TIMERS], at), ==, 0);
        quicpro_tstamp least = QUICPRO_FOREVER;
        uint32_t count = 0;
        for (size_t i = 0; i < TIMERS; i++) {
            least = timer[i].at < least ? timer[i].at : least;
            count += timer[i].at != QUICPRO_FOREVER;
        }
        const struct qp_timer *first = qp_heap_first(&heap);
        if (!CHECK_U64(heap.count, ==, count) ||
            !CHECK_U64(first == NULL ? QUICPRO_FOREVER : first->at, ==, least))
            break;
    }
    for (uint32_t i = 0; i < heap.count; i++)
        CHECK_U64(heap.nodes[i]->pos, ==, i + 1);
    qp_heap_done(&heap);
}

static void test_out_of_memory_changes_nothing(void)
{
    struct qp_heap heap = {0};
    static struct qp_timer timer[65];
    if (!OOM_POSSIBLE) {
        check_skip("the allocator cannot be replaced here");
        return;
    }
    for (size_t i = 0; i < 64; i++)
        CHECK_INT(qp_heap_set(&heap, &timer[i], i), ==, 0);
    timer[64].at = 123;
    oom_after(0);
    int r = qp_heap_set(&heap, &timer[64], 1);
    int moved = qp_heap_set(&heap, &timer[0], 1000);
    oom_off();
    CHECK_INT(r, ==, QUICPRO_ENOMEM);
    CHECK(timer[64].at == 123 && timer[64].pos == 0 && heap.count == 64);
    CHECK(moved == 0 && qp_heap_first(&heap) == &timer[1]);
    qp_heap_done(&heap);
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_order),
        TEST(test_removing_what_is_not_there),
        TEST(test_like_a_walk),
        TEST(test_out_of_memory_changes_nothing),
    };
    return RUN(tests);
}
