#include "quic/packet.h"

#include "check.h"

/* First bytes of RFC 9001 appendix A.2's protected Initial; the rest does not matter here. */
static const uint8_t client_initial[1200] = {0xc0, 0,    0,    0,    1,    8, 0x83, 0x94, 0xc8,
                                             0xf0, 0x3e, 0x51, 0x57, 0x08, 0, 0,    0x44, 0x9e};

static void test_initial_is_read(void)
{
    struct qp_packet p;
    CHECK(qp_packet_parse(&p, client_initial, sizeof(client_initial), 20));
    CHECK_U64(p.type, ==, QP_PACKET_INITIAL);
    CHECK_U64(p.version, ==, 1);
    CHECK_U64(p.dcid_len, ==, 8);
    CHECK_MEM(p.dcid, "\x83\x94\xc8\xf0\x3e\x51\x57\x08", 8);
    CHECK_U64(p.scid_len, ==, 0);
    CHECK_U64(p.len, ==, 1200);
}

static void test_types(void)
{
    static const struct {
        uint8_t wire[12];
        size_t len;
        enum qp_packet_type type;
    } row[] = {
        {{0xd0, 0, 0, 0, 1, 0, 0, 2, 9, 9}, 10, QP_PACKET_ZERO_RTT},
        {{0xe0, 0, 0, 0, 1, 0, 0, 2, 9, 9}, 10, QP_PACKET_HANDSHAKE},
        {{0xf0, 0, 0, 0, 1, 0, 0, 2, 9, 9}, 10, QP_PACKET_RETRY},
        {{0x80, 0, 0, 0, 0, 0, 0, 2, 9, 9}, 10, QP_PACKET_VERSION},
        {{0xc0, 0xa, 0xa, 0xa, 0xa, 0, 0, 2, 9, 9}, 10, QP_PACKET_UNKNOWN},
        {{0x40, 1, 2, 3, 4, 5}, 6, QP_PACKET_SHORT},
    };
    for (size_t i = 0; i < COUNTOF(row); i++) {
        struct qp_packet p;
        CHECK(qp_packet_parse(&p, row[i].wire, row[i].len, 4));
        CHECK_U64(p.type, ==, row[i].type);
    }
}

static void test_cut_short_is_refused(void)
{
    struct qp_packet p;
    for (size_t len = 0; len < 18; len++)
        CHECK(!qp_packet_parse(&p, client_initial, len, 20));
    CHECK(!qp_packet_parse(&p, client_initial, 1199, 20)); /* its length field says 1200 */
    CHECK(!qp_packet_parse(&p, (const uint8_t *)"\x40zz", 3, 20));
    /* Version 1 knows no ID above 20 bytes; other versions may (RFC 8999 section 5.3). */
    uint8_t long_id[64] = {0xc0, 0, 0, 0, 1, 21};
    CHECK(!qp_packet_parse(&p, long_id, sizeof(long_id), 20));
    long_id[4] = 2;
    CHECK(qp_packet_parse(&p, long_id, sizeof(long_id), 20));
}

static void test_coalesced_packets_share_a_dcid(void)
{
    /* Two handshake packets of 10 bytes each, then a short header. */
    uint8_t data[40] = {0xe0, 0, 0, 0, 1, 1, 7, 0, 2, 9, 9,    0xe0,
                        0,    0, 0, 1, 1, 7, 0, 2, 9, 9, 0x40, 7};
    struct qp_packet first;
    CHECK(qp_packet_parse(&first, data, sizeof(data), 1));
    CHECK_U64(first.len, ==, 11);
    CHECK_U64(qp_packet_same_dcid(data, sizeof(data), &first), ==, sizeof(data));
    data[23] = 8; /* the short header names another connection */
    CHECK_U64(qp_packet_same_dcid(data, sizeof(data), &first), ==, 22);
    data[17] = 8;
    CHECK_U64(qp_packet_same_dcid(data, sizeof(data), &first), ==, 11);
}

/* RFC 9000 section 17.2.1: IDs swapped, version 0, a list that holds version 1. */
static void test_version_negotiation_swaps_ids(void)
{
    static const uint8_t in[] = {0xc0, 0x1a, 0x2a, 0x3a, 0x4a, 2, 1, 2, 3, 4, 5, 6};
    struct qp_packet p;
    CHECK(qp_packet_parse(&p, in, sizeof(in), 20));
    for (unsigned random = 0; random < 256; random++) {
        uint8_t out[QP_VERSION_MAX];
        size_t n = qp_packet_write_version(out, &p, (uint8_t)random);
        CHECK_U64(n, ==, 5 + 1 + 3 + 1 + 2 + 8);
        CHECK(out[0] & 0x80);
        CHECK_MEM(out + 1, "\0\0\0\0\3\4\5\6\2\1\2", 11);
        CHECK_U64(out[12] & 0x0f, ==, 0x0a);
        CHECK(memcmp(out + 12, in + 1, 4) != 0);
        CHECK_MEM(out + 16, "\0\0\0\1", 4);
    }
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_initial_is_read),
        TEST(test_types),
        TEST(test_cut_short_is_refused),
        TEST(test_coalesced_packets_share_a_dcid),
        TEST(test_version_negotiation_swaps_ids),
    };
    return RUN(tests);
}
