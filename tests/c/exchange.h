/* Requests whose bodies are known by a formula, so that every byte that arrives can be compared: a
 * server that answers them and a client that counts what came. Set both as the pair's callbacks,
 * and pair.data to a struct exchanges. */
#ifndef EXCHANGE_H
#define EXCHANGE_H

#include "pair.h"

enum { EXCHANGE_CHUNK = 16384 };
enum { EXCHANGE_NO_MEMORY = 3 }; /* how the program ends if the test itself finds none */

/* One request as the client sees it; it is the user pointer of its stream. */
struct exchange {
    uint8_t key; /* of the bytes that come back */
    size_t want, got;
    size_t upload, sent; /* bytes of the same formula */
    quicpro_stream stream;
    unsigned status, informational, sections;
    bool fin, reset, wrong;
    char trailer[32];
};

struct exchanges {
    size_t expected, done;    /* requests that ended, well or not */
    bool finished;            /* all of them */
    unsigned again, writable; /* QUICPRO_EAGAIN of writes, QUICPRO_EVENT_WRITABLE */
    struct serving *serving;  /* all of the server's */
};

/* A response of the server that is on its way, or a request body that is being collected. */
struct serving {
    struct serving *next;
    uint8_t key;
    size_t len, sent;
    uint8_t *body;
    size_t body_len, body_cap;
};

static inline uint8_t exchange_byte(uint8_t key, size_t offset)
{
    return (uint8_t)(key + offset * 31 + (offset >> 8) * 7 + (offset >> 16));
}

static inline void exchange_fill(uint8_t *out, size_t len, uint8_t key, size_t offset)
{
    for (size_t i = 0; i < len; i++)
        out[i] = exchange_byte(key, offset + i);
}

static inline bool exchange_equal(const uint8_t *data, size_t len, uint8_t key, size_t offset)
{
    for (size_t i = 0; i < len; i++)
        if (data[i] != exchange_byte(key, offset + i))
            return false;
    return true;
}

/* Writes bytes of the formula until the end, or until the library takes no more. */
static inline void exchange_pump(struct exchanges *all, quicpro_loop *loop, quicpro_stream stream,
                                 uint8_t key, size_t len, size_t *sent)
{
    uint8_t chunk[EXCHANGE_CHUNK];
    while (*sent < len) {
        size_t n = len - *sent < sizeof(chunk) ? len - *sent : sizeof(chunk);
        exchange_fill(chunk, n, key, *sent);
        int r = quicpro_stream_write(loop, stream, chunk, n, *sent + n == len);
        if (r == QUICPRO_EAGAIN) {
            all->again++;
            return;
        }
        if (!CHECK_INT(r, ==, 0))
            return;
        *sent += n;
    }
}

static inline void exchange_begin(struct pair *p, const quicpro_batch *batch,
                                  const quicpro_event *event)
{
    size_t len;
    char text[64];
    const char *path = quicpro_event_field(batch, event, ":path", &len);
    struct serving *s = calloc(1, sizeof(*s));
    unsigned long bytes = 0, key = 0;
    struct exchanges *all = p->data;
    if (s == NULL)
        _Exit(EXCHANGE_NO_MEMORY);
    if (path == NULL)
        abort();
    s->next = all->serving;
    all->serving = s;
    snprintf(text, sizeof(text), "%.*s", (int)len, path);
    quicpro_stream_set_user(p->server_loop, event->stream, s);
    if (sscanf(text, "/bytes/%lu/%lu", &bytes, &key) != 2)
        return; /* an echo */
    s->len = bytes;
    s->key = (uint8_t)key;
    CHECK_INT(quicpro_respond(p->server_loop, event->stream, 200, NULL, 0, NULL, 0, bytes == 0), ==,
              0);
    exchange_pump(all, p->server_loop, event->stream, s->key, s->len, &s->sent);
}

static inline void exchange_collect(struct serving *s, const void *data, size_t len)
{
    if (s->body_cap - s->body_len < len) {
        s->body_cap = (s->body_len + len) * 2;
        s->body = realloc(s->body, s->body_cap);
        if (s->body == NULL)
            _Exit(EXCHANGE_NO_MEMORY);
    }
    if (len != 0)
        memcpy(s->body + s->body_len, data, len);
    s->body_len += len;
}

