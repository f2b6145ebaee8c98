#include "quic/cid.h"

#include "check.h"

/* The same rows are run by every program that steers packets, in whatever language it is. */
static void test_layout_vectors(void)
{
    static const struct {
        struct qp_cid_layout layout;
        uint8_t random[15], want[QP_CID_LEN];
    } row[] = {
        {{0, 0, 0, 0}, {0}, {19, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}},
        {{1, 0x1234, 5, 7},
         {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
         {0x33, 0x12, 0x34, 5 ^ 2, (5 ^ 2) + 3 + 4 + 7, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11,
          12,   13,   14,   15}},
        {{7, 0xffff, 255, 255},
         {255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255},
         {0xf3, 255, 255, 0,   253, 255, 255, 255, 255, 255,
          255,  255, 255, 255, 255, 255, 255, 255, 255, 255}},
    };
    for (size_t i = 0; i < COUNTOF(row); i++) {
        uint8_t cid[QP_CID_LEN], slot;
        qp_cid_make(cid, &row[i].layout, row[i].random);
        CHECK_MEM(cid, row[i].want, sizeof(cid));
        CHECK(qp_cid_slot(cid, sizeof(cid), row[i].layout.k, &slot));
        CHECK_U64(slot, ==, row[i].layout.slot);
    }
}

static void test_foreign_ids_have_no_slot(void)
{
    static const struct qp_cid_layout layout = {.slot = 3, .k = 9};
    uint8_t random[15] = {4, 5, 6}, cid[QP_CID_LEN], slot;
    qp_cid_make(cid, &layout, random);
    CHECK(!qp_cid_slot(cid, sizeof(cid) - 1, layout.k, &slot));
    CHECK(!qp_cid_slot(cid, sizeof(cid), layout.k + 1, &slot));
    cid[0] ^= 1;
    CHECK(!qp_cid_slot(cid, sizeof(cid), layout.k, &slot));
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_layout_vectors),
        TEST(test_foreign_ids_have_no_slot),
    };
    return RUN(tests);
}
