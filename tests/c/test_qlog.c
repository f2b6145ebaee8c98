#include "quic/qlog.h"

#include <arpa/inet.h>
#include <stdlib.h>

#include "check.h"
#include "oom.h"
#include "quic/conn.h"

static const uint8_t odcid[] = {0xde, 0xad, 0xbe, 0xef, 1, 2, 3, 4};
static const quicpro_tstamp T0 = 1000 * QUICPRO_SECOND;

static struct qp_qlog_args args_of(void)
{
    return (struct qp_qlog_args){
        .server = true,
        .odcid = odcid,
        .odcid_len = sizeof(odcid),
        .now = T0,
        .wall = 951826332, /* 2000-02-29T12:12:12Z: a leap day of a year of 400 */
        .level = QP_QLOG_BASE,
        .max_bytes = 1 << 20,
    };
}

static void make(struct qp_qlog *q, const struct qp_qlog_args *args)
{
    static const char head[] = "\x1e{\"title\":\"the engine's\"}\n";
    CHECK_INT(qp_qlog_init(q, args), ==, 0);
    qp_qlog_engine(q, (const uint8_t *)head, sizeof(head) - 1);
}

/* Whole records, one behind the other: how many, -1 if anything else is there. */
static int records(const struct qp_buf *buf)
{
    int n = 0;
    const uint8_t *at = buf->data, *end = at + buf->len;
    while (at != end) {
        const uint8_t *newline = memchr(at, '\n', (size_t)(end - at));
        if (*at != 0x1e || newline == NULL || newline[-1] != '}' ||
            memchr(at + 1, 0x1e, (size_t)(newline - at - 1)) != NULL)
            return -1;
        at = newline + 1;
        n++;
    }
    return n;
}

static bool says(const struct qp_qlog *q, const char *text)
{
    return q->out.len != 0 && memmem(q->out.data, q->out.len, text, strlen(text)) != NULL;
}

static void feed(struct qp_qlog *q, const char *text)
{
    qp_qlog_engine(q, (const uint8_t *)text, strlen(text));
}

static void test_the_head_is_ours(void)
{
    struct qp_qlog q;
    const struct qp_qlog_args args = args_of();
    make(&q, &args);
    CHECK_INT(records(&q.out), ==, 1);
    CHECK(!says(&q, "the engine's"));
    CHECK(says(&q, "\"group_id\":\"deadbeef01020304\""));
    CHECK(says(&q, "\"wall_clock_time\":\"2000-02-29T12:12:12Z\""));
    CHECK(says(&q, "\"type\":\"server\""));
    qp_qlog_done(&q);
}

static void test_records_of_the_engine_however_they_are_cut(void)
{
    static const char text[] = "\x1e{\"title\":1}\n\x1e{\"time\":0.5}\n\x1e{\"time\":0.7}\n";
    for (size_t step = 1; step < sizeof(text); step++) {
        struct qp_qlog q;
        const struct qp_qlog_args args = args_of();
        CHECK_INT(qp_qlog_init(&q, &args), ==, 0);
        qp_qlog_taken(&q);
        for (size_t at = 0; at < sizeof(text) - 1; at += step)
            qp_qlog_engine(&q, (const uint8_t *)text + at,
                           at + step < sizeof(text) ? step : sizeof(text) - 1 - at);
        CHECK_INT(records(&q.out), ==, 2);
        CHECK(says(&q, "0.5") && says(&q, "0.7") && !says(&q, "title"));
        qp_qlog_done(&q);
    }
}

