#include "loop/trace.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "loop/loop.h"
#include "os/clock.h"
#include "os/env.h"
#include "os/file.h"
#include "os/random.h"
#include "quic/qlog.h"
#include "quic/tls.h"

/* The qlog of a connection with where it goes; the engine and struct qp_conn know its first member.
 */
struct trace {
    struct qp_qlog qlog;
    struct qp_endpoint *endpoint;
    int fd;      /* -1: none yet, or no more */
    bool to_dir; /* a file is wanted */
    bool failed; /* the connection ended in an error */
    bool told;   /* the function was called */
    uint8_t scid[QP_CID_LEN];
};

static struct trace *trace_of(const struct qp_link *link)
{
    return (struct trace *)link->conn.qlog;
}

int qp_tracing_init(struct qp_endpoint *endpoint)
{
    const struct qp_options *o = &endpoint->options;
    struct qp_tracing *tracing = &endpoint->tracing;
    const char *wrong, *variable = NULL, *dir;
    size_t wrong_len;
    if (o->qlog_env && o->security_allow_config_override)
        variable = qp_env_get("QLOGDIR");
    dir = o->qlog_dir[0] != '\0' ? o->qlog_dir : variable != NULL ? variable : "";
    int r = qp_prefixes_parse(&tracing->peers, o->qlog_peers, &wrong, &wrong_len);
    if (r == QUICPRO_EVALUE)
        return qp_loop_fail(endpoint->loop, r, "qlog_peers: \"%.*s\" is no address or prefix",
                            (int)(wrong_len < 64 ? wrong_len : 64), wrong);
    if (r == 0 && (tracing->dir = strdup(dir)) == NULL)
        r = QUICPRO_ENOMEM;
    return r;
}

void qp_tracing_done(struct qp_endpoint *endpoint)
{
    qp_prefixes_done(&endpoint->tracing.peers);
    free(endpoint->tracing.dir);
    endpoint->tracing.dir = NULL;
}

static void fail(struct trace *trace, const char *what, const char *name, int error)
{
    struct qp_endpoint *endpoint = trace->endpoint;
    qp_metrics_add(endpoint->loop->metrics, QP_METRIC_QLOG_FAILED, 1);
    if (!endpoint->tracing.warned)
        qp_log(&endpoint->loop->log, QUICPRO_LOG_WARNING,
               "qlog: cannot %s %s/%s: %s (connections go on; this is said once)", what,
               endpoint->tracing.dir, name, strerror(error));
    endpoint->tracing.warned = true;
}

static void close_file(struct trace *trace)
{
    if (trace->fd < 0)
        return;
    qp_file_append_close(trace->fd);
    trace->fd = -1;
    trace->endpoint->loop->qlogs_open--;
}

/* Clients choose the name: whoever repeats one gets another file, named after our ID, too. */
static int create(const struct trace *trace, char name[QP_QLOG_NAME_BYTES])
{
    const char *dir = trace->endpoint->tracing.dir;
    if (trace->endpoint->loop->qlogs_open >= QP_TRACE_OPEN_MAX)
        return -EMFILE;
    qp_qlog_name(&trace->qlog, NULL, 0, name);
    const int r = qp_file_create(dir, name);
    if (r != -EEXIST)
        return r;
    qp_qlog_name(&trace->qlog, trace->scid, QP_CID_LEN, name);
    return qp_file_create(dir, name);
}

static void write_file(struct trace *trace)
{
    struct qp_endpoint *endpoint = trace->endpoint;
    char name[QP_QLOG_NAME_BYTES] = "";
    if (trace->fd < 0) {
        const int fd = endpoint->tracing.files < endpoint->options.qlog_max_files
                           ? create(trace, name)
                           : -EDQUOT;
        if (fd < 0) {
            trace->to_dir = false;
            fail(trace, "make", name, -fd);
            return;
        }
        trace->fd = fd;
        endpoint->loop->qlogs_open++;
        qp_metrics_add(endpoint->loop->metrics, QP_METRIC_QLOG_FILES, 1);
        endpoint->tracing.files++;
    }
    const int r = qp_file_write(trace->fd, trace->qlog.out.data, trace->qlog.out.len);
    if (r == 0)
        return;
    trace->to_dir = false;
    qp_qlog_name(&trace->qlog, NULL, 0, name);
    fail(trace, "write", name, -r);
    close_file(trace);
}

static void call(struct trace *trace, quicpro_handle conn, const uint8_t *data, size_t len)
{
    const struct qp_options *o = &trace->endpoint->options;
    char name[QP_QLOG_NAME_BYTES];
    if (o->qlog_fn == NULL)
        return;
    qp_qlog_name(&trace->qlog, NULL, 0, name);
    *strrchr(name, '.') = '\0';
    o->qlog_fn(o->qlog_user, conn, name, data, len);
    trace->told = true;
}

