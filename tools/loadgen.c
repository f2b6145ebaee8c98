/* HTTP/3 load: keeps a number of requests open on a number of connections and checks every answer.
 *
 *     loadgen --seconds 2 --insecure --expect-length 100 --url https://127.0.0.1:4433/
 *
 * One line of JSON tells what happened; the exit code is 0 if every request got the answer that was
 * expected, 1 if not, 2 for wrong use, 3 if it could not start. With --idle the connections are
 * opened, make --requests requests each, and stay until stdin ends; a second line, `idle N`, tells
 * that they are.
 */
#include <quicpro.h>

#include <getopt.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum {
    PERIOD = 65536,          /* the pattern repeats: byte i is (i * 31 + (i >> 8)) & 255 */
    CHUNK = 65536,           /* bytes of one write of an upload */
    HANDSHAKES_AT_ONCE = 64, /* more than a server answers within a probe timeout only repeats */
};

struct link {
    quicpro_conn conn;
    bool alive;
    uint64_t left; /* --idle: requests still to make */
};

/* One place for a request: when it is answered, the next one takes it. */
struct slot {
    struct link *link;
    uint64_t received, sent; /* bytes of body */
    unsigned status;
    bool wrong; /* bytes that are not the pattern's */
};

static struct {
    char host[256], authority[272];
    uint16_t port;
    const char *path, *method;
    uint64_t connections, streams, requests, upload, timeout_ns;
    double seconds;
    int64_t expect_length; /* -1: any */
    unsigned expect_status;
    bool pattern, idle;
} args = {.path = "/", .connections = 10, .streams = 10, .expect_length = -1, .expect_status = 200};

static quicpro_loop *loop;
static quicpro_client *client;
static struct link *links;
static struct slot *slots;
static unsigned char pattern[PERIOD + CHUNK];

static uint64_t made, connected, lost;     /* connections */
static uint64_t issued, ok, failed, bytes; /* requests, body bytes of answers */
static uint64_t open_requests;
static quicpro_tstamp begin, deadline, progress;
static bool issuing;
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

/* --- requests -------------------------------------------------------------------------------- */

static void pump(struct slot *slot, quicpro_stream stream)
{
    while (slot->sent < args.upload) {
        uint64_t left = args.upload - slot->sent;
        size_t n = left < CHUNK ? (size_t)left : CHUNK;
        if (quicpro_stream_write(loop, stream, pattern + slot->sent % PERIOD, n, n == left) != 0)
            return; /* WRITABLE or RESET follows */
        slot->sent += n;
    }
}

static bool may_issue(const struct slot *slot)
{
    if (!issuing || !slot->link->alive)
        return false;
    if (args.idle)
        return slot->link->left > 0;
    if (args.requests > 0)
        return issued < args.requests;
    return quicpro_now() < deadline;
}

static void issue(struct slot *slot)
{
    if (!may_issue(slot))
        return;
    const quicpro_nv fields[] = {
        {":method", 7, args.method, strlen(args.method)},
        QUICPRO_NV(":scheme", "https"),
        {":authority", 10, args.authority, strlen(args.authority)},
        {":path", 5, args.path, strlen(args.path)},
        QUICPRO_NV("user-agent", "loadgen"),
    };
    quicpro_stream stream;
    slot->received = slot->sent = slot->status = 0;
    slot->wrong = false;
    issued++;
    slot->link->left--;
    int r = quicpro_request(loop, slot->link->conn, fields, 5, NULL, 0, args.upload == 0, slot,
                            &stream);
    if (r < 0) {
        failed++;
        slot->link->alive = false; /* nothing more to get out of this one */
        note(quicpro_strerror(r));
        return;
    }
    open_requests++;
    pump(slot, stream);
}

static void finish(struct slot *slot)
{
    open_requests--;
    if (slot->status == args.expect_status && !slot->wrong && slot->sent == args.upload &&
        (args.expect_length < 0 || slot->received == (uint64_t)args.expect_length)) {
        ok++;
    } else {
        char text[128];
        failed++;
        snprintf(text, sizeof(text), "status %u, %llu bytes%s%s", slot->status,
                 (unsigned long long)slot->received, slot->wrong ? ", not the pattern" : "",
                 slot->sent == args.upload ? "" : ", before the upload was done");
        note(text);
    }
    issue(slot);
}