static void test_names(void)
{
    struct qp_qlog q;
    struct qp_qlog_args args = args_of();
    char name[QP_QLOG_NAME_BYTES];
    const uint8_t other[] = {0xab, 0xcd, 0xef, 0x01, 0x23}, longest[20] = {0};
    make(&q, &args);
    const size_t len = qp_qlog_name(&q, NULL, 0, name);
    CHECK_U64(len, ==, strlen(name));
    CHECK_STR(name, "deadbeef01020304_server.sqlog");
    qp_qlog_name(&q, other, sizeof(other), name);
    CHECK_STR(name, "deadbeef01020304_server-abcdef01.sqlog");
    qp_qlog_done(&q);
    args.server = false;
    args.odcid = longest;
    args.odcid_len = sizeof(longest);
    make(&q, &args);
    qp_qlog_name(&q, other, sizeof(other), name);
    CHECK_STR(name, "0000000000000000000000000000000000000000_client-abcdef01.sqlog");
    qp_qlog_done(&q);
}

static void test_addresses_as_far_as_they_are_wanted(void)
{
    static const struct {
        enum qp_qlog_addresses addresses;
        const char *v4, *v6;
    } row[] = {
        {QP_QLOG_FULL, "\"remote\":{\"ip_v4\":\"192.0.2.77\",\"port_v4\":4433}",
         "\"local\":{\"ip_v6\":\"2001:db8:1:2:3::4\",\"port_v6\":4433}"},
        {QP_QLOG_PREFIX, "\"remote\":{\"ip_v4\":\"192.0.2.0\"}",
         "\"local\":{\"ip_v6\":\"2001:db8:1::\"}"},
        {QP_QLOG_NONE, "\"remote\":{}", "\"local\":{}"},
    };
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(4433)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(4433)};
    inet_pton(AF_INET, "192.0.2.77", &v4.sin_addr);
    inet_pton(AF_INET6, "2001:db8:1:2:3::4", &v6.sin6_addr);
    for (size_t i = 0; i < COUNTOF(row); i++) {
        struct qp_qlog q;
        struct qp_qlog_args args = args_of();
        args.addresses = row[i].addresses;
        make(&q, &args);
        qp_qlog_started(&q, T0, (struct sockaddr *)&v6, (struct sockaddr *)&v4);
        CHECK_INT(records(&q.out), ==, 3);
        CHECK(says(&q, row[i].v4));
        CHECK(says(&q, row[i].v6));
        CHECK_INT(says(&q, "4433"), ==, row[i].addresses == QP_QLOG_FULL);
        qp_qlog_done(&q);
    }
}

static void test_core_has_no_states(void)
{
    struct qp_qlog q;
    struct qp_qlog_args args = args_of();
    const struct sockaddr_in addr = {.sin_family = AF_INET};
    args.level = QP_QLOG_CORE;
    make(&q, &args);
    qp_qlog_started(&q, T0, (const struct sockaddr *)&addr, (const struct sockaddr *)&addr);
    qp_qlog_established(&q, T0 + 1500 * QUICPRO_MICROSECOND, (const uint8_t *)"h3", 2);
    CHECK_INT(records(&q.out), ==, 3);
    CHECK(!says(&q, "connection_started") && !says(&q, "state_updated"));
    CHECK(says(&q, "{\"time\":1.500,\"name\":\"quic:alpn_information\",\"data\":{\"chosen_alpn\":{"
                   "\"byte_value\":\"6833\",\"string_value\":\"h3\"}}}"));
    qp_qlog_done(&q);
}

