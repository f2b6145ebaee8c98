/* The link emulator of tools/linkemu without its devices: packets, time and a seed. */
#include "link.h"

#include "options.h"

#include "check.h"

#define MS UINT64_C(1000000)

/* The same stand in tests/interop/test_link.py: both implementations draw alike. */
static const struct {
    uint64_t seed;
    enum emu_way way;
    uint64_t number;
    enum emu_purpose purpose;
    uint64_t want;
} draws[] = {
    {1, EMU_TO_SERVER, 1, EMU_DRAW_DROP, UINT64_C(0x5b0ad7b5e85080c2)},
    {1, EMU_TO_CLIENT, 1, EMU_DRAW_DROP, UINT64_C(0xdee51e1069efcbc5)},
    {1, EMU_TO_SERVER, 2, EMU_DRAW_WHERE, UINT64_C(0xc0631dbfc389b5c9)},
    {UINT64_C(9000000000000000), EMU_TO_CLIENT, 123456789, EMU_DRAW_REORDER,
     UINT64_C(0x67319825d1b9ee49)},
};

static void test_draws(void)
{
    for (size_t i = 0; i < COUNTOF(draws); i++)
        CHECK_U64(emu_draw(draws[i].seed, draws[i].way, draws[i].number, draws[i].purpose), ==,
                  draws[i].want);
}

static struct emu_settings plain(void)
{
    struct emu_settings s = {.seed = 1};
    for (int way = 0; way < EMU_WAYS; way++)
        s.way[way].queue = 25;
    return s;
}

enum { IP4_HEAD = 28, IP6_HEAD = 48, PAYLOAD = 100 };

/* A datagram between port 1000 here and port 443 there; bytes of the payload are `fill`. */
static size_t datagram(uint8_t *out, int family, enum emu_way way, uint8_t fill)
{
    static const uint8_t ip4[20] = {0x45, 0, 0, 20 + 8 + PAYLOAD, 0, 1, 0x40, 0, 64, 17, 0, 0};
    static const uint8_t ip6[8] = {0x60, 0, 0, 0, 0, 8 + PAYLOAD, 17, 64};
    const bool four = family == 4;
    const size_t head = four ? IP4_HEAD : IP6_HEAD;
    struct emu_packet packet;
    memset(out, 0, head);
    memcpy(out, four ? ip4 : ip6, four ? sizeof(ip4) : sizeof(ip6));
    uint8_t *client =
        four ? out + (way == EMU_TO_SERVER ? 12 : 16) : out + (way == EMU_TO_SERVER ? 8 : 24);
    uint8_t *server =
        four ? out + (way == EMU_TO_SERVER ? 16 : 12) : out + (way == EMU_TO_SERVER ? 24 : 8);
    client[0] = server[0] = four ? 10 : 0xfd;
    client[four ? 3 : 15] = 1;
    server[four ? 3 : 15] = 2;
    out[head - 3] = 8 + PAYLOAD;
    memset(out + head, fill, PAYLOAD);
    if (!CHECK(emu_packet_parse(&packet, out, head + PAYLOAD)))
        return 0;
    emu_set_source_port(&packet, way == EMU_TO_SERVER ? 1000 : 443);
    emu_set_destination_port(&packet, way == EMU_TO_SERVER ? 443 : 1000);
    emu_packet_seal(&packet);
    return head + PAYLOAD;
}

/* One's complement sum over big-endian words; 0xffff when the checksum inside fits. */
static uint32_t sum(const uint8_t *data, size_t len, uint32_t start)
{
    uint32_t total = start;
    for (size_t i = 0; i < len; i++)
        total += (uint32_t)data[i] << (i % 2 == 0 ? 8 : 0);
    while (total >> 16)
        total = (total & 0xffff) + (total >> 16);
    return total;
}

static bool sealed(const uint8_t *data, int family)
{
    const size_t head = family == 4 ? 20 : 40, udp = 8 + PAYLOAD;
    const uint32_t pseudo = family == 4 ? sum(data + 12, 8, 0) : sum(data + 8, 32, 0);
    return (family == 6 || sum(data, 20, 0) == 0xffff) &&
           sum(data + head, udp, pseudo + 17 + (uint32_t)udp) == 0xffff;
}

