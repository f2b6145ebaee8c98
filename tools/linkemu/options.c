#include "options.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char emu_usage[] =
    "usage: linkemu [option]...\n"
    "\n"
    "A bad link between two network namespaces of its own, by two TUN devices. Says\n"
    "\"ready client=/proc/PID/fd/N server=/proc/PID/fd/M\" once programs can be started there\n"
    "(nsenter --net=/proc/PID/fd/N ...): the client at 10.193.0.1 and fd93::1, the server at\n"
    "10.193.0.2 and fd93::2. On SIGINT or SIGTERM it delivers what is on its way, prints what\n"
    "became of the packets, and ends.\n"
    "Namespaces and devices end with it. Needs CAP_SYS_ADMIN and CAP_NET_ADMIN.\n"
    "\n"
    "Of either direction, or after --to-server or --to-client of that one (--both: of both "
    "again):\n"
    "  --delay MS             from one end to the other (0)\n"
    "  --bandwidth MBPS       of the bottleneck (0: none)\n"
    "  --queue PACKETS        that may wait for the bottleneck (25)\n"
    "  --drop PERCENT         of the datagrams (0); the seed decides which\n"
    "  --drop-burst N         at most so many in a row (0: any)\n"
    "  --drop-list N,N,...    datagrams to drop, counted from 1\n"
    "  --corrupt PERCENT      change a byte, with a checksum that fits (0)\n"
    "  --corrupt-burst N      at most so many in a row (0: any)\n"
    "  --duplicate PERCENT    deliver twice (0)\n"
    "  --reorder PERCENT      deliver late (0)\n"
    "  --reorder-delay MS     how late (5)\n"
    "Of the link:\n"
    "  --blackhole AT:FOR     lose everything from AT ms on for FOR ms\n"
    "  --rebind-at MS         the client's port changes for the server, as behind a NAT\n"
    "  --rebind-after N       the same after N datagrams to the server\n"
    "  --rebind-every MS      and again and again\n"
    "  --rebind-addr          its address, too\n"
    "  --seed N               of all chance (1)\n"
    "  --mtu BYTES            (1500)\n"
    "  --seconds S            end after this long (600)\n"
    "  --trace FILE           one line for each datagram: ns, direction, fate, marks (c changed,\n"
    "                         d twice, r late), bytes, source and destination port, first bytes\n"
    "  --help\n"
    "Times count from the first datagram. Exit codes: 0 done, 1 failed, 2 wrong use, 3 no "
    "privilege.\n"
    "\n"
    "example: linkemu --delay 15 --bandwidth 10 --queue 25 --drop 2 --seed 7\n";

enum kind { NUMBER, REAL, LIST, PAIR, TEXT, FLAG, DIRECTION };

/* Where a number goes: times in ns, bandwidth in bit/s, percent in millionths. */
struct row {
    const char *name;
    enum kind kind;
    bool of_way;
    bool is32;
    size_t offset; /* in struct emu_way_settings or in struct emu_options */
    double scale, min, max;
};

#define WAY(field)                                                                                 \
    true, sizeof(((struct emu_way_settings *)0)->field) == 4,                                      \
        offsetof(struct emu_way_settings, field)
#define ALL(field)                                                                                 \
    false, sizeof(((struct emu_options *)0)->field) == 4, offsetof(struct emu_options, field)
#define MS 1e6

static const struct row rows[] = {
    {"delay", NUMBER, WAY(delay_ns), MS, 0, 60000},
    {"bandwidth", NUMBER, WAY(bits_per_second), 1e6, 0, 100000},
    {"queue", NUMBER, WAY(queue), 1, 1, 65535},
    {"drop", NUMBER, WAY(drop_ppm), 1e4, 0, 100},
    {"drop-burst", NUMBER, WAY(drop_burst), 1, 0, 1000000},
    {"drop-list", LIST, WAY(drop_list), 1, 1, 1e15},
    {"corrupt", NUMBER, WAY(corrupt_ppm), 1e4, 0, 100},
    {"corrupt-burst", NUMBER, WAY(corrupt_burst), 1, 0, 1000000},
    {"duplicate", NUMBER, WAY(duplicate_ppm), 1e4, 0, 100},
    {"reorder", NUMBER, WAY(reorder_ppm), 1e4, 0, 100},
    {"reorder-delay", NUMBER, WAY(reorder_ns), MS, 0, 60000},
    {"blackhole", PAIR, ALL(settings.blackhole_at_ns), MS, 0, 3600000},
    {"rebind-at", NUMBER, ALL(settings.rebind_at_ns), MS, 0, 3600000},
    {"rebind-every", NUMBER, ALL(settings.rebind_every_ns), MS, 0, 3600000},
    {"rebind-after", NUMBER, ALL(settings.rebind_after), 1, 0, 1e15},
    {"rebind-addr", FLAG, ALL(settings.rebind_address), 1, 0, 1},
    {"seed", NUMBER, ALL(settings.seed), 1, 0, 9e15},
    {"mtu", NUMBER, ALL(mtu), 1, 1280, 65535},
    {"seconds", REAL, ALL(seconds), 1, 0.001, 86400},
    {"trace", TEXT, ALL(trace), 1, 0, 0},
    {"help", FLAG, ALL(help), 1, 0, 1},
    {"to-server", DIRECTION, false, false, 1u << EMU_TO_SERVER, 1, 0, 0},
    {"to-client", DIRECTION, false, false, 1u << EMU_TO_CLIENT, 1, 0, 0},
    {"both", DIRECTION, false, false, 1u << EMU_TO_SERVER | 1u << EMU_TO_CLIENT, 1, 0, 0},
};