/* GET /bytes/LENGTH/KEY: bytes of the formula. Anything else: the body that came. */
static inline void exchange_serve(struct pair *p, const quicpro_batch *batch,
                                  const quicpro_event *event)
{
    struct serving *s = event->user;
    struct exchanges *all = p->data;
    switch (event->type) {
    case QUICPRO_EVENT_REQUEST:
        exchange_begin(p, batch, event);
        break;
    case QUICPRO_EVENT_DATA:
        exchange_collect(s, event->data, event->len);
        break;
    case QUICPRO_EVENT_WRITABLE:
        all->writable++;
        exchange_pump(all, p->server_loop, event->stream, s->key, s->len, &s->sent);
        break;
    default:
        return;
    }
    /* REQUEST has handed s to the stream; its own events carry it from here on. */
    if ((event->flags & QUICPRO_FLAG_FIN) == 0 || event->type == QUICPRO_EVENT_REQUEST)
        return;
    CHECK_INT(quicpro_respond(p->server_loop, event->stream, 200, NULL, 0, s->body, s->body_len, 1),
              ==, 0);
}

static inline void exchange_over(struct exchanges *all)
{
    all->done++;
    all->finished = all->done >= all->expected;
}

static inline void exchange_fields(struct exchange *x, const quicpro_batch *batch,
                                   const quicpro_event *event)
{
    size_t len;
    const char *trailer = quicpro_event_field(batch, event, "x-checksum", &len);
    x->sections++;
    if (event->type == QUICPRO_EVENT_RESPONSE && (event->flags & QUICPRO_FLAG_INFORMATIONAL))
        x->informational = (unsigned)event->code;
    else if (event->type == QUICPRO_EVENT_RESPONSE)
        x->status = (unsigned)event->code;
    if (trailer != NULL && event->type == QUICPRO_EVENT_TRAILERS)
        snprintf(x->trailer, sizeof(x->trailer), "%.*s", (int)len, trailer);
}

static inline void exchange_client(struct pair *p, const quicpro_batch *batch,
                                   const quicpro_event *event)
{
    struct exchange *x = event->user;
    struct exchanges *all = p->data;
    if (event->stream == 0 || x == NULL)
        return;
    switch (event->type) {
    case QUICPRO_EVENT_RESPONSE:
    case QUICPRO_EVENT_TRAILERS:
        exchange_fields(x, batch, event);
        break;
    case QUICPRO_EVENT_DATA:
        x->wrong |= !exchange_equal(event->data, event->len, x->key, x->got);
        x->got += event->len;
        break;
    case QUICPRO_EVENT_WRITABLE:
        all->writable++;
        exchange_pump(all, p->client_loop, event->stream, x->key, x->upload, &x->sent);
        break;
    case QUICPRO_EVENT_RESET:
        x->reset = true;
        exchange_over(all);
        break;
    }
    if (event->flags & QUICPRO_FLAG_FIN) {
        x->fin = true;
        exchange_over(all);
    }
}

/* Asks for `want` bytes. */
static inline int exchange_get(struct pair *p, struct exchange *x, size_t want, uint8_t key)
{
    char path[64];
    *x = (struct exchange){.key = key, .want = want};
    snprintf(path, sizeof(path), "/bytes/%zu/%u", want, key);
    return pair_request(p, "GET", path, NULL, 0, 1, x, &x->stream);
}

/* Sends `len` bytes and wants them back. */
static inline int exchange_post(struct pair *p, struct exchange *x, size_t len, uint8_t key)
{
    *x = (struct exchange){.key = key, .want = len, .upload = len};
    int r = pair_request(p, "POST", "/echo", NULL, 0, 0, x, &x->stream);
    if (r == 0)
        exchange_pump(p->data, p->client_loop, x->stream, key, len, &x->sent);
    return r;
}

/* A pair whose server answers requests for bytes, connected. */
static inline void exchange_open(struct pair *p, struct exchanges *all, size_t expected)
{
    *all = (struct exchanges){.expected = expected};
    pair_open(p);
    p->data = all;
    p->on_server = exchange_serve;
    p->on_client = exchange_client;
}

static inline void exchange_close(struct pair *p)
{
    struct exchanges *all = p->data;
    pair_done(p);
    while (all->serving != NULL) {
        struct serving *s = all->serving;
        all->serving = s->next;
        free(s->body);
        free(s);
    }
}

static inline bool exchange_good(const struct exchange *x)
{
    return x->fin && !x->reset && !x->wrong && x->got == x->want && x->status == 200;
}

/* Exchanges bytes once, so that both sides have heard all the other has to say. */
static inline void exchange_once(struct pair *p, struct exchanges *all, size_t len)
{
    struct exchange x;
    *all = (struct exchanges){.expected = 1, .serving = all->serving};
    CHECK_INT(exchange_post(p, &x, len, 7), ==, 0);
    CHECK(pair_until(p, &all->finished));
    CHECK(x.fin && !x.wrong && x.got == len);
}

#endif
