#include "base/buf.h"

#include "check.h"
#include "oom.h"

#include <stdlib.h>

/* Bytes of the queue from skip on, as its spans tell. */
static size_t gather(const struct qp_queue *queue, size_t skip, uint8_t *out, size_t max)
{
    struct qp_span span[64];
    size_t count = qp_queue_peek(queue, skip, span, COUNTOF(span)), n = 0;
    for (size_t i = 0; i < count; i++) {
        CHECK(span[i].len != 0);
        size_t take = span[i].len < max - n ? span[i].len : max - n;
        memcpy(out + n, span[i].data, take);
        n += take;
    }
    return n;
}

static void test_first_in_first_out(void)
{
    struct qp_queue queue = {0};
    uint8_t out[64];
    CHECK_INT(qp_queue_append(&queue, NULL, 0), ==, 0);
    CHECK(queue.head == NULL);
    CHECK_INT(qp_queue_append(&queue, "hello ", 6), ==, 0);
    CHECK_INT(qp_queue_append(&queue, "world", 5), ==, 0);
    CHECK_U64(queue.len, ==, 11);
    CHECK_U64(gather(&queue, 0, out, sizeof(out)), ==, 11);
    CHECK_MEM(out, "hello world", 11);
    CHECK_U64(gather(&queue, 6, out, sizeof(out)), ==, 5);
    CHECK_MEM(out, "world", 5);
    CHECK_U64(gather(&queue, 11, out, sizeof(out)), ==, 0);
    qp_queue_consume(&queue, 6);
    CHECK_U64(gather(&queue, 0, out, sizeof(out)), ==, 5);
    CHECK_MEM(out, "world", 5);
    qp_queue_consume(&queue, 5);
    CHECK(queue.len == 0 && queue.head == NULL && queue.tail == NULL);
    qp_queue_done(&queue);
}

static void test_appending_moves_nothing(void)
{
    struct qp_queue queue = {0};
    struct qp_span before, after;
    static uint8_t large[300000];
    qp_queue_append(&queue, "abc", 3);
    CHECK_U64(qp_queue_peek(&queue, 0, &before, 1), ==, 1);
    qp_queue_append(&queue, large, sizeof(large));
    CHECK_U64(qp_queue_peek(&queue, 0, &after, 1), ==, 1);
    CHECK(before.data == after.data && after.len > before.len);
    qp_queue_done(&queue);
    CHECK(queue.len == 0 && queue.head == NULL);
}

static void test_peek_fills_at_most_max(void)
{
    struct qp_queue queue = {0};
    struct qp_span span[3];
    static uint8_t large[200000];
    qp_queue_append(&queue, large, sizeof(large));
    CHECK_U64(qp_queue_peek(&queue, 0, span, 0), ==, 0);
    CHECK_U64(qp_queue_peek(&queue, 0, span, 2), ==, 2);
    CHECK_U64(qp_queue_peek(&queue, span[0].len, span + 1, 1), ==, 1);
    CHECK(span[0].data + span[0].len <= span[1].data || span[1].data < span[0].data);
    qp_queue_done(&queue);
}

/* Against an array: the same bytes come out, whatever the sizes. */
static void test_like_an_array(void)
{
    enum { MODEL = 1 << 20 };
    struct qp_queue queue = {0};
    uint8_t *model = malloc(MODEL), *out = malloc(MODEL);
    size_t start = 0, end = 0;
    uint64_t seed = 42;
    for (int step = 0; step < 6000; step++) {
        uint64_t r = check_random(&seed);
        size_t len = end - start;
        if (r % 2 == 0 && len < 200000) {
            size_t n = (r >> 8) % (r >> 40 & 7 ? 700 : 100000);
            if (end + n > MODEL) {
                memmove(model, model + start, len);
                start = 0;
                end = len;
            }
            for (size_t i = 0; i < n; i++)
                model[end + i] = (uint8_t)check_random(&seed);
            CHECK_INT(qp_queue_append(&queue, model + end, n), ==, 0);
            end += n;
        } else {
            size_t n = len == 0 ? 0 : (r >> 8) % (len + 1);
            qp_queue_consume(&queue, n);
            start += n;
        }
        size_t skip = end == start ? 0 : check_random(&seed) % (end - start);
        size_t got = gather(&queue, skip, out, MODEL);
        if (!CHECK_U64(queue.len, ==, end - start) || !CHECK_U64(got, <=, end - start - skip) ||
            !CHECK_MEM(out, model + start + skip, got))
            break;
    }
    qp_queue_done(&queue);
    free(model);
    free(out);
}

static void test_all_or_nothing(void)
{
    struct qp_queue queue = {0};
    static uint8_t large[300000];
    uint8_t out[300];
    if (!OOM_POSSIBLE) {
        check_skip("the allocator cannot be replaced here");
        return;
    }
    memset(out, 'x', sizeof(out));
    qp_queue_append(&queue, "abc", 3);
    for (long allowed = 0; allowed < 4; allowed++) {
        oom_after(allowed);
        int r = qp_queue_append(&queue, large, sizeof(large));
        oom_off();
        CHECK_INT(r, ==, QUICPRO_ENOMEM);
        CHECK_U64(queue.len, ==, 3);
        CHECK_U64(gather(&queue, 0, out, sizeof(out)), ==, 3);
        CHECK_MEM(out, "abc", 3);
    }
    qp_queue_done(&queue);
}

static void test_a_block_outlives_the_queue(void)
{
    struct qp_queue queue = {0};
    struct qp_span span;
    static uint8_t bytes[5000];
    memset(bytes, 7, sizeof(bytes));
    qp_queue_append(&queue, bytes, sizeof(bytes));
    CHECK_U64(qp_queue_peek(&queue, 10, &span, 1), ==, 1);
    CHECK(qp_queue_block_of(&queue, bytes) == NULL);
    uint32_t *users = qp_queue_block_of(&queue, span.data);
    if (!CHECK(users != NULL && *users == 1))
        return;
    ++*users;
    CHECK(qp_queue_block_of(&queue, span.data + span.len - 1) == users);
    CHECK(qp_queue_block_of(&queue, span.data + span.len) == NULL);
    qp_queue_consume(&queue, sizeof(bytes));
    CHECK(queue.head == NULL && *users == 1);
    CHECK_MEM(span.data, bytes, span.len);
    free(users);
    qp_queue_done(&queue);
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_first_in_first_out),     TEST(test_appending_moves_nothing),
        TEST(test_peek_fills_at_most_max), TEST(test_like_an_array),
        TEST(test_all_or_nothing),         TEST(test_a_block_outlives_the_queue),
    };
    return RUN(tests);
}
