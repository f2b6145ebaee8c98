/* The driver: owns the namespaces, the devices and the clock, and decides nothing. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "link.h"
#include "options.h"
#include "tun.h"

enum { DONE = 0, FAILED = 1, WRONG_USE = 2, NO_START = 3 };
enum { PACKET_MAX = 65536, BATCH = 64, TRACE_BYTES = 64 };

static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
    (void)number;
    stopped = 1;
}

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * UINT64_C(1000000000) + (uint64_t)t.tv_nsec;
}

static const char *way_name(enum emu_way way)
{
    return way == EMU_TO_SERVER ? "to-server" : "to-client";
}

/* As the datagram is when it leaves the link: rebound and changed. */
static void trace(FILE *file, const struct emu_verdict *v, uint8_t *data, size_t len)
{
    struct emu_packet packet;
    if (file == NULL || !v->udp || !emu_packet_parse(&packet, data, len))
        return;
    fprintf(file, "%" PRIu64 " %s %s %s%s%s%s %zu %u %u ", v->at_ns, way_name(v->way),
            emu_fate_name(v->fate), v->corrupted ? "c" : "", v->duplicated ? "d" : "",
            v->reordered ? "r" : "", v->corrupted || v->duplicated || v->reordered ? "" : "-",
            packet.payload_len, emu_source_port(&packet), emu_destination_port(&packet));
    size_t shown = packet.payload_len < TRACE_BYTES ? packet.payload_len : TRACE_BYTES;
    for (size_t i = 0; i < shown; i++)
        fprintf(file, "%02x", packet.payload[i]);
    fputs(shown == 0 ? "-\n" : "\n", file);
}

static void receive(struct emu_link *link, const struct emu_side *side, enum emu_way way,
                    FILE *file)
{
    uint8_t data[PACKET_MAX];
    for (int i = 0; i < BATCH; i++) {
        ssize_t n = read(side[way == EMU_TO_SERVER ? 0 : 1].tun, data, sizeof(data));
        if (n <= 0)
            return;
        struct emu_verdict v = emu_link_in(link, way, data, (size_t)n, now_ns());
        trace(file, &v, data, (size_t)n);
    }
}

/* Delivers what is due. What the kernel does not take is lost, as on any link. */
static void deliver(struct emu_link *link, const struct emu_side *side, uint64_t *refused)
{
    const uint8_t *data;
    enum emu_way way;
    size_t len;
    while ((data = emu_link_out(link, now_ns(), &way, &len)) != NULL)
        if (write(side[way == EMU_TO_SERVER ? 1 : 0].tun, data, len) != (ssize_t)len)
            ++*refused;
}

static void print_stats(const struct emu_link *link, uint64_t refused)
{
    for (enum emu_way way = 0; way < EMU_WAYS; way++) {
        const struct emu_way_stats *s = emu_link_stats(link, way);
        printf("%s in=%" PRIu64 " bytes_in=%" PRIu64 " out=%" PRIu64 " bytes_out=%" PRIu64,
               way_name(way), s->in, s->bytes_in, s->out, s->bytes_out);
        for (enum emu_fate fate = 0; fate < EMU_FATES; fate++)
            printf(" %s=%" PRIu64, emu_fate_name(fate), s->fate[fate]);
        printf(" corrupted=%" PRIu64 " duplicated=%" PRIu64 " reordered=%" PRIu64 "\n",
               s->corrupted, s->duplicated, s->reordered);
    }
    printf("link rebinds=%" PRIu64 " refused=%" PRIu64 "\n", emu_link_rebinds(link), refused);
}

static int run(const struct emu_options *options, const struct emu_side *side, FILE *file)
{
    struct emu_link *link = emu_link_new(&options->settings);
    uint64_t refused = 0;
    sigset_t none;
    sigemptyset(&none);
    if (link == NULL) {
        fputs("linkemu: out of memory\n", stderr);
        return FAILED;
    }
    printf("ready client=/proc/%d/fd/%d server=/proc/%d/fd/%d\n", (int)getpid(), side[0].net,
           (int)getpid(), side[1].net);
    fflush(stdout);
    const uint64_t end = now_ns() + (uint64_t)(options->seconds * 1e9);
    for (;;) {
        deliver(link, side, &refused);
        uint64_t now = now_ns(), until = emu_link_expiry(link);
        /* Nothing more comes in, but what is on its way arrives: a peer's last word, for one. */
        if (now >= end || (stopped && until == UINT64_MAX))
            break;
        until = until < end ? until : end;
        const uint64_t wait = until > now ? until - now : 0;
        const struct timespec t = {(time_t)(wait / 1000000000), (long)(wait % 1000000000)};
        struct pollfd ready[] = {{side[0].tun, POLLIN, 0}, {side[1].tun, POLLIN, 0}};
        if (ppoll(ready, stopped ? 0 : 2, &t, &none) < 0 && errno != EINTR) {
            fprintf(stderr, "linkemu: waiting for packets: %s\n", strerror(errno));
            emu_link_free(link);
            return FAILED;
        }
        for (enum emu_way way = 0; way < EMU_WAYS && !stopped; way++)
            receive(link, side, way, file);
    }
    print_stats(link, refused);
    emu_link_free(link);
    return DONE;
}

int main(int argc, char **argv)
{
    const struct sigaction action = {.sa_handler = on_signal};
    sigset_t ends;
    struct emu_options options;
    struct emu_side side[2];
    char error[200];
    const char *what = "";
    if (emu_options_parse(&options, argc, argv, error, sizeof(error)) < 0) {
        fprintf(stderr, "linkemu: %s\n", error);
        return WRONG_USE;
    }
    if (options.help) {
        fputs(emu_usage, stdout);
        return DONE;
    }
    FILE *file = options.trace == NULL ? NULL : fopen(options.trace, "we");
    if (options.trace != NULL && file == NULL) {
        fprintf(stderr, "linkemu: --trace %s: %s\n", options.trace, strerror(errno));
        return FAILED;
    }
    /* They arrive in ppoll() only, so none is missed between a look at `stopped` and the wait. */
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    sigprocmask(SIG_BLOCK, &ends, NULL);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    int r = emu_side_open(&side[0], EMU_CLIENT_IP4, EMU_CLIENT_IP6, options.mtu, &what);
    if (r == 0)
        r = emu_side_open(&side[1], EMU_SERVER_IP4, EMU_SERVER_IP6, options.mtu, &what);
    if (r < 0) {
        fprintf(stderr, "linkemu: %s: %s%s\n", what, strerror(-r),
                r == -EPERM || r == -EACCES ? " (needs CAP_SYS_ADMIN and CAP_NET_ADMIN)" : "");
        return NO_START;
    }
    int code = run(&options, side, file);
    if (file != NULL && fclose(file) != 0) {
        fprintf(stderr, "linkemu: --trace %s: %s\n", options.trace, strerror(errno));
        code = FAILED;
    }
    return code;
}
