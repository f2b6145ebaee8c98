/* Connections, one after the other: opens them, uses each a little, closes it, and counts what the
 * handshakes came to.
 *
 *     conngen --seconds 2 --insecure 127.0.0.1:4433                     handshakes alone
 *     conngen --seconds 2 --insecure --warm 64 --request / HOST:PORT    resumed, a request on each
 *     conngen --connections 1 --streams 1000000 --echo 64 -o alpn=echo HOST:PORT
 *
 * One line of JSON tells what happened; the exit code is 0 if every connection did what it should,
 * 1 if not, 2 for wrong use, 3 if it could not start. With --warm the first ones are not counted: a
 * line `warm N` follows them, and the rest waits for a line on stdin. With --echo every stream
 * sends so many bytes and wants them back (examples/c/raw_echo.c); without, and without --request,
 * a connection is closed as soon as its handshake is done.
 */
#include <quicpro.h>

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum {
    ECHO_MAX = 4096,
    PERIOD = 251, /* of the bytes that are echoed; a prime, so that an offset shows */
};

/* One place for a connection: when it is over, the next one takes it. */
struct link {
    quicpro_conn conn;
    uint64_t opened, ended; /* streams */
    uint64_t received;      /* bytes of the answer to --request */
    unsigned status;
    bool good, closing;
};

/* One stream of --echo. */
struct echo {
    struct link *link;
    size_t received;
    struct echo *next; /* while it is free */
};

static struct {
    char host[256], authority[272];
    uint16_t port;
    uint64_t connections, at_once, streams, streams_at_once, warm, timeout_ns;
    double seconds;
    size_t echo;
    const char *request;
    int64_t expect_length; /* -1: any */
} args = {.at_once = 16, .streams_at_once = 32, .expect_length = -1};

static quicpro_loop *loop;
static quicpro_client *client;
static struct link *links;
static struct echo *echoes, *free_echoes;
static unsigned char sent[ECHO_MAX];

static struct count {
    uint64_t begun, ok, failed, streams, resumed, early;
    char group[32]; /* of the last one; "several" if they differ */
} count;
static uint64_t live; /* connections */
static quicpro_tstamp deadline, progress;
static uint64_t wanted; /* connections to begin in this phase; UINT64_MAX: until the deadline */
static char first_error[256];

static void note(const char *text)
{
    if (first_error[0] == '\0')
        snprintf(first_error, sizeof(first_error), "%s", text);
}

static double cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* --- one connection -------------------------------------------------------------------------- */

static void fail(struct link *link, const char *why)
{
    link->good = false;
    note(why);
}

static void finish(struct link *link)
{
    if (link->closing)
        return;
    link->closing = true;
    quicpro_conn_close(loop, link->conn, args.echo > 0 ? 0 : 0x100 /* H3_NO_ERROR */, NULL);
}

static void request(struct link *link)
{
    const quicpro_nv fields[] = {
        QUICPRO_NV(":method", "GET"),
        QUICPRO_NV(":scheme", "https"),
        {":authority", 10, args.authority, strlen(args.authority)},
        {":path", 5, args.request, strlen(args.request)},
    };
    quicpro_stream stream;
    int r = quicpro_request(loop, link->conn, fields, 4, NULL, 0, 1, link, &stream);
    if (r < 0) {
        fail(link, quicpro_strerror(r));
        finish(link);
    }
}

/* Opens streams as far as both ends let. */
static void open_echoes(struct link *link)
{
    while (!link->closing && link->opened < args.streams &&
           link->opened - link->ended < args.streams_at_once && free_echoes != NULL) {
        struct echo *echo = free_echoes;
        quicpro_stream stream;
        int r = quicpro_stream_open(loop, link->conn, 1, echo, &stream);
        if (r == QUICPRO_ELIMIT)
            return; /* STREAMS goes on */
        if (r == 0)
            r = quicpro_stream_write(loop, stream, sent, args.echo, 1);
        if (r < 0) {
            fail(link, quicpro_strerror(r));
            finish(link);
            return;
        }
        free_echoes = echo->next;
        echo->link = link;
        echo->received = 0;
        link->opened++;
    }
}

static void echo_ended(struct echo *echo)
{
    struct link *link = echo->link;
    echo->next = free_echoes;
    free_echoes = echo;
    count.streams++;
    if (++link->ended == args.streams)
        finish(link);
    else
        open_echoes(link);
}

