/* The public loop: run, flush, wait. */
#include "loop/loop.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loop/certs.h"
#include "os/clock.h"
#include "os/random.h"

enum { DEFAULT_BUDGET = 256 };

int qp_loop_fail(struct quicpro_loop *loop, int error, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    vsnprintf(loop->error, sizeof(loop->error), format, ap);
    va_end(ap);
    return error;
}

quicpro_tstamp qp_loop_now(struct quicpro_loop *loop)
{
    const quicpro_tstamp now = loop->detached ? loop->given : qp_clock_now();
    if (now > loop->now) /* whatever a machine that was moved or woken up says */
        loop->now = now;
    qp_engine_quiche.set_now(loop->now);
    return loop->now;
}

bool qp_loop_is_ours(const quicpro_loop *loop)
{
    return qp_fork_guard_is_ours(loop->guard);
}

static int choose_backend(quicpro_loop *loop)
{
    struct qp_udp_chosen chosen;
    int r = qp_udp_choose(&chosen, (enum qp_udp_choice)loop->options.io);
    if (r < 0)
        return r;
    loop->udp = chosen.ops;
    loop->poller = chosen.poller;
    memcpy(loop->backend, chosen.reason, sizeof(loop->backend));
    return 0;
}

int qp_loop_make(quicpro_loop **ret, const quicpro_config *config)
{
    quicpro_loop *loop = calloc(1, sizeof(*loop));
    if (loop == NULL)
        return QUICPRO_ENOMEM;
    uint8_t key[16];
    int r = qp_options_copy(&loop->options, config);
    if (r < 0) {
        free(loop);
        return r;
    }
    qp_count_init(loop);
    qp_random(key, sizeof(key));
    qp_random(&loop->cid_layout.k, 1);
    loop->resolver = &qp_resolver_system;
    loop->dirty_tail = &loop->dirty;
    loop->certs_at = QUICPRO_FOREVER;
    qp_batch_init(&loop->batch);
    qp_batch_init(&loop->handed);
    loop->batch.serial = 1;
    qp_slab_init(&loop->links, sizeof(struct qp_link), 0);
    qp_slab_init(&loop->streams, sizeof(struct qp_h3_stream), 0);
    qp_slab_init(&loop->raw_streams, sizeof(struct qp_raw_stream), 0);
    /* No stream has the handle of a connection, or of one of the other kind. */
    loop->streams.tag = QP_SLAB_TAG;
    loop->raw_streams.tag = QP_SLAB_TAG_RAW;
    qp_cid_map_init(&loop->cids, key);
    loop->out = malloc(QP_OUT_BYTES);
    loop->guard = qp_fork_guard_new();
    if (loop->out == NULL || loop->guard == NULL) {
        quicpro_loop_free(loop);
        return QUICPRO_ENOMEM;
    }
    *ret = loop;
    return 0;
}

int quicpro_loop_new(quicpro_loop **ret, const quicpro_config *config)
{
    quicpro_loop *loop;
    if (ret == NULL)
        return QUICPRO_EINVAL;
    int r = qp_loop_make(&loop, config);
    if (r < 0)
        return r;
    r = choose_backend(loop);
    if (r < 0) {
        quicpro_loop_free(loop);
        return r;
    }
    *ret = loop;
    return 0;
}

void quicpro_loop_free(quicpro_loop *loop)
{
    if (loop == NULL)
        return;
    qp_heap_done(&loop->timers);
    qp_cid_map_done(&loop->cids);
    qp_slab_done(&loop->streams);
    qp_slab_done(&loop->raw_streams);
    qp_slab_done(&loop->links);
    qp_batch_done(&loop->batch);
    qp_batch_done(&loop->handed);
    if (loop->poller != NULL)
        loop->udp->poller_free(loop->poller);
    qp_fork_guard_free(loop->guard);
    qp_options_done(&loop->options);
    qp_detached_done(&loop->hosts);
    free(loop->out);
    free(loop);
}

static void receive_all(quicpro_loop *loop, quicpro_tstamp now, size_t budget)
{
    struct qp_udp_socket *socket;
    bool readable, writable;
    while ((socket = loop->udp->next_ready(loop->poller, &readable, &writable)) != NULL) {
        struct qp_port *port = socket->owner;
        if (writable)
            qp_port_send_left(port);
        if (readable)
            qp_port_receive(port, now, budget);
        if (qp_batch_count(&loop->batch) >= budget)
            break;
    }
}

static void run_timers(quicpro_loop *loop, quicpro_tstamp now)
{
    struct qp_timer *timer;
    while ((timer = qp_heap_first(&loop->timers)) != NULL && timer->at <= now) {
        qp_heap_set(&loop->timers, timer, QUICPRO_FOREVER);
        qp_link_on_timer(QP_LINK_OF_TIMER(timer), now);
    }
}

static void poll_resolvers(quicpro_loop *loop, quicpro_tstamp now)
{
    uint32_t cursor = 0;
    quicpro_handle handle;
    struct qp_link *link;
    while (loop->resolving != 0 && (link = qp_slab_next(&loop->links, &cursor, &handle)) != NULL)
        if (link->dial != NULL)
            qp_dial_poll(link, now);
}

/* What was filled becomes the application's; what it had so far is filled anew. */
static int hand_out(quicpro_loop *loop, const quicpro_batch **ret)
{
    struct qp_batch filled = loop->batch;
    loop->batch = loop->handed;
    loop->handed = filled;
    qp_batch_reset(&loop->batch);
    loop->batch.serial = filled.serial + 1;
    if (filled.failed)
        return QUICPRO_ENOMEM;
    *ret = qp_batch_seal(&loop->handed);
    return (int)(*ret)->event_count;
}