/* Sends count datagrams at `at`, and gives the fate of each by a letter. */
static void fates(struct emu_link *link, enum emu_way way, int count, uint64_t at, char *out)
{
    static const char letter[EMU_FATES] = "PDLQBS";
    uint8_t data[256];
    for (int i = 0; i < count; i++) {
        size_t len = datagram(data, 4, way, (uint8_t)i);
        out[i] = letter[emu_link_in(link, way, data, len, at).fate];
    }
    out[count] = '\0';
}

static void test_delay_keeps_the_order(void)
{
    struct emu_settings s = plain();
    uint8_t data[256];
    char got[8];
    enum emu_way way;
    size_t len;
    s.way[EMU_TO_SERVER].delay_ns = 15 * MS;
    struct emu_link *link = emu_link_new(&s);
    CHECK(emu_link_expiry(link) == UINT64_MAX);
    fates(link, EMU_TO_SERVER, 3, 100 * MS, got);
    CHECK_STR(got, "PPP");
    len = datagram(data, 4, EMU_TO_CLIENT, 9);
    emu_link_in(link, EMU_TO_CLIENT, data, len, 101 * MS);
    CHECK_U64(emu_link_expiry(link), ==, 101 * MS);
    const uint8_t *out = emu_link_out(link, 101 * MS, &way, &len);
    CHECK(out != NULL && way == EMU_TO_CLIENT && out[IP4_HEAD] == 9);
    CHECK(emu_link_out(link, 114 * MS, &way, &len) == NULL);
    for (uint8_t i = 0; i < 3; i++) {
        out = emu_link_out(link, 115 * MS, &way, &len);
        CHECK(out != NULL && way == EMU_TO_SERVER && len == IP4_HEAD + PAYLOAD);
        CHECK(out != NULL && out[IP4_HEAD] == i);
    }
    CHECK(emu_link_out(link, 200 * MS, &way, &len) == NULL);
    CHECK_U64(emu_link_stats(link, EMU_TO_SERVER)->out, ==, 3);
    CHECK_U64(emu_link_stats(link, EMU_TO_SERVER)->bytes_out, ==, 3 * (IP4_HEAD + PAYLOAD));
    emu_link_free(link);
}

static void test_bandwidth_and_queue(void)
{
    struct emu_settings s = plain();
    enum emu_way way;
    size_t len;
    char got[40];
    s.way[EMU_TO_SERVER].bits_per_second = (IP4_HEAD + PAYLOAD) * 8 * 1000; /* one each ms */
    s.way[EMU_TO_SERVER].queue = 4;
    struct emu_link *link = emu_link_new(&s);
    fates(link, EMU_TO_SERVER, 7, 0, got); /* one is sent, four wait */
    CHECK_STR(got, "PPPPPQQ");
    fates(link, EMU_TO_SERVER, 2, 1 * MS, got);
    CHECK_STR(got, "PQ");
    for (uint64_t i = 1; i <= 6; i++) {
        CHECK_U64(emu_link_expiry(link), ==, i * MS);
        CHECK(emu_link_out(link, i * MS, &way, &len) != NULL);
    }
    fates(link, EMU_TO_SERVER, 6, 100 * MS, got); /* idle time is not saved up */
    CHECK_STR(got, "PPPPPQ");
    CHECK_U64(emu_link_stats(link, EMU_TO_SERVER)->fate[EMU_QUEUE_FULL], ==, 4);
    emu_link_free(link);
}

static void test_drops_follow_the_seed(void)
{
    char first[2001], again[2001], other[2001];
    for (int run = 0; run < 3; run++) {
        struct emu_settings s = plain();
        s.seed = run == 2 ? 8 : 7;
        s.way[EMU_TO_CLIENT].drop_ppm = 300000;
        s.way[EMU_TO_CLIENT].drop_burst = 3;
        struct emu_link *link = emu_link_new(&s);
        /* Time is no argument of chance. */
        fates(link, EMU_TO_CLIENT, 2000, (uint64_t)run * MS,
              run == 0   ? first
              : run == 1 ? again
                         : other);
        CHECK_U64(emu_link_stats(link, EMU_TO_SERVER)->fate[EMU_DROPPED], ==, 0);
        uint64_t dropped = emu_link_stats(link, EMU_TO_CLIENT)->fate[EMU_DROPPED];
        CHECK(dropped > 500 && dropped < 700);
        emu_link_free(link);
    }
    CHECK_STR(first, again);
    CHECK(strcmp(first, other) != 0);
    CHECK(strstr(first, "DDD") != NULL && strstr(first, "DDDD") == NULL);
}

