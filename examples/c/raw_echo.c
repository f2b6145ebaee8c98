/* A protocol of its own, "echo": what comes on a stream goes back on it, what comes as a datagram
 * goes back as one.
 *
 *     cc raw_echo.c $(pkg-config --cflags --libs quicpro) -o raw_echo
 *     ./raw_echo serve --cert cert.pem --key key.pem 127.0.0.1 4433
 *     ./raw_echo send --cacert ca.pem 127.0.0.1 4433 "hello"
 */
#include <quicpro.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static quicpro_loop *loop;
static volatile sig_atomic_t stop;

/* Server: what of a stream has not gone back yet. */
struct echo {
    char data[16384];
    size_t len;
    int fin;
};

static int usage(void)
{
    fprintf(stderr, "usage: raw_echo serve --cert FILE --key FILE [-o KEY=VALUE]... HOST PORT\n"
                    "       raw_echo send --cacert FILE [-o KEY=VALUE]... HOST PORT TEXT\n"
                    "-o sets a library option, such as max_idle_timeout_ms=1000\n");
    return 2;
}

static void on_signal(int number)
{
    (void)number;
    stop = 1;
}

/* Reads and writes until one of both has to wait: READABLE or WRITABLE goes on. */
static void echo(const quicpro_event *event)
{
    struct echo *e = event->user;
    while (e != NULL) {
        if (e->len != 0 || e->fin) {
            int r = quicpro_stream_write(loop, event->stream, e->data, e->len, e->fin);
            if (r == QUICPRO_EAGAIN)
                return;
            if (r < 0 || e->fin)
                break;
            e->len = 0;
        }
        uint64_t code;
        int64_t n =
            quicpro_stream_read(loop, event->stream, e->data, sizeof(e->data), &e->fin, &code);
        if (n == QUICPRO_EAGAIN)
            return;
        if (n < 0) { /* given up by the peer: so do we */
            quicpro_stream_reset(loop, event->stream, n == QUICPRO_ERESET ? code : 0);
            break;
        }
        e->len = (size_t)n;
    }
    quicpro_stream_set_user(loop, event->stream, NULL); /* the last word has been said */
    free(e);
}

static void serve(const quicpro_event *event)
{
    switch (event->type) {
    case QUICPRO_EVENT_STREAM:
        if (event->flags & QUICPRO_FLAG_UNI) /* there is no way back */
            quicpro_stream_reset(loop, event->stream, 1);
        else
            quicpro_stream_set_user(loop, event->stream, calloc(1, sizeof(struct echo)));
        break;
    case QUICPRO_EVENT_READABLE:
    case QUICPRO_EVENT_WRITABLE:
        echo(event);
        break;
    case QUICPRO_EVENT_STOPPED: /* no need to read what nobody wants back */
        free(event->user);
        quicpro_stream_set_user(loop, event->stream, NULL);
        quicpro_stream_reset(loop, event->stream, event->code);
        break;
    case QUICPRO_EVENT_RESET:
        free(event->user);
        break;
    case QUICPRO_EVENT_DATAGRAM:
        quicpro_datagram_send(loop, event->conn, event->data,
                              event->len); /* or lost: as they are */
        break;
    default:
        break;
    }
}

static const char *text;

/* 0: go on, 1: done, -1: failed */
static int client(const quicpro_event *event)
{
    quicpro_stream stream;
    char buf[4096];
    int fin = 0;
    int64_t n = QUICPRO_EAGAIN;
    switch (event->type) {
    case QUICPRO_EVENT_CONNECTED:
        if (quicpro_stream_open(loop, event->conn, 1, NULL, &stream) < 0)
            return -1;
        return quicpro_stream_write(loop, stream, text, strlen(text), 1) < 0 ? -1 : 0;
    case QUICPRO_EVENT_READABLE:
        while (!fin &&
               (n = quicpro_stream_read(loop, event->stream, buf, sizeof(buf), &fin, NULL)) >= 0)
            fwrite(buf, 1, (size_t)n, stdout);
        return fin ? 1 : n == QUICPRO_EAGAIN ? 0 : -1;
    case QUICPRO_EVENT_DATA: /* the rest, of a server that closed behind it */
        fwrite(event->data, 1, event->len, stdout);
        return event->flags & QUICPRO_FLAG_FIN ? 1 : 0;
    case QUICPRO_EVENT_RESET:
    case QUICPRO_EVENT_CLOSED:
        fprintf(stderr, "raw_echo: %s\n", (const char *)event->data);
        return -1;
    default:
        return 0;
    }
}

