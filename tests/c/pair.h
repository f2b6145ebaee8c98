/* A server and a client in one process, each on a loop of its own, driven by one thread: over
 * sockets of the loopback, or, with `net` set before pair_start(), over memory in virtual time. */
#ifndef PAIR_H
#define PAIR_H

#include <poll.h>
#include <quicpro.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "metrics/metrics.h"
#include "net.h"

enum { PAIR_DEADLINE_S = 60 }; /* only a hang takes this long, or a test in virtual time */

struct pair {
    char dir[64], ca[96], cert[96], key[96];
    quicpro_config *server_config, *client_config;
    quicpro_loop *server_loop, *client_loop;
    quicpro_server *server;
    quicpro_client *client;
    quicpro_conn conn;
    uint16_t port;
    void (*on_server)(struct pair *pair, const quicpro_batch *batch, const quicpro_event *event);
    void (*on_client)(struct pair *pair, const quicpro_batch *batch, const quicpro_event *event);
    /* What the last CLOSED and RESET of the client said. */
    int closed, closed_error, resets, reset_error;
    uint64_t closed_code, reset_code;
    char closed_text[640];
    bool connected, drained, goaway;
    struct net *net; /* the test's; NULL: sockets */
    void *data;      /* the test's */
};

static inline void pair_write(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    if (f == NULL || fputs(text, f) < 0 || fclose(f) != 0)
        abort();
}

/* Certificates for `name`, 127.0.0.1 and ::1, and two configurations that use them. */
static inline void pair_init(struct pair *p, const char *name)
{
    const char *names[] = {name, "127.0.0.1", "::1"};
    quicpro_devcert made;
    *p = (struct pair){.dir = "/tmp/quicpro-test-XXXXXX"};
    if (mkdtemp(p->dir) == NULL || quicpro_devcert_make(&made, names, 3, 30) < 0)
        abort();
    snprintf(p->ca, sizeof(p->ca), "%s/ca.pem", p->dir);
    snprintf(p->cert, sizeof(p->cert), "%s/cert.pem", p->dir);
    snprintf(p->key, sizeof(p->key), "%s/key.pem", p->dir);
    pair_write(p->ca, made.ca_pem);
    pair_write(p->cert, made.cert_pem);
    pair_write(p->key, made.key_pem);
    quicpro_devcert_done(&made);
    if (quicpro_config_new(&p->server_config) < 0 || quicpro_config_new(&p->client_config) < 0)
        abort();
    quicpro_config_set(p->server_config, "cert_file", p->cert);
    quicpro_config_set(p->server_config, "key_file", p->key);
    quicpro_config_set(p->client_config, "ca_file", p->ca);
}

static inline int pair_loop(struct pair *p, quicpro_loop **ret, const quicpro_config *config)
{
    return p->net == NULL ? quicpro_loop_new(ret, config)
                          : quicpro_loop_new_detached(ret, config, p->net->now);
}

/* Loops, a server that listens, a client; no connection yet. */
static inline void pair_start(struct pair *p)
{
    int port;
    if (pair_loop(p, &p->server_loop, p->server_config) < 0 ||
        pair_loop(p, &p->client_loop, p->client_config) < 0 ||
        quicpro_server_new(&p->server, p->server_loop, p->server_config) < 0 ||
        quicpro_client_new(&p->client, p->client_loop, p->client_config) < 0 ||
        (port = quicpro_server_listen(p->server, "127.0.0.1", 0)) <= 0)
        abort();
    p->port = (uint16_t)port;
}

static inline void pair_done(struct pair *p)
{
    quicpro_client_free(p->client);
    quicpro_server_free(p->server);
    quicpro_loop_free(p->client_loop);
    quicpro_loop_free(p->server_loop);
    quicpro_config_free(p->client_config);
    quicpro_config_free(p->server_config);
    if (p->net != NULL)
        net_done(p->net);
    unlink(p->ca);
    unlink(p->cert);
    unlink(p->key);
    rmdir(p->dir);
}

static inline void pair_note(struct pair *p, const quicpro_event *event)
{
    if (event->type == QUICPRO_EVENT_CONNECTED) {
        p->connected = true;
    } else if (event->type == QUICPRO_EVENT_GOAWAY) {
        p->goaway = true;
    } else if (event->type == QUICPRO_EVENT_CLOSED) {
        p->closed++;
        p->closed_error = event->error;
        p->closed_code = event->code;
        snprintf(p->closed_text, sizeof(p->closed_text), "%s", (const char *)event->data);
    } else if (event->type == QUICPRO_EVENT_RESET) {
        p->resets++;
        p->reset_error = event->error;
        p->reset_code = event->code;
    }
}

static inline void pair_run(struct pair *p, bool server)
{
    quicpro_loop *loop = server ? p->server_loop : p->client_loop;
    const quicpro_batch *batch;
    if (loop == NULL || quicpro_loop_run(loop, 0, &batch) < 0)
        return;
    for (size_t i = 0; i < batch->event_count; i++) {
        const quicpro_event *event = &batch->events[i];
        if (!server)
            pair_note(p, event);
        else if (event->type == QUICPRO_EVENT_DRAINED)
            p->drained = true;
        if (server && p->on_server != NULL)
            p->on_server(p, batch, event);
        else if (!server && p->on_client != NULL)
            p->on_client(p, batch, event);
    }
}

enum { PAIR_FDS = 512 };

