#include "quic/qlog.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "quic/conn.h"

enum {
    RECORD_SEPARATOR = 0x1e, /* RFC 7464 section 2.2; JSON has none inside */
    LAST_BYTES = 256,        /* room kept for the record that says that there is no more */
    CRYPTO_ERROR = 0x100,    /* plus the alert (RFC 9001 section 4.8) */
    H3_FIRST_ERROR = 0x100,  /* RFC 9114 section 8.1 */
};

/* By code (RFC 9000 section 20.1). */
static const char *const transport_errors[] = {
    "no_error",
    "internal_error",
    "connection_refused",
    "flow_control_error",
    "stream_limit_error",
    "stream_state_error",
    "final_size_error",
    "frame_encoding_error",
    "transport_parameter_error",
    "connection_id_limit_error",
    "protocol_violation",
    "invalid_token",
    "application_error",
    "crypto_buffer_exceeded",
    "key_update_error",
    "aead_limit_reached",
    "no_viable_path",
};

/* By code from H3_FIRST_ERROR on; the drafts forgot H3_MESSAGE_ERROR. */
static const char *const http3_errors[] = {
    "http_no_error",
    "http_general_protocol_error",
    "http_internal_error",
    "http_stream_creation_error",
    "http_closed_critical_stream",
    "http_frame_unexpected",
    "http_frame_error",
    "http_excessive_load",
    "http_id_error",
    "http_settings_error",
    "http_missing_settings",
    "http_request_rejected",
    "http_request_cancelled",
    "http_request_incomplete",
    NULL,
    "http_connect_error",
    "http_version_fallback",
};

static struct qp_buf *target(struct qp_qlog *qlog)
{
    return qlog->ring_bytes != 0 ? &qlog->ring : &qlog->out;
}

static void append(struct qp_qlog *qlog, const void *data, size_t len)
{
    if (!qlog->full && !qlog->broken && qp_buf_append(target(qlog), data, len) < 0)
        qlog->broken = true;
}

static void open_record(struct qp_qlog *qlog)
{
    static const uint8_t separator = RECORD_SEPARATOR;
    qlog->record = target(qlog)->len;
    append(qlog, &separator, 1);
}

/* The oldest go until the rest fits; the newest stays, however long it is. */
static void trim_ring(struct qp_qlog *qlog)
{
    struct qp_buf *ring = &qlog->ring;
    while (ring->len - qlog->first > qlog->ring_bytes && qlog->first < qlog->record) {
        const uint8_t *next =
            memchr(ring->data + qlog->first + 1, RECORD_SEPARATOR, ring->len - qlog->first - 1);
        qlog->first = (size_t)(next - ring->data); /* there is the newest, at least */
        qlog->cut = true;
    }
    if (qlog->first <= qlog->ring_bytes)
        return;
    ring->len -= qlog->first;
    memmove(ring->data, ring->data + qlog->first, ring->len);
    qlog->record -= qlog->first;
    qlog->first = 0;
}

static void say(struct qp_qlog *qlog, const char *text)
{
    qp_qlog_begin(qlog, 0, "loglevel:warning");
    qp_qlog_put(qlog, "\"message\":\"%s\"", text);
    append(qlog, "}}\n", 3);
}

/* The record would be too much: another, the last, takes its place. */
static void stop(struct qp_qlog *qlog)
{
    qlog->out.len = qlog->record;
    say(qlog, "qlog_max_bytes are written: the rest is left out");
    if (qlog->broken)
        qlog->out.len = qlog->record;
    qlog->full = true;
}

static void close_record(struct qp_qlog *qlog)
{
    struct qp_buf *to = target(qlog);
    if (qlog->full)
        return;
    if (qlog->broken) {
        to->len = qlog->record;
        qlog->broken = false;
        qlog->cut = true;
    } else if (qlog->ring_bytes != 0) {
        trim_ring(qlog);
    } else {
        if (qlog->bytes + (to->len - qlog->record) + LAST_BYTES > qlog->max_bytes)
            stop(qlog);
        qlog->bytes += to->len - qlog->record;
    }
}

void qp_qlog_put(struct qp_qlog *qlog, const char *format, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, format);
    const int n = vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    append(qlog, text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1);
}