static void test_listed_ones_are_dropped(void)
{
    struct emu_settings s = plain();
    char got[8];
    s.way[EMU_TO_SERVER].drop_list[0] = 2;
    s.way[EMU_TO_SERVER].drop_list[1] = 3;
    s.way[EMU_TO_SERVER].drop_list_len = 2;
    struct emu_link *link = emu_link_new(&s);
    fates(link, EMU_TO_SERVER, 5, 0, got);
    CHECK_STR(got, "PLLPP");
    emu_link_free(link);
}

static void test_blackhole_counts_from_the_first_datagram(void)
{
    struct emu_settings s = plain();
    uint8_t arp_like[40] = {0};
    char got[8];
    s.blackhole_at_ns = 10 * MS;
    s.blackhole_for_ns = 5 * MS;
    struct emu_link *link = emu_link_new(&s);
    CHECK(!emu_link_in(link, EMU_TO_SERVER, arp_like, sizeof(arp_like), 0).udp);
    static const struct {
        uint64_t at;
        const char *want;
    } row[] = {{100, "P"}, {109, "P"}, {110, "B"}, {114, "B"}, {115, "P"}};
    for (size_t i = 0; i < COUNTOF(row); i++) {
        fates(link, i % 2 == 0 ? EMU_TO_SERVER : EMU_TO_CLIENT, 1, row[i].at * MS, got);
        CHECK_STR(got, row[i].want);
    }
    emu_link_free(link);
}

static void test_corruption_changes_one_byte_under_a_good_checksum(void)
{
    for (int family = 4; family <= 6; family += 2) {
        struct emu_settings s = plain();
        uint8_t data[256];
        size_t changed = 0, head = family == 4 ? IP4_HEAD : IP6_HEAD;
        s.way[EMU_TO_SERVER].corrupt_ppm = 500000;
        s.way[EMU_TO_SERVER].corrupt_burst = 1;
        struct emu_link *link = emu_link_new(&s);
        for (int i = 0; i < 200; i++) {
            size_t len = datagram(data, family, EMU_TO_SERVER, 0x55), different = 0;
            struct emu_verdict v = emu_link_in(link, EMU_TO_SERVER, data, len, 0);
            for (size_t at = head; at < len; at++)
                different += data[at] != 0x55;
            CHECK_U64(different, ==, v.corrupted ? 1 : 0);
            CHECK(sealed(data, family));
            changed += v.corrupted;
        }
        CHECK(changed > 40 && changed <= 100);
        CHECK_U64(emu_link_stats(link, EMU_TO_SERVER)->corrupted, ==, changed);
        emu_link_free(link);
    }
}

static void test_duplicates_and_late_ones(void)
{
    struct emu_settings s = plain();
    enum emu_way way;
    size_t len, count = 0;
    uint8_t data[256];
    s.way[EMU_TO_SERVER].duplicate_ppm = 1000000;
    s.way[EMU_TO_CLIENT].reorder_ppm = 1000000;
    s.way[EMU_TO_CLIENT].reorder_ns = 5 * MS;
    struct emu_link *link = emu_link_new(&s);
    len = datagram(data, 4, EMU_TO_SERVER, 0);
    CHECK(emu_link_in(link, EMU_TO_SERVER, data, len, 0).duplicated);
    while (emu_link_out(link, 0, &way, &len) != NULL)
        count++;
    CHECK_U64(count, ==, 2);
    len = datagram(data, 4, EMU_TO_CLIENT, 0);
    CHECK(emu_link_in(link, EMU_TO_CLIENT, data, len, 0).reordered);
    CHECK_U64(emu_link_expiry(link), ==, 5 * MS);
    emu_link_free(link);
}