/* Flushes a loop; its descriptors go to fd, *timeout shrinks to what it allows. How many. */
static inline size_t pair_watch(quicpro_loop *loop, struct pollfd *fd, int *timeout)
{
    static quicpro_watch list[PAIR_FDS];
    uint64_t version = 0;
    if (loop == NULL)
        return 0;
    quicpro_loop_flush(loop);
    int n = quicpro_loop_fds(loop, list, PAIR_FDS, &version);
    if (n < 0 || n > PAIR_FDS)
        abort();
    for (int i = 0; i < n; i++)
        fd[i] = (struct pollfd){
            list[i].fd, (short)(list[i].wants & QUICPRO_WANT_WRITABLE ? POLLIN | POLLOUT : POLLIN),
            0};
    quicpro_tstamp at = quicpro_loop_expiry(loop), now = quicpro_now();
    if (at != QUICPRO_FOREVER) {
        quicpro_tstamp left = at > now ? (at - now) / QUICPRO_MILLISECOND + 1 : 0;
        if (left < (quicpro_tstamp)*timeout)
            *timeout = (int)left;
    }
    return (size_t)n;
}

/* The time that both sides know. */
static inline quicpro_tstamp pair_now(const struct pair *p)
{
    return p->net == NULL ? quicpro_now() : p->net->now;
}

/* Virtual time: flushes both and says when something happens next; QUICPRO_FOREVER: never. */
static inline quicpro_tstamp pair_next(struct pair *p)
{
    quicpro_loop *const loop[2] = {p->client_loop, p->server_loop};
    quicpro_tstamp next = QUICPRO_FOREVER;
    for (int i = 0; i < 2; i++) {
        if (loop[i] == NULL)
            continue;
        quicpro_loop_flush(loop[i]);
        net_collect(p->net, loop[i], i == 0);
        if (quicpro_loop_expiry(loop[i]) < next)
            next = quicpro_loop_expiry(loop[i]);
    }
    return p->net->queue != NULL && p->net->queue->at < next ? p->net->queue->at : next;
}

/* Virtual time: it is now so late; what came by then is received, both run. */
static inline void pair_at(struct pair *p, quicpro_tstamp now)
{
    p->net->now = now;
    if (p->client_loop != NULL)
        quicpro_loop_set_now(p->client_loop, now);
    if (p->server_loop != NULL)
        quicpro_loop_set_now(p->server_loop, now);
    net_deliver(p->net, p->client_loop, p->server_loop);
    pair_run(p, true);
    pair_run(p, false);
}

/* Virtual time: so long passes, with all that happens meanwhile. */
static inline void pair_pass(struct pair *p, quicpro_tstamp span)
{
    const quicpro_tstamp end = p->net->now + span;
    for (quicpro_tstamp next; (next = pair_next(p)) <= end;)
        pair_at(p, next);
    pair_at(p, end);
}

/* Flushes both, waits for either, runs both. False: nothing will ever happen. */
static inline bool pair_step(struct pair *p)
{
    static struct pollfd fd[2 * PAIR_FDS];
    int timeout = 1000;
    if (p->net != NULL) {
        const quicpro_tstamp next = pair_next(p);
        if (next != QUICPRO_FOREVER)
            pair_at(p, next);
        return next != QUICPRO_FOREVER;
    }
    size_t n = pair_watch(p->server_loop, fd, &timeout);
    n += pair_watch(p->client_loop, fd + n, &timeout);
    poll(fd, (nfds_t)n, timeout);
    pair_run(p, true);
    pair_run(p, false);
    return true;
}

/* Until *done; false after PAIR_DEADLINE_S. */
static inline bool pair_until(struct pair *p, const bool *done)
{
    const quicpro_tstamp end = pair_now(p) + PAIR_DEADLINE_S * QUICPRO_SECOND;
    while (!*done && pair_now(p) < end && pair_step(p))
        ;
    return *done;
}

static inline bool pair_until_closed(struct pair *p)
{
    const quicpro_tstamp end = pair_now(p) + PAIR_DEADLINE_S * QUICPRO_SECOND;
    while (p->closed == 0 && pair_now(p) < end && pair_step(p))
        ;
    return p->closed != 0;
}

static inline int pair_connect(struct pair *p, const char *host)
{
    return quicpro_client_connect(p->client, host, p->port, NULL, &p->conn);
}

/* A request on the pair's connection. */
static inline int pair_request(struct pair *p, const char *method, const char *path,
                               const void *body, size_t len, int fin, void *user,
                               quicpro_stream *ret)
{
    const quicpro_nv fields[] = {
        {":method", 7, method, strlen(method)},
        QUICPRO_NV(":scheme", "https"),
        QUICPRO_NV(":authority", "localhost"),
        {":path", 5, path, strlen(path)},
    };
    return quicpro_request(p->client_loop, p->conn, fields, COUNTOF(fields), body, len, fin, user,
                           ret);
}

/* Everything ready: handshake done. */
static inline uint64_t pair_metric(const quicpro_loop *loop, enum qp_metric id)
{
    return qp_metrics_get(quicpro_loop_get_metrics(loop), id);
}

static inline void pair_open(struct pair *p)
{
    pair_init(p, "localhost");
    pair_start(p);
    CHECK_INT(pair_connect(p, "127.0.0.1"), ==, 0);
    CHECK(pair_until(p, &p->connected));
}

#endif
