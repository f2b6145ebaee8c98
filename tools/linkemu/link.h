/* The link itself: a function of packets and time. Whatever looks like chance is computed from the
 * seed and the number of the datagram in its direction, so the same traffic meets the same faults.
 * tests/interop/link.py computes the same in Python; tests of both hold the same vectors. */
#ifndef LINKEMU_LINK_H
#define LINKEMU_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "packet.h"

enum emu_way { EMU_TO_SERVER, EMU_TO_CLIENT, EMU_WAYS };

enum {
    EMU_PENDING_MAX = 65536, /* packets on the link: 98 MB of 1500 bytes; more are lost */
    EMU_LIST_MAX = 64,       /* datagrams named one by one */
    EMU_NAT_MAX = 256,       /* mappings; more clients than any test has */
};

/* What a draw is for: each datagram has one of each. */
enum emu_purpose {
    EMU_DRAW_DROP,
    EMU_DRAW_CORRUPT,
    EMU_DRAW_DUPLICATE,
    EMU_DRAW_REORDER,
    EMU_DRAW_WHERE
};

uint64_t emu_draw(uint64_t seed, enum emu_way way, uint64_t number, enum emu_purpose purpose);

/* Faults hit UDP datagrams only; delay, bandwidth and queue are everybody's. */
struct emu_way_settings {
    uint64_t delay_ns;
    uint64_t bits_per_second;      /* 0: no limit, and no queue */
    uint32_t queue;                /* packets that may wait for the bottleneck */
    uint32_t drop_ppm, drop_burst; /* burst: at most so many in a row; 0: no such limit */
    uint32_t corrupt_ppm, corrupt_burst;
    uint32_t duplicate_ppm;
    uint32_t reorder_ppm;
    uint64_t reorder_ns;              /* how much later a reordered one arrives */
    uint64_t drop_list[EMU_LIST_MAX]; /* numbers from 1 on */
    size_t drop_list_len;
};

/* Times count from the first datagram on. */
struct emu_settings {
    struct emu_way_settings way[EMU_WAYS];
    uint64_t seed;
    uint64_t blackhole_at_ns, blackhole_for_ns; /* for 0: none */
    uint64_t rebind_at_ns;                      /* 0: not by time */
    uint64_t rebind_every_ns;                   /* after the first; 0: once */
    uint64_t rebind_after;                      /* datagrams to the server; 0: not by number */
    bool rebind_address;                        /* the address changes, too */
};

#define EMU_FATE_MAP(X)                                                                            \
    X(PASSED, "passed")                                                                            \
    X(DROPPED, "dropped")                                                                          \
    X(LISTED, "listed")                                                                            \
    X(QUEUE_FULL, "queue-full")                                                                    \
    X(BLACKHOLED, "blackholed")                                                                    \
    X(STALE, "stale")

enum emu_fate {
#define EMU_FATE_ENUM(name, text) EMU_##name,
    EMU_FATE_MAP(EMU_FATE_ENUM)
#undef EMU_FATE_ENUM
        EMU_FATES
};

const char *emu_fate_name(enum emu_fate fate);

struct emu_way_stats {
    uint64_t in, bytes_in, out, bytes_out; /* IP packets and bytes */
    uint64_t fate[EMU_FATES];
    uint64_t corrupted, duplicated, reordered;
};

/* What became of a packet. */
struct emu_verdict {
    enum emu_way way;
    enum emu_fate fate;
    bool udp, corrupted, duplicated, reordered;
    uint64_t number; /* of a datagram in its direction, from 1 on; 0: not UDP */
    uint64_t at_ns;  /* since the first datagram */
};

struct emu_link;

struct emu_link *emu_link_new(const struct emu_settings *settings); /* NULL: out of memory */
void emu_link_free(struct emu_link *link);

/* Takes a packet, which is copied (and, with NAT or corruption, changed in place before). */
struct emu_verdict emu_link_in(struct emu_link *link, enum emu_way way, uint8_t *data, size_t len,
                               uint64_t now);

/* The next packet that is due, or NULL. It belongs to the link until the next call. */
const uint8_t *emu_link_out(struct emu_link *link, uint64_t now, enum emu_way *way, size_t *len);

uint64_t emu_link_expiry(const struct emu_link *link); /* when one is due; UINT64_MAX: none */

const struct emu_way_stats *emu_link_stats(const struct emu_link *link, enum emu_way way);
uint64_t emu_link_rebinds(const struct emu_link *link);

#endif
