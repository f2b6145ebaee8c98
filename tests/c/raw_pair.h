/* A pair whose connection speaks a protocol of its own, "echo", and what both sides were told. */
#ifndef RAW_PAIR_H
#define RAW_PAIR_H

#include "loop/loop.h"
#include "pair.h"

enum { RAW_TYPES = 18, RAW_STREAMS = 256, RAW_BYTES = 1 << 16 };

/* One side. */
struct raw_side {
    unsigned count[RAW_TYPES];            /* events, by type */
    struct quicpro_event last[RAW_TYPES]; /* the latest of each; its data is gone */
    char text[512];                       /* of the latest RESET or CLOSED */
    quicpro_stream stream[RAW_STREAMS];   /* that the peer opened, the first of them */
    size_t streams;
    uint8_t data[RAW_BYTES]; /* of DATA and DATAGRAM events, the latest behind the others */
    size_t data_len;
    quicpro_conn conn;
};

struct raw_pair {
    struct pair p;
    struct raw_side client, server;
    /* What a test does with each event, may be NULL. */
    void (*on_event)(struct raw_pair *rp, bool server, const quicpro_event *event);
    void *data;
};

struct raw_option {
    bool server;
    const char *key, *value;
};

static inline quicpro_loop *raw_loop(struct raw_pair *rp, bool server)
{
    return server ? rp->p.server_loop : rp->p.client_loop;
}

static inline void raw_note(struct raw_pair *rp, bool server, const quicpro_event *event)
{
    struct raw_side *side = server ? &rp->server : &rp->client;
    if (event->type >= RAW_TYPES)
        return;
    side->count[event->type]++;
    side->last[event->type] = *event;
    if (event->type == QUICPRO_EVENT_CONNECTED)
        side->conn = event->conn;
    if (event->type == QUICPRO_EVENT_RESET || event->type == QUICPRO_EVENT_CLOSED)
        snprintf(side->text, sizeof(side->text), "%s", (const char *)event->data);
    if (event->type == QUICPRO_EVENT_STREAM && side->streams < RAW_STREAMS)
        side->stream[side->streams++] = event->stream;
    if ((event->type == QUICPRO_EVENT_DATA || event->type == QUICPRO_EVENT_DATAGRAM) &&
        event->len <= RAW_BYTES - side->data_len) {
        if (event->len != 0)
            memcpy(side->data + side->data_len, event->data, event->len);
        side->data_len += event->len;
    }
    if (rp->on_event != NULL)
        rp->on_event(rp, server, event);
}

static inline void raw_on_server(struct pair *p, const quicpro_batch *batch,
                                 const quicpro_event *event)
{
    (void)batch;
    raw_note(p->data, true, event);
}

static inline void raw_on_client(struct pair *p, const quicpro_batch *batch,
                                 const quicpro_event *event)
{
    (void)batch;
    raw_note(p->data, false, event);
}

/* Steps until a side was told something so many times. */
static inline bool raw_until(struct raw_pair *rp, bool server, unsigned type, unsigned times)
{
    const unsigned *count = &(server ? &rp->server : &rp->client)->count[type];
    const quicpro_tstamp end = pair_now(&rp->p) + PAIR_DEADLINE_S * QUICPRO_SECOND;
    while (*count < times && pair_now(&rp->p) < end && pair_step(&rp->p))
        ;
    return CHECK_U64(*count, >=, times);
}

/* Steps until no stream of either side has a handle. */
static inline bool raw_until_idle(struct raw_pair *rp)
{
    const quicpro_tstamp end = pair_now(&rp->p) + PAIR_DEADLINE_S * QUICPRO_SECOND;
    while ((rp->p.client_loop->raw_streams.used != 0 || rp->p.server_loop->raw_streams.used != 0) &&
           pair_now(&rp->p) < end && pair_step(&rp->p))
        ;
    return CHECK_U64(rp->p.client_loop->raw_streams.used, ==, 0) &
           CHECK_U64(rp->p.server_loop->raw_streams.used, ==, 0);
}

/* Over sockets, or over a network in virtual time. */
static inline void raw_open_on(struct raw_pair *rp, struct net *net,
                               const struct raw_option *option, size_t options)
{
    memset(rp, 0, sizeof(*rp));
    pair_init(&rp->p, "localhost");
    rp->p.net = net;
    rp->p.data = rp;
    rp->p.on_server = raw_on_server;
    rp->p.on_client = raw_on_client;
    quicpro_config_set(rp->p.server_config, "alpn", "echo");
    quicpro_config_set(rp->p.client_config, "alpn", "echo");
    for (size_t i = 0; i < options; i++)
        CHECK_INT(quicpro_config_set(option[i].server ? rp->p.server_config : rp->p.client_config,
                                     option[i].key, option[i].value),
                  ==, 0);
    pair_start(&rp->p);
    CHECK_INT(pair_connect(&rp->p, "127.0.0.1"), ==, 0);
    raw_until(rp, false, QUICPRO_EVENT_CONNECTED, 1);
    raw_until(rp, true, QUICPRO_EVENT_CONNECTED, 1);
}

static inline void raw_open(struct raw_pair *rp, const struct raw_option *option, size_t options)
{
    raw_open_on(rp, NULL, option, options);
}

/* Opens a stream and writes to it. */
static inline quicpro_stream raw_send(struct raw_pair *rp, bool server, int bidi, const void *data,
                                      size_t len, int fin)
{
    quicpro_stream stream = 0;
    const struct raw_side *side = server ? &rp->server : &rp->client;
    CHECK_INT(quicpro_stream_open(raw_loop(rp, server), side->conn, bidi, NULL, &stream), ==, 0);
    CHECK_INT(quicpro_stream_write(raw_loop(rp, server), stream, data, len, fin), ==, 0);
    return stream;
}

/* Reads what is there, and checks it. */
static inline void raw_expect(struct raw_pair *rp, bool server, quicpro_stream stream,
                              const char *want, int want_fin)
{
    char buf[1000];
    int fin = -1;
    int64_t n = quicpro_stream_read(raw_loop(rp, server), stream, buf, sizeof(buf), &fin, NULL);
    if (CHECK_INT(n, ==, strlen(want)))
        CHECK_MEM(buf, want, (size_t)n);
    CHECK_INT(fin, ==, want_fin);
}

static inline struct qp_link *raw_link(struct raw_pair *rp, bool server)
{
    return qp_link_get(raw_loop(rp, server), (server ? &rp->server : &rp->client)->conn);
}

#endif
