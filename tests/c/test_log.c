#include "base/log.h"

#include "check.h"

struct seen {
    unsigned calls;
    int level;
    char line[1024];
};

static void remember(void *user, int level, const char *line)
{
    struct seen *seen = user;
    seen->calls++;
    seen->level = level;
    snprintf(seen->line, sizeof(seen->line), "%s", line);
}

static void test_level_decides(void)
{
    static const struct {
        int level, said;
        unsigned calls;
    } row[] = {
        {QUICPRO_LOG_WARNING, QUICPRO_LOG_ERROR, 1},
        {QUICPRO_LOG_WARNING, QUICPRO_LOG_WARNING, 1},
        {QUICPRO_LOG_WARNING, QUICPRO_LOG_INFO, 0},
        {0, QUICPRO_LOG_ERROR, 0},
    };
    for (size_t i = 0; i < COUNTOF(row); i++) {
        struct seen seen = {0};
        struct qp_log log = {remember, &seen, row[i].level};
        qp_log(&log, row[i].said, "%s %d", "text", 5);
        CHECK_U64(seen.calls, ==, row[i].calls);
        if (seen.calls != 0) {
            CHECK_STR(seen.line, "text 5");
            CHECK_INT(seen.level, ==, row[i].said);
        }
        CHECK_INT(qp_log_on(&log, row[i].said), ==, row[i].calls);
    }
    struct qp_log off = {0};
    qp_log(&off, QUICPRO_LOG_ERROR, "nobody listens");
    CHECK(!qp_log_on(&off, QUICPRO_LOG_ERROR));
}

static void test_long_lines_are_cut(void)
{
    struct seen seen = {0};
    struct qp_log log = {remember, &seen, QUICPRO_LOG_DEBUG};
    qp_log(&log, QUICPRO_LOG_INFO, "%0700d", 1);
    CHECK_U64(strlen(seen.line), ==, 511);
}

static void test_escape(void)
{
    static const struct {
        const char *in;
        size_t len;
        const char *out;
    } row[] = {
        {"plain text ~", 12, "plain text ~"},
        {"a\\b", 3, "a\\\\b"},
        {"\r\n", 2, "\\x0d\\x0a"},
        {"\0x", 2, "\\x00x"},
        {"\x7f\xff", 2, "\\x7f\\xff"},
        {"", 0, ""},
        {"\x1b[31m", 5, "\\x1b[31m"},
    };
    for (size_t i = 0; i < COUNTOF(row); i++) {
        char out[64];
        CHECK_U64(qp_escape(out, sizeof(out), row[i].in, row[i].len), ==, strlen(row[i].out));
        CHECK_STR(out, row[i].out);
    }
}

static void test_escape_is_cut_between_characters(void)
{
    static const struct {
        size_t size;
        const char *out;
    } row[] = {{1, ""}, {2, "a"}, {3, "a"}, {5, "a"}, {6, "a\\x00"}, {7, "a\\x00b"}};
    char none = 'x';
    for (size_t i = 0; i < COUNTOF(row); i++) {
        char out[16];
        qp_escape(out, row[i].size, "a\0b", 3);
        CHECK_STR(out, row[i].out);
    }
    CHECK_U64(qp_escape(&none, 0, "abc", 3), ==, 0);
    CHECK(none == 'x');
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_level_decides),
        TEST(test_long_lines_are_cut),
        TEST(test_escape),
        TEST(test_escape_is_cut_between_characters),
    };
    return RUN(tests);
}
