#include "base/idmap.h"

#include "check.h"

static void test_put_get_remove(void)
{
    struct qp_idmap map = {0};
    int a, b;
    CHECK(qp_idmap_get(&map, 4) == NULL);
    CHECK_INT(qp_idmap_put(&map, 4, &a), ==, 0);
    CHECK_INT(qp_idmap_put(&map, 0, &b), ==, 0);
    CHECK(qp_idmap_get(&map, 4) == &a);
    CHECK(qp_idmap_get(&map, 0) == &b);
    qp_idmap_replace(&map, 4, &b);
    CHECK(qp_idmap_get(&map, 4) == &b);
    qp_idmap_remove(&map, 4);
    qp_idmap_remove(&map, 4);
    CHECK(qp_idmap_get(&map, 4) == NULL);
    CHECK_U64(map.count, ==, 1);
    qp_idmap_done(&map);
}

static void test_an_empty_table_costs_little(void)
{
    struct qp_idmap map = {0};
    int x;
    for (uint64_t id = 0; id < 4000; id += 4)
        CHECK_INT(qp_idmap_put(&map, id, &x), ==, 0);
    for (uint64_t id = 0; id < 4000; id += 4)
        qp_idmap_remove(&map, id);
    CHECK_U64(map.capacity, ==, 0);
}

/* Against an array that is searched through. */
static void test_as_a_naive_model(void)
{
    enum { IDS = 200 };
    struct qp_idmap map = {0};
    void *model[IDS] = {0};
    int values[IDS];
    uint64_t seed = 1;
    for (int round = 0; round < 100000; round++) {
        uint64_t i = check_random(&seed) % IDS;
        if (model[i] == NULL) {
            model[i] = &values[i];
            CHECK_INT(qp_idmap_put(&map, i * 4, model[i]), ==, 0);
        } else {
            model[i] = NULL;
            qp_idmap_remove(&map, i * 4);
        }
        i = check_random(&seed) % IDS;
        if (!CHECK(qp_idmap_get(&map, i * 4) == model[i]))
            break;
    }
    qp_idmap_done(&map);
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_put_get_remove),
        TEST(test_an_empty_table_costs_little),
        TEST(test_as_a_naive_model),
    };
    return RUN(tests);
}
