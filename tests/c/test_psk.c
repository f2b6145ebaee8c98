#include "ticket/psk.h"

#include "check.h"

/* An extension of identities and binders of these lengths, each filled with its number. */
static size_t build(uint8_t *out, const size_t *identity, size_t identities, const size_t *binder,
                    size_t binders)
{
    uint8_t *at = out + 2;
    for (size_t i = 0; i < identities; i++) {
        *at++ = (uint8_t)(identity[i] >> 8);
        *at++ = (uint8_t)identity[i];
        memset(at, (int)i + 1, identity[i]);
        at += identity[i];
        memset(at, 0xee, 4);
        at += 4;
    }
    const size_t first = (size_t)(at - out - 2);
    out[0] = (uint8_t)(first >> 8);
    out[1] = (uint8_t)first;
    uint8_t *second = at;
    at += 2;
    for (size_t i = 0; i < binders; i++) {
        *at++ = (uint8_t)binder[i];
        memset(at, (int)i + 101, binder[i]);
        at += binder[i];
    }
    second[0] = (uint8_t)((at - second - 2) >> 8);
    second[1] = (uint8_t)(at - second - 2);
    return (size_t)(at - out);
}

static void test_first_of_each_is_found(void)
{
    static const struct {
        size_t identity[3], binder[3], identities, binders;
        bool ok;
    } row[] = {
        {{200}, {32}, 1, 1, true},
        {{1}, {255}, 1, 1, true},
        {{200, 300}, {48, 32}, 2, 2, true},
        {{200, 300, 1}, {48, 32}, 3, 2, false},
        {{200}, {48, 32}, 1, 2, false},
        {{200}, {31}, 1, 1, false},
        {{200, 200}, {32, 31}, 2, 2, false},
        {{0}, {32}, 1, 1, false},
        {{0}, {0}, 0, 0, false},
        {{200}, {0}, 1, 0, false},
    };
    for (size_t i = 0; i < COUNTOF(row); i++) {
        uint8_t data[2048];
        struct qp_psk psk;
        size_t len = build(data, row[i].identity, row[i].identities, row[i].binder, row[i].binders);
        if (!CHECK(qp_psk_parse(&psk, data, len) == row[i].ok) || !row[i].ok)
            continue;
        CHECK_U64(psk.identity_len, ==, row[i].identity[0]);
        CHECK_U64(psk.binder_len, ==, row[i].binder[0]);
        CHECK_INT(psk.identity[psk.identity_len - 1], ==, 1);
        CHECK_INT(psk.binder[psk.binder_len - 1], ==, 101);
    }
}

static void test_cut_or_longer_is_malformed(void)
{
    static const size_t identity[] = {20, 30}, binder[] = {32, 48};
    uint8_t data[512] = {0};
    struct qp_psk psk;
    size_t len = build(data, identity, 2, binder, 2);
    CHECK(qp_psk_parse(&psk, data, len));
    for (size_t cut = 0; cut < len; cut++)
        CHECK(!qp_psk_parse(&psk, data, cut));
    CHECK(!qp_psk_parse(&psk, data, len + 1));
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_first_of_each_is_found),
        TEST(test_cut_or_longer_is_malformed),
    };
    return RUN(tests);
}
