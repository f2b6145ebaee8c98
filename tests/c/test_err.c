#include <quicpro/base.h>

#include "check.h"

static void test_every_error_has_name_and_text(void)
{
#define ROW(name, value, text)                                                                     \
    CHECK_STR(quicpro_error_name(QUICPRO_##name), "QUICPRO_" #name);                               \
    CHECK_STR(quicpro_strerror(QUICPRO_##name), text);                                             \
    CHECK_INT(QUICPRO_##name, ==, value);
    QUICPRO_ERROR_MAP(ROW)
#undef ROW
}

static void test_other_values(void)
{
    static const struct {
        int error;
        const char *name, *text;
    } row[] = {
        {0, "QUICPRO_OK", "success"},
        {17, "QUICPRO_OK", "success"},
        {-EACCES, "QUICPRO_ESYSTEM", "Permission denied"},
        {-999, "QUICPRO_ESYSTEM", "unknown error"},
        {-41, "QUICPRO_ESYSTEM", "unknown error"},
        {-1999, "QUICPRO_EUNKNOWN", "unknown error"},
        {INT32_MIN, "QUICPRO_EUNKNOWN", "unknown error"},
    };
    for (size_t i = 0; i < COUNTOF(row); i++) {
        CHECK_STR(quicpro_error_name(row[i].error), row[i].name);
        CHECK_STR(quicpro_strerror(row[i].error), row[i].text);
    }
}

static void test_wire_codes(void)
{
    static const struct {
        uint64_t code;
        int app;
        const char *name;
    } row[] = {
        {0x00, 0, "NO_ERROR"},
        {0x02, 0, "CONNECTION_REFUSED"},
        {0x03, 0, "FLOW_CONTROL_ERROR"},
        {0x0a, 0, "PROTOCOL_VIOLATION"},
        {0x0d, 0, "CRYPTO_BUFFER_EXCEEDED"},
        {0x10, 0, "NO_VIABLE_PATH"},
        {0x11, 0, "VERSION_NEGOTIATION_ERROR"},
        {0x12, 0, "unknown code"},
        {0xff, 0, "unknown code"},
        {0x100, 0, "CRYPTO_ERROR: close_notify"},
        {0x100 + 40, 0, "CRYPTO_ERROR: handshake_failure"},
        {0x100 + 48, 0, "CRYPTO_ERROR: unknown_ca"},
        {0x100 + 120, 0, "CRYPTO_ERROR: no_application_protocol"},
        {0x1ff, 0, "CRYPTO_ERROR: unknown alert"},
        {0x200, 0, "unknown code"},
        {UINT64_MAX, 0, "unknown code"},
        {0x33, 1, "H3_DATAGRAM_ERROR"},
        {0x100, 1, "H3_NO_ERROR"},
        {0x107, 1, "H3_EXCESSIVE_LOAD"},
        {0x10c, 1, "H3_REQUEST_CANCELLED"},
        {0x110, 1, "H3_VERSION_FALLBACK"},
        {0x111, 1, "unknown code"},
        {0x200, 1, "QPACK_DECOMPRESSION_FAILED"},
        {0x202, 1, "QPACK_DECODER_STREAM_ERROR"},
        {0x203, 1, "unknown code"},
        {0, 1, "unknown code"},
        {UINT64_MAX, 1, "unknown code"},
    };
    for (size_t i = 0; i < COUNTOF(row); i++)
        CHECK_STR(quicpro_wire_code_name(row[i].code, row[i].app), row[i].name);
}

static void test_no_code_lacks_a_name(void)
{
    for (uint64_t code = 0; code < 0x400; code++) {
        CHECK(quicpro_wire_code_name(code, 0) != NULL);
        CHECK(quicpro_wire_code_name(code, 1) != NULL);
    }
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_every_error_has_name_and_text),
        TEST(test_other_values),
        TEST(test_wire_codes),
        TEST(test_no_code_lacks_a_name),
    };
    return RUN(tests);
}
