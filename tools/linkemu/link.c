#include "link.h"

#include <stdlib.h>
#include <string.h>

struct pending {
    uint64_t due, order; /* order: those due at the same time leave as they came */
    enum emu_way way;
    uint8_t *data;
    size_t len;
};

/* One client's socket behind the NAT. */
struct mapping {
    uint16_t inner, outer;
    uint8_t address_len;
};

struct bottleneck {
    uint64_t *done; /* ring: when each packet in it has been sent */
    uint32_t head, count;
    uint64_t busy_until;
};

struct emu_link {
    struct emu_settings settings;
    struct emu_way_stats stats[EMU_WAYS];
    struct bottleneck bottleneck[EMU_WAYS];
    uint64_t numbers[EMU_WAYS];
    uint32_t drops[EMU_WAYS], corruptions[EMU_WAYS]; /* in a row */
    struct pending *heap;
    size_t heap_len;
    uint64_t order;
    uint8_t *last_out;
    bool begun;
    uint64_t begin;
    uint64_t rebinds, next_rebind_ns;
    struct mapping nat[EMU_NAT_MAX];
    size_t nat_len;
};

static uint64_t mix(uint64_t x) /* the finaliser of splitmix64 */
{
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

uint64_t emu_draw(uint64_t seed, enum emu_way way, uint64_t number, enum emu_purpose purpose)
{
    const uint64_t golden = UINT64_C(0x9e3779b97f4a7c15);
    return mix(mix(seed + golden) + golden * (number * 16 + (uint64_t)way * 8 + purpose));
}

const char *emu_fate_name(enum emu_fate fate)
{
    static const char *const name[] = {
#define EMU_FATE_NAME(fate, text) text,
        EMU_FATE_MAP(EMU_FATE_NAME)
#undef EMU_FATE_NAME
    };
    return name[fate];
}

struct emu_link *emu_link_new(const struct emu_settings *settings)
{
    struct emu_link *link = calloc(1, sizeof(*link));
    if (link == NULL)
        return NULL;
    link->settings = *settings;
    link->next_rebind_ns = settings->rebind_at_ns == 0 ? UINT64_MAX : settings->rebind_at_ns;
    link->heap = malloc(EMU_PENDING_MAX * sizeof(*link->heap));
    bool ok = link->heap != NULL;
    for (int way = 0; way < EMU_WAYS; way++) {
        struct bottleneck *b = &link->bottleneck[way];
        b->done = calloc((size_t)settings->way[way].queue + 1, sizeof(*b->done));
        ok = ok && b->done != NULL;
    }
    if (!ok) {
        emu_link_free(link);
        return NULL;
    }
    return link;
}

void emu_link_free(struct emu_link *link)
{
    if (link == NULL)
        return;
    for (size_t i = 0; i < link->heap_len; i++)
        free(link->heap[i].data);
    for (int way = 0; way < EMU_WAYS; way++)
        free(link->bottleneck[way].done);
    free(link->last_out);
    free(link->heap);
    free(link);
}

/* --- what waits ------------------------------------------------------------------------------- */

static bool before(const struct pending *a, const struct pending *b)
{
    return a->due != b->due ? a->due < b->due : a->order < b->order;
}

static bool push(struct emu_link *link, enum emu_way way, const uint8_t *data, size_t len,
                 uint64_t due)
{
    if (link->heap_len == EMU_PENDING_MAX)
        return false;
    uint8_t *copy = malloc(len == 0 ? 1 : len);
    if (copy == NULL)
        return false;
    memcpy(copy, data, len);
    const struct pending item = {due, link->order++, way, copy, len};
    size_t at = link->heap_len++;
    for (; at > 0 && before(&item, &link->heap[(at - 1) / 2]); at = (at - 1) / 2)
        link->heap[at] = link->heap[(at - 1) / 2];
    link->heap[at] = item;
    return true;
}

static struct pending pop(struct emu_link *link)
{
    const struct pending first = link->heap[0];
    const struct pending item = link->heap[--link->heap_len];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= link->heap_len)
            break;
        if (child + 1 < link->heap_len && before(&link->heap[child + 1], &link->heap[child]))
            child++;
        if (before(&item, &link->heap[child]))
            break;
        link->heap[at] = link->heap[child];
        at = child;
    }
    if (link->heap_len != 0)
        link->heap[at] = item;
    return first;
}

