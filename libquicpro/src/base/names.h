/* Field names that travel as a number: quicpro_field.name is the position in this list. First those
 * of the QPACK static table in order of first appearance (RFC 9204 appendix A), then those that
 * nghttp3 tells apart, then others that are common. Numbers are part of the ABI: only append. */
#ifndef QP_BASE_NAMES_H
#define QP_BASE_NAMES_H

/* clang-format off */
#define QP_NAME_MAP(X)                                                                             \
    X(AUTHORITY, ":authority")                                                                     \
    X(PATH, ":path")                                                                               \
    X(AGE, "age")                                                                                  \
    X(CONTENT_DISPOSITION, "content-disposition")                                                  \
    X(CONTENT_LENGTH, "content-length")                                                            \
    X(COOKIE, "cookie")                                                                            \
    X(DATE, "date")                                                                                \
    X(ETAG, "etag")                                                                                \
    X(IF_MODIFIED_SINCE, "if-modified-since")                                                      \
    X(IF_NONE_MATCH, "if-none-match")                                                              \
    X(LAST_MODIFIED, "last-modified")                                                              \
    X(LINK, "link")                                                                                \
    X(LOCATION, "location")                                                                        \
    X(REFERER, "referer")                                                                          \
    X(SET_COOKIE, "set-cookie")                                                                    \
    X(METHOD, ":method")                                                                           \
    X(SCHEME, ":scheme")                                                                           \
    X(STATUS, ":status")                                                                           \
    X(ACCEPT, "accept")                                                                            \
    X(ACCEPT_ENCODING, "accept-encoding")                                                          \
    X(ACCEPT_RANGES, "accept-ranges")                                                              \
    X(ACCESS_CONTROL_ALLOW_HEADERS, "access-control-allow-headers")                                \
    X(ACCESS_CONTROL_ALLOW_ORIGIN, "access-control-allow-origin")                                  \
    X(CACHE_CONTROL, "cache-control")                                                              \
    X(CONTENT_ENCODING, "content-encoding")                                                        \
    X(CONTENT_TYPE, "content-type")                                                                \
    X(RANGE, "range")                                                                              \
    X(STRICT_TRANSPORT_SECURITY, "strict-transport-security")                                      \
    X(VARY, "vary")                                                                                \
    X(X_CONTENT_TYPE_OPTIONS, "x-content-type-options")                                            \
    X(X_XSS_PROTECTION, "x-xss-protection")                                                        \
    X(ACCEPT_LANGUAGE, "accept-language")                                                          \
    X(ACCESS_CONTROL_ALLOW_CREDENTIALS, "access-control-allow-credentials")                        \
    X(ACCESS_CONTROL_ALLOW_METHODS, "access-control-allow-methods")                                \
    X(ACCESS_CONTROL_EXPOSE_HEADERS, "access-control-expose-headers")                              \
    X(ACCESS_CONTROL_REQUEST_HEADERS, "access-control-request-headers")                            \
    X(ACCESS_CONTROL_REQUEST_METHOD, "access-control-request-method")                              \
    X(ALT_SVC, "alt-svc")                                                                          \
    X(AUTHORIZATION, "authorization")                                                              \
    X(CONTENT_SECURITY_POLICY, "content-security-policy")                                          \
    X(EARLY_DATA, "early-data")                                                                    \
    X(EXPECT_CT, "expect-ct")                                                                      \
    X(FORWARDED, "forwarded")                                                                      \
    X(IF_RANGE, "if-range")                                                                        \
    X(ORIGIN, "origin")                                                                            \
    X(PURPOSE, "purpose")                                                                          \
    X(SERVER, "server")                                                                            \
    X(TIMING_ALLOW_ORIGIN, "timing-allow-origin")                                                  \
    X(UPGRADE_INSECURE_REQUESTS, "upgrade-insecure-requests")                                      \
    X(USER_AGENT, "user-agent")                                                                    \
    X(X_FORWARDED_FOR, "x-forwarded-for")                                                          \
    X(X_FRAME_OPTIONS, "x-frame-options")                                                          \
    X(HOST, "host")                                                                                \
    X(TE, "te")                                                                                    \
    X(PROTOCOL, ":protocol")                                                                       \
    X(PRIORITY, "priority")                                                                        \
    X(KEEP_ALIVE, "keep-alive")                                                                    \
    X(PROXY_CONNECTION, "proxy-connection")                                                        \
    X(TRANSFER_ENCODING, "transfer-encoding")                                                      \
    X(UPGRADE, "upgrade")                                                                          \
    X(CONNECTION, "connection")                                                                    \
    X(EXPECT, "expect")                                                                            \
    X(TRAILER, "trailer")                                                                          \
    X(VIA, "via")                                                                                  \
    X(ALLOW, "allow")                                                                              \
    X(RETRY_AFTER, "retry-after")                                                                  \
    X(TRACEPARENT, "traceparent")                                                                  \
    X(TRACESTATE, "tracestate")                                                                    \
    X(CONTENT_RANGE, "content-range")
/* clang-format on */

enum qp_name {
#define QP_NAME_ENUM(ident, text) QP_NAME_##ident,
    QP_NAME_MAP(QP_NAME_ENUM)
#undef QP_NAME_ENUM
        QP_NAME_COUNT,
};

#endif
