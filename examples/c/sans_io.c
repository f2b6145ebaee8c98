/* Two connections talking through memory, in virtual time, over a network that loses one datagram
 * of ten: no socket, no clock, no waiting (quicpro/sans_io.h).
 *
 *     cc sans_io.c $(pkg-config --cflags --libs quicpro) -o sans_io
 *     ./sans_io [SEED [BYTES]]
 *
 * The client sends bytes, the server sends them back, the client compares. The network is a list of
 * what is under way: loop without I/O, event loop of your own, packets of your own driver would all
 * look alike. */
#include <quicpro.h>
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOSS_PERCENT = 10, CHUNK = 16384 };
static const quicpro_tstamp DELAY = 20 * QUICPRO_MILLISECOND;   /* one way */
static const quicpro_tstamp END = 3600 * QUICPRO_SECOND;        /* it does not take an hour */
static const quicpro_tstamp BEGIN = 1000 * QUICPRO_MILLISECOND; /* any time will do */

/* One end, and what it has under way. */
struct side {
    quicpro_loop *loop;
    struct datagram *first, **last; /* sent, not arrived; all take equally long */
    uint64_t sent, lost;
    int closed;
};

struct datagram {
    struct datagram *next;
    quicpro_tstamp at; /* when it arrives */
    quicpro_train train;
    uint8_t bytes[];
};

static struct side client, server;
static uint64_t seed = 1, total = 1000000, out, back; /* bytes; of these, sent and come back */
static int wrong;

