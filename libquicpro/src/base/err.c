/* Codes to words. Every string is static, so that callers may keep it. */
#include <quicpro/base.h>

#include <stdbool.h>
#include <string.h>

enum { FIRST_OF_OURS = -1000, LAST_ERRNO = 133 /* Linux */ };

const char *quicpro_strerror(int error)
{
    if (error >= 0)
        return "success";
    switch (error) {
#define ERROR_CASE(name, value, text)                                                              \
    case QUICPRO_##name:                                                                           \
        return text;
        QUICPRO_ERROR_MAP(ERROR_CASE)
#undef ERROR_CASE
    default:
        break;
    }
    /* Past the known ones strerror() makes its text in a buffer. */
    if (error < -LAST_ERRNO)
        return "unknown error";
    const char *text = strerror(-error);
    /* The words of glibc and of musl for a number without a meaning. */
    bool unknown = strncmp(text, "Unknown", 7) == 0 || strncmp(text, "No error", 8) == 0;
    return unknown ? "unknown error" : text;
}

const char *quicpro_error_name(int error)
{
    if (error >= 0)
        return "QUICPRO_OK";
    switch (error) {
#define ERROR_CASE(name, value, text)                                                              \
    case QUICPRO_##name:                                                                           \
        return "QUICPRO_" #name;
        QUICPRO_ERROR_MAP(ERROR_CASE)
#undef ERROR_CASE
    default:
        return error > FIRST_OF_OURS ? "QUICPRO_ESYSTEM" : "QUICPRO_EUNKNOWN";
    }
}

/* RFC 9000 section 20.1; the last one RFC 9368 section 5. */
static const char *const transport_name[] = {
    [0x00] = "NO_ERROR",
    [0x01] = "INTERNAL_ERROR",
    [0x02] = "CONNECTION_REFUSED",
    [0x03] = "FLOW_CONTROL_ERROR",
    [0x04] = "STREAM_LIMIT_ERROR",
    [0x05] = "STREAM_STATE_ERROR",
    [0x06] = "FINAL_SIZE_ERROR",
    [0x07] = "FRAME_ENCODING_ERROR",
    [0x08] = "TRANSPORT_PARAMETER_ERROR",
    [0x09] = "CONNECTION_ID_LIMIT_ERROR",
    [0x0a] = "PROTOCOL_VIOLATION",
    [0x0b] = "INVALID_TOKEN",
    [0x0c] = "APPLICATION_ERROR",
    [0x0d] = "CRYPTO_BUFFER_EXCEEDED",
    [0x0e] = "KEY_UPDATE_ERROR",
    [0x0f] = "AEAD_LIMIT_REACHED",
    [0x10] = "NO_VIABLE_PATH",
    [0x11] = "VERSION_NEGOTIATION_ERROR",
};

/* TLS alerts: RFC 8446 section 6 and the TLS Alerts registry. */
#define ALERT(name) "CRYPTO_ERROR: " name
static const char *const alert_name[256] = {
    [0] = ALERT("close_notify"),
    [10] = ALERT("unexpected_message"),
    [20] = ALERT("bad_record_mac"),
    [22] = ALERT("record_overflow"),
    [40] = ALERT("handshake_failure"),
    [42] = ALERT("bad_certificate"),
    [43] = ALERT("unsupported_certificate"),
    [44] = ALERT("certificate_revoked"),
    [45] = ALERT("certificate_expired"),
    [46] = ALERT("certificate_unknown"),
    [47] = ALERT("illegal_parameter"),
    [48] = ALERT("unknown_ca"),
    [49] = ALERT("access_denied"),
    [50] = ALERT("decode_error"),
    [51] = ALERT("decrypt_error"),
    [70] = ALERT("protocol_version"),
    [71] = ALERT("insufficient_security"),
    [80] = ALERT("internal_error"),
    [86] = ALERT("inappropriate_fallback"),
    [90] = ALERT("user_canceled"),
    [109] = ALERT("missing_extension"),
    [110] = ALERT("unsupported_extension"),
    [112] = ALERT("unrecognized_name"),
    [113] = ALERT("bad_certificate_status_response"),
    [115] = ALERT("unknown_psk_identity"),
    [116] = ALERT("certificate_required"),
    [120] = ALERT("no_application_protocol"),
    [121] = ALERT("ech_required"),
};

/* RFC 9114 section 8.1. */
static const char *const h3_name[] = {
    [0x00] = "H3_NO_ERROR",
    [0x01] = "H3_GENERAL_PROTOCOL_ERROR",
    [0x02] = "H3_INTERNAL_ERROR",
    [0x03] = "H3_STREAM_CREATION_ERROR",
    [0x04] = "H3_CLOSED_CRITICAL_STREAM",
    [0x05] = "H3_FRAME_UNEXPECTED",
    [0x06] = "H3_FRAME_ERROR",
    [0x07] = "H3_EXCESSIVE_LOAD",
    [0x08] = "H3_ID_ERROR",
    [0x09] = "H3_SETTINGS_ERROR",
    [0x0a] = "H3_MISSING_SETTINGS",
    [0x0b] = "H3_REQUEST_REJECTED",
    [0x0c] = "H3_REQUEST_CANCELLED",
    [0x0d] = "H3_REQUEST_INCOMPLETE",
    [0x0e] = "H3_MESSAGE_ERROR",
    [0x0f] = "H3_CONNECT_ERROR",
    [0x10] = "H3_VERSION_FALLBACK",
};

/* RFC 9204 section 6. */
static const char *const qpack_name[] = {
    [0] = "QPACK_DECOMPRESSION_FAILED",
    [1] = "QPACK_ENCODER_STREAM_ERROR",
    [2] = "QPACK_DECODER_STREAM_ERROR",
};

enum { H3_FIRST = 0x100, QPACK_FIRST = 0x200, H3_DATAGRAM_ERROR = 0x33, CRYPTO_FIRST = 0x100 };

#define COUNTOF(array) (sizeof(array) / sizeof((array)[0]))

static const char *app_code_name(uint64_t code)
{
    if (code >= H3_FIRST && code - H3_FIRST < COUNTOF(h3_name))
        return h3_name[code - H3_FIRST];
    if (code >= QPACK_FIRST && code - QPACK_FIRST < COUNTOF(qpack_name))
        return qpack_name[code - QPACK_FIRST];
    if (code == H3_DATAGRAM_ERROR) /* RFC 9297 section 5.2 */
        return "H3_DATAGRAM_ERROR";
    return "unknown code";
}

const char *quicpro_wire_code_name(uint64_t code, int app)
{
    if (app)
        return app_code_name(code);
    if (code < COUNTOF(transport_name))
        return transport_name[code];
    if (code >= CRYPTO_FIRST && code - CRYPTO_FIRST < COUNTOF(alert_name)) {
        const char *name = alert_name[code - CRYPTO_FIRST];
        return name == NULL ? "CRYPTO_ERROR: unknown alert" : name;
    }
    return "unknown code";
}
