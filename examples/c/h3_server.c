/* A small HTTP/3 server.
 *
 *     cc h3_server.c $(pkg-config --cflags --libs quicpro) -o h3_server
 *     ./h3_server --bind 127.0.0.1:4433 --cert cert.pem --key key.pem
 *
 * GET /         100 bytes of text
 * GET /bytes/N  N bytes, the i-th of them (i * 31 + (i >> 8)) & 255
 * POST /echo    what was sent, as it comes in
 */
#include <quicpro.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 65536, PERIOD = 65536 };

static quicpro_loop *loop;
static quicpro_server *server;
static volatile sig_atomic_t stop_requests;
static unsigned char pattern[PERIOD + CHUNK]; /* the pattern repeats after 65,536 bytes */

/* What a stream is busy with, behind its user pointer. */
struct reply {
    unsigned long long at, size; /* of a pattern */
    int echo, fin;
    unsigned char *kept; /* echo: bytes that found the way back full */
    size_t kept_len;
};
static struct reply finished; /* stands for "nothing left to do" */

static void on_signal(int number)
{
    (void)number;
    stop_requests = stop_requests + 1;
    quicpro_loop_wake(loop);
}

static const char hello[] = "Hello over HTTP/3. This answer is one hundred bytes long, so that "
                            "servers can be compared with it..\n";

static void respond_text(quicpro_stream stream, unsigned status, const char *text, size_t len)
{
    static const quicpro_nv fields[] = {QUICPRO_NV("content-type", "text/plain")};
    quicpro_respond(loop, stream, status, fields, 1, text, len, 1);
}

static void end(quicpro_stream stream, struct reply *reply)
{
    quicpro_stream_set_user(loop, stream, &finished);
    free(reply->kept);
    free(reply);
}

/* Writes as much of the pattern as the stream takes; the rest follows with WRITABLE. */
static void pump(quicpro_stream stream, struct reply *reply)
{
    int r = 0;
    while (r == 0 && reply->at < reply->size) {
        unsigned long long left = reply->size - reply->at;
        size_t n = left < CHUNK ? (size_t)left : CHUNK;
        r = quicpro_stream_write(loop, stream, pattern + reply->at % PERIOD, n, n == left);
        if (r == 0)
            reply->at += n;
    }
    if (r != QUICPRO_EAGAIN)
        end(stream, reply);
}

static void start_reply(const quicpro_event *event, int echo, unsigned long long size)
{
    struct reply *reply = calloc(1, sizeof(*reply));
    char text[32];
    int n = snprintf(text, sizeof(text), "%llu", size);
    const quicpro_nv length = {"content-length", 14, text, (size_t)n};
    if (reply == NULL || quicpro_stream_set_user(loop, event->stream, reply) < 0) {
        free(reply); /* no memory, or the client took the request back in the same breath */
        quicpro_stream_reset(loop, event->stream, 0x102 /* H3_INTERNAL_ERROR */);
        return;
    }
    reply->size = size;
    reply->echo = echo;
    int fin = echo ? event->flags & QUICPRO_FLAG_FIN : size == 0;
    quicpro_respond(loop, event->stream, 200, &length, echo ? 0 : 1, NULL, 0, fin);
    if (fin)
        end(event->stream, reply);
    else if (!echo)
        pump(event->stream, reply);
}

static int is(const char *value, size_t len, const char *text)
{
    return value != NULL && len == strlen(text) && memcmp(value, text, len) == 0;
}

static void on_request(const quicpro_batch *batch, const quicpro_event *event)
{
    size_t len, method_len;
    const char *path = quicpro_event_field(batch, event, ":path", &len);
    const char *method = quicpro_event_field(batch, event, ":method", &method_len);
    char text[64];
    snprintf(text, sizeof(text), "%.*s", path == NULL ? 0 : (int)len, path == NULL ? "" : path);
    unsigned long long size;
    if (is(method, method_len, "POST") && strcmp(text, "/echo") == 0)
        start_reply(event, 1, 0);
    else if (!is(method, method_len, "GET"))
        respond_text(event->stream, 405, "method not allowed\n", 19);
    else if (strcmp(text, "/") == 0)
        respond_text(event->stream, 200, hello, 100);
    else if (sscanf(text, "/bytes/%llu", &size) == 1)
        start_reply(event, 0, size);
    else
        respond_text(event->stream, 404, "not found\n", 10);
}

/* Keeps bytes that the way back does not take, and stops the way in: at most what is left of this
 * batch comes after them. */
static int keep(const quicpro_event *event, struct reply *reply)
{
    unsigned char *kept = realloc(reply->kept, reply->kept_len + event->len);
    if (kept == NULL)
        return -1;
    memcpy(kept + reply->kept_len, event->data, event->len);
    reply->kept = kept;
    reply->kept_len += event->len;
    return quicpro_stream_pause(loop, event->stream, 1);
}

