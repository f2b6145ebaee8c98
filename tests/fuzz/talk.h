/* What both ends of a connection said and heard, for conn_events.c: the model that events and calls
 * are held against. Sides are 0, the client, and 1, the server; a half of a stream is what one of
 * them sends. */
#ifndef TALK_H
#define TALK_H

#include "duo.h"

enum { TALK_STREAMS = 24, TALK_DATAGRAMS = 256, TALK_GHOSTS = 64 };

struct talk_half {
    bool exists;
    uint64_t sent, got; /* bytes that writes took; bytes that reads gave */
    /* The sender: ended it, gave it up, was told that nobody wants it, waits for WRITABLE. */
    bool fin, reset, stopped, blocked;
    /* The receiver: was told of something to read, has its end, asked for no more. */
    bool told, done, refused;
};

struct talk_stream {
    uint64_t id;
    quicpro_stream handle[2]; /* 0: not there yet */
    struct talk_half half[2]; /* by sender */
};

struct talk_side {
    quicpro_loop *loop;
    quicpro_conn conn;
    bool connected, closed, closing; /* closing: by a command of ours */
    bool want[2];                    /* an open was told ELIMIT: bidirectional, uni */
    uint64_t opened[2];
    unsigned datagrams; /* sent */
    size_t moves;       /* server: told of */
    bool heard[TALK_DATAGRAMS];
    quicpro_conn ghost[TALK_GHOSTS]; /* server: connections that nobody got to, which ended */
    size_t ghosts;
};

struct talk {
    struct talk_side side[2];
    struct talk_stream stream[TALK_STREAMS];
    size_t streams;
    size_t nat_moves; /* how often the client got another address */
    bool by_events;   /* reads and writes follow from events, as an application's do */
};

static inline uint8_t talk_byte(uint64_t id, int sender, uint64_t offset)
{
    return (uint8_t)(id * 13 + (uint64_t)sender * 101 + offset * 31 + (offset >> 8) * 7);
}

static inline struct talk_stream *talk_find(struct talk *t, uint64_t id)
{
    for (size_t i = 0; i < t->streams; i++)
        if (t->stream[i].id == id)
            return &t->stream[i];
    return NULL;
}

static inline bool talk_sending_over(const struct talk_half *h)
{
    return !h->exists || h->fin || h->reset || h->stopped || h->refused;
}

static inline bool talk_receiving_over(const struct talk_half *h)
{
    return !h->exists || h->done || h->refused;
}

/* Whether a handle may have ended, as far as its application can know. */
static inline bool talk_may_be_stale(const struct talk *t, const struct talk_stream *s, int side)
{
    return t->side[side].closed || t->side[side].closing ||
           (talk_sending_over(&s->half[side]) && talk_receiving_over(&s->half[!side]));
}

/* Bytes that came, in order. */
static inline void talk_got(struct talk_stream *s, int side, const uint8_t *data, size_t len,
                            bool fin)
{
    struct talk_half *h = &s->half[!side];
    duo_require(h->exists && !h->done, "bytes behind the end");
    duo_require(len <= h->sent - h->got, "more bytes than were sent");
    for (size_t i = 0; i < len; i++)
        duo_require(data[i] == talk_byte(s->id, !side, h->got + i), "other bytes than were sent");
    h->got += len;
    if (fin) {
        duo_require(h->fin && h->got == h->sent, "an end before all bytes");
        h->done = true;
    }
}

static inline void talk_open(struct talk *t, int side, bool bidi)
{
    struct talk_side *me = &t->side[side];
    quicpro_stream handle = 0;
    if (t->streams == TALK_STREAMS)
        return;
    int r = quicpro_stream_open(me->loop, me->conn, bidi, NULL, &handle);
    if (r == QUICPRO_ESTALE || r == QUICPRO_ESTATE) {
        duo_require(!me->connected || me->closed || me->closing,
                    "no stream on a connection that lives");
        return;
    }
    if (r == QUICPRO_ELIMIT) {
        me->want[!bidi] = true;
        return;
    }
    duo_require(r == 0, "cannot open a stream");
    struct talk_stream *s = &t->stream[t->streams++];
    *s = (struct talk_stream){.id = me->opened[!bidi]++ << 2 | (bidi ? 0 : 2) | (uint64_t)side};
    s->handle[side] = handle;
    s->half[side].exists = true;
    s->half[!side].exists = bidi;
}

