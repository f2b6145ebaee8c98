#include "ticket/store.h"

#include "check.h"
#include "oom.h"

static int put(struct qp_store *store, const char *key, const char *value, uint64_t expires)
{
    return qp_store_put(store, (const uint8_t *)key, strlen(key), (const uint8_t *)value,
                        strlen(value), expires);
}

/* What take gives, as a string; "" for nothing. */
static const char *take(struct qp_store *store, const char *key, uint64_t now)
{
    static char text[256];
    struct qp_buf buf = {0};
    int r = qp_store_take(store, (const uint8_t *)key, strlen(key), now, &buf);
    CHECK_INT(r, ==, buf.len != 0);
    snprintf(text, sizeof(text), "%.*s", (int)buf.len, buf.data == NULL ? "" : (char *)buf.data);
    qp_buf_done(&buf);
    return text;
}

static void test_newest_first_and_each_once(void)
{
    struct qp_store store;
    qp_store_init(&store, 100, 10000);
    CHECK_INT(put(&store, "a", "a1", 10), ==, 0);
    CHECK_INT(put(&store, "b", "b1", 10), ==, 0);
    CHECK_INT(put(&store, "a", "a2", 10), ==, 0);
    CHECK_STR(take(&store, "a", 5), "a2");
    CHECK_STR(take(&store, "a", 5), "a1");
    CHECK_STR(take(&store, "a", 5), "");
    CHECK_STR(take(&store, "c", 5), "");
    CHECK_STR(take(&store, "b", 5), "b1");
    CHECK_U64(store.count, ==, 0);
    CHECK_U64(store.bytes, ==, 0);
    CHECK_U64(store.hits, ==, 3);
    CHECK_U64(store.misses, ==, 2);
    qp_store_done(&store);
}

static void test_over_is_gone(void)
{
    struct qp_store store;
    qp_store_init(&store, 100, 10000);
    put(&store, "a", "late", 11);
    put(&store, "a", "early", 10);
    put(&store, "b", "early", 10);
    CHECK_STR(take(&store, "a", 10), "late");
    CHECK_U64(store.expired, ==, 2);
    CHECK_U64(store.count, ==, 0);
    qp_store_done(&store);
}

static void test_limits(void)
{
    struct qp_store store;
    char key[8];
    qp_store_init(&store, 3, 10000);
    for (int i = 0; i < 5; i++) {
        snprintf(key, sizeof(key), "%d", i);
        CHECK_INT(put(&store, key, "x", 10), ==, 0);
    }
    CHECK_U64(store.count, ==, 3);
    CHECK_STR(take(&store, "1", 5), "");
    CHECK_STR(take(&store, "2", 5), "x");
    qp_store_done(&store);

    qp_store_init(&store, 100, 10); /* bytes */
    CHECK_INT(put(&store, "k", "1234567890", 10), ==, QUICPRO_E2BIG);
    CHECK_INT(put(&store, "a", "123456789", 10), ==, 0);
    CHECK_INT(put(&store, "b", "1234", 10), ==, 0);
    CHECK_U64(store.count, ==, 1);
    CHECK_U64(store.bytes, ==, 5);
    CHECK_INT(put(&store, "c", "1234", 10), ==, 0);
    CHECK_U64(store.count, ==, 2);
    CHECK_U64(store.evicted, ==, 1);
    qp_store_done(&store);

    qp_store_init(&store, 0, 1000); /* nothing at all */
    CHECK_INT(put(&store, "a", "x", 10), ==, QUICPRO_E2BIG);
    qp_store_init(&store, SIZE_MAX, SIZE_MAX);
    CHECK_U64(store.max_count, ==, QP_STORE_MAX);
    CHECK_U64(store.max_bytes, ==, QP_STORE_BYTES);
}

static void test_one_server_does_not_push_out_others(void)
{
    struct qp_store store;
    char value[8];
    qp_store_init(&store, 8, 10000);
    put(&store, "quiet", "q", 10);
    for (int i = 0; i < 100; i++) {
        snprintf(value, sizeof(value), "%d", i);
        CHECK_INT(put(&store, "busy", value, 10), ==, 0);
    }
    CHECK_U64(store.count, ==, 1 + QP_STORE_EACH);
    CHECK_STR(take(&store, "quiet", 5), "q");
    CHECK_STR(take(&store, "busy", 5), "99");
    CHECK_STR(take(&store, "busy", 5), "98");
    qp_store_done(&store);
}