uint64_t emu_link_expiry(const struct emu_link *link)
{
    return link->heap_len == 0 ? UINT64_MAX : link->heap[0].due;
}

const uint8_t *emu_link_out(struct emu_link *link, uint64_t now, enum emu_way *way, size_t *len)
{
    free(link->last_out);
    link->last_out = NULL;
    if (emu_link_expiry(link) > now)
        return NULL;
    const struct pending item = pop(link);
    link->stats[item.way].out++;
    link->stats[item.way].bytes_out += item.len;
    *way = item.way;
    *len = item.len;
    link->last_out = item.data;
    return item.data;
}

/* When the bottleneck has sent a packet that comes now; UINT64_MAX: its queue is full. */
static uint64_t transmit(struct emu_link *link, enum emu_way way, size_t len, uint64_t now)
{
    const struct emu_way_settings *s = &link->settings.way[way];
    struct bottleneck *b = &link->bottleneck[way];
    if (s->bits_per_second == 0)
        return now;
    const uint32_t size = s->queue + 1; /* and the one being sent */
    while (b->count > 0 && b->done[b->head] <= now) {
        b->head = (b->head + 1) % size;
        b->count--;
    }
    if (b->count == size)
        return UINT64_MAX;
    const uint64_t start = b->busy_until > now ? b->busy_until : now;
    b->busy_until = start + (uint64_t)len * 8 * UINT64_C(1000000000) / s->bits_per_second;
    b->done[(b->head + b->count++) % size] = b->busy_until;
    return b->busy_until;
}

/* --- NAT -------------------------------------------------------------------------------------- */

/* The client's addresses end in 1; what the server sees after rebinding ends in 100 to 199. */
static uint8_t outer_host(const struct emu_link *link)
{
    return link->settings.rebind_address && link->rebinds > 0
               ? (uint8_t)(100 + (link->rebinds - 1) % 100)
               : 1;
}

static bool translate_out(struct emu_link *link, struct emu_packet *packet)
{
    const uint16_t inner = emu_source_port(packet);
    struct mapping *m = link->nat, *const end = link->nat + link->nat_len;
    if (link->rebinds == 0)
        return true;
    while (m < end && (m->inner != inner || m->address_len != packet->address_len))
        m++;
    if (m == end) {
        if (link->nat_len == EMU_NAT_MAX)
            return false;
        uint64_t n = mix(link->settings.seed + link->rebinds * 65536 + inner);
        m->inner = inner;
        m->address_len = (uint8_t)packet->address_len;
        for (bool taken = true; taken; n++) {
            m->outer = (uint16_t)(1024 + n % 31744); /* below the ports that kernels choose */
            taken = false;
            for (const struct mapping *other = link->nat; other < end; other++)
                taken |= other->outer == m->outer;
        }
        link->nat_len++;
    }
    emu_set_source_port(packet, m->outer);
    packet->source[packet->address_len - 1] = outer_host(link);
    emu_packet_seal(packet);
    return true;
}

/* False: the mapping that the server still uses is gone. */
static bool translate_in(struct emu_link *link, struct emu_packet *packet)
{
    const uint16_t outer = emu_destination_port(packet);
    uint8_t *host = packet->destination + packet->address_len - 1;
    if (link->rebinds == 0)
        return true;
    for (const struct mapping *m = link->nat; m < link->nat + link->nat_len; m++) {
        if (m->outer != outer || m->address_len != packet->address_len || *host != outer_host(link))
            continue;
        emu_set_destination_port(packet, m->inner);
        *host = 1;
        emu_packet_seal(packet);
        return true;
    }
    return false;
}

static void rebind_if_due(struct emu_link *link, uint64_t at_ns)
{
    const struct emu_settings *s = &link->settings;
    const bool by_number = s->rebind_after != 0 && link->rebinds == 0 &&
                           link->numbers[EMU_TO_SERVER] > s->rebind_after;
    if (at_ns < link->next_rebind_ns && !by_number)
        return;
    link->rebinds++;
    link->nat_len = 0;
    link->next_rebind_ns = s->rebind_every_ns == 0 ? UINT64_MAX : at_ns + s->rebind_every_ns;
}

