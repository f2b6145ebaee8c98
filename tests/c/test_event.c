#include <quicpro/event.h>

#include "base/names.h"
#include "check.h"

static void test_known_names(void)
{
    static const struct {
        uint32_t id;
        const char *name;
    } row[] = {
        {0, ":authority"},
        {QP_NAME_PATH, ":path"},
        {15, ":method"},
        {17, ":status"},
        {51, "x-frame-options"},
        {QP_NAME_HOST, "host"},
        {QP_NAME_PROTOCOL, ":protocol"},
        {QP_NAME_CONTENT_RANGE, "content-range"},
    };
    for (size_t i = 0; i < COUNTOF(row); i++) {
        size_t len = 0;
        CHECK_STR(quicpro_known_name(row[i].id, &len), row[i].name);
        CHECK_U64(len, ==, strlen(row[i].name));
        CHECK_STR(quicpro_known_name(row[i].id, NULL), row[i].name);
    }
    size_t len = 5;
    CHECK(quicpro_known_name(QP_NAME_COUNT, &len) == NULL && len == 0);
    CHECK(quicpro_known_name(UINT32_MAX, NULL) == NULL);
}

static void test_known_names_are_distinct_and_lower_case(void)
{
    for (uint32_t i = 0; i < QP_NAME_COUNT; i++) {
        const char *name = quicpro_known_name(i, NULL);
        for (const char *c = name; *c != '\0'; c++)
            CHECK(*c < 'A' || *c > 'Z');
        for (uint32_t j = 0; j < i; j++)
            CHECK(strcmp(name, quicpro_known_name(j, NULL)) != 0);
    }
}

static const char text[] = "x-onetwo/index";
static const quicpro_field fields[] = {
    {.name = QP_NAME_PATH, .name_len = 0, .value = 8, .value_len = 6},
    {.name = 0, .name_len = 5, .value = 5, .value_len = 3},
    {.name = 0, .name_len = 5, .value = 8, .value_len = 0},
    {.name = 14, .name_len = 1, .value = 0, .value_len = UINT32_MAX},
    {.name = 9999, .name_len = 0, .value = 15, .value_len = 0},
};
static const quicpro_event event = {
    .type = QUICPRO_EVENT_REQUEST, .data = fields, .len = COUNTOF(fields)};
static const quicpro_batch batch = {.events = &event,
                                    .event_count = 1,
                                    .fields = fields,
                                    .field_count = COUNTOF(fields),
                                    .text = text,
                                    .text_len = sizeof(text) - 1};

static void check_text(const char *got, size_t len, const char *want)
{
    if (want == NULL)
        CHECK(got == NULL && len == 0);
    else
        CHECK(got != NULL && len == strlen(want) && memcmp(got, want, len) == 0);
}

static void test_names_and_values(void)
{
    static const struct {
        const char *name, *value;
    } row[] = {{":path", "/index"}, {"x-one", "two"}, {"x-one", ""}, {NULL, NULL}, {NULL, NULL}};
    for (size_t i = 0; i < COUNTOF(row); i++) {
        size_t len = 7;
        const char *got = quicpro_field_name(&batch, &fields[i], &len);
        check_text(got, len, row[i].name);
        len = 7;
        got = quicpro_field_value(&batch, &fields[i], &len);
        check_text(got, len, row[i].value);
    }
}

static void test_looking_for_a_field(void)
{
    static const struct {
        uint16_t type;
        const char *name, *value;
    } row[] = {
        {QUICPRO_EVENT_REQUEST, ":path", "/index"}, {QUICPRO_EVENT_RESPONSE, ":path", "/index"},
        {QUICPRO_EVENT_TRAILERS, "x-one", "two"},   {QUICPRO_EVENT_REQUEST, "x-on", NULL},
        {QUICPRO_EVENT_REQUEST, "", NULL},          {QUICPRO_EVENT_DATA, ":path", NULL},
    };
    for (size_t i = 0; i < COUNTOF(row); i++) {
        quicpro_event copy = event;
        size_t len = 7;
        copy.type = row[i].type;
        const char *got = quicpro_event_field(&batch, &copy, row[i].name, &len);
        check_text(got, len, row[i].value);
    }
}

static void test_wrong_arguments(void)
{
    size_t len;
    CHECK(quicpro_field_name(NULL, fields, &len) == NULL);
    CHECK(quicpro_field_name(&batch, NULL, &len) == NULL);
    CHECK(quicpro_field_name(&batch, fields, NULL) == NULL);
    CHECK(quicpro_field_value(NULL, fields, &len) == NULL);
    CHECK(quicpro_field_value(&batch, NULL, &len) == NULL);
    CHECK(quicpro_field_value(&batch, fields, NULL) == NULL);
    CHECK(quicpro_event_field(NULL, &event, "a", &len) == NULL);
    CHECK(quicpro_event_field(&batch, NULL, "a", &len) == NULL);
    CHECK(quicpro_event_field(&batch, &event, NULL, &len) == NULL);
    CHECK(quicpro_event_field(&batch, &event, "a", NULL) == NULL);
}

static void test_event_names(void)
{
    static const char *const row[] = {"UNKNOWN",  "CONNECTED",    "CLOSED", "REQUEST",  "RESPONSE",
                                      "DATA",     "TRAILERS",     "RESET",  "WRITABLE", "GOAWAY",
                                      "DRAINED",  "CERTIFICATES", "STREAM", "READABLE", "STOPPED",
                                      "DATAGRAM", "STREAMS",      "PATH",   "EARLY",    "UNKNOWN"};
    for (unsigned i = 0; i < COUNTOF(row); i++)
        CHECK_STR(quicpro_event_name(i), row[i]);
    CHECK_STR(quicpro_event_name(UINT32_MAX), "UNKNOWN");
    CHECK_U64(sizeof(quicpro_event), ==, 64);
    CHECK_U64(sizeof(quicpro_field), ==, 16);
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_known_names),      TEST(test_known_names_are_distinct_and_lower_case),
        TEST(test_names_and_values), TEST(test_looking_for_a_field),
        TEST(test_wrong_arguments),  TEST(test_event_names),
    };
    return RUN(tests);
}