static void read_echo(const quicpro_event *event)
{
    struct echo *echo = event->user;
    unsigned char buf[ECHO_MAX];
    int fin = 0;
    while (!fin) {
        int64_t n = quicpro_stream_read(loop, event->stream, buf, sizeof(buf), &fin, NULL);
        if (n == QUICPRO_EAGAIN)
            return;
        if (n < 0) {
            fail(echo->link, quicpro_strerror((int)n));
            finish(echo->link);
            return;
        }
        if ((size_t)n > args.echo - echo->received ||
            memcmp(buf, sent + echo->received, (size_t)n) != 0)
            fail(echo->link, "not the bytes that were sent");
        echo->received += (size_t)n;
    }
    if (echo->received != args.echo)
        fail(echo->link, "fewer bytes than were sent");
    echo_ended(echo);
}

static void on_connected(struct link *link)
{
    quicpro_conn_info info = {.size = sizeof(info)};
    quicpro_conn_get_info(loop, link->conn, &info);
    count.resumed += info.resumed;
    count.early += info.early_data == QUICPRO_EARLY_ACCEPTED;
    if (count.group[0] == '\0')
        snprintf(count.group, sizeof(count.group), "%s", info.group);
    else if (strcmp(count.group, info.group) != 0)
        snprintf(count.group, sizeof(count.group), "several");
    if (args.echo > 0)
        open_echoes(link);
    else if (args.request == NULL)
        finish(link);
}

static void answered(struct link *link)
{
    char text[64];
    if (link->status != 200 ||
        (args.expect_length >= 0 && link->received != (uint64_t)args.expect_length)) {
        snprintf(text, sizeof(text), "status %u, %llu bytes", link->status,
                 (unsigned long long)link->received);
        fail(link, text);
    }
    finish(link);
}

static void on_closed(struct link *link, const quicpro_event *event)
{
    live--;
    if (!link->closing)
        fail(link, event->data);
    if (link->good)
        count.ok++;
    else
        count.failed++;
    link->conn = 0;
}

static void handle(const quicpro_event *event)
{
    struct link *link = event->user;
    switch (event->type) {
    case QUICPRO_EVENT_CONNECTED:
        on_connected(link);
        break;
    case QUICPRO_EVENT_STREAMS:
        open_echoes(link);
        break;
    case QUICPRO_EVENT_READABLE:
        read_echo(event);
        break;
    case QUICPRO_EVENT_RESPONSE:
        if (!(event->flags & QUICPRO_FLAG_INFORMATIONAL))
            link->status = (unsigned)event->code;
        break;
    case QUICPRO_EVENT_DATA:
        if (args.echo == 0)
            link->received += event->len;
        break;
    case QUICPRO_EVENT_RESET:
        if (args.echo == 0 && !link->closing) {
            fail(link, event->data);
            finish(link);
        }
        break;
    case QUICPRO_EVENT_CLOSED:
        on_closed(link, event);
        return;
    default:
        break;
    }
    if (args.echo == 0 && event->stream != 0 && event->flags & QUICPRO_FLAG_FIN)
        answered(link);
}

/* --- all of them ----------------------------------------------------------------------------- */

static bool may_begin(void)
{
    return wanted == UINT64_MAX ? quicpro_now() < deadline : count.begun < wanted;
}

static int begin_some(void)
{
    for (uint64_t i = 0; i < args.at_once && live < args.at_once && may_begin(); i++) {
        struct link *link = &links[i];
        if (link->conn != 0)
            continue;
        *link = (struct link){.good = true};
        int r = quicpro_client_connect(client, args.host, args.port, link, &link->conn);
        if (r < 0) {
            const char *why = quicpro_loop_error(loop);
            note(why[0] != '\0' ? why : quicpro_strerror(r));
            return r;
        }
        live++;
        count.begun++;
        if (args.request != NULL)
            request(link);
    }
    return 0;
}

/* Begins connections until there are enough, and sees the last of them out. */
static bool run(uint64_t connections, double seconds)
{
    const quicpro_batch *batch;
    count = (struct count){0};
    wanted = seconds > 0 ? UINT64_MAX : connections;
    progress = quicpro_now();
    deadline = progress + (quicpro_tstamp)(seconds * 1e9);
    while (may_begin() || live > 0) {
        int r = begin_some();
        if (r >= 0)
            r = quicpro_loop_flush(loop);
        if (r >= 0)
            r = quicpro_loop_wait(loop, QUICPRO_SECOND);
        if (r >= 0 || r == -EINTR)
            r = quicpro_loop_run(loop, 0, &batch);
        if (r < 0) {
            note(quicpro_strerror(r));
            return false;
        }
        for (size_t i = 0; i < batch->event_count; i++)
            handle(&batch->events[i]);
        if (batch->event_count > 0) {
            progress = quicpro_now();
        } else if (quicpro_now() - progress > args.timeout_ns) {
            note("nothing moved until the timeout");
            return false;
        }
    }
    quicpro_loop_flush(loop);
    return count.failed == 0;
}

