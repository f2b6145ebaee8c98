#include "loop/resume.h"

#include <string.h>

#include "loop/loop.h"
#include "os/clock.h"
#include "os/random.h"
#include "os/session_file.h"
#include "os/vault.h"

/* The file holds what a store does, each session with its head. */
enum { FILE_MAX_BYTES = QP_STORE_BYTES + QP_STORE_MAX * 16 + 16 };

static quicpro_tstamp period(const struct qp_options *o)
{
    /* A key seals for one period and opens for two more: by then its tickets are over. */
    uint64_t sec =
        o->ticket_rotation_sec != 0 ? o->ticket_rotation_sec : o->ticket_lifetime_sec / 2;
    return sec * QUICPRO_SECOND;
}

static size_t register_bytes(const struct qp_options *o)
{
    size_t slots = 1;
    while (slots < o->early_data_flights)
        slots *= 2;
    return QP_REGISTER_HEAD_BYTES + slots * sizeof(uint64_t);
}

static int init_server(struct qp_endpoint *endpoint)
{
    struct qp_resume *resume = &endpoint->resume;
    const struct qp_options *o = &endpoint->options;
    const quicpro_tstamp now = qp_loop_now(endpoint->loop);
    uint8_t fresh[QP_RING_FRESH_BYTES];
    if (!o->session_tickets)
        return 0;
    const size_t ring_bytes = (QP_RING_BYTES + 63) / 64 * 64;
    resume->vault_bytes = ring_bytes + (o->early_data ? register_bytes(o) : 0);
    resume->vault = qp_vault_new(resume->vault_bytes);
    if (resume->vault == NULL)
        return QUICPRO_ENOMEM;
    resume->tickets.now = now;
    resume->tickets.wall = (uint64_t)qp_clock_wall();
    if (o->early_data) { /* before the keys, so that it is not younger than they are */
        uint8_t key[16];
        qp_random(key, sizeof(key));
        resume->tickets.reg =
            qp_register_init((uint8_t *)resume->vault + ring_bytes,
                             resume->vault_bytes - ring_bytes, key, now, resume->tickets.wall);
    }
    qp_random(fresh, sizeof(fresh));
    resume->ring = qp_ring_init(resume->vault, period(o), now, fresh);
    qp_wipe(fresh, sizeof(fresh));
    resume->tickets.ring = resume->ring;
    return 0;
}

void qp_resume_tick(struct qp_endpoint *endpoint, quicpro_tstamp now)
{
    struct qp_resume *resume = &endpoint->resume;
    if (resume->ring == NULL)
        return;
    resume->tickets.now = now;
    if (resume->tickets.reg != NULL)
        resume->tickets.wall = (uint64_t)qp_clock_wall();
    if (now < qp_ring_due(resume->ring))
        return;
    uint8_t fresh[QP_RING_FRESH_BYTES];
    qp_random(fresh, sizeof(fresh));
    qp_ring_turn(resume->ring, now, fresh);
    qp_wipe(fresh, sizeof(fresh));
}

/* Opens the file and loads what is in it; a damaged one counts as empty. 0; -EAGAIN: in use;
 * QUICPRO_EVALUE: refused, with a line for people. */
static int open_file(struct qp_endpoint *endpoint, struct qp_session_file *file,
                     struct qp_store *store, uint64_t wall)
{
    struct quicpro_loop *loop = endpoint->loop;
    const struct qp_options *o = &endpoint->options;
    const char *why;
    int r = qp_session_file_open(file, o->session_file, FILE_MAX_BYTES, &why);
    if (r == -EAGAIN)
        return r;
    if (r < 0)
        return qp_loop_fail(loop, QUICPRO_EVALUE, "session_file: cannot use '%s': %s",
                            o->session_file, why != NULL ? why : strerror(-r));
    qp_store_init(store, (size_t)o->session_cache_entries, QP_STORE_BYTES);
    r = file->len == 0 ? 0 : qp_store_load(store, file->data, file->len, wall);
    if (r == QUICPRO_EPROTO)
        qp_log(&loop->log, QUICPRO_LOG_WARNING,
               "session_file: '%s' is damaged or of another version: its sessions are ignored",
               o->session_file);
    return 0;
}

/* Says once that the file cannot be used any more. */
static void note_failure(struct qp_endpoint *endpoint)
{
    if (!endpoint->resume.file_failed)
        qp_log(&endpoint->loop->log, QUICPRO_LOG_WARNING, "%s", endpoint->loop->error);
    endpoint->resume.file_failed = true;
}

static void save_file(struct qp_endpoint *endpoint, struct qp_session_file *file,
                      const struct qp_store *store)
{
    struct qp_buf bytes = {0};
    int r = qp_store_save(store, &bytes);
    if (r == 0)
        r = qp_session_file_write(file, bytes.data, bytes.len);
    if (r < 0) {
        qp_loop_fail(endpoint->loop, r, "session_file: cannot write '%s': %s",
                     endpoint->options.session_file, strerror(-r));
        note_failure(endpoint);
    }
    if (bytes.data != NULL)
        qp_wipe(bytes.data, bytes.len);
    qp_buf_done(&bytes);
}

static int init_client(struct qp_endpoint *endpoint)
{
    struct qp_resume *resume = &endpoint->resume;
    const struct qp_options *o = &endpoint->options;
    struct qp_session_file file;
    struct qp_store store;
    qp_store_init(&resume->store, (size_t)o->session_cache_entries, QP_STORE_BYTES);
    qp_tickets_policy(resume->policy, o);
    if (!o->session_tickets || o->session_file[0] == '\0')
        return 0;
    int r = open_file(endpoint, &file, &store, (uint64_t)qp_clock_wall());
    if (r == 0) {
        qp_store_done(&store);
        qp_session_file_close(&file);
    }
    return r == -EAGAIN ? 0 : r;
}