static bool matches(const unsigned char *data, size_t len, uint64_t at)
{
    while (len > 0) {
        size_t n = len < CHUNK ? len : CHUNK;
        if (memcmp(data, pattern + at % PERIOD, n) != 0)
            return false;
        data += n;
        len -= n;
        at += n;
    }
    return true;
}

static void on_data(struct slot *slot, const quicpro_event *event)
{
    if (args.pattern && !matches(event->data, event->len, slot->received))
        slot->wrong = true;
    slot->received += event->len;
    bytes += event->len;
}

/* --- connections ----------------------------------------------------------------------------- */

static int open_some(void)
{
    while (made < args.connections && made - connected - lost < HANDSHAKES_AT_ONCE) {
        struct link *link = &links[made];
        int r = quicpro_client_connect(client, args.host, args.port, link, &link->conn);
        if (r < 0) {
            const char *why = quicpro_loop_error(loop);
            note(why[0] != '\0' ? why : quicpro_strerror(r));
            return r;
        }
        link->alive = true;
        link->left = args.idle ? args.requests : UINT64_MAX;
        made++;
    }
    return 0;
}

static void handle(const quicpro_event *event)
{
    struct slot *slot = event->user;
    switch (event->type) {
    case QUICPRO_EVENT_RESPONSE:
        if (!(event->flags & QUICPRO_FLAG_INFORMATIONAL))
            slot->status = (unsigned)event->code;
        break;
    case QUICPRO_EVENT_DATA:
        on_data(slot, event);
        break;
    case QUICPRO_EVENT_WRITABLE:
        pump(slot, event->stream);
        break;
    case QUICPRO_EVENT_RESET:
        open_requests--;
        failed++;
        note(event->data);
        issue(slot);
        return;
    case QUICPRO_EVENT_CONNECTED:
        connected++;
        return;
    case QUICPRO_EVENT_CLOSED:
        lost++;
        ((struct link *)event->user)->alive = false;
        note(event->data);
        return;
    default:
        break;
    }
    if (event->stream != 0 && event->flags & QUICPRO_FLAG_FIN)
        finish(slot);
}

/* One turn; false once nothing moved for --timeout. */
static bool turn(quicpro_tstamp longest)
{
    const quicpro_batch *batch;
    quicpro_loop_flush(loop);
    quicpro_loop_wait(loop, longest);
    int r = quicpro_loop_run(loop, 0, &batch);
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
    return true;
}

static bool connect_all(void)
{
    progress = quicpro_now();
    while (connected < args.connections) {
        if (open_some() < 0 || lost > 0 || !turn(QUICPRO_SECOND))
            return false;
    }
    return true;
}

static void request_all(void)
{
    issuing = true;
    begin = quicpro_now();
    deadline = begin + (quicpro_tstamp)(args.seconds * 1e9);
    for (uint64_t i = 0; i < args.connections * args.streams; i++)
        issue(&slots[i]);
    while (open_requests > 0 && turn(QUICPRO_SECOND))
        ;
    failed += open_requests; /* given up */
    if (args.requests > 0 && !args.idle && issued < args.requests)
        failed += args.requests - issued; /* never sent */
    issuing = false;
}

/* Keeps the connections alive until stdin ends. */
static void stay(void)
{
    const size_t room = args.connections + 8; /* a descriptor for each, on some backends */
    struct pollfd *fds = calloc(1 + room, sizeof(*fds));
    quicpro_watch *list = calloc(room, sizeof(*list));
    uint64_t version = 0;
    nfds_t count = 1;
    while (fds != NULL && list != NULL) {
        quicpro_loop_flush(loop);
        int wants = quicpro_loop_wants(loop);
        quicpro_tstamp expiry = quicpro_loop_expiry(loop), now = quicpro_now();
        int timeout = wants & QUICPRO_WANT_RUN ? 0 : -1;
        if (timeout < 0 && expiry != QUICPRO_FOREVER)
            timeout = expiry > now ? (int)((expiry - now) / QUICPRO_MILLISECOND) + 1 : 0;
        int n = quicpro_loop_fds(loop, list, room, &version);
        for (int i = 0; i < n && (size_t)n <= room; i++) {
            fds[1 + i].fd = list[i].fd;
            fds[1 + i].events =
                (short)(list[i].wants & QUICPRO_WANT_WRITABLE ? POLLIN | POLLOUT : POLLIN);
        }
        fds[0] = (struct pollfd){.fd = 0, .events = POLLIN};
        count = n > 0 ? 1 + (nfds_t)n : count;
        if ((size_t)count > 1 + room || poll(fds, count, timeout) < 0)
            break;
        char drop[256];
        if (fds[0].revents != 0 && fread(drop, 1, sizeof(drop), stdin) == 0)
            break;
        const quicpro_batch *batch;
        if (quicpro_loop_run(loop, 0, &batch) < 0)
            break;
        for (size_t i = 0; i < batch->event_count; i++)
            handle(&batch->events[i]);
    }
    free(list);
    free(fds);
}

