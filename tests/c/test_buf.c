#include "base/buf.h"

#include "check.h"
#include "oom.h"

static void test_buf_grows_and_keeps_its_bytes(void)
{
    struct qp_buf buf = {0};
    for (unsigned i = 0; i < 5000; i++) {
        uint16_t value = (uint16_t)i;
        CHECK_INT(qp_buf_append(&buf, &value, sizeof(value)), ==, 0);
    }
    CHECK_U64(buf.len, ==, 10000);
    for (unsigned i = 0; i < 5000; i++) {
        uint16_t value;
        memcpy(&value, buf.data + 2 * i, sizeof(value));
        if (!CHECK_U64(value, ==, i))
            break;
    }
    qp_buf_done(&buf);
    CHECK(buf.data == NULL && buf.len == 0 && buf.cap == 0);
}

static void test_buf_reserve(void)
{
    struct qp_buf buf = {0};
    CHECK(qp_buf_reserve(&buf, 0) != NULL); /* NULL means out of memory, nothing else */
    CHECK_INT(qp_buf_append(&buf, NULL, 0), ==, 0);
    uint8_t *at = qp_buf_reserve(&buf, 100000);
    CHECK(at == buf.data && buf.cap >= 100000 && buf.len == 0);
    CHECK(qp_buf_reserve(&buf, SIZE_MAX) == NULL);
    CHECK(qp_buf_reserve(&buf, SIZE_MAX / 2 + 1) == NULL);
    CHECK(buf.cap >= 100000);
    qp_buf_done(&buf);
}

static void test_arena_pointers_stay(void)
{
    struct qp_arena arena;
    uint8_t *piece[3000];
    size_t room;
    qp_arena_init(&arena, 1 << 20);
    for (size_t i = 0; i < COUNTOF(piece); i++) {
        size_t n = 1 + i % 257;
        piece[i] = qp_arena_reserve(&arena, n, &room);
        if (!CHECK(piece[i] != NULL && room >= n && (uintptr_t)piece[i] % 8 == 0))
            return;
        memset(piece[i], (int)(i & 0xff), n);
        qp_arena_commit(&arena, n);
    }
    for (size_t i = 0; i < COUNTOF(piece); i++)
        for (size_t j = 0; j < 1 + i % 257; j++)
            if (piece[i][j] != (i & 0xff))
                CHECK(!"bytes were overwritten");
    qp_arena_done(&arena);
}

static void test_arena_reserve_takes_nothing(void)
{
    struct qp_arena arena;
    size_t room, room2;
    qp_arena_init(&arena, 0);
    uint8_t *a = qp_arena_reserve(&arena, 10, &room);
    uint8_t *b = qp_arena_reserve(&arena, 20, &room2);
    CHECK(a == b && room == room2);
    qp_arena_commit(&arena, 3);
    CHECK(qp_arena_reserve(&arena, 1, &room) == a + 8 && room == room2 - 8);
    qp_arena_commit(&arena, 0);
    CHECK(qp_arena_reserve(&arena, 1, &room) == a + 8);
    uint8_t *big = qp_arena_reserve(&arena, 1000000, &room);
    CHECK(big != NULL && room >= 1000000);
    qp_arena_commit(&arena, room);
    CHECK(qp_arena_reserve(&arena, SIZE_MAX, &room) == NULL);
    qp_arena_done(&arena);
}

static void test_arena_reset_reuses_blocks(void)
{
    struct qp_arena arena;
    size_t room;
    qp_arena_init(&arena, 100000); /* one block of 64 KiB */
    uint8_t *first = qp_arena_reserve(&arena, 1, &room);
    qp_arena_commit(&arena, room);
    for (int i = 0; i < 5; i++) {
        CHECK(qp_arena_reserve(&arena, 50000, &room) != NULL);
        qp_arena_commit(&arena, 50000);
    }
    qp_arena_reset(&arena);
    CHECK(qp_arena_reserve(&arena, 1, &room) == first);
    qp_arena_commit(&arena, 1);
    arena.keep = 0;
    qp_arena_reset(&arena);
    CHECK(arena.head == NULL && arena.current == NULL);
    qp_arena_done(&arena);
}

static void test_out_of_memory(void)
{
    struct qp_buf buf = {0};
    struct qp_arena arena;
    size_t room = 5;
    if (!OOM_POSSIBLE) {
        check_skip("the allocator cannot be replaced here");
        return;
    }
    qp_arena_init(&arena, 0);
    CHECK_INT(qp_buf_append(&buf, "abc", 3), ==, 0);
    oom_after(0);
    bool grown = qp_buf_reserve(&buf, 100000) != NULL;
    int appended = qp_buf_append(&buf, "defghijk", buf.cap);
    bool reserved = qp_arena_reserve(&arena, 1, &room) != NULL;
    oom_off();
    CHECK(!grown && appended == QUICPRO_ENOMEM && !reserved);
    CHECK_U64(buf.len, ==, 3);
    CHECK_MEM(buf.data, "abc", 3);
    CHECK_U64(room, ==, 5);
    qp_buf_done(&buf);
    qp_arena_done(&arena);
}

static void test_wipe(void)
{
    uint8_t data[100];
    memset(data, 7, sizeof(data));
    qp_wipe(data + 1, 98);
    CHECK(data[0] == 7 && data[99] == 7);
    for (size_t i = 1; i < 99; i++)
        CHECK_U64(data[i], ==, 0);
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_buf_grows_and_keeps_its_bytes),
        TEST(test_buf_reserve),
        TEST(test_arena_pointers_stay),
        TEST(test_arena_reserve_takes_nothing),
        TEST(test_arena_reset_reuses_blocks),
        TEST(test_out_of_memory),
        TEST(test_wipe),
    };
    return RUN(tests);
}