static void report(double wall, double cpu)
{
    printf("{\"connections\": %llu, \"failed\": %llu, \"streams\": %llu, \"resumed\": %llu, "
           "\"early\": %llu, \"group\": \"%s\", \"wall_seconds\": %.6f, \"cpu_seconds\": %.6f, "
           "\"first_error\": \"",
           (unsigned long long)count.ok, (unsigned long long)(count.failed + live),
           (unsigned long long)count.streams, (unsigned long long)count.resumed,
           (unsigned long long)count.early, count.group, wall, cpu);
    for (const char *c = first_error; *c != '\0'; c++) {
        if (*c == '"' || *c == '\\')
            putchar('\\');
        putchar((unsigned char)*c < 32 ? ' ' : *c);
    }
    puts("\"}");
    fflush(stdout);
}

/* --- the command line ------------------------------------------------------------------------ */

static const char help[] =
    "usage: conngen [OPTION]... HOST:PORT\n"
    "  --connections N      stop after N connections\n"
    "  --seconds S          stop after S seconds\n"
    "  --at-once N          connections open at once (16)\n"
    "  --warm N             N connections before, not counted; then waits for a line on stdin\n"
    "  --request PATH       HTTP/3: one GET on each, as early data where it may be\n"
    "  --expect-length N    bytes of every answer's body\n"
    "  --echo N             other protocols: streams of N bytes, which have to come back\n"
    "  --streams N          how many on each connection (1)\n"
    "  --streams-at-once N  how many of them open at once (32)\n"
    "  --timeout S          give up when nothing moves for so long (10)\n"
    "  --insecure           do not check the certificate\n"
    "  -o KEY=VALUE         a library option, such as groups=X25519\n"
    "example: conngen --seconds 2 --insecure 127.0.0.1:4433\n";

static int wrong_use(const char *what)
{
    fprintf(stderr, "conngen: %s (--help shows the options)\n", what);
    return 2;
}

static bool number(const char *text, uint64_t *ret)
{
    char *end;
    *ret = strtoull(text, &end, 10);
    return text[0] >= '0' && text[0] <= '9' && *end == '\0';
}

static int set_target(const char *text)
{
    const char *colon = strrchr(text, ':');
    uint64_t port;
    if (colon == NULL || (size_t)(colon - text) >= sizeof(args.host) || !number(colon + 1, &port) ||
        port < 1 || port > 65535)
        return wrong_use("the target is HOST:PORT, such as 127.0.0.1:4433");
    snprintf(args.host, sizeof(args.host), "%.*s", (int)(colon - text), text);
    snprintf(args.authority, sizeof(args.authority), "%s", text);
    args.port = (uint16_t)port;
    return 0;
}

static int set_option(quicpro_config *config, const char *key, const char *value)
{
    if (quicpro_config_set(config, key, value) == 0)
        return 0;
    fprintf(stderr, "conngen: %s\n", quicpro_config_error(config));
    return 2;
}