static void hand_over(struct trace *trace, quicpro_handle conn)
{
    if (trace->qlog.out.len == 0 || trace->qlog.ring_bytes != 0 /* kept back */)
        return;
    call(trace, conn, trace->qlog.out.data, trace->qlog.out.len);
    if (trace->to_dir)
        write_file(trace);
    qp_qlog_taken(&trace->qlog);
}

/* As the engine calls it, in the middle of a turn. */
static void on_record(void *user, const uint8_t *data, size_t len)
{
    struct trace *trace = user;
    qp_qlog_engine(&trace->qlog, data, len);
    if (trace->qlog.out.len >= QP_TRACE_BUFFER && trace->endpoint->options.qlog_fn == NULL)
        hand_over(trace, 0);
}

static bool is_on(const struct qp_endpoint *endpoint)
{
    return endpoint->tracing.dir[0] != '\0' || endpoint->options.qlog_fn != NULL;
}

static bool wanted(const struct qp_link *link)
{
    const struct qp_endpoint *endpoint = link->endpoint;
    const struct qp_options *o = &endpoint->options;
    if (!is_on(endpoint))
        return false;
    if (endpoint->tracing.peers.count != 0 &&
        !qp_prefixes_match(&endpoint->tracing.peers, &link->peer.sa))
        return false;
    uint64_t random;
    if (o->qlog_sample > 1) {
        qp_random((uint8_t *)&random, sizeof(random));
        return random % o->qlog_sample == 0;
    }
    return true;
}

void qp_trace_begin(struct qp_link *link, const uint8_t *odcid, size_t odcid_len)
{
    const struct qp_options *o = &link->endpoint->options;
    if (!wanted(link))
        return;
    const struct qp_qlog_args args = {
        .server = link->endpoint->server,
        .odcid = odcid,
        .odcid_len = odcid_len,
        .now = link->loop->now,
        .wall = qp_clock_wall(),
        .level = (enum qp_qlog_level)o->qlog_level,
        .addresses = (enum qp_qlog_addresses)o->qlog_addresses,
        .max_bytes = o->qlog_max_bytes,
        .ring_bytes = o->qlog_ring_bytes,
    };
    struct trace *trace = calloc(1, sizeof(*trace));
    if (trace == NULL || qp_qlog_init(&trace->qlog, &args) < 0) {
        qp_metrics_add(link->loop->metrics, QP_METRIC_QLOG_FAILED, 1);
        free(trace);
        return;
    }
    trace->endpoint = link->endpoint;
    trace->fd = -1;
    trace->to_dir = link->endpoint->tracing.dir[0] != '\0';
    memcpy(trace->scid, link->conn.scid, QP_CID_LEN);
    link->conn.qlog = &trace->qlog;
    qp_qlog_started(&trace->qlog, args.now, &link->local.sa, &link->peer.sa);
    link->conn.engine->set_qlog(link->conn.impl, (enum qp_engine_qlog_level)args.level, "",
                                on_record, trace);
}

void qp_trace_begin_client(struct qp_link *link)
{
    uint8_t dcid[QP_CID_MAX];
    if (!is_on(link->endpoint))
        return;
    qp_trace_begin(link, dcid, link->conn.engine->dcid(link->conn.impl, dcid));
}

void qp_trace_established(struct qp_link *link)
{
    struct qp_tls_facts facts;
    if (link->conn.qlog == NULL)
        return;
    qp_tls_get_facts(link->conn.engine->ssl(link->conn.impl), &facts);
    qp_qlog_established(link->conn.qlog, link->loop->now, (const uint8_t *)facts.alpn,
                        strlen(facts.alpn));
}

void qp_trace_closed(struct qp_link *link, const struct qp_conn_close *close)
{
    struct trace *trace = trace_of(link);
    if (trace == NULL || trace->qlog.closed)
        return;
    trace->failed = close->error != 0;
    qp_qlog_closed(&trace->qlog, link->loop->now, close, link->conn.http3);
}

void qp_trace_write(struct qp_link *link)
{
    hand_over(trace_of(link), link->handle);
}

/* Nobody was told of an end: whoever owns the connection wants no more of it. */
static void let_go(struct qp_link *link)
{
    struct qp_conn_close close = {.error = QUICPRO_ECLOSED, .text = "let go"};
    const uint32_t said = QP_ENGINE_LOCAL_ERROR | QP_ENGINE_PEER_ERROR;
    if (link->conn.engine->flags(link->conn.impl) & said)
        qp_conn_get_close(&link->conn, &close);
    qp_qlog_closed(link->conn.qlog, link->loop->now, &close, link->conn.http3);
}

void qp_trace_conn_done(struct qp_link *link)
{
    struct trace *trace = trace_of(link);
    if (trace != NULL)
        let_go(link);
    qp_conn_done(&link->conn);
    if (trace == NULL)
        return;
    link->conn.qlog = NULL;
    if (trace->failed)
        qp_qlog_spill(&trace->qlog);
    hand_over(trace, link->handle);
    if (trace->told)
        call(trace, link->handle, NULL, 0);
    close_file(trace);
    qp_qlog_done(&trace->qlog);
    free(trace);
}
