#include "base/slab.h"

#include "check.h"
#include "oom.h"

static void test_handles_are_never_zero_and_go_stale(void)
{
    struct qp_slab slab;
    quicpro_handle a = 0, b = 0;
    qp_slab_init(&slab, 24, 0);
    void *first = qp_slab_take(&slab, &a);
    CHECK(first != NULL && a != 0);
    CHECK(qp_slab_get(&slab, a) == first);
    CHECK(qp_slab_get(&slab, 0) == NULL);
    CHECK(qp_slab_get(&slab, a + 1) == NULL);
    CHECK(qp_slab_get(&slab, UINT64_MAX) == NULL);
    memset(first, 0xff, 24);
    qp_slab_put(&slab, a);
    CHECK(qp_slab_get(&slab, a) == NULL);
    void *second = qp_slab_take(&slab, &b);
    CHECK(second == first && b != a); /* last in, first out */
    CHECK_MEM(second, (char[24]){0}, 24);
    CHECK(qp_slab_get(&slab, a) == NULL);
    /* Neither does a guessed even generation open a free item. */
    CHECK(qp_slab_get(&slab, 1) == NULL);
    CHECK(qp_slab_get(&slab, (UINT64_C(2) << 32) | 0) == NULL);
    qp_slab_done(&slab);
    CHECK(slab.used == 0 && slab.blocks == NULL);
}

static void test_max_in_use(void)
{
    struct qp_slab slab;
    quicpro_handle handle[3], other = 0;
    qp_slab_init(&slab, 1, 3);
    for (size_t i = 0; i < 3; i++)
        CHECK(qp_slab_take(&slab, &handle[i]) != NULL);
    CHECK(qp_slab_take(&slab, &other) == NULL && other == 0);
    qp_slab_put(&slab, handle[1]);
    CHECK(qp_slab_take(&slab, &other) != NULL);
    CHECK_U64(slab.used, ==, 3);
    qp_slab_done(&slab);
}

static void test_generation_wraps_to_a_valid_one(void)
{
    struct qp_slab slab;
    quicpro_handle handle = 0;
    qp_slab_init(&slab, 8, 0);
    qp_slab_take(&slab, &handle);
    qp_slab_put(&slab, handle);
    slab.generation[(uint32_t)handle] = UINT32_MAX - 1;
    qp_slab_take(&slab, &handle);
    CHECK_U64(handle >> 32, ==, UINT32_MAX);
    qp_slab_put(&slab, handle);
    CHECK(qp_slab_get(&slab, (uint32_t)handle) == NULL);
    CHECK(qp_slab_take(&slab, &handle) != NULL);
    CHECK_U64(handle >> 32, ==, 1);
    qp_slab_done(&slab);
}

static void test_put_during_a_walk(void)
{
    struct qp_slab slab;
    quicpro_handle handle;
    qp_slab_init(&slab, 4, 0);
    for (uint32_t i = 0; i < 200; i++)
        *(uint32_t *)qp_slab_take(&slab, &handle) = i;
    uint32_t cursor = 0, seen = 0;
    for (uint32_t *at; (at = qp_slab_next(&slab, &cursor, &handle)) != NULL; seen++)
        if (*at % 2 == 0)
            qp_slab_put(&slab, handle);
    CHECK_U64(seen, ==, 200);
    CHECK_U64(slab.used, ==, 100);
    CHECK(qp_slab_next(&slab, &cursor, &handle) == NULL);
    cursor = 0;
    for (uint32_t *at; (at = qp_slab_next(&slab, &cursor, &handle)) != NULL; seen--)
        CHECK(*at % 2 == 1 && qp_slab_get(&slab, handle) == at);
    CHECK_U64(seen, ==, 100);
    qp_slab_done(&slab);
}

/* Against a list: live handles give their item, dead ones none, no item moves. */
static void test_like_a_list(void)
{
    enum { LIVE_MAX = 1500, DEAD_MAX = 512 };
    static struct {
        quicpro_handle handle;
        uint64_t *item, value;
    } live[LIVE_MAX];
    static quicpro_handle dead[DEAD_MAX];
    struct qp_slab slab;
    size_t count = 0, dead_count = 0;
    uint64_t seed = 7;
    qp_slab_init(&slab, sizeof(uint64_t), 0);
    for (int step = 0; step < 60000; step++) {
        uint64_t r = check_random(&seed);
        if (count < LIVE_MAX && (count == 0 || r % 16 < (step / 10000 % 2 == 0 ? 10u : 6u))) {
            live[count].item = qp_slab_take(&slab, &live[count].handle);
            if (!CHECK(live[count].item != NULL && *live[count].item == 0))
                break;
            *live[count].item = live[count].value = r;
            count++;
        } else {
            size_t i = (r >> 8) % count;
            qp_slab_put(&slab, live[i].handle);
            dead[dead_count++ % DEAD_MAX] = live[i].handle;
            live[i] = live[--count];
        }
        size_t probe = count == 0 ? 0 : (r >> 32) % count;
        if (count != 0 && !CHECK(qp_slab_get(&slab, live[probe].handle) == live[probe].item &&
                                 *live[probe].item == live[probe].value))
            break;
        if (dead_count != 0 &&
            !CHECK(qp_slab_get(&slab,
                               dead[(r >> 20) % (dead_count < DEAD_MAX ? dead_count : DEAD_MAX)]) ==
                   NULL))
            break;
        if (!CHECK_U64(slab.used, ==, count))
            break;
    }
    uint32_t cursor = 0;
    quicpro_handle handle;
    size_t seen = 0;
    while (qp_slab_next(&slab, &cursor, &handle) != NULL)
        seen++;
    CHECK_U64(seen, ==, count);
    qp_slab_done(&slab);
}

static void test_out_of_memory(void)
{
    struct qp_slab slab;
    quicpro_handle handle = 0;
    if (!OOM_POSSIBLE) {
        check_skip("the allocator cannot be replaced here");
        return;
    }
    qp_slab_init(&slab, 8, 0);
    for (long allowed = 0; allowed < 4; allowed++) {
        oom_after(allowed);
        void *item = qp_slab_take(&slab, &handle);
        oom_off();
        CHECK(item == NULL && handle == 0 && slab.used == 0);
    }
    CHECK(qp_slab_take(&slab, &handle) != NULL);
    qp_slab_done(&slab);
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_handles_are_never_zero_and_go_stale),
        TEST(test_max_in_use),
        TEST(test_generation_wraps_to_a_valid_one),
        TEST(test_put_during_a_walk),
        TEST(test_like_a_list),
        TEST(test_out_of_memory),
    };
    return RUN(tests);
}
