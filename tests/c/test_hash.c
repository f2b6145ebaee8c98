#include "base/hash.h"

#include "check.h"
#include "oom.h"

static const uint8_t key[16] = {9, 8, 7, 6, 5, 4, 3, 2, 1};

static void test_put_get_remove(void)
{
    static const struct {
        const char *cid;
        size_t len;
    } row[] = {
        {"", 0}, {"a", 1}, {"ab", 2}, {"\0b", 2}, {"\0", 1}, {"12345678901234567890", 20},
    };
    struct qp_cid_map map;
    qp_cid_map_init(&map, key);
    CHECK_INT(qp_cid_map_get(&map, NULL, 0), ==, -1);
    for (size_t i = 0; i < COUNTOF(row); i++) {
        const uint8_t *cid = (const uint8_t *)row[i].cid;
        CHECK_INT(qp_cid_map_get(&map, cid, row[i].len), ==, -1);
        CHECK_INT(qp_cid_map_put(&map, cid, row[i].len, (uint32_t)i), ==, 0);
        CHECK_INT(qp_cid_map_put(&map, cid, row[i].len, 99), ==, QUICPRO_ESTATE);
    }
    for (size_t i = 0; i < COUNTOF(row); i++)
        CHECK_INT(qp_cid_map_get(&map, (const uint8_t *)row[i].cid, row[i].len), ==, (int64_t)i);
    CHECK_U64(map.count, ==, COUNTOF(row));
    for (size_t i = 0; i < COUNTOF(row); i++) {
        const uint8_t *cid = (const uint8_t *)row[i].cid;
        qp_cid_map_remove(&map, cid, row[i].len);
        CHECK_INT(qp_cid_map_get(&map, cid, row[i].len), ==, -1);
        qp_cid_map_remove(&map, cid, row[i].len);
    }
    CHECK_U64(map.count, ==, 0);
    qp_cid_map_done(&map);
}

static void test_largest_value_and_longest_id(void)
{
    struct qp_cid_map map;
    uint8_t long_id[21] = {0};
    qp_cid_map_init(&map, key);
    CHECK_INT(qp_cid_map_put(&map, long_id, 20, UINT32_MAX), ==, 0);
    CHECK_INT(qp_cid_map_get(&map, long_id, 20), ==, UINT32_MAX);
    CHECK_INT(qp_cid_map_get(&map, long_id, 21), ==, -1); /* as a foreign version may have it */
    qp_cid_map_remove(&map, long_id, 21);
    CHECK_U64(map.count, ==, 1);
    qp_cid_map_done(&map);
}

static void test_move(void)
{
    struct qp_cid_map map;
    qp_cid_map_init(&map, key);
    qp_cid_map_move(&map, (const uint8_t *)"abc", 3, 1); /* nobody there */
    CHECK_INT(qp_cid_map_put(&map, (const uint8_t *)"abc", 3, 1), ==, 0);
    qp_cid_map_move(&map, (const uint8_t *)"abc", 3, 7);
    qp_cid_map_move(&map, (const uint8_t *)"abd", 3, 8);
    CHECK_INT(qp_cid_map_get(&map, (const uint8_t *)"abc", 3), ==, 7);
    CHECK_INT(qp_cid_map_get(&map, (const uint8_t *)"abd", 3), ==, -1);
    CHECK_U64(map.count, ==, 1);
    qp_cid_map_done(&map);
}

static void test_grows_and_shrinks(void)
{
    struct qp_cid_map map;
    qp_cid_map_init(&map, key);
    for (uint32_t i = 0; i < 10000; i++)
        CHECK_INT(qp_cid_map_put(&map, (const uint8_t *)&i, sizeof(i), i), ==, 0);
    CHECK_U64(map.capacity, >=, 10000);
    for (uint32_t i = 0; i < 9999; i++)
        qp_cid_map_remove(&map, (const uint8_t *)&i, sizeof(i));
    CHECK_U64(map.capacity, ==, 16);
    uint32_t last = 9999;
    CHECK_INT(qp_cid_map_get(&map, (const uint8_t *)&last, sizeof(last)), ==, 9999);
    qp_cid_map_done(&map);
    CHECK(map.slots == NULL && map.count == 0);
    CHECK_INT(qp_cid_map_get(&map, (const uint8_t *)&last, sizeof(last)), ==, -1);
}

/* Against a list, with few distinct IDs so that puts and removals meet. */
static void test_like_a_list(void)
{
    enum { IDS = 700 };
    static struct {
        uint8_t id[20];
        size_t len;
        int64_t value; /* -1: not in the map */
    } model[IDS];
    struct qp_cid_map map;
    uint64_t seed = 3;
    size_t count = 0;
    qp_cid_map_init(&map, key);
    for (size_t i = 0; i < IDS; i++) {
        model[i].len = 2 + check_random(&seed) % 19;
        for (size_t j = 0; j < model[i].len; j++)
            model[i].id[j] = (uint8_t)check_random(&seed);
        model[i].id[0] = (uint8_t)i; /* no two the same */
        model[i].id[1] = (uint8_t)(i >> 8);
        model[i].value = -1;
    }
    for (int step = 0; step < 60000; step++) {
        uint64_t r = check_random(&seed);
        size_t i = (r >> 8) % IDS, probe = (r >> 24) % IDS;
        unsigned puts = step / 15000 % 2 == 0 ? 6 : 2; /* of 8: filling, then emptying */
        if (r % 8 < puts) {
            int want = model[i].value >= 0 ? QUICPRO_ESTATE : 0;
            uint32_t value = (uint32_t)(r >> 40);
            CHECK_INT(qp_cid_map_put(&map, model[i].id, model[i].len, value), ==, want);
            if (want == 0) {
                model[i].value = value;
                count++;
            }
        } else {
            qp_cid_map_remove(&map, model[i].id, model[i].len);
            count -= model[i].value >= 0;
            model[i].value = -1;
        }
        if (!CHECK_U64(map.count, ==, count) ||
            !CHECK_INT(qp_cid_map_get(&map, model[probe].id, model[probe].len), ==,
                       model[probe].value))
            break;
    }
    for (size_t i = 0; i < IDS; i++)
        CHECK_INT(qp_cid_map_get(&map, model[i].id, model[i].len), ==, model[i].value);
    qp_cid_map_done(&map);
}

static void test_out_of_memory(void)
{
    struct qp_cid_map map;
    uint32_t i = 0;
    if (!OOM_POSSIBLE) {
        check_skip("the allocator cannot be replaced here");
        return;
    }
    qp_cid_map_init(&map, key);
    oom_after(0);
    int r = qp_cid_map_put(&map, key, 8, 1);
    oom_off();
    CHECK(r == QUICPRO_ENOMEM && map.count == 0);
    for (i = 0; i < 100; i++)
        qp_cid_map_put(&map, (const uint8_t *)&i, sizeof(i), i);
    oom_after(0); /* shrinking needs memory: without it everything stays */
    for (i = 0; i < 99; i++)
        qp_cid_map_remove(&map, (const uint8_t *)&i, sizeof(i));
    oom_off();
    CHECK_INT(qp_cid_map_get(&map, (const uint8_t *)&i, sizeof(i)), ==, 99);
    CHECK_U64(map.count, ==, 1);
    qp_cid_map_done(&map);
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_put_get_remove), TEST(test_largest_value_and_longest_id),
        TEST(test_move),           TEST(test_grows_and_shrinks),
        TEST(test_like_a_list),    TEST(test_out_of_memory),
    };
    return RUN(tests);
}