static inline void talk_write(struct talk *t, struct talk_stream *s, int side, size_t len, bool fin)
{
    static uint8_t data[65536];
    struct talk_half *h = &s->half[side];
    if (s->handle[side] == 0)
        return;
    for (size_t i = 0; i < len; i++)
        data[i] = talk_byte(s->id, side, h->sent + i);
    int r = quicpro_stream_write(t->side[side].loop, s->handle[side], data, len, fin);
    switch (r) {
    case 0:
        duo_require(h->exists && !h->fin && !h->reset, "takes bytes behind the end");
        h->sent += len;
        h->fin = fin;
        break;
    case QUICPRO_EAGAIN:
        h->blocked = true;
        break;
    case QUICPRO_ERESET:
        duo_require(h->refused, "stopped by nobody");
        break;
    case QUICPRO_ESTATE:
        duo_require(talk_sending_over(h), "takes no bytes of a stream that lives");
        break;
    default:
        duo_require(r == QUICPRO_ESTALE && talk_may_be_stale(t, s, side), "a write that fails");
    }
}

/* Reads once; false: there is no more now. */
static inline bool talk_read(struct talk *t, struct talk_stream *s, int side, size_t cap)
{
    static uint8_t data[65536];
    struct talk_half *h = &s->half[!side];
    uint64_t code = 0;
    int fin = 0;
    if (s->handle[side] == 0)
        return false;
    int64_t n = quicpro_stream_read(t->side[side].loop, s->handle[side], data, cap, &fin, &code);
    if (n >= 0) {
        duo_require((size_t)n <= cap, "more than there is room for");
        talk_got(s, side, data, (size_t)n, fin);
        h->told &= (size_t)n == cap;
        return !fin && (size_t)n == cap;
    }
    switch (n) {
    case QUICPRO_EAGAIN:
        h->told = false;
        break;
    case QUICPRO_ERESET:
        duo_require(h->reset && code == s->id, "reset by nobody");
        h->done = true;
        break;
    case QUICPRO_ESTATE:
        duo_require(talk_receiving_over(h), "gives no bytes of a stream that lives");
        break;
    default:
        duo_require(n == QUICPRO_ESTALE && talk_may_be_stale(t, s, side), "a read that fails");
    }
    return false;
}

/* Both codes are the stream's id. */
static inline void talk_shutdown(struct talk *t, struct talk_stream *s, int side, unsigned how)
{
    struct talk_half *out = &s->half[side], *in = &s->half[!side];
    if (s->handle[side] == 0)
        return;
    int r = quicpro_stream_shutdown(t->side[side].loop, s->handle[side], how, s->id);
    if (r == QUICPRO_ESTALE) {
        duo_require(talk_may_be_stale(t, s, side), "a stream that went");
        return;
    }
    const bool fits = ((how & QUICPRO_SHUT_READ) == 0 || in->exists) &&
                      ((how & QUICPRO_SHUT_WRITE) == 0 || out->exists);
    duo_require(r == (fits ? 0 : QUICPRO_ESTATE), "a direction that is not there");
    if (r == 0 && (how & QUICPRO_SHUT_READ) && !in->done)
        in->refused = true;
    if (r == 0 && (how & QUICPRO_SHUT_WRITE))
        out->reset = true;
}

static inline void talk_reset(struct talk *t, struct talk_stream *s, int side)
{
    if (s->handle[side] == 0)
        return;
    int r = quicpro_stream_reset(t->side[side].loop, s->handle[side], s->id);
    duo_require(r == 0 || (r == QUICPRO_ESTALE && talk_may_be_stale(t, s, side)),
                "a reset that fails");
    if (r < 0)
        return;
    s->half[side].reset = s->half[side].exists;
    if (s->half[!side].exists && !s->half[!side].done)
        s->half[!side].refused = true;
    duo_require(quicpro_stream_reset(t->side[side].loop, s->handle[side], 0) == QUICPRO_ESTALE,
                "a handle that lives on");
}

/* Its number, four times. */
static inline void talk_send_datagram(struct talk *t, int side)
{
    struct talk_side *me = &t->side[side];
    const uint8_t n = (uint8_t)me->datagrams, data[4] = {n, n, n, n};
    if (me->datagrams == TALK_DATAGRAMS)
        return;
    int r = quicpro_datagram_send(me->loop, me->conn, data, sizeof(data));
    me->datagrams += r == 0;
    duo_require(r == 0 || r == QUICPRO_EAGAIN || !me->connected || me->closed || me->closing,
                "no datagram on a connection that lives");
}