static int parse(int argc, char **argv, quicpro_config *config)
{
    enum { CONNECTIONS = 1, SECONDS, AT_ONCE, WARM, REQUEST, LENGTH, ECHO, STREAMS, OPEN, TIMEOUT };
    enum { INSECURE = 100, HELP };
    static const struct option long_options[] = {
        {"connections", 1, NULL, CONNECTIONS},
        {"seconds", 1, NULL, SECONDS},
        {"at-once", 1, NULL, AT_ONCE},
        {"warm", 1, NULL, WARM},
        {"request", 1, NULL, REQUEST},
        {"expect-length", 1, NULL, LENGTH},
        {"echo", 1, NULL, ECHO},
        {"streams", 1, NULL, STREAMS},
        {"streams-at-once", 1, NULL, OPEN},
        {"timeout", 1, NULL, TIMEOUT},
        {"insecure", 0, NULL, INSECURE},
        {"help", 0, NULL, HELP},
        {NULL, 0, NULL, 0},
    };
    uint64_t length = 0, echo = 0, seconds = 10;
    bool good = true;
    int r = 0;
    args.streams = 1;
    for (int c; r == 0 && (c = getopt_long(argc, argv, "o:", long_options, NULL)) != -1;) {
        switch (c) {
        case CONNECTIONS:
            good = number(optarg, &args.connections) && args.connections > 0;
            break;
        case SECONDS:
            good = (args.seconds = atof(optarg)) > 0;
            break;
        case AT_ONCE:
            good = number(optarg, &args.at_once) && args.at_once > 0;
            break;
        case WARM:
            good = number(optarg, &args.warm);
            break;
        case REQUEST:
            args.request = optarg;
            break;
        case LENGTH:
            good = number(optarg, &length);
            args.expect_length = (int64_t)length;
            break;
        case ECHO:
            good = number(optarg, &echo) && echo > 0 && echo <= ECHO_MAX;
            args.echo = (size_t)echo;
            break;
        case STREAMS:
            good = number(optarg, &args.streams) && args.streams > 0;
            break;
        case OPEN:
            good = number(optarg, &args.streams_at_once) && args.streams_at_once > 0;
            break;
        case TIMEOUT:
            good = number(optarg, &seconds);
            break;
        case INSECURE:
            r = set_option(config, "verify_peer", "false");
            break;
        case HELP:
            fputs(help, stdout);
            exit(0);
        case 'o': {
            char *equals = strchr(optarg, '=');
            if (equals == NULL)
                return wrong_use("-o is KEY=VALUE");
            *equals = '\0';
            r = set_option(config, optarg, equals + 1);
            break;
        }
        default:
            return 2; /* getopt told */
        }
        if (!good)
            return wrong_use("not a number that makes sense there");
    }
    if (r == 0 && argc - optind != 1)
        return wrong_use("one HOST:PORT is needed");
    if (r == 0 && (args.connections > 0) == (args.seconds > 0))
        return wrong_use("give --connections or --seconds");
    if (r == 0 && args.request != NULL && args.echo > 0)
        return wrong_use("--request is HTTP/3, --echo is not");
    args.timeout_ns = seconds * QUICPRO_SECOND;
    return r != 0 ? r : set_target(argv[optind]);
}

static int start(const quicpro_config *config)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) { /* a socket for each connection */
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    for (size_t i = 0; i < sizeof(sent); i++)
        sent[i] = (unsigned char)(i % PERIOD);
    const size_t places = args.echo > 0 ? args.at_once * args.streams_at_once : 1;
    links = calloc(args.at_once, sizeof(*links));
    echoes = calloc(places, sizeof(*echoes));
    if (links == NULL || echoes == NULL)
        return QUICPRO_ENOMEM;
    for (size_t i = 0; i < places; i++) {
        echoes[i].next = free_echoes;
        free_echoes = &echoes[i];
    }
    int r = quicpro_loop_new(&loop, config);
    return r < 0 ? r : quicpro_client_new(&client, loop, config);
}

static bool warm_up(void)
{
    char line[16];
    if (args.warm == 0)
        return true;
    if (!run(args.warm, 0))
        return false;
    printf("warm %llu\n", (unsigned long long)args.warm);
    fflush(stdout);
    return fgets(line, sizeof(line), stdin) != NULL;
}

int main(int argc, char **argv)
{
    quicpro_config *config;
    if (quicpro_config_new(&config) < 0)
        return 3;
    int r = parse(argc, argv, config);
    if (r != 0)
        return r;
    r = start(config);
    if (r < 0) {
        const char *why = loop == NULL ? "" : quicpro_loop_error(loop);
        fprintf(stderr, "conngen: %s\n", why[0] != '\0' ? why : quicpro_strerror(r));
        return 3;
    }
    bool good = warm_up();
    const double cpu = cpu_seconds();
    const quicpro_tstamp begin = quicpro_now();
    good = good && run(args.connections, args.seconds);
    report((double)(quicpro_now() - begin) / 1e9, cpu_seconds() - cpu);
    if (!good)
        fprintf(stderr, "conngen: %llu of %llu connections failed: %s\n",
                (unsigned long long)(count.failed + live), (unsigned long long)count.begun,
                first_error);
    quicpro_client_free(client);
    quicpro_loop_free(loop);
    quicpro_config_free(config);
    free(links);
    free(echoes);
    return good ? 0 : 1;
}