void qp_qlog_text(struct qp_qlog *qlog, const void *data, size_t len)
{
    const uint8_t *at = data, *end = at + len, *plain = at;
    append(qlog, "\"", 1);
    for (; at < end; at++) {
        if (*at >= 0x20 && *at < 0x7f && *at != '"' && *at != '\\')
            continue;
        append(qlog, plain, (size_t)(at - plain));
        qp_qlog_put(qlog, "\\u%04x", *at);
        plain = at + 1;
    }
    append(qlog, plain, (size_t)(at - plain));
    append(qlog, "\"", 1);
}

void qp_qlog_hex(struct qp_qlog *qlog, const void *data, size_t len)
{
    const uint8_t *byte = data;
    append(qlog, "\"", 1);
    for (size_t i = 0; i < len; i++)
        qp_qlog_put(qlog, "%02x", byte[i]);
    append(qlog, "\"", 1);
}

void qp_qlog_begin(struct qp_qlog *qlog, quicpro_tstamp now, const char *name)
{
    if (now > qlog->latest)
        qlog->latest = now;
    const uint64_t us = (qlog->latest - qlog->start) / QUICPRO_MICROSECOND;
    open_record(qlog);
    qp_qlog_put(qlog, "{\"time\":%llu.%03u,\"name\":\"%s\",\"data\":{",
                (unsigned long long)(us / 1000), (unsigned)(us % 1000), name);
}

void qp_qlog_end(struct qp_qlog *qlog)
{
    append(qlog, "}}\n", 3);
    close_record(qlog);
}

/* Days since 1970 as a date of the Gregorian calendar (years of 400 have 146,097 days). */
static void date_of(int64_t days, int *year, unsigned *month, unsigned *day)
{
    const int64_t since = days + 719468; /* from 0000-03-01: leap days come last */
    const int64_t era = since / 146097;
    const unsigned in_era = (unsigned)(since - era * 146097);
    const unsigned of_era = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
    const unsigned in_year = in_era - (365 * of_era + of_era / 4 - of_era / 100);
    const unsigned shifted = (5 * in_year + 2) / 153; /* 0: March */
    *day = in_year - (153 * shifted + 2) / 5 + 1;
    *month = shifted < 10 ? shifted + 3 : shifted - 9;
    *year = (int)(of_era + era * 400 + (*month <= 2));
}

/* "When using the "monotonic" clock type, the epoch field MUST have the value "unknown"." */
static void write_head(struct qp_qlog *qlog, int64_t wall)
{
    int year;
    unsigned month, day;
    const char *vantage = qlog->server ? "server" : "client";
    const uint64_t ring_bytes = qlog->ring_bytes;
    const int64_t days = wall / 86400, second = wall % 86400;
    date_of(days, &year, &month, &day);
    qlog->ring_bytes = 0; /* it goes before the ring */
    open_record(qlog);
    qp_qlog_put(qlog, "{\"file_schema\":\"urn:ietf:params:qlog:file:sequential\","
                      "\"serialization_format\":\"application/qlog+json-seq\","
                      "\"title\":\"quicpro\",\"trace\":{\"common_fields\":{\"group_id\":");
    qp_qlog_hex(qlog, qlog->odcid, qlog->odcid_len);
    qp_qlog_put(qlog,
                ",\"time_format\":\"relative_to_epoch\",\"reference_time\":{"
                "\"clock_type\":\"monotonic\",\"epoch\":\"unknown\","
                "\"wall_clock_time\":\"%04d-%02u-%02uT%02d:%02d:%02dZ\"}},",
                year, month, day, (int)(second / 3600), (int)(second / 60 % 60),
                (int)(second % 60));
    qp_qlog_put(qlog,
                "\"vantage_point\":{\"name\":\"quicpro %s\",\"type\":\"%s\"},"
                "\"event_schemas\":[\"urn:ietf:params:qlog:events:quic-13\","
                "\"urn:ietf:params:qlog:events:http3-13\","
                "\"urn:ietf:params:qlog:events:loglevel-14\"]}}\n",
                vantage, vantage);
    const bool broken = qlog->broken;
    close_record(qlog);
    qlog->broken = broken; /* for our caller */
    qlog->ring_bytes = ring_bytes;
}