/* splitmix64 */
static uint64_t next_random(void)
{
    uint64_t z = seed += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static uint8_t byte_at(uint64_t offset)
{
    return (uint8_t)(offset * 31 + (offset >> 8) * 7 + (offset >> 16));
}

/* For calls that only fail if there is no memory, or if this program is wrong. */
static void must(int r, const struct side *side, const char *what)
{
    if (r >= 0)
        return;
    fprintf(stderr, "sans_io: %s: %s%s%s\n", what, quicpro_strerror(r),
            side == NULL || side->loop == NULL ? "" : ": ",
            side == NULL || side->loop == NULL ? "" : quicpro_loop_error(side->loop));
    exit(1);
}

/* --- The network. --- */

/* Puts what a side has sent on its way. */
static void collect(struct side *side, quicpro_tstamp now)
{
    quicpro_train train;
    while (quicpro_loop_send(side->loop, 1, &train) > 0) {
        side->sent++;
        if (next_random() % 100 < LOSS_PERCENT) {
            side->lost++;
            continue;
        }
        struct datagram *d = malloc(sizeof(*d) + train.len);
        if (d == NULL)
            must(QUICPRO_ENOMEM, NULL, "network");
        memcpy(d->bytes, train.data, train.len);
        d->next = NULL;
        d->at = now + DELAY;
        d->train = train;
        d->train.data = d->bytes;
        d->train.local = train.peer; /* for who receives it, it is the other way round */
        d->train.peer = train.local;
        *side->last = d;
        side->last = &d->next;
    }
}

/* Hands over what has arrived. */
static void deliver(struct side *from, struct side *to, quicpro_tstamp now)
{
    while (from->first != NULL && from->first->at <= now) {
        struct datagram *d = from->first;
        from->first = d->next;
        if (from->first == NULL)
            from->last = &from->first;
        quicpro_loop_recv(to->loop, &d->train);
        free(d);
    }
}

/* --- The application. --- */

/* Sends as many bytes as are taken now; QUICPRO_EVENT_WRITABLE goes on. */
static void send_more(quicpro_stream stream)
{
    uint8_t chunk[CHUNK];
    while (out < total) {
        const size_t len = total - out < CHUNK ? (size_t)(total - out) : CHUNK;
        for (size_t i = 0; i < len; i++)
            chunk[i] = byte_at(out + i);
        int r = quicpro_stream_write(client.loop, stream, chunk, len, out + len == total);
        if (r == QUICPRO_EAGAIN)
            return;
        must(r, &client, "write");
        out += len;
    }
}

static void compare(const quicpro_event *event)
{
    uint8_t chunk[CHUNK];
    int fin = 0;
    int64_t n;
    while (!fin && (n = quicpro_stream_read(client.loop, event->stream, chunk, sizeof(chunk), &fin,
                                            NULL)) >= 0)
        for (int64_t i = 0; i < n; i++)
            wrong += chunk[i] != byte_at(back++);
    if (fin)
        quicpro_conn_close(client.loop, event->conn, 0, "all is back");
}

static void on_client(const quicpro_event *event)
{
    quicpro_stream stream;
    switch (event->type) {
    case QUICPRO_EVENT_CONNECTED:
        must(quicpro_stream_open(client.loop, event->conn, 1, NULL, &stream), &client, "open");
        send_more(stream);
        break;
    case QUICPRO_EVENT_WRITABLE:
        send_more(event->stream);
        break;
    case QUICPRO_EVENT_READABLE:
        compare(event);
        break;
    case QUICPRO_EVENT_CLOSED:
        client.closed = 1;
        if (event->error != 0)
            fprintf(stderr, "sans_io: client: %s\n", (const char *)event->data);
        break;
    default:
        break;
    }
}

/* What came goes back; what is not taken now waits here. There is one stream. */
static void on_server(const quicpro_event *event)
{
    static uint8_t held[CHUNK];
    static size_t len;
    static int fin;
    server.closed |= event->type == QUICPRO_EVENT_CLOSED;
    if (event->type != QUICPRO_EVENT_READABLE && event->type != QUICPRO_EVENT_WRITABLE)
        return;
    for (;;) {
        if (len != 0 || fin) {
            int r = quicpro_stream_write(server.loop, event->stream, held, len, fin);
            if (r < 0 || fin) /* QUICPRO_EAGAIN, or the end */
                return;
            len = 0;
        }
        int64_t n = quicpro_stream_read(server.loop, event->stream, held, sizeof(held), &fin, NULL);
        if (n < 0)
            return;
        len = (size_t)n;
    }
}

/* --- Time. --- */

/* One side's turn at one moment; when the next one is due. */
static quicpro_tstamp turn(struct side *side, void (*handle)(const quicpro_event *event),
                           quicpro_tstamp now)
{
    const quicpro_batch *batch;
    must(quicpro_loop_run(side->loop, 0, &batch), side, "run");
    for (size_t i = 0; i < batch->event_count; i++)
        handle(&batch->events[i]);
    must(quicpro_loop_flush(side->loop), side, "flush");
    collect(side, now);
    return quicpro_loop_expiry(side->loop);
}

static quicpro_tstamp earliest(quicpro_tstamp a, quicpro_tstamp b)
{
    return a < b ? a : b;
}

static quicpro_tstamp run(void)
{
    quicpro_tstamp now = BEGIN;
    while (now < END && !(client.closed && server.closed)) {
        must(quicpro_loop_set_now(client.loop, now), &client, "time");
        must(quicpro_loop_set_now(server.loop, now), &server, "time");
        deliver(&client, &server, now);
        deliver(&server, &client, now);
        quicpro_tstamp next =
            earliest(turn(&client, on_client, now), turn(&server, on_server, now));
        if (client.first != NULL)
            next = earliest(next, client.first->at);
        if (server.first != NULL)
            next = earliest(next, server.first->at);
        now = next;
    }
    return now - BEGIN;
}

static quicpro_config *configure(const quicpro_devcert *cert, int serving)
{
    quicpro_config *config;
    must(quicpro_config_new(&config), NULL, "configuration");
    int r = quicpro_config_set(config, "alpn", "echo");
    if (r == 0 && serving)
        r = quicpro_config_set_bytes(config, "cert_data", cert->cert_pem, strlen(cert->cert_pem));
    if (r == 0 && serving)
        r = quicpro_config_set_bytes(config, "key_data", cert->key_pem, strlen(cert->key_pem));
    if (r == 0 && !serving)
        r = quicpro_config_set_bytes(config, "ca_data", cert->ca_pem, strlen(cert->ca_pem));
    if (r < 0)
        fprintf(stderr, "sans_io: %s\n", quicpro_config_error(config));
    must(r, NULL, "option");
    return config;
}

int main(int argc, char **argv)
{
    static const char *const name[] = {"echo.example"};
    quicpro_devcert cert;
    quicpro_server *listener;
    quicpro_client *connector;
    quicpro_conn conn;
    char *rest = argc > 1 ? argv[1] : NULL;
    if (argc > 1)
        seed = strtoull(argv[1], &rest, 10);
    if (argc > 2 && rest != argv[1] && *rest == '\0')
        total = strtoull(argv[2], &rest, 10);
    if (argc > 3 || (argc > 1 && (*rest != '\0' || rest == argv[argc - 1])) || total == 0) {
        fprintf(stderr, "usage: sans_io [SEED [BYTES]]\n");
        return 2;
    }
    printf("seed %" PRIu64 ", %" PRIu64 " bytes there and back, %d %% of all datagrams lost\n",
           seed, total, LOSS_PERCENT);
    must(quicpro_devcert_make(&cert, name, 1, 30), NULL, "certificate");
    quicpro_config *serving = configure(&cert, 1), *connecting = configure(&cert, 0);
    quicpro_devcert_done(&cert);
    client.last = &client.first;
    server.last = &server.first;

    must(quicpro_loop_new_detached(&server.loop, serving, BEGIN), NULL, "loop");
    must(quicpro_loop_new_detached(&client.loop, connecting, BEGIN), NULL, "loop");
    must(quicpro_server_new(&listener, server.loop, serving), &server, "server");
    must(quicpro_client_new(&connector, client.loop, connecting), &client, "client");
    must(quicpro_server_listen(listener, "192.0.2.1", 443), &server, "listen");

    quicpro_address there = {.in = {.sin_family = AF_INET}};
    inet_pton(AF_INET, "192.0.2.1", &there.in.sin_addr);
    must(quicpro_loop_add_host(client.loop, "echo.example", &there), &client, "host");
    must(quicpro_client_connect(connector, "echo.example", 443, NULL, &conn), &client, "connect");

    const quicpro_tstamp took = run();
    const int good = back == total && wrong == 0 && client.closed && server.closed;
    printf("%" PRIu64 " came back, %s\n", back,
           good ? "all as they were sent" : "NOT as they were");
    printf("%.3f virtual seconds at %.0f ms a round trip\n", (double)took / 1e9,
           2 * (double)DELAY / 1e6);
    printf("client: %" PRIu64 " datagrams sent, %" PRIu64 " lost\n", client.sent, client.lost);
    printf("server: %" PRIu64 " datagrams sent, %" PRIu64 " lost\n", server.sent, server.lost);

    quicpro_client_free(connector);
    quicpro_server_free(listener);
    quicpro_loop_free(client.loop);
    quicpro_loop_free(server.loop);
    quicpro_config_free(connecting);
    quicpro_config_free(serving);
    while (client.first != NULL || server.first != NULL) {
        struct datagram **at = client.first != NULL ? &client.first : &server.first, *d = *at;
        *at = d->next;
        free(d);
    }
    return good ? 0 : 1;
}