int quicpro_loop_run(quicpro_loop *loop, size_t budget, const quicpro_batch **ret)
{
    if (loop == NULL || ret == NULL)
        return QUICPRO_EINVAL;
    if (!qp_loop_is_ours(loop))
        return QUICPRO_EFORK;
    quicpro_tstamp now = qp_loop_now(loop);
    if (budget == 0)
        budget = DEFAULT_BUDGET;
    loop->again = false;
    receive_all(loop, now, budget);
    run_timers(loop, now);
    if (loop->certs_at <= now)
        qp_certs_look(loop, now);
    if (loop->resolving != 0)
        poll_resolvers(loop, now);
    for (struct qp_link *link = loop->dirty; link != NULL; link = link->next_dirty)
        if (link->fed)
            qp_link_process(link, now);
    return hand_out(loop, ret);
}

int quicpro_loop_flush(quicpro_loop *loop)
{
    if (loop == NULL)
        return QUICPRO_EINVAL;
    if (!qp_loop_is_ours(loop))
        return QUICPRO_EFORK;
    if (loop->dirty != NULL) {
        quicpro_tstamp now = qp_loop_now(loop);
        struct qp_link *link = loop->dirty;
        loop->dirty = NULL;
        loop->dirty_tail = &loop->dirty;
        while (link != NULL) {
            struct qp_link *next = link->next_dirty;
            link->dirty = false;
            if (qp_link_flush(link, now)) {
                link->fed = true;
                qp_link_mark_dirty(link);
                loop->again = true;
            }
            link = next;
        }
        qp_count_publish(loop);
    }
    if (qp_batch_count(&loop->batch) != 0)
        loop->again = true;
    const struct qp_timer *first = qp_heap_first(&loop->timers);
    quicpro_tstamp at = first == NULL ? QUICPRO_FOREVER : first->at;
    if (loop->certs_at < at)
        at = loop->certs_at;
    loop->udp->arm(loop->poller, loop->again ? 0 : at);
    return 0;
}

/* Looks again and again for as long as "spin_us" says: a thread that sleeps is woken tens of
 * microseconds late. What is left of the timeout goes to *timeout. */
static int spin(quicpro_loop *loop, quicpro_tstamp *timeout)
{
    const quicpro_tstamp most = loop->options.spin_us * QUICPRO_MICROSECOND;
    const quicpro_tstamp start = qp_clock_now(), span = *timeout < most ? *timeout : most;
    for (quicpro_tstamp now = start; now - start < span; now = qp_clock_now()) {
        int r = loop->udp->wait(loop->poller, 0);
        qp_metrics_add(loop->metrics, QP_METRIC_SPINS, r > 0);
        if (r != 0)
            return r;
    }
    if (*timeout != QUICPRO_FOREVER)
        *timeout -= span;
    return 0;
}

int quicpro_loop_wait(quicpro_loop *loop, quicpro_tstamp timeout)
{
    if (loop == NULL)
        return QUICPRO_EINVAL;
    if (!qp_loop_is_ours(loop))
        return QUICPRO_EFORK;
    int r = 0;
    if (loop->detached)
        return qp_loop_fail(loop, -ENOTSUP, "a loop without I/O does not wait: its caller does");
    if (loop->again)
        timeout = 0;
    if (loop->options.spin_us != 0 && timeout != 0)
        r = spin(loop, &timeout);
    if (r == 0)
        r = loop->udp->wait(loop->poller, timeout);
    if (r > 0)
        qp_metrics_add(loop->metrics, QP_METRIC_WAKEUPS, 1);
    return loop->again && r == 0 ? 1 : r;
}

void quicpro_loop_wake(quicpro_loop *loop)
{
    loop->udp->wake(loop->poller);
}

int quicpro_loop_fd(const quicpro_loop *loop)
{
    return loop->udp->poller_fd(loop->poller);
}

int quicpro_loop_fds(quicpro_loop *loop, quicpro_watch *ret, size_t max, uint64_t *version)
{
    if (loop == NULL || version == NULL || (ret == NULL && max != 0))
        return QUICPRO_EINVAL;
    const uint64_t current = loop->udp->fds_version(loop->poller);
    if (*version == current)
        return 0;
    const size_t count = loop->udp->fds(loop->poller, ret, max);
    if (count <= max)
        *version = current;
    return (int)count;
}

/* Whether a socket waits for the kernel, and its descriptor is one that is watched for it. */
static bool wants_write(const quicpro_loop *loop)
{
    if (loop->udp->single)
        return false; /* that descriptor becomes readable when one of its own becomes writable */
    for (const struct qp_endpoint *e = loop->endpoints; e != NULL; e = e->next)
        for (const struct qp_port *port = e->ports; port != NULL; port = port->next)
            if (port->socket.want_write)
                return true;
    return false;
}

int quicpro_loop_wants(const quicpro_loop *loop)
{
    const int run = loop->again ? QUICPRO_WANT_RUN : 0;
    if (loop->detached)
        return run;
    return QUICPRO_WANT_READABLE | (wants_write(loop) ? QUICPRO_WANT_WRITABLE : 0) | run;
}

quicpro_tstamp quicpro_loop_expiry(const quicpro_loop *loop)
{
    return loop->udp->expiry(loop->poller);
}

const char *quicpro_loop_backend(const quicpro_loop *loop)
{
    return loop->backend;
}

quicpro_tstamp quicpro_now(void)
{
    return qp_clock_now();
}

void quicpro_loop_set_log(quicpro_loop *loop, quicpro_log_fn *fn, void *user, int level)
{
    loop->log = (struct qp_log){fn, user, level};
    qp_log(&loop->log, QUICPRO_LOG_INFO, "%s", loop->backend);
}

const char *quicpro_loop_error(const quicpro_loop *loop)
{
    return loop->error;
}
