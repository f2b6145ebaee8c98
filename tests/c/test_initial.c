#include "quic/initial.h"

#include <stdlib.h>

#include "check.h"

static size_t from_hex(uint8_t *out, const char *hex)
{
    size_t n = 0;
    unsigned byte;
    for (; *hex != '\0'; hex += 2, n++) {
        if (sscanf(hex, "%2x", &byte) != 1)
            abort();
        out[n] = (uint8_t)byte;
    }
    return n;
}

/* RFC 9001 appendix A.3. */
static void test_the_rfc_vector(void)
{
    uint8_t dcid[20], packet[256], want[256];
    size_t dcid_len = from_hex(dcid, "8394c8f03e515708");
    size_t header = from_hex(packet, "c1000000010008f067a5502a4262b50040750001");
    size_t payload = from_hex(
        packet + header,
        "02000000000600405a020000560303eefce7f7b37ba1d1632e96677825ddf73988cfc79825df566dc5430b9a04"
        "5a1200130100002e00330024001d00209d3c940d89690b84d08a60993c144eca684d1081287c834d5311bcf32b"
        "b9da1a002b00020304");
    size_t n = from_hex(
        want,
        "cf000000010008f067a5502a4262b5004075c0d95a482cd0991cd25b0aac406a5816b6394100f37a1c69797554"
        "780bb38cc5a99f5ede4cf73c3ec2493a1839b3dbcba3f6ea46c5b7684df3548e7ddeb9c3bf9c73cc3f3bded74b"
        "562bfb19fb84022f8ef4cdd93795d77d06edbb7aaf2f58891850abbdca3d20398c276456cbc42158407dd074e"
        "e");
    if (CHECK_U64(qp_initial_seal(packet, header, 2, payload, dcid, dcid_len, 1, true), ==, n))
        CHECK_MEM(packet, want, n);
}

/* IDs change places, the length is right for whoever parses it, other IDs give other packets. That
 * a client understands it, tests/c/test_guard.c shows. */
static void test_close(void)
{
    const uint8_t ids[40] = {1, 2, 3, 4, 5, 6, 7, 8};
    for (uint8_t scid_len = 0; scid_len <= 20; scid_len += 10) {
        struct qp_packet ask = {.type = QP_PACKET_INITIAL,
                                .version = 1,
                                .dcid = ids,
                                .dcid_len = 20,
                                .scid = ids + 20,
                                .scid_len = scid_len},
                         got;
        uint8_t out[QP_INITIAL_CLOSE_MAX], other[QP_INITIAL_CLOSE_MAX], changed[20] = {9};
        size_t n = qp_initial_close(out, &ask, 0x0b);
        CHECK_U64(n, <=, QP_INITIAL_CLOSE_MAX);
        CHECK(qp_packet_parse(&got, out, n, 20));
        CHECK_INT(got.type, ==, QP_PACKET_INITIAL);
        CHECK_U64(got.len, ==, n);
        CHECK_U64(got.token_len, ==, 0);
        CHECK(got.dcid_len == scid_len && memcmp(got.dcid, ask.scid, scid_len) == 0);
        CHECK(got.scid_len == 20 && memcmp(got.scid, ask.dcid, 20) == 0);
        ask.dcid = changed;
        CHECK_U64(qp_initial_close(other, &ask, 0x0b), ==, n);
        CHECK(memcmp(out + n - 16, other + n - 16, 16) != 0);
    }
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_the_rfc_vector),
        TEST(test_close),
    };
    return RUN(tests);
}
