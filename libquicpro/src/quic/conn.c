#include "quic/conn.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/options.h"
#include "quic/tickets.h"
#include "quic/tls.h"

enum {
    /* Windows grow with use, unless told otherwise up to this multiple of what they begin with;
     * memory a peer can make us hold is bounded by the connection's. */
    WINDOW_GROWTH = 2,
};

enum {
    H3_NO_ERROR = 0x100,
    CRYPTO_ERROR = 0x100, /* plus the alert (RFC 9001 section 4.8) */
    ALERT_NO_APPLICATION_PROTOCOL = 120,
};

static uint64_t either(uint64_t value, uint64_t otherwise)
{
    return value != 0 ? value : otherwise;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

int qp_conn_factory_init(struct qp_conn_factory *factory, const struct qp_engine_ops *engine,
                         const struct qp_options *options, struct ssl_ctx_st *tls)
{
    const uint64_t all = options->initial_max_stream_data_bytes;
    const uint64_t local = either(options->initial_max_stream_data_bidi_local_bytes, all);
    const uint64_t remote = either(options->initial_max_stream_data_bidi_remote_bytes, all);
    const uint64_t uni = either(options->initial_max_stream_data_uni_bytes, all);
    const uint64_t stream = larger(larger(local, remote), uni);
    const uint64_t conn = options->initial_max_data_bytes;
    /* A window never shrinks (RFC 9000 section 4.1): what it may grow to is at least what it is. */
    const uint64_t conn_max = either(options->max_connection_window_bytes, WINDOW_GROWTH * conn);
    const uint64_t stream_max = either(options->max_stream_window_bytes, WINDOW_GROWTH * stream);
    const struct qp_engine_params params = {
        .max_idle_timeout_ms = options->max_idle_timeout_ms,
        .initial_max_data_bytes = conn,
        .initial_max_stream_data_bidi_local_bytes = local,
        .initial_max_stream_data_bidi_remote_bytes = remote,
        .initial_max_stream_data_uni_bytes = uni,
        .initial_max_streams_bidi = options->initial_max_streams_bidi,
        .initial_max_streams_uni = options->initial_max_streams_uni,
        .max_connection_window_bytes = larger(conn_max, conn),
        .max_stream_window_bytes = larger(stream_max, stream),
        .max_send_udp_payload_bytes = options->max_udp_payload_bytes,
        .active_connection_id_limit = options->active_connection_id_limit,
        .initial_cwnd_packets = options->initial_cwnd_packets,
        .cc = options->congestion_control,
        .max_recv_udp_payload_bytes = options->max_recv_udp_payload_bytes,
        .max_ack_delay_ms = options->max_ack_delay_ms,
        .ack_delay_exponent = options->ack_delay_exponent,
        .initial_rtt_ms = options->initial_rtt_ms,
        .max_amplification_factor = options->max_amplification_factor,
        .dgram_recv_queue = options->datagrams_enable ? options->dgram_recv_queue_len : 0,
        .dgram_send_queue = options->datagrams_enable ? options->dgram_send_queue_len : 0,
        .disable_active_migration = options->disable_active_migration,
        .hystart = options->hystart_enable,
        .grease = options->grease_enable,
        .pmtud = options->pmtud,
        .pacing = options->pacing,
        .max_pacing_rate_mbps = options->max_pacing_rate_mbps,
        .early_data = options->early_data && options->session_tickets,
    };
    qp_engine_config *config;
    int r = engine->config_new(&config, tls, &params);
    if (r < 0)
        return r;
    *factory = (struct qp_conn_factory){.engine = engine, .config = config, .tls = tls};
    qp_tickets_context(factory->early_context, &params, options);
    return 0;
}

void qp_conn_factory_done(struct qp_conn_factory *factory)
{
    if (factory->engine == NULL)
        return;
    factory->engine->config_free(factory->config);
    qp_tls_free(factory->tls);
    *factory = (struct qp_conn_factory){0};
}

int qp_conn_accept(struct qp_conn *conn, struct qp_conn_factory *factory,
                   const struct qp_engine_ids *ids, const struct sockaddr *local,
                   const struct sockaddr *peer)
{
    qp_engine_conn *impl;
    int r = factory->engine->accept(&impl, factory->config, ids, local, peer);
    if (r < 0)
        return r;
    qp_tls_shed(factory->engine->ssl(impl));
    r = qp_tickets_bind(factory->engine->ssl(impl), factory->early_context);
    if (r < 0) {
        factory->engine->conn_free(impl);
        return r;
    }
    *conn = (struct qp_conn){.engine = factory->engine, .impl = impl, .server = true};
    memcpy(conn->scid, ids->scid, QP_CID_LEN);
    return 0;
}

int qp_conn_connect(struct qp_conn *conn, struct qp_conn_factory *factory,
                    const struct qp_engine_ids *ids, const struct sockaddr *local,
                    const struct sockaddr *peer, const char *host)
{
    qp_engine_conn *impl;
    int r = factory->engine->connect(&impl, factory->config, ids, local, peer);
    if (r < 0)
        return r;
    qp_tls_shed(factory->engine->ssl(impl));
    r = qp_tls_set_host(factory->engine->ssl(impl), host);
    if (r < 0) {
        factory->engine->conn_free(impl);
        return r;
    }
    *conn = (struct qp_conn){.engine = factory->engine, .impl = impl};
    memcpy(conn->scid, ids->scid, QP_CID_LEN);
    return 0;
}

void qp_conn_done(struct qp_conn *conn)
{
    if (conn->impl != NULL)
        conn->engine->conn_free(conn->impl);
    conn->impl = NULL;
}

void qp_conn_recv(struct qp_conn *conn, uint8_t *data, size_t len, size_t segment,
                  const struct sockaddr *local, const struct sockaddr *peer)
{
    int r = conn->engine->recv(conn->impl, data, len, segment, local, peer);
    if (r < 0 && conn->first_error == 0)
        conn->first_error = r;
}

static bool engine_close(struct qp_conn *conn, bool app, uint64_t code, const char *reason)
{
    return conn->engine->close(conn->impl, app, code, (const uint8_t *)reason, strlen(reason)) == 0;
}

void qp_conn_close(struct qp_conn *conn, bool app, uint64_t code, const char *reason)
{
    if (engine_close(conn, app, code, reason))
        conn->closed_here = true;
}

void qp_conn_fail(struct qp_conn *conn, bool app, uint64_t code, const char *reason)
{
    engine_close(conn, app, code, reason);
}

/* The QUICPRO_E... code for a transport close. */
static int transport_error(const struct qp_conn *conn, const struct qp_engine_error *e,
                           const char *verify)
{
    if (e->code == 0)
        return 0;
    if (e->code >= CRYPTO_ERROR && e->code < CRYPTO_ERROR + 256) {
        if (e->code == CRYPTO_ERROR + ALERT_NO_APPLICATION_PROTOCOL)
            return QUICPRO_EALPN;
        return verify != NULL ? QUICPRO_EVERIFY : QUICPRO_ETLS;
    }
    if (e->remote)
        return QUICPRO_ECLOSED;
    return conn->first_error == QUICPRO_EVERSION ? QUICPRO_EVERSION : QUICPRO_EPROTO;
}

void qp_conn_get_close(const struct qp_conn *conn, struct qp_conn_close *ret)
{
    struct qp_engine_error e;
    uint32_t flags = conn->engine->flags(conn->impl);
    *ret = (struct qp_conn_close){0};
    if (flags & QP_ENGINE_NO_MEMORY) {
        ret->error = QUICPRO_ENOMEM;
        snprintf(ret->text, sizeof(ret->text), "%s", quicpro_strerror(QUICPRO_ENOMEM));
        return;
    }
    if (flags & QP_ENGINE_POISONED) {
        ret->error = QUICPRO_EENGINE;
        conn->engine->panic_text(ret->text, sizeof(ret->text));
        return;
    }
    conn->engine->get_error(conn->impl, &e);
    if (!e.found) {
        /* Closed without anybody's word and not by time: the peer's server does not know it. */
        if (conn->first_error == 0 && !conn->server &&
            (flags & (QP_ENGINE_ESTABLISHED | QP_ENGINE_TIMED_OUT)) == QP_ENGINE_ESTABLISHED) {
            *ret = (struct qp_conn_close){.error = QUICPRO_ECLOSED,
                                          .remote = true,
                                          .text = "the peer does not know the connection any more "
                                                  "(stateless reset)"};
            return;
        }
        if (conn->first_error == QUICPRO_EVERSION)
            ret->error = QUICPRO_EVERSION;
        else if (flags & QP_ENGINE_TIMED_OUT)
            ret->error = flags & QP_ENGINE_ESTABLISHED ? QUICPRO_EIDLE : QUICPRO_EHANDSHAKE;
        else
            ret->error = conn->first_error != 0 ? conn->first_error : QUICPRO_ECLOSED;
        snprintf(ret->text, sizeof(ret->text), "%s", quicpro_strerror(ret->error));
        return;
    }
    const char *verify = NULL;
    if (!e.remote && !e.app && e.code >= CRYPTO_ERROR)
        verify = qp_tls_verify_error(conn->engine->ssl(conn->impl), (unsigned)(e.code & 0xff));
    char reason[3 * 64] = "";
    if (e.reason_len != 0)
        qp_escape(reason, sizeof(reason), e.reason, e.reason_len);
    char number[48];
    const char *name = quicpro_wire_code_name(e.code, e.app);
    if (e.app && !conn->http3) {
        snprintf(number, sizeof(number), "application code %llu", (unsigned long long)e.code);
        name = number;
    }
    ret->code = e.code;
    ret->app = e.app;
    ret->remote = e.remote;
    if (!e.app)
        ret->error = conn->closed_here && !e.remote ? 0 : transport_error(conn, &e, verify);
    else if (e.code != (conn->http3 ? H3_NO_ERROR : 0) && !(conn->closed_here && !e.remote))
        ret->error = e.remote ? QUICPRO_ECLOSED : QUICPRO_EPROTO;
    if (ret->error == QUICPRO_EVERSION)
        snprintf(ret->text, sizeof(ret->text), "%s", quicpro_strerror(ret->error));
    else if (ret->error == QUICPRO_EVERIFY)
        snprintf(ret->text, sizeof(ret->text), "%s: %s", quicpro_strerror(ret->error), verify);
    else
        snprintf(ret->text, sizeof(ret->text), "closed by %s with %s%s%s%s",
                 e.remote ? "the peer" : "us", name, reason[0] ? " (" : "", reason,
                 reason[0] ? ")" : "");
}