/* What the server sees of the client, and back. */
static void test_rebinding(void)
{
    for (int family = 4; family <= 6; family += 2)
        for (int address = 0; address <= 1; address++) {
            struct emu_settings s = plain();
            uint8_t out[256], back[256];
            struct emu_packet seen, p;
            s.rebind_after = 2;
            s.rebind_every_ns = 50 * MS;
            s.rebind_address = address;
            struct emu_link *link = emu_link_new(&s);
            uint16_t last = 1000;
            for (int i = 1; i <= 4; i++) { /* as it is, as it is, changed, changed again */
                size_t len = datagram(out, family, EMU_TO_SERVER, 1);
                uint64_t now = i == 4 ? 60 * MS : (uint64_t)i;
                CHECK(emu_link_in(link, EMU_TO_SERVER, out, len, now).fate == EMU_PASSED);
                CHECK(emu_packet_parse(&seen, out, len) && sealed(out, family));
                uint16_t port = emu_source_port(&seen);
                uint8_t host = seen.source[seen.address_len - 1];
                CHECK((port != last) == (i > 2));
                CHECK_U64(host, ==, !address || i <= 2 ? 1 : 97 + i);
                len = datagram(back, family, EMU_TO_CLIENT, 2);
                emu_packet_parse(&p, back, len);
                emu_set_destination_port(&p, port);
                p.destination[p.address_len - 1] = host;
                CHECK(emu_link_in(link, EMU_TO_CLIENT, back, len, now).fate == EMU_PASSED);
                CHECK_U64(emu_destination_port(&p), ==, 1000);
                CHECK_U64(p.destination[p.address_len - 1], ==, 1);
                CHECK(sealed(back, family));
                if (i > 2) { /* to where the client was before */
                    len = datagram(back, family, EMU_TO_CLIENT, 2);
                    emu_packet_parse(&p, back, len);
                    emu_set_destination_port(&p, last);
                    CHECK(emu_link_in(link, EMU_TO_CLIENT, back, len, now).fate == EMU_STALE);
                }
                last = port;
            }
            CHECK_U64(emu_link_rebinds(link), ==, 2);
            emu_link_free(link);
        }
}

static void test_more_clients_than_mappings(void)
{
    struct emu_settings s = plain();
    uint8_t data[256];
    struct emu_packet p;
    s.rebind_after = 1;
    struct emu_link *link = emu_link_new(&s);
    for (int i = 0; i <= EMU_NAT_MAX + 1; i++) {
        size_t len = datagram(data, 4, EMU_TO_SERVER, 0);
        emu_packet_parse(&p, data, len);
        emu_set_source_port(&p, (uint16_t)(2000 + i));
        enum emu_fate want = i <= EMU_NAT_MAX ? EMU_PASSED : EMU_STALE;
        CHECK_INT(emu_link_in(link, EMU_TO_SERVER, data, len, 0).fate, ==, want);
    }
    emu_link_free(link);
}

static void test_what_is_no_datagram_passes_untouched(void)
{
    struct emu_settings s = plain();
    uint8_t data[256], copy[256];
    size_t full = datagram(data, 4, EMU_TO_SERVER, 3);
    s.way[EMU_TO_SERVER].drop_ppm = 1000000;
    struct emu_link *link = emu_link_new(&s);
    static const struct {
        size_t at;
        uint8_t value;
    } row[] = {
        {0, 0x44},     /* header of 16 bytes */
        {0, 0x4f},     /* longer than it should be */
        {0, 0x60},     /* IPv6, cut */
        {0, 0x15},     /* another version */
        {3, 27},       /* shorter than its headers */
        {3, 255},      /* longer than what is there */
        {6, 0x20},     /* more fragments */
        {7, 1},        /* not the first one */
        {9, 6},        /* TCP */
        {20 + 5, 7},   /* UDP shorter than its header */
        {20 + 5, 200}, /* or longer than the packet */
    };
    for (size_t i = 0; i < COUNTOF(row); i++) {
        memcpy(copy, data, full);
        copy[row[i].at] = row[i].value;
        if (row[i].at == 0 && row[i].value == 0x4f)
            copy[3] = 40;
        struct emu_verdict v = emu_link_in(link, EMU_TO_SERVER, copy, full, 0);
        CHECK(!v.udp && v.fate == EMU_PASSED);
    }
    for (size_t len = 0; len < full; len++) {
        memcpy(copy, data, full);
        CHECK(!emu_link_in(link, EMU_TO_SERVER, copy, len, 0).udp);
    }
    emu_link_free(link);
}