int qp_resume_init(struct qp_endpoint *endpoint)
{
    return endpoint->server ? init_server(endpoint) : init_client(endpoint);
}

void qp_resume_done(struct qp_endpoint *endpoint)
{
    struct qp_resume *resume = &endpoint->resume;
    if (resume->ring != NULL)
        qp_ring_done(resume->ring);
    qp_vault_free(resume->vault, resume->vault_bytes);
    qp_store_done(&resume->store);
    *resume = (struct qp_resume){0};
}

int qp_resume_install(struct qp_endpoint *endpoint, struct ssl_ctx_st *ctx)
{
    struct qp_resume *resume = &endpoint->resume;
    if (!endpoint->server)
        return 0;
    return qp_tickets_install(ctx, resume->ring == NULL ? NULL : &resume->tickets,
                              &endpoint->options);
}

static size_t key_of(const struct qp_link *link, uint8_t key[QP_BLOB_KEY_MAX])
{
    const struct qp_endpoint *endpoint = link->endpoint;
    return qp_blob_key(key, link->target->host, link->target->port, endpoint->options.alpn,
                       endpoint->resume.policy);
}

/* Takes a session's bytes out of the memory or the file: whoever has them is the only one. */
static bool take(struct qp_link *link, struct qp_buf *bytes)
{
    struct qp_endpoint *endpoint = link->endpoint;
    const uint64_t wall = (uint64_t)qp_clock_wall();
    struct qp_session_file file;
    struct qp_store store;
    uint8_t key[QP_BLOB_KEY_MAX];
    const size_t key_len = key_of(link, key);
    if (key_len == 0)
        return false;
    if (endpoint->options.session_file[0] == '\0')
        return qp_store_take(&endpoint->resume.store, key, key_len, wall, bytes) > 0;
    int r = open_file(endpoint, &file, &store, wall);
    if (r < 0) {
        if (r != -EAGAIN)
            note_failure(endpoint);
        return false;
    }
    r = qp_store_take(&store, key, key_len, wall, bytes);
    if (r > 0)
        save_file(endpoint, &file, &store); /* before it is used: another process must not */
    qp_store_done(&store);
    qp_session_file_close(&file);
    return r > 0;
}

static void put(struct qp_link *link, const struct qp_blob *blob)
{
    struct qp_endpoint *endpoint = link->endpoint;
    struct qp_buf bytes = {0};
    struct qp_session_file file;
    struct qp_store store;
    uint8_t key[QP_BLOB_KEY_MAX];
    const size_t key_len = key_of(link, key), len = qp_blob_size(blob);
    uint8_t *out = key_len == 0 ? NULL : qp_buf_reserve(&bytes, len);
    if (out == NULL)
        return;
    qp_blob_write(out, blob);
    if (endpoint->options.session_file[0] == '\0') {
        qp_store_put(&endpoint->resume.store, key, key_len, out, len, blob->expires);
    } else {
        int r = open_file(endpoint, &file, &store, blob->stored);
        if (r == 0) {
            if (qp_store_put(&store, key, key_len, out, len, blob->expires) == 0)
                save_file(endpoint, &file, &store);
            qp_store_done(&store);
            qp_session_file_close(&file);
        } else if (r != -EAGAIN) {
            note_failure(endpoint);
        }
    }
    qp_wipe(out, len);
    qp_buf_done(&bytes);
}

void qp_resume_offer(struct qp_link *link)
{
    struct qp_buf bytes = {0};
    struct qp_blob blob;
    if (link->target == NULL || link->target->resume_tried ||
        !link->endpoint->options.session_tickets)
        return;
    link->target->resume_tried = true; /* one attempt of a connection: each session is used once */
    if (take(link, &bytes)) {
        int r = !qp_blob_parse(&blob, bytes.data, bytes.len)
                    ? QUICPRO_EPROTO
                    : link->conn.engine->set_session(link->conn.impl, blob.engine, blob.engine_len);
        if (r < 0)
            qp_log(&link->loop->log, QUICPRO_LOG_WARNING,
                   "the session kept for %s port %u cannot be used: %s", link->target->host,
                   link->target->port, quicpro_strerror(r));
        else
            link->target->early_wanted = blob.early && link->endpoint->options.early_data;
    }
    if (bytes.data != NULL)
        qp_wipe(bytes.data, bytes.len);
    qp_buf_done(&bytes);
}

void qp_resume_keep(struct qp_link *link, bool at_end)
{
    const struct qp_engine_ops *engine = link->conn.engine;
    const struct qp_options *o = &link->endpoint->options;
    struct qp_target *target = link->target;
    if (target == NULL || !o->session_tickets || (target->session_len != 0 && !at_end))
        return;
    struct qp_buf bytes = {0};
    struct qp_blob blob;
    const size_t len = engine->session(link->conn.impl, NULL, 0);
    if (len == 0 || len > QP_BLOB_MAX)
        return;
    uint8_t *out = qp_buf_reserve(&bytes, len);
    if (out == NULL || engine->session(link->conn.impl, out, len) != len) {
        qp_buf_done(&bytes);
        return;
    }
    /* A server sends several tickets, of which the engine shows the last: what was there first is
     * not kept twice. */
    const uint64_t mark = qp_siphash(link->loop->cids.key, out, len);
    if ((target->session_len == 0 || mark != target->session_mark) &&
        qp_tickets_describe(engine->ssl(link->conn.impl), out, len, (uint64_t)qp_clock_wall(),
                            &blob))
        put(link, &blob);
    target->session_len = len;
    target->session_mark = mark;
    qp_wipe(out, len);
    qp_buf_done(&bytes);
}