int qp_qlog_init(struct qp_qlog *qlog, const struct qp_qlog_args *args)
{
    *qlog = (struct qp_qlog){
        .max_bytes = args->max_bytes,
        .ring_bytes = args->ring_bytes,
        .start = args->now,
        .latest = args->now,
        .level = args->level,
        .addresses = args->addresses,
        .server = args->server,
        .odcid_len = (uint8_t)(args->odcid_len < QP_CID_MAX ? args->odcid_len : QP_CID_MAX),
    };
    memcpy(qlog->odcid, args->odcid, qlog->odcid_len);
    write_head(qlog, args->wall);
    if (qlog->broken) {
        qp_qlog_done(qlog);
        return QUICPRO_ENOMEM;
    }
    return 0;
}

void qp_qlog_done(struct qp_qlog *qlog)
{
    qp_buf_done(&qlog->out);
    qp_buf_done(&qlog->ring);
}

void qp_qlog_engine(struct qp_qlog *qlog, const uint8_t *data, size_t len)
{
    while (len != 0) {
        const uint8_t *newline = memchr(data, '\n', len);
        const size_t n = newline == NULL ? len : (size_t)(newline + 1 - data);
        if (qlog->engine_head) {
            if (data[0] == RECORD_SEPARATOR)
                qlog->record = target(qlog)->len;
            append(qlog, data, n);
            if (newline != NULL)
                close_record(qlog);
        } else {
            qlog->engine_head = newline != NULL;
        }
        data += n;
        len -= n;
    }
}

void qp_qlog_spill(struct qp_qlog *qlog)
{
    if (qlog->ring_bytes == 0)
        return;
    qlog->ring_bytes = 0;
    if (qlog->cut) {
        say(qlog, "qlog_ring_bytes: what came before this is left out");
        close_record(qlog);
    }
    const size_t len = qlog->ring.len - qlog->first;
    if (len != 0 && qp_buf_append(&qlog->out, qlog->ring.data + qlog->first, len) == 0)
        qlog->bytes += len;
    qp_buf_done(&qlog->ring);
}

void qp_qlog_taken(struct qp_qlog *qlog)
{
    qlog->out.len = 0;
}

size_t qp_qlog_name(const struct qp_qlog *qlog, const uint8_t *other, size_t other_len,
                    char out[QP_QLOG_NAME_BYTES])
{
    int n = 0;
    const size_t room = QP_QLOG_NAME_BYTES;
    for (size_t i = 0; i < qlog->odcid_len; i++)
        n += snprintf(out + n, room - (size_t)n, "%02x", qlog->odcid[i]);
    n += snprintf(out + n, room - (size_t)n, qlog->server ? "_server" : "_client");
    for (size_t i = 0; i < other_len && i < 4; i++)
        n += snprintf(out + n, room - (size_t)n, i == 0 ? "-%02x" : "%02x", other[i]);
    n += snprintf(out + n, room - (size_t)n, ".sqlog");
    return (size_t)n;
}

/* A TupleEndpointInfo. "a hash-based or redacted representation can be used if needed for privacy".
 */
static void put_end(struct qp_qlog *qlog, const char *name, const struct sockaddr *addr)
{
    char text[INET6_ADDRSTRLEN] = "";
    const bool v6 = addr->sa_family == AF_INET6;
    uint16_t port;
    qp_qlog_put(qlog, "\"%s\":{", name);
    if (v6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, addr, sizeof(in6));
        if (qlog->addresses == QP_QLOG_PREFIX)
            memset((uint8_t *)&in6.sin6_addr + 6, 0, 10);
        inet_ntop(AF_INET6, &in6.sin6_addr, text, sizeof(text));
        port = ntohs(in6.sin6_port);
    } else {
        struct sockaddr_in in;
        memcpy(&in, addr, sizeof(in));
        if (qlog->addresses == QP_QLOG_PREFIX)
            memset((uint8_t *)&in.sin_addr + 3, 0, 1);
        inet_ntop(AF_INET, &in.sin_addr, text, sizeof(text));
        port = ntohs(in.sin_port);
    }
    if (qlog->addresses != QP_QLOG_NONE)
        qp_qlog_put(qlog, "\"ip_%s\":\"%s\"", v6 ? "v6" : "v4", text);
    if (qlog->addresses == QP_QLOG_FULL)
        qp_qlog_put(qlog, ",\"port_%s\":%u", v6 ? "v6" : "v4", port);
    qp_qlog_put(qlog, "}");
}