static void test_how_it_ended(void)
{
    static const struct {
        struct qp_conn_close close;
        bool http3;
        const char *want;
    } row[] = {
        {{.app = true, .code = 0x100},
         true,
         "\"initiator\":\"local\",\"application_error\":\"http_no_error\",\"reason\":\"\","
         "\"trigger\":\"application\""},
        {{.app = true, .code = 0x10e, .error = QUICPRO_EPROTO},
         true,
         "\"application_error\":\"unknown\",\"error_code\":270,"},
        {{.app = true, .code = 0x100, .remote = true},
         false,
         "\"initiator\":\"remote\",\"application_error\":\"unknown\",\"error_code\":256,"},
        {{.app = true, .code = 0x110, .error = QUICPRO_ECLOSED},
         true,
         "\"application_error\":\"http_version_fallback\",\"reason\":\"\",\"trigger\":\"error\""},
        {{.code = 10, .error = QUICPRO_EPROTO},
         true,
         "\"connection_error\":\"protocol_violation\",\"reason\":\"\",\"trigger\":\"error\""},
        {{.code = 0x10, .error = QUICPRO_EPROTO}, true, "\"connection_error\":\"no_viable_path\""},
        {{.code = 0x11, .error = QUICPRO_EPROTO},
         true,
         "\"connection_error\":\"unknown\",\"error_code\":17,"},
        {{.code = 0x128, .error = QUICPRO_ETLS},
         true,
         "\"connection_error\":\"crypto_error_0x128\""},
        {{.code = 0x200, .error = QUICPRO_EPROTO}, true, "\"error_code\":512"},
        {{.code = 0},
         true,
         "\"connection_error\":\"no_error\",\"reason\":\"\","
         "\"trigger\":\"unspecified\""},
        {{.error = QUICPRO_EIDLE}, true, "\"local\",\"reason\":\"\",\"trigger\":\"idle_timeout\""},
        {{.error = QUICPRO_EVERSION}, true, "\"trigger\":\"version_mismatch\""},
        {{.error = QUICPRO_ECLOSED, .remote = true}, true, "\"trigger\":\"stateless_reset\""},
        {{.error = QUICPRO_ECLOSED}, true, "\"local\",\"reason\":\"\",\"trigger\":\"aborted\""},
        {{.error = QUICPRO_ENOMEM}, true, "\"trigger\":\"aborted\""},
        {{.text = "\"quoted\" \\ \x01\xff"},
         true, /* whatever a peer says */
         "\"reason\":\"\\u0022quoted\\u0022 \\u005c \\u0001\\u00ff\""},
    };
    for (size_t i = 0; i < COUNTOF(row); i++) {
        struct qp_qlog q;
        const struct qp_qlog_args args = args_of();
        make(&q, &args);
        qp_qlog_closed(&q, T0, &row[i].close, row[i].http3);
        qp_qlog_closed(&q, T0, &row[i].close, row[i].http3); /* once */
        CHECK_INT(records(&q.out), ==, 2);
        if (!says(&q, row[i].want))
            CHECK_STR((printf("# %.*s\n", (int)q.out.len, (char *)q.out.data), "other"),
                      row[i].want);
        qp_qlog_done(&q);
    }
}

static void test_time_does_not_run_back(void)
{
    struct qp_qlog q;
    const struct qp_qlog_args args = args_of();
    make(&q, &args);
    qp_qlog_begin(&q, T0 + 2 * QUICPRO_SECOND + 1000, "x:y");
    qp_qlog_end(&q);
    qp_qlog_begin(&q, T0 - 1, "x:z");
    qp_qlog_end(&q);
    CHECK(says(&q, "{\"time\":2000.001,\"name\":\"x:y\",\"data\":{}}"));
    CHECK(says(&q, "{\"time\":2000.001,\"name\":\"x:z\",\"data\":{}}"));
    qp_qlog_done(&q);
}

static void test_max_bytes_ends_with_a_word(void)
{
    struct qp_qlog q;
    struct qp_qlog_args args = args_of();
    args.max_bytes = 4096;
    make(&q, &args);
    uint64_t taken = 0;
    int count = 0;
    for (int i = 0; i < 1000; i++) {
        feed(&q, "\x1e{\"time\":1.0,\"name\":\"quic:packet_sent\",");
        feed(&q, "\"data\":{}}\n");
        if (i % 7 == 0) { /* taken now and then: the end is the same */
            count += records(&q.out);
            CHECK(!says(&q, "left out") || q.full);
            taken += q.out.len;
            if (q.full)
                break;
            qp_qlog_taken(&q);
        }
    }
    CHECK(q.full && says(&q, "qlog_max_bytes are written: the rest is left out"));
    CHECK_U64(taken, <=, 4096);
    CHECK_U64(taken, >, 4096 - 512);
    CHECK_U64(q.bytes, ==, taken);
    CHECK_INT(count, >, 30);
    const size_t len = q.out.len;
    feed(&q, "\x1e{\"time\":2.0}\n");
    qp_qlog_begin(&q, T0, "x:y");
    qp_qlog_end(&q);
    CHECK_U64(q.out.len, ==, len);
    qp_qlog_done(&q);
}

