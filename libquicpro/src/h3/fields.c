#include "h3/fields.h"

#include <string.h>

#include "base/names.h"

static bool is(const quicpro_nv *field, const char *name)
{
    return field->name_len == strlen(name) && memcmp(field->name, name, field->name_len) == 0;
}

/* "An endpoint MUST NOT generate an HTTP/3 field section containing connection-specific fields"
 * (RFC 9114 section 4.2); TE may only say trailers. */
static bool connection_specific(const quicpro_nv *field)
{
    static const char *const name[] = {"connection", "keep-alive", "proxy-connection",
                                       "transfer-encoding", "upgrade"};
    for (size_t i = 0; i < sizeof(name) / sizeof(name[0]); i++)
        if (is(field, name[i]))
            return true;
    return is(field, "te") && !(field->value_len == 8 && memcmp(field->value, "trailers", 8) == 0);
}

static bool lower_case(const quicpro_nv *field)
{
    for (size_t i = 0; i < field->name_len; i++)
        if (field->name[i] >= 'A' && field->name[i] <= 'Z')
            return false;
    return true;
}

/* Request pseudo-header fields: which are there. */
enum { METHOD = 1, SCHEME = 2, AUTHORITY = 4, PATH = 8, PROTOCOL = 16 };

static unsigned pseudo_bit(const quicpro_nv *field)
{
    return is(field, ":method")      ? METHOD
           : is(field, ":scheme")    ? SCHEME
           : is(field, ":authority") ? AUTHORITY
           : is(field, ":path")      ? PATH
           : is(field, ":protocol")  ? PROTOCOL
                                     : 0;
}

static bool pseudo_complete(unsigned seen, bool connect)
{
    if (connect && !(seen & PROTOCOL))
        return seen == (METHOD | AUTHORITY); /* section 4.4 */
    return (seen & (METHOD | SCHEME | PATH)) == (METHOD | SCHEME | PATH);
}

int qp_h3_fields_check(enum qp_h3_section section, const quicpro_nv *fields, size_t count)
{
    unsigned seen = 0;
    bool regular = false, connect = false;
    if (count > QP_H3_MAX_FIELDS || (fields == NULL && count != 0))
        return QUICPRO_EINVAL;
    for (size_t i = 0; i < count; i++) {
        const quicpro_nv *f = &fields[i];
        if (f->name == NULL || f->name_len == 0 || (f->value == NULL && f->value_len != 0))
            return QUICPRO_EINVAL;
        if (f->name[0] == ':') {
            unsigned bit = section == QP_H3_REQUEST ? pseudo_bit(f) : 0;
            if (bit == 0 || (seen & bit) || regular)
                return QUICPRO_EINVAL;
            seen |= bit;
            if (bit == METHOD)
                connect = f->value_len == 7 && memcmp(f->value, "CONNECT", 7) == 0;
        } else {
            regular = true;
            if (!nghttp3_check_header_name((const uint8_t *)f->name, f->name_len) ||
                !lower_case(f) || connection_specific(f))
                return QUICPRO_EINVAL;
        }
        if (!nghttp3_check_header_value((const uint8_t *)f->value, f->value_len))
            return QUICPRO_EINVAL;
    }
    return section == QP_H3_REQUEST && !pseudo_complete(seen, connect) ? QUICPRO_EINVAL : 0;
}

/* nghttp3 numbers the names of QPACK's static table below 100 and some others from 1000; zero
 * entries of the tables mean no name, so positions are kept plus one. */
#define PSEUDO(name) [NGHTTP3_QPACK_TOKEN__##name] = QP_NAME_##name + 1
#define TOKEN(name) [NGHTTP3_QPACK_TOKEN_##name] = QP_NAME_##name + 1
#define EXTRA(name) [NGHTTP3_QPACK_TOKEN_##name - NGHTTP3_QPACK_TOKEN_HOST] = QP_NAME_##name + 1
/* clang-format off */
static const uint8_t table_name[] = {
    PSEUDO(AUTHORITY), PSEUDO(PATH), PSEUDO(METHOD), PSEUDO(SCHEME), PSEUDO(STATUS),
    TOKEN(AGE), TOKEN(CONTENT_DISPOSITION), TOKEN(CONTENT_LENGTH), TOKEN(COOKIE), TOKEN(DATE),
    TOKEN(ETAG), TOKEN(IF_MODIFIED_SINCE), TOKEN(IF_NONE_MATCH), TOKEN(LAST_MODIFIED), TOKEN(LINK),
    TOKEN(LOCATION), TOKEN(REFERER), TOKEN(SET_COOKIE), TOKEN(ACCEPT), TOKEN(ACCEPT_ENCODING),
    TOKEN(ACCEPT_RANGES), TOKEN(ACCESS_CONTROL_ALLOW_HEADERS), TOKEN(ACCESS_CONTROL_ALLOW_ORIGIN),
    TOKEN(CACHE_CONTROL), TOKEN(CONTENT_ENCODING), TOKEN(CONTENT_TYPE), TOKEN(RANGE),
    TOKEN(STRICT_TRANSPORT_SECURITY), TOKEN(VARY), TOKEN(X_CONTENT_TYPE_OPTIONS),
    TOKEN(X_XSS_PROTECTION), TOKEN(ACCEPT_LANGUAGE), TOKEN(ACCESS_CONTROL_ALLOW_CREDENTIALS),
    TOKEN(ACCESS_CONTROL_ALLOW_METHODS), TOKEN(ACCESS_CONTROL_EXPOSE_HEADERS),
    TOKEN(ACCESS_CONTROL_REQUEST_HEADERS), TOKEN(ACCESS_CONTROL_REQUEST_METHOD), TOKEN(ALT_SVC),
    TOKEN(AUTHORIZATION), TOKEN(CONTENT_SECURITY_POLICY), TOKEN(EARLY_DATA), TOKEN(EXPECT_CT),
    TOKEN(FORWARDED), TOKEN(IF_RANGE), TOKEN(ORIGIN), TOKEN(PURPOSE), TOKEN(SERVER),
    TOKEN(TIMING_ALLOW_ORIGIN), TOKEN(UPGRADE_INSECURE_REQUESTS), TOKEN(USER_AGENT),
    TOKEN(X_FORWARDED_FOR), TOKEN(X_FRAME_OPTIONS),
};
static const uint8_t extra_name[] = {
    EXTRA(HOST), EXTRA(TE), [NGHTTP3_QPACK_TOKEN__PROTOCOL - NGHTTP3_QPACK_TOKEN_HOST] = QP_NAME_PROTOCOL + 1, EXTRA(PRIORITY),
};
/* clang-format on */

int qp_h3_known_name(int32_t token)
{
    if (token >= 0 && (size_t)token < sizeof(table_name))
        return table_name[token] - 1;
    token -= NGHTTP3_QPACK_TOKEN_HOST;
    if (token >= 0 && (size_t)token < sizeof(extra_name))
        return extra_name[token] - 1;
    return -1;
}