static void test_options(void)
{
    char error[200];
    struct emu_options o;
    char *good[] = {"linkemu",     "--delay",       "15",      "--bandwidth",
                    "10",          "--to-client",   "--drop",  "0.5",
                    "--drop-list", "2,3,4",         "--both",  "--queue",
                    "30",          "--seed",        "7",       "--blackhole",
                    "5000:2000.5", "--rebind-addr", "--trace", "file"};
    CHECK_INT(emu_options_parse(&o, COUNTOF(good), good, error, sizeof(error)), ==, 0);
    for (int way = 0; way < EMU_WAYS; way++) {
        CHECK_U64(o.settings.way[way].delay_ns, ==, 15 * MS);
        CHECK_U64(o.settings.way[way].bits_per_second, ==, 10000000);
        CHECK_U64(o.settings.way[way].queue, ==, 30);
        CHECK_U64(o.settings.way[way].drop_ppm, ==, way == EMU_TO_CLIENT ? 5000 : 0);
        CHECK_U64(o.settings.way[way].drop_list_len, ==, way == EMU_TO_CLIENT ? 3 : 0);
    }
    CHECK_U64(o.settings.blackhole_at_ns, ==, 5000 * MS);
    CHECK_U64(o.settings.blackhole_for_ns, ==, 2000 * MS + MS / 2);
    CHECK(o.settings.rebind_address && o.settings.seed == 7 && strcmp(o.trace, "file") == 0);
    CHECK(o.mtu == 1500 && o.seconds == 600 && !o.help);
}

static void test_wrong_options(void)
{
    static const struct {
        const char *name, *value, *says;
    } row[] = {
        {"--drop", "101", "from 0 to 100"},
        {"--drop", "-1", "from 0 to 100"},
        {"--drop", "nan", "not a number"},
        {"--drop", "", "not a number"},
        {"--drop", "2%", "goes on with \"%\""},
        {"--queue", "0", "from 1 to"},
        {"--delay", NULL, "needs a value"},
        {"--drop-list", "2,", "not a number"},
        {"--drop-list", "2;3", "goes on"},
        {"--blackhole", "5", "AT:FOR"},
        {"--blackhole", "5:x", "not a number"},
        {"--mtu", "500", "from 1280"},
        {"--loss", "2", "unknown argument \"--loss\""},
        {"drop", "2", "unknown argument \"drop\""},
    };
    for (size_t i = 0; i < COUNTOF(row); i++) {
        char error[200] = "", name[40], value[40];
        struct emu_options o;
        char *argv[] = {"linkemu", name, value};
        snprintf(name, sizeof(name), "%s", row[i].name);
        snprintf(value, sizeof(value), "%s", row[i].value == NULL ? "" : row[i].value);
        int argc = row[i].value == NULL ? 2 : 3;
        CHECK_INT(emu_options_parse(&o, argc, argv, error, sizeof(error)), ==, -1);
        if (!CHECK(strstr(error, row[i].says) != NULL))
            printf("# said: %s\n", error);
    }
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_draws),
        TEST(test_delay_keeps_the_order),
        TEST(test_bandwidth_and_queue),
        TEST(test_drops_follow_the_seed),
        TEST(test_listed_ones_are_dropped),
        TEST(test_blackhole_counts_from_the_first_datagram),
        TEST(test_corruption_changes_one_byte_under_a_good_checksum),
        TEST(test_duplicates_and_late_ones),
        TEST(test_rebinding),
        TEST(test_more_clients_than_mappings),
        TEST(test_what_is_no_datagram_passes_untouched),
        TEST(test_options),
        TEST(test_wrong_options),
    };
    return RUN(tests);
}