static void test_a_ring_keeps_the_last_records(void)
{
    struct qp_qlog q;
    struct qp_qlog_args args = args_of();
    char text[64];
    args.ring_bytes = 1000;
    make(&q, &args);
    const size_t head = q.out.len;
    for (int i = 0; i < 10000; i++) {
        snprintf(text, sizeof(text), "\x1e{\"time\":%d.0,\"data\":{}}\n", i);
        feed(&q, text);
        CHECK_U64(q.ring.len - q.first, <=, 1000);
        CHECK_U64(q.ring.cap, <=, 8192);
    }
    CHECK_U64(q.out.len, ==, head);
    qp_qlog_spill(&q);
    CHECK_INT(records(&q.out), >, 20);
    CHECK_U64(q.out.len, <=, head + 1000 + 256);
    CHECK(says(&q, "qlog_ring_bytes: what came before this is left out"));
    CHECK(says(&q, "\"time\":9999.0") && !says(&q, "\"time\":9000.0"));
    qp_qlog_done(&q);
}

static void test_a_ring_that_was_not_full_lost_nothing(void)
{
    struct qp_qlog q;
    struct qp_qlog_args args = args_of();
    args.ring_bytes = 1000;
    make(&q, &args);
    feed(&q, "\x1e{\"time\":1.0}\n\x1e{\"time\":2.0}\n");
    qp_qlog_spill(&q);
    qp_qlog_spill(&q); /* once */
    CHECK_INT(records(&q.out), ==, 3);
    CHECK(!says(&q, "left out"));
    qp_qlog_done(&q);
}

static void test_a_record_longer_than_the_ring_stays(void)
{
    struct qp_qlog q;
    struct qp_qlog_args args = args_of();
    args.ring_bytes = 100;
    make(&q, &args);
    feed(&q, "\x1e{\"time\":1.0}\n\x1e{\"name\":\"");
    for (int i = 0; i < 100; i++)
        feed(&q, "0123456789");
    feed(&q, "\"}\n");
    qp_qlog_spill(&q);
    CHECK_INT(records(&q.out), ==, 3);
    CHECK(says(&q, "left out") && says(&q, "0123456789\"}"));
    qp_qlog_done(&q);
}

static void test_without_memory_records_are_missing_not_torn(void)
{
    if (!OOM_POSSIBLE)
        return;
    struct qp_qlog q;
    const struct qp_qlog_args args = args_of();
    oom_after(0);
    const int r = qp_qlog_init(&q, &args);
    oom_off();
    CHECK_INT(r, ==, QUICPRO_ENOMEM);
    make(&q, &args);
    oom_after(0);
    for (int i = 0; i < 1000; i++)
        feed(&q, "\x1e{\"time\":1.0,\"name\":\"quic:packet_sent\",\"data\":{}}\n");
    oom_off();
    const int before = records(&q.out);
    CHECK_INT(before, >, 0);
    CHECK_INT(before, <, 1000);
    feed(&q, "\x1e{\"time\":2.0}\n");
    CHECK_INT(records(&q.out), ==, before + 1);
    qp_qlog_done(&q);
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_the_head_is_ours),
        TEST(test_records_of_the_engine_however_they_are_cut),
        TEST(test_names),
        TEST(test_addresses_as_far_as_they_are_wanted),
        TEST(test_core_has_no_states),
        TEST(test_how_it_ended),
        TEST(test_time_does_not_run_back),
        TEST(test_max_bytes_ends_with_a_word),
        TEST(test_a_ring_keeps_the_last_records),
        TEST(test_a_ring_that_was_not_full_lost_nothing),
        TEST(test_a_record_longer_than_the_ring_stays),
        TEST(test_without_memory_records_are_missing_not_torn),
    };
    return RUN(tests);
}