struct parser {
    struct emu_options *options;
    unsigned ways; /* which directions the next option is about */
    char *error;
    size_t size;
};

static const struct row *find(const char *argument)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (strncmp(argument, "--", 2) == 0 && strcmp(argument + 2, rows[i].name) == 0)
            return &rows[i];
    return NULL;
}

/* One number at the start of text. */
static int number(struct parser *p, const struct row *row, const char *text, char **end,
                  double *ret)
{
    errno = 0;
    *ret = strtod(text, end);
    if (*end != text && errno == 0 && *ret >= row->min && *ret <= row->max)
        return 0;
    snprintf(p->error, p->size, "--%s: \"%.40s\" is not a number from %g to %g", row->name, text,
             row->min, row->max);
    return -1;
}

static int trailing(struct parser *p, const struct row *row, const char *text, const char *end)
{
    if (*end == '\0')
        return 0;
    snprintf(p->error, p->size, "--%s: \"%.40s\" goes on with \"%.20s\"", row->name, text, end);
    return -1;
}

static void put(const struct row *row, void *base, double value)
{
    char *at = (char *)base + row->offset;
    if (row->kind == REAL)
        *(double *)(void *)at = value;
    else if (row->is32)
        *(uint32_t *)(void *)at = (uint32_t)llround(value * row->scale);
    else
        *(uint64_t *)(void *)at = (uint64_t)llround(value * row->scale);
}

static int put_list(struct parser *p, const struct row *row, struct emu_way_settings *way,
                    const char *text)
{
    const char *at = text;
    char *end;
    double value;
    way->drop_list_len = 0;
    for (;;) {
        if (number(p, row, at, &end, &value) < 0)
            return -1;
        if (way->drop_list_len == EMU_LIST_MAX) {
            snprintf(p->error, p->size, "--%s: more than %d", row->name, EMU_LIST_MAX);
            return -1;
        }
        way->drop_list[way->drop_list_len++] = (uint64_t)llround(value);
        if (*end != ',')
            return trailing(p, row, text, end);
        at = end + 1;
    }
}

static int put_pair(struct parser *p, const struct row *row, const char *text)
{
    struct emu_settings *s = &p->options->settings;
    char *end;
    double at, span;
    if (number(p, row, text, &end, &at) < 0)
        return -1;
    if (*end != ':') {
        snprintf(p->error, p->size, "--%s: \"%.40s\" is not AT:FOR", row->name, text);
        return -1;
    }
    if (number(p, row, end + 1, &end, &span) < 0)
        return -1;
    s->blackhole_at_ns = (uint64_t)llround(at * MS);
    s->blackhole_for_ns = (uint64_t)llround(span * MS);
    return trailing(p, row, text, end);
}

static int set(struct parser *p, const struct row *row, const char *text)
{
    struct emu_settings *s = &p->options->settings;
    char *end = NULL;
    double value = 0;
    if (row->kind == TEXT) {
        p->options->trace = text;
        return 0;
    }
    if (row->kind == PAIR)
        return put_pair(p, row, text);
    if ((row->kind == NUMBER || row->kind == REAL) &&
        (number(p, row, text, &end, &value) < 0 || trailing(p, row, text, end) < 0))
        return -1;
    if (!row->of_way) {
        put(row, p->options, value);
        return 0;
    }
    for (unsigned way = 0; way < EMU_WAYS; way++) {
        if ((p->ways >> way & 1) == 0)
            continue;
        if (row->kind == LIST && put_list(p, row, &s->way[way], text) < 0)
            return -1;
        if (row->kind == NUMBER)
            put(row, &s->way[way], value);
    }
    return 0;
}

int emu_options_parse(struct emu_options *options, int argc, char **argv, char *error, size_t size)
{
    struct parser p = {options, 1u << EMU_TO_SERVER | 1u << EMU_TO_CLIENT, error, size};
    memset(options, 0, sizeof(*options));
    options->settings.seed = 1;
    options->mtu = 1500;
    options->seconds = 600;
    for (int way = 0; way < EMU_WAYS; way++) {
        options->settings.way[way].queue = 25;
        options->settings.way[way].reorder_ns = (uint64_t)(5 * MS);
    }
    for (int i = 1; i < argc; i++) {
        const struct row *row = find(argv[i]);
        if (row == NULL) {
            snprintf(error, size, "unknown argument \"%.40s\" (--help lists them)", argv[i]);
            return -1;
        }
        if (row->kind == DIRECTION) {
            p.ways = (unsigned)row->offset;
        } else if (row->kind == FLAG) {
            *((char *)options + row->offset) = 1;
        } else if (i + 1 == argc) {
            snprintf(error, size, "--%s needs a value", row->name);
            return -1;
        } else if (set(&p, row, argv[++i]) < 0) {
            return -1;
        }
    }
    return 0;
}