void qp_qlog_started(struct qp_qlog *qlog, quicpro_tstamp now, const struct sockaddr *local,
                     const struct sockaddr *peer)
{
    if (qlog->level >= QP_QLOG_BASE) {
        qp_qlog_begin(qlog, now, "quic:connection_started");
        put_end(qlog, "local", local);
        qp_qlog_put(qlog, ",");
        put_end(qlog, "remote", peer);
        qp_qlog_end(qlog);
    }
    qp_qlog_begin(qlog, now, "quic:version_information");
    qp_qlog_put(qlog, "\"%s_versions\":[\"00000001\"],\"chosen_version\":\"00000001\"",
                qlog->server ? "server" : "client");
    qp_qlog_end(qlog);
}

void qp_qlog_established(struct qp_qlog *qlog, quicpro_tstamp now, const uint8_t *alpn,
                         size_t alpn_len)
{
    if (alpn_len != 0) {
        qp_qlog_begin(qlog, now, "quic:alpn_information");
        qp_qlog_put(qlog, "\"chosen_alpn\":{\"byte_value\":");
        qp_qlog_hex(qlog, alpn, alpn_len);
        qp_qlog_put(qlog, ",\"string_value\":");
        qp_qlog_text(qlog, alpn, alpn_len);
        qp_qlog_put(qlog, "}");
        qp_qlog_end(qlog);
    }
    if (qlog->level < QP_QLOG_BASE)
        return;
    qp_qlog_begin(qlog, now, "quic:connection_state_updated");
    qp_qlog_put(qlog, "\"new\":\"handshake_complete\"");
    qp_qlog_end(qlog);
}

static const char *trigger_of(const struct qp_conn_close *close)
{
    switch (close->error) {
    case QUICPRO_EIDLE:
    case QUICPRO_EHANDSHAKE:
        return "idle_timeout";
    case QUICPRO_EVERSION:
        return "version_mismatch";
    case QUICPRO_ENOMEM:
    case QUICPRO_EENGINE:
        return "aborted";
    case 0:
        return close->app ? "application" : "unspecified";
    case QUICPRO_ECLOSED:
        if (!close->app && close->code == 0) /* without a word */
            return close->remote ? "stateless_reset" : "aborted";
        return "error";
    default:
        return "error";
    }
}

/* The word for a code, and the code itself where there is none. */
static void put_error(struct qp_qlog *qlog, const struct qp_conn_close *close, bool http3)
{
    const uint64_t code = close->code;
    const char *name = NULL;
    if (!close->app && code >= CRYPTO_ERROR && code < CRYPTO_ERROR + 256) {
        qp_qlog_put(qlog, ",\"connection_error\":\"crypto_error_0x%llx\"",
                    (unsigned long long)code);
        return;
    }
    if (!close->app && code < sizeof(transport_errors) / sizeof(*transport_errors))
        name = transport_errors[code];
    if (close->app && http3 && code >= H3_FIRST_ERROR &&
        code - H3_FIRST_ERROR < sizeof(http3_errors) / sizeof(*http3_errors))
        name = http3_errors[code - H3_FIRST_ERROR];
    qp_qlog_put(qlog, ",\"%s_error\":\"%s\"", close->app ? "application" : "connection",
                name == NULL ? "unknown" : name);
    if (name == NULL)
        qp_qlog_put(qlog, ",\"error_code\":%llu", (unsigned long long)code);
}

void qp_qlog_closed(struct qp_qlog *qlog, quicpro_tstamp now, const struct qp_conn_close *close,
                    bool http3)
{
    if (qlog->closed)
        return;
    qlog->closed = true;
    const char *trigger = trigger_of(close);
    qp_qlog_begin(qlog, now, "quic:connection_closed");
    qp_qlog_put(qlog, "\"initiator\":\"%s\"", close->remote ? "remote" : "local");
    if (strcmp(trigger, "error") == 0 || strcmp(trigger, "application") == 0 ||
        strcmp(trigger, "unspecified") == 0)
        put_error(qlog, close, http3);
    qp_qlog_put(qlog, ",\"reason\":");
    qp_qlog_text(qlog, close->text, strlen(close->text));
    qp_qlog_put(qlog, ",\"trigger\":\"%s\"", trigger);
    qp_qlog_end(qlog);
}