/* 1: done; negative: an error */
static int run(int serving)
{
    int done = 0;
    while (!stop && done == 0) {
        const quicpro_batch *batch;
        int r = quicpro_loop_flush(loop);
        if (r == 0)
            r = quicpro_loop_wait(loop, QUICPRO_FOREVER);
        if (r >= 0)
            r = quicpro_loop_run(loop, 0, &batch);
        if (r == -EINTR)
            continue;
        if (r < 0)
            return r;
        for (size_t i = 0; i < batch->event_count && done == 0; i++)
            if (serving)
                serve(&batch->events[i]);
            else
                done = client(&batch->events[i]);
    }
    return done;
}

int main(int argc, char **argv)
{
    const char *word[4] = {NULL};
    size_t words = 0;
    quicpro_config *config = NULL;
    quicpro_server *server = NULL;
    quicpro_client *connector = NULL;
    quicpro_conn conn;
    int r = quicpro_config_new(&config);
    if (r == 0)
        r = quicpro_config_set(config, "alpn", "echo");
    if (r == 0)
        r = quicpro_config_set(config, "datagrams_enable", "true");
    for (int i = 1; i < argc && r == 0; i++) {
        const char *arg = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (arg[0] != '-' && words < 4) {
            word[words++] = arg;
            continue;
        }
        char *equals = value == NULL ? NULL : strchr(argv[++i], '=');
        if (value == NULL)
            return usage();
        if (strcmp(arg, "--cert") == 0)
            r = quicpro_config_set(config, "cert_file", value);
        else if (strcmp(arg, "--key") == 0)
            r = quicpro_config_set(config, "key_file", value);
        else if (strcmp(arg, "--cacert") == 0)
            r = quicpro_config_set(config, "ca_file", value);
        else if (strcmp(arg, "-o") == 0 && equals != NULL) {
            *equals = '\0';
            r = quicpro_config_set(config, value, equals + 1);
        } else
            return usage();
        if (r < 0)
            fprintf(stderr, "raw_echo: %s %s: %s\n", arg, value, quicpro_strerror(r));
    }
    const int serving = words == 3 && strcmp(word[0], "serve") == 0;
    if (r == 0 && !serving && !(words == 4 && strcmp(word[0], "send") == 0))
        return usage();
    if (r < 0)
        return 2;
    const uint16_t port = (uint16_t)atoi(word[2]);
    text = word[3];
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    r = quicpro_loop_new(&loop, config);
    if (r == 0)
        r = serving ? quicpro_server_new(&server, loop, config)
                    : quicpro_client_new(&connector, loop, config);
    if (r == 0 && serving) {
        r = quicpro_server_listen(server, word[1], port);
        if (r > 0)
            fprintf(stderr, "raw_echo: listening on %s port %d\n", word[1], r);
    } else if (r == 0) {
        r = quicpro_client_connect(connector, word[1], port, NULL, &conn);
    }
    if (r < 0)
        fprintf(stderr, "raw_echo: %s: %s\n", quicpro_strerror(r),
                loop == NULL ? "" : quicpro_loop_error(loop));
    else
        r = run(serving);
    quicpro_client_free(connector);
    quicpro_server_free(server);
    quicpro_loop_free(loop);
    quicpro_config_free(config);
    return r < 0 ? 1 : 0;
}