static inline void talk_hear_datagram(struct talk *t, int side, const quicpro_event *e)
{
    const uint8_t *data = e->data;
    duo_require(e->len == 4 && data[0] == data[1] && data[0] == data[2] && data[0] == data[3] &&
                    data[0] < t->side[!side].datagrams,
                "a datagram that nobody sent");
    duo_require(!t->side[side].heard[data[0]], "a datagram twice");
    t->side[side].heard[data[0]] = true;
}

static inline void talk_stream_event(struct talk *t, int side, const quicpro_event *e)
{
    struct talk_stream *s = talk_find(t, e->stream_id);
    duo_require(s != NULL, "a stream that nobody opened");
    struct talk_half *out = &s->half[side], *in = &s->half[!side];
    if (e->type == QUICPRO_EVENT_STREAM) {
        duo_require((s->id & 1) != (uint64_t)side && s->handle[side] == 0, "opened twice");
        duo_require(((e->flags & QUICPRO_FLAG_UNI) != 0) == !out->exists, "of the other kind");
        s->handle[side] = e->stream;
        return;
    }
    duo_require(s->handle[side] == e->stream, "an event of another handle");
    switch (e->type) {
    case QUICPRO_EVENT_READABLE:
        duo_require(!in->told, "told twice");
        duo_require(!talk_receiving_over(in), "readable behind the end");
        in->told = true;
        break;
    case QUICPRO_EVENT_WRITABLE:
        duo_require(out->blocked, "writable, which nobody asked");
        out->blocked = false;
        break;
    case QUICPRO_EVENT_STOPPED:
        duo_require(out->refused && !out->stopped && e->code == s->id, "stopped by nobody");
        out->stopped = true;
        break;
    case QUICPRO_EVENT_DATA: /* the connection ends */
        talk_got(s, side, e->data, e->len, (e->flags & QUICPRO_FLAG_FIN) != 0);
        break;
    case QUICPRO_EVENT_RESET:
        s->handle[side] = 0;
        in->done = true;
        break;
    default:
        duo_require(false, "an event that a stream has not");
    }
}

/* Server: an Initial that came late, or twice, makes a connection that nobody gets to. */
static inline void talk_ghost(struct talk_side *me, const quicpro_event *e)
{
    duo_require(e->type == QUICPRO_EVENT_CLOSED && e->stream == 0, "a ghost that does things");
    for (size_t i = 0; i < me->ghosts; i++)
        duo_require(me->ghost[i] != e->conn, "closed twice");
    if (me->ghosts < TALK_GHOSTS)
        me->ghost[me->ghosts++] = e->conn;
}

static inline void talk_event(struct talk *t, int side, const quicpro_event *e)
{
    struct talk_side *me = &t->side[side];
    if (e->type == QUICPRO_EVENT_CONNECTED) {
        duo_require(!me->connected && !me->closed, "connected twice");
        me->connected = true;
        if (side == 1)
            me->conn = e->conn;
        duo_require(me->conn == e->conn, "connected by another name");
        return;
    }
    if (side == 1 && e->conn != me->conn) {
        talk_ghost(me, e);
        return;
    }
    duo_require(e->conn == me->conn, "an event of nobody's connection");
    duo_require(!me->closed, "an event behind the end");
    if (e->type == QUICPRO_EVENT_CLOSED) {
        /* Both ends are ours, and the network makes up nothing. */
        duo_require(e->error != QUICPRO_EPROTO && e->error != QUICPRO_EENGINE &&
                        e->error != QUICPRO_ETLS && e->error != QUICPRO_EVERIFY &&
                        e->error != QUICPRO_EALPN && e->error != QUICPRO_EVERSION &&
                        e->error != QUICPRO_ENOMEM,
                    e->data);
        me->closed = true;
        for (size_t i = 0; i < t->streams; i++)
            duo_require(t->stream[i].handle[side] == 0 ||
                            quicpro_stream_reset(me->loop, t->stream[i].handle[side], 0) ==
                                QUICPRO_ESTALE,
                        "a stream that outlives its connection");
        return;
    }
    duo_require(me->connected, "an event before the beginning");
    if (e->type == QUICPRO_EVENT_PATH)
        duo_require(side == 1 && e->code == QUICPRO_PATH_PEER_MOVED && me->moves++ < t->nat_moves,
                    "moved, which nobody did");
    else if (e->type == QUICPRO_EVENT_DATAGRAM)
        talk_hear_datagram(t, side, e);
    else if (e->type == QUICPRO_EVENT_STREAMS) {
        const bool uni = (e->flags & QUICPRO_FLAG_UNI) != 0;
        duo_require(me->want[uni], "more streams, which nobody asked");
        me->want[uni] = false;
    } else {
        talk_stream_event(t, side, e);
    }
}

#endif