static void report(double wall, double cpu)
{
    printf("{\"connections\": %llu, \"streams\": %llu, \"requests\": %llu, \"ok\": %llu, "
           "\"failed\": %llu, \"lost_connections\": %llu, \"wall_seconds\": %.6f, "
           "\"cpu_seconds\": %.6f, \"bytes\": %llu, \"first_error\": \"",
           (unsigned long long)connected, (unsigned long long)args.streams,
           (unsigned long long)issued, (unsigned long long)ok, (unsigned long long)failed,
           (unsigned long long)lost, wall, cpu, (unsigned long long)bytes);
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
    "usage: loadgen [OPTION]... --url https://HOST:PORT[/PATH]\n"
    "       loadgen [OPTION]... HOST:PORT\n"
    "  --connections N    connections (10)\n"
    "  --streams N        requests open at once on each (10)\n"
    "  --requests N       stop after N requests in all; with --idle, N on each connection\n"
    "  --seconds S        stop after S seconds\n"
    "  --url URL          what to ask for, host and port included\n"
    "  --path PATH        what to ask for (/), for HOST:PORT\n"
    "  --upload BYTES     POST with a body of the pattern\n"
    "  --expect-status N  (200)\n"
    "  --expect-length N  bytes of every answer's body\n"
    "  --pattern          the answer's bytes are the pattern: (i * 31 + (i >> 8)) & 255\n"
    "  --idle             make the requests, then keep the connections until stdin ends\n"
    "  --timeout S        give up when nothing moves for so long (10)\n"
    "  --cacert FILE      authorities to trust\n"
    "  --insecure         do not check the certificate\n"
    "  -o KEY=VALUE       a library option, such as max_udp_payload_bytes=1200\n"
    "example: loadgen --seconds 2 --insecure --url https://127.0.0.1:4433/\n";

static int wrong_use(const char *what)
{
    fprintf(stderr, "loadgen: %s (--help shows the options)\n", what);
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

/* https://HOST:PORT[/PATH], taken apart in place. */
static int set_url(char *url)
{
    static const char scheme[] = "https://";
    if (strncmp(url, scheme, sizeof(scheme) - 1) != 0)
        return wrong_use("a URL is https://HOST:PORT[/PATH]");
    char *host = url + sizeof(scheme) - 1, *path = strchr(host, '/');
    if (path != NULL) {
        args.path = strdup(path);
        if (args.path == NULL)
            return wrong_use("out of memory");
        *path = '\0';
    }
    return set_target(host);
}

static int set_option(quicpro_config *config, const char *key, const char *value)
{
    if (quicpro_config_set(config, key, value) == 0)
        return 0;
    fprintf(stderr, "loadgen: %s\n", quicpro_config_error(config));
    return 2;
}

static int parse(int argc, char **argv, quicpro_config *config)
{
    enum {
        CONNECTIONS = 1,
        STREAMS,
        REQUESTS,
        SECONDS,
        URL,
        PATH,
        UPLOAD,
        STATUS,
        LENGTH,
        PATTERN,
        IDLE,
        TIMEOUT,
        CACERT,
        INSECURE,
        HELP
    };
    static const struct option long_options[] = {
        {"connections", 1, NULL, CONNECTIONS},
        {"streams", 1, NULL, STREAMS},
        {"requests", 1, NULL, REQUESTS},
        {"seconds", 1, NULL, SECONDS},
        {"url", 1, NULL, URL},
        {"path", 1, NULL, PATH},
        {"upload", 1, NULL, UPLOAD},
        {"expect-status", 1, NULL, STATUS},
        {"expect-length", 1, NULL, LENGTH},
        {"pattern", 0, NULL, PATTERN},
        {"idle", 0, NULL, IDLE},
        {"timeout", 1, NULL, TIMEOUT},
        {"cacert", 1, NULL, CACERT},
        {"insecure", 0, NULL, INSECURE},
        {"help", 0, NULL, HELP},
        {NULL, 0, NULL, 0},
    };
    uint64_t status = args.expect_status, length = 0, seconds = 10;
    bool good = true;
    int r = 0;
    for (int c; r == 0 && (c = getopt_long(argc, argv, "o:", long_options, NULL)) != -1;) {
        switch (c) {
        case CONNECTIONS:
            good = number(optarg, &args.connections) && args.connections > 0;
            break;
        case STREAMS:
            good = number(optarg, &args.streams) && args.streams > 0;
            break;
        case REQUESTS:
            good = number(optarg, &args.requests);
            break;
        case SECONDS:
            good = (args.seconds = atof(optarg)) > 0;
            break;
        case URL:
            r = set_url(optarg);
            break;
        case PATH:
            args.path = optarg;
            break;
        case UPLOAD:
            good = number(optarg, &args.upload);
            break;
        case STATUS:
            good = number(optarg, &status);
            break;
        case LENGTH:
            good = number(optarg, &length);
            args.expect_length = (int64_t)length;
            break;
        case PATTERN:
            args.pattern = true;
            break;
        case IDLE:
            args.idle = true;
            break;
        case TIMEOUT:
            good = number(optarg, &seconds);
            break;
        case CACERT:
            r = set_option(config, "ca_file", optarg);
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
    if (r == 0 && argc - optind != (args.port == 0 ? 1 : 0))
        return wrong_use("one URL or HOST:PORT is needed");
    if (r == 0 && !args.idle && (args.requests > 0) == (args.seconds > 0))
        return wrong_use("give --requests or --seconds");
    args.expect_status = (unsigned)status;
    args.timeout_ns = seconds * QUICPRO_SECOND;
    args.method = args.upload > 0 ? "POST" : "GET";
    if (r != 0 || args.port != 0)
        return r;
    char *target = argv[optind];
    return strstr(target, "://") != NULL ? set_url(target) : set_target(target);
}

static int start(const quicpro_config *config)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) { /* a socket for each connection */
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    for (size_t i = 0; i < sizeof(pattern); i++)
        pattern[i] = (unsigned char)(i * 31 + (i % PERIOD >> 8));
    links = calloc(args.connections, sizeof(*links));
    slots = calloc(args.connections * args.streams, sizeof(*slots));
    if (links == NULL || slots == NULL)
        return QUICPRO_ENOMEM;
    for (uint64_t i = 0; i < args.connections * args.streams; i++)
        slots[i].link = &links[i / args.streams];
    int r = quicpro_loop_new(&loop, config);
    return r < 0 ? r : quicpro_client_new(&client, loop, config);
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
        fprintf(stderr, "loadgen: %s\n", why[0] != '\0' ? why : quicpro_strerror(r));
        return 3;
    }
    double wall = 0, cpu = cpu_seconds();
    if (connect_all()) {
        cpu = cpu_seconds();
        request_all();
        wall = (double)(quicpro_now() - begin) / 1e9;
    } else {
        failed++;
    }
    report(wall, cpu_seconds() - cpu);
    if (failed > 0 || lost > 0)
        fprintf(stderr, "loadgen: %llu of %llu requests failed, %llu connections lost: %s\n",
                (unsigned long long)failed, (unsigned long long)(ok + failed),
                (unsigned long long)lost, first_error);
    if (args.idle && failed == 0) {
        printf("idle %llu\n", (unsigned long long)connected);
        fflush(stdout);
        stay();
    }
    quicpro_client_free(client);
    quicpro_loop_free(loop);
    quicpro_config_free(config);
    free(links);
    free(slots);
    return failed == 0 && lost == 0 ? 0 : 1;
}
