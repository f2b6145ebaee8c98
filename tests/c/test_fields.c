#include "h3/fields.h"

#include "base/names.h"
#include "check.h"

#define NV(n, v)                                                                                   \
    {                                                                                              \
        n, sizeof(n) - 1, v, sizeof(v) - 1                                                         \
    }
#define GET NV(":method", "GET"), NV(":scheme", "https"), NV(":authority", "x"), NV(":path", "/")

static void test_sections_are_checked(void)
{
    static const struct {
        enum qp_h3_section section;
        int want;
        size_t count;
        quicpro_nv field[6];
    } row[] = {
        {QP_H3_REQUEST, 0, 4, {GET}},
        {QP_H3_REQUEST, 0, 5, {GET, NV("te", "trailers")}},
        {QP_H3_REQUEST, 0, 2, {NV(":method", "CONNECT"), NV(":authority", "x:1")}},
        {QP_H3_REQUEST, QUICPRO_EINVAL, 3, {GET}},                       /* no :path */
        {QP_H3_REQUEST, QUICPRO_EINVAL, 5, {GET, NV(":path", "/")}},     /* twice */
        {QP_H3_REQUEST, QUICPRO_EINVAL, 5, {GET, NV(":status", "200")}}, /* of a response */
        {QP_H3_REQUEST, QUICPRO_EINVAL, 5, {NV("a", "b"), GET}},         /* too late */
        {QP_H3_REQUEST, QUICPRO_EINVAL, 5, {GET, NV("te", "gzip")}},
        {QP_H3_REQUEST, QUICPRO_EINVAL, 5, {GET, NV("connection", "close")}},
        {QP_H3_REQUEST, QUICPRO_EINVAL, 5, {GET, NV("transfer-encoding", "chunked")}},
        {QP_H3_RESPONSE, 0, 1, {NV("content-type", "text/plain")}},
        {QP_H3_RESPONSE, 0, 1, {NV("x-empty", "")}},
        {QP_H3_RESPONSE, QUICPRO_EINVAL, 1, {NV(":status", "200")}}, /* set by us */
        {QP_H3_RESPONSE, QUICPRO_EINVAL, 1, {NV("Content-Type", "text/plain")}},
        {QP_H3_RESPONSE, QUICPRO_EINVAL, 1, {NV("content type", "text/plain")}},
        {QP_H3_RESPONSE, QUICPRO_EINVAL, 1, {NV("", "x")}},
        {QP_H3_RESPONSE, QUICPRO_EINVAL, 1, {NV("a", "b\r\nset-cookie: c")}}, /* smuggled */
        {QP_H3_RESPONSE, QUICPRO_EINVAL, 1, {NV("a", "b\0c")}},
        {QP_H3_TRAILERS, 0, 1, {NV("grpc-status", "0")}},
        {QP_H3_TRAILERS, QUICPRO_EINVAL, 1, {NV(":path", "/")}},
    };
    for (size_t i = 0; i < COUNTOF(row); i++)
        if (!CHECK_INT(qp_h3_fields_check(row[i].section, row[i].field, row[i].count), ==,
                       row[i].want))
            printf("#   row %zu\n", i);
    CHECK_INT(qp_h3_fields_check(QP_H3_RESPONSE, NULL, 0), ==, 0);
    CHECK_INT(qp_h3_fields_check(QP_H3_RESPONSE, NULL, 1), ==, QUICPRO_EINVAL);
    CHECK_INT(qp_h3_fields_check(QP_H3_RESPONSE, row[0].field, QP_H3_MAX_FIELDS + 1), ==,
              QUICPRO_EINVAL);
}

static void test_tokens_have_our_names(void)
{
    CHECK_INT(qp_h3_known_name(NGHTTP3_QPACK_TOKEN__AUTHORITY), ==, QP_NAME_AUTHORITY);
    CHECK_INT(qp_h3_known_name(NGHTTP3_QPACK_TOKEN__STATUS), ==, QP_NAME_STATUS);
    CHECK_INT(qp_h3_known_name(NGHTTP3_QPACK_TOKEN_X_FRAME_OPTIONS), ==, QP_NAME_X_FRAME_OPTIONS);
    CHECK_INT(qp_h3_known_name(NGHTTP3_QPACK_TOKEN_HOST), ==, QP_NAME_HOST);
    CHECK_INT(qp_h3_known_name(NGHTTP3_QPACK_TOKEN_PRIORITY), ==, QP_NAME_PRIORITY);
    for (int32_t token = -2; token < 1100; token++) {
        int name = qp_h3_known_name(token);
        CHECK(name >= -1 && name < QP_NAME_COUNT);
    }
    CHECK_INT(qp_h3_known_name(-1), ==, -1);
    CHECK_INT(qp_h3_known_name(999), ==, -1);
    CHECK_INT(qp_h3_known_name(INT32_MAX), ==, -1);
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_sections_are_checked),
        TEST(test_tokens_have_our_names),
    };
    return RUN(tests);
}