static void fill(struct qp_store *store)
{
    qp_store_init(store, 100, 10000);
    put(store, "a", "a1", 10);
    put(store, "b", "b1", 20);
    put(store, "a", "", 30);
    put(store, "a", "a3", 40);
}

static void test_save_and_load(void)
{
    struct qp_store store, back;
    struct qp_buf bytes = {0}, again = {0};
    fill(&store);
    CHECK_INT(qp_store_save(&store, &bytes), ==, 0);
    qp_store_init(&back, 100, 10000);
    CHECK_INT(qp_store_load(&back, bytes.data, bytes.len, 5), ==, 0);
    CHECK_U64(back.count, ==, 4);
    CHECK_INT(qp_store_save(&back, &again), ==, 0);
    CHECK_U64(again.len, ==, bytes.len);
    CHECK_MEM(again.data, bytes.data, bytes.len);
    CHECK_STR(take(&back, "a", 5), "a3");
    CHECK_STR(take(&back, "b", 5), "b1");
    qp_store_done(&back);

    qp_store_init(&back, 100, 10000); /* later */
    CHECK_INT(qp_store_load(&back, bytes.data, bytes.len, 20), ==, 0);
    CHECK_U64(back.count, ==, 2);
    CHECK_U64(back.expired, ==, 2);
    qp_store_done(&back);

    qp_store_init(&back, 1, 10000); /* into a smaller one: the newest stay */
    CHECK_INT(qp_store_load(&back, bytes.data, bytes.len, 5), ==, 0);
    CHECK_U64(back.count, ==, 1);
    CHECK_STR(take(&back, "a", 5), "a3");
    qp_store_done(&back);
    qp_store_done(&store);
    qp_buf_done(&bytes);
    qp_buf_done(&again);
}

static void test_damaged_bytes_are_refused_whole(void)
{
    struct qp_store store, back;
    struct qp_buf bytes = {0};
    fill(&store);
    CHECK_INT(qp_store_save(&store, &bytes), ==, 0);
    qp_store_init(&back, 100, 10000);
    for (size_t cut = 0; cut < bytes.len; cut++)
        CHECK_INT(qp_store_load(&back, bytes.data, cut, 5), ==, QUICPRO_EPROTO);
    for (size_t i = 0; i < bytes.len * 8; i++) {
        bytes.data[i / 8] ^= (uint8_t)(1 << i % 8);
        CHECK_INT(qp_store_load(&back, bytes.data, bytes.len, 5), ==, QUICPRO_EPROTO);
        bytes.data[i / 8] ^= (uint8_t)(1 << i % 8);
    }
    CHECK_U64(back.count, ==, 0);
    qp_store_done(&store);
    qp_buf_done(&bytes);
}

static void test_out_of_memory(void)
{
    struct qp_store store, back;
    struct qp_buf bytes = {0}, out = {0};
    if (!OOM_POSSIBLE) {
        check_skip("the allocator of this build cannot be replaced");
        return;
    }
    fill(&store);
    oom_after(0);
    CHECK_INT(put(&store, "z", "z", 10), ==, QUICPRO_ENOMEM);
    CHECK_INT(qp_store_take(&store, (const uint8_t *)"b", 1, 5, &out), ==, QUICPRO_ENOMEM);
    CHECK_INT(qp_store_save(&store, &bytes), ==, QUICPRO_ENOMEM);
    oom_off();
    CHECK_U64(store.count, ==, 4);
    CHECK_INT(qp_store_save(&store, &bytes), ==, 0);
    qp_store_init(&back, 100, 10000);
    oom_after(2);
    CHECK_INT(qp_store_load(&back, bytes.data, bytes.len, 5), ==, QUICPRO_ENOMEM);
    oom_off();
    CHECK_U64(back.count, ==, 0);
    qp_store_done(&store);
    qp_buf_done(&bytes);
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_newest_first_and_each_once),
        TEST(test_over_is_gone),
        TEST(test_limits),
        TEST(test_one_server_does_not_push_out_others),
        TEST(test_save_and_load),
        TEST(test_damaged_bytes_are_refused_whole),
        TEST(test_out_of_memory),
    };
    return RUN(tests);
}