uint64_t emu_link_rebinds(const struct emu_link *link)
{
    return link->rebinds;
}

/* --- faults ----------------------------------------------------------------------------------- */

/* Whether datagram `number` is hit, given how many were in a row before it. */
static bool hit(const struct emu_link *link, enum emu_way way, uint64_t number,
                enum emu_purpose purpose, uint32_t ppm, uint32_t burst, uint32_t *row)
{
    bool is = emu_draw(link->settings.seed, way, number, purpose) % 1000000 < ppm &&
              (burst == 0 || *row < burst);
    *row = is ? *row + 1 : 0;
    return is;
}

static bool listed(const struct emu_way_settings *s, uint64_t number)
{
    for (size_t i = 0; i < s->drop_list_len; i++)
        if (s->drop_list[i] == number)
            return true;
    return false;
}

static enum emu_fate fate_of(struct emu_link *link, struct emu_packet *packet,
                             struct emu_verdict *verdict)
{
    const enum emu_way way = verdict->way;
    const struct emu_settings *s = &link->settings;
    const struct emu_way_settings *w = &s->way[way];
    uint32_t once = 0;
    if (verdict->at_ns >= s->blackhole_at_ns &&
        verdict->at_ns - s->blackhole_at_ns < s->blackhole_for_ns)
        return EMU_BLACKHOLED;
    if (listed(w, verdict->number))
        return EMU_LISTED;
    if (hit(link, way, verdict->number, EMU_DRAW_DROP, w->drop_ppm, w->drop_burst,
            &link->drops[way]))
        return EMU_DROPPED;
    if (!(way == EMU_TO_SERVER ? translate_out(link, packet) : translate_in(link, packet)))
        return EMU_STALE;
    verdict->corrupted = hit(link, way, verdict->number, EMU_DRAW_CORRUPT, w->corrupt_ppm,
                             w->corrupt_burst, &link->corruptions[way]) &&
                         packet->payload_len > 0;
    if (verdict->corrupted) {
        uint64_t where = emu_draw(s->seed, way, verdict->number, EMU_DRAW_WHERE);
        packet->payload[(where & UINT32_MAX) % packet->payload_len] ^=
            (uint8_t)(1 + (where >> 32) % 255);
        emu_packet_seal(packet);
    }
    verdict->duplicated =
        hit(link, way, verdict->number, EMU_DRAW_DUPLICATE, w->duplicate_ppm, 0, &once);
    verdict->reordered =
        hit(link, way, verdict->number, EMU_DRAW_REORDER, w->reorder_ppm, 0, &once);
    return EMU_PASSED;
}

struct emu_verdict emu_link_in(struct emu_link *link, enum emu_way way, uint8_t *data, size_t len,
                               uint64_t now)
{
    const struct emu_way_settings *w = &link->settings.way[way];
    struct emu_way_stats *stats = &link->stats[way];
    struct emu_packet packet;
    struct emu_verdict verdict = {.way = way, .fate = EMU_PASSED};
    verdict.udp = emu_packet_parse(&packet, data, len);
    stats->in++;
    stats->bytes_in += len;
    if (verdict.udp) {
        if (!link->begun)
            link->begin = now;
        link->begun = true;
        verdict.number = ++link->numbers[way];
    }
    verdict.at_ns = link->begun ? now - link->begin : 0;
    if (verdict.udp) {
        rebind_if_due(link, verdict.at_ns);
        verdict.fate = fate_of(link, &packet, &verdict);
    }
    if (verdict.fate == EMU_PASSED) {
        uint64_t sent = transmit(link, way, len, now);
        uint64_t due = sent + w->delay_ns + (verdict.reordered ? w->reorder_ns : 0);
        if (sent == UINT64_MAX || !push(link, way, data, len, due))
            verdict.fate = EMU_QUEUE_FULL;
        else if (verdict.duplicated)
            verdict.duplicated = push(link, way, data, len, due);
    }
    const bool passed = verdict.fate == EMU_PASSED;
    stats->fate[verdict.fate]++;
    stats->corrupted += passed && verdict.corrupted;
    stats->duplicated += passed && verdict.duplicated;
    stats->reordered += passed && verdict.reordered;
    return verdict;
}

const struct emu_way_stats *emu_link_stats(const struct emu_link *link, enum emu_way way)
{
    return &link->stats[way];
}