static void on_data(const quicpro_event *event)
{
    struct reply *reply = event->user;
    if (reply == NULL || reply == &finished || !reply->echo)
        return;
    reply->fin = (event->flags & QUICPRO_FLAG_FIN) != 0;
    int r = QUICPRO_EAGAIN;
    if (reply->kept_len == 0)
        r = quicpro_stream_write(loop, event->stream, event->data, event->len, reply->fin);
    if (r == 0 && reply->fin)
        end(event->stream, reply);
    else if (r == QUICPRO_EAGAIN && keep(event, reply) < 0)
        quicpro_stream_reset(loop, event->stream, 0x102);
}

static void on_writable(const quicpro_event *event)
{
    struct reply *reply = event->user;
    if (reply == NULL || reply == &finished)
        return;
    if (!reply->echo) {
        pump(event->stream, reply);
        return;
    }
    if (quicpro_stream_write(loop, event->stream, reply->kept, reply->kept_len, reply->fin) != 0)
        return;
    reply->kept_len = 0;
    quicpro_stream_pause(loop, event->stream, 0);
    if (reply->fin)
        end(event->stream, reply);
}

static void handle(const quicpro_batch *batch, const quicpro_event *event)
{
    struct reply *reply = event->user;
    switch (event->type) {
    case QUICPRO_EVENT_REQUEST:
        on_request(batch, event);
        break;
    case QUICPRO_EVENT_DATA:
        on_data(event);
        break;
    case QUICPRO_EVENT_WRITABLE:
        on_writable(event);
        break;
    case QUICPRO_EVENT_RESET:
        if (reply != NULL && reply != &finished) {
            free(reply->kept);
            free(reply);
        }
        break;
    default:
        break;
    }
}

static int usage(void)
{
    fprintf(stderr, "usage: h3_server --bind HOST:PORT --cert FILE --key FILE [-o KEY=VALUE]...\n"
                    "-o sets a library option, such as max_idle_timeout_ms=1000\n");
    return 2;
}

int main(int argc, char **argv)
{
    char host[256] = "127.0.0.1";
    const char *port = "4433", *colon;
    quicpro_config *config;
    int r = quicpro_config_new(&config);
    for (int i = 1; i < argc && r == 0; i += 2) {
        if (i + 1 == argc)
            return usage();
        if (strcmp(argv[i], "--bind") == 0 && (colon = strrchr(argv[i + 1], ':')) != NULL) {
            snprintf(host, sizeof(host), "%.*s", (int)(colon - argv[i + 1]), argv[i + 1]);
            port = colon + 1;
        } else if (strcmp(argv[i], "--cert") == 0) {
            r = quicpro_config_set(config, "cert_file", argv[i + 1]);
        } else if (strcmp(argv[i], "--key") == 0) {
            r = quicpro_config_set(config, "key_file", argv[i + 1]);
        } else if (strcmp(argv[i], "-o") == 0 && strchr(argv[i + 1], '=') != NULL) {
            char *equals = strchr(argv[i + 1], '=');
            *equals = '\0';
            r = quicpro_config_set(config, argv[i + 1], equals + 1);
        } else {
            return usage();
        }
    }
    if (r < 0) {
        fprintf(stderr, "h3_server: %s\n", quicpro_config_error(config));
        return 2;
    }
    for (size_t i = 0; i < sizeof(pattern); i++)
        pattern[i] = (unsigned char)(i * 31 + (i % PERIOD >> 8));
    if ((r = quicpro_loop_new(&loop, config)) < 0) {
        fprintf(stderr, "h3_server: %s\n", quicpro_strerror(r));
        return 3;
    }
    if ((r = quicpro_server_new(&server, loop, config)) < 0 ||
        (r = quicpro_server_listen(server, host, (uint16_t)atoi(port))) < 0) {
        const char *why = quicpro_loop_error(loop);
        fprintf(stderr, "h3_server: %s\n", why[0] != '\0' ? why : quicpro_strerror(r));
        return 3;
    }
    printf("listening on %s:%d\n", host, r);
    fflush(stdout);
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    for (int running = 1, stopping = 0; running;) {
        const quicpro_batch *batch;
        quicpro_loop_flush(loop);
        quicpro_loop_wait(loop, QUICPRO_FOREVER);
        if (stop_requests > stopping) { /* once: let requests finish; twice: now */
            if (stopping++ == 0)
                quicpro_server_shutdown(server);
            else
                break;
        }
        if (quicpro_loop_run(loop, 0, &batch) < 0)
            break;
        for (size_t i = 0; i < batch->event_count; i++) {
            handle(batch, &batch->events[i]);
            running = running && batch->events[i].type != QUICPRO_EVENT_DRAINED;
        }
    }
    quicpro_loop_flush(loop);
    quicpro_server_free(server);
    quicpro_loop_free(loop);
    quicpro_config_free(config);
    return 0;
}
