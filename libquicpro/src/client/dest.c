#include "client/dest.h"

#include <string.h>

/* RFC 6724 section 2.1: the default policy table. */
static const struct policy {
    uint8_t prefix[16], bits, precedence, label;
} policies[] = {
    {{[15] = 1}, 128, 50, 0},  {{0}, 0, 40, 1},           {{[10] = 0xff, [11] = 0xff}, 96, 35, 4},
    {{0x20, 0x02}, 16, 30, 2}, {{0x20, 0x01}, 32, 5, 5},  {{0xfc}, 7, 3, 13},
    {{0}, 96, 1, 3},           {{0xfe, 0xc0}, 10, 1, 11}, {{0x3f, 0xfe}, 16, 1, 12},
};

/* Bits that two addresses have in common, from the left. */
static unsigned common_bits(const uint8_t a[16], const uint8_t b[16])
{
    unsigned bits = 0;
    for (unsigned i = 0; i < 16; i++, bits += 8) {
        uint8_t differ = a[i] ^ b[i];
        if (differ == 0)
            continue;
        for (; (differ & 0x80) == 0; differ = (uint8_t)(differ << 1))
            bits++;
        return bits;
    }
    return bits;
}

static const struct policy *policy_of(const uint8_t addr[16])
{
    const struct policy *best = &policies[1];
    for (size_t i = 0; i < sizeof(policies) / sizeof(policies[0]); i++)
        if (policies[i].bits >= best->bits &&
            common_bits(addr, policies[i].prefix) >= policies[i].bits)
            best = &policies[i];
    return best;
}

enum { SCOPE_LINK = 2, SCOPE_SITE = 5, SCOPE_GLOBAL = 14 };

/* Section 3.1; for IPv4 section 3.2: loopback and 169.254/16 are link-local, private ones global.
 */
static unsigned scope_of(const uint8_t addr[16])
{
    static const uint8_t loopback[16] = {[15] = 1};
    if (policy_of(addr)->label == 4)
        return addr[12] == 127 || (addr[12] == 169 && addr[13] == 254) ? SCOPE_LINK : SCOPE_GLOBAL;
    if (addr[0] == 0xff)
        return addr[1] & 15;
    if (memcmp(addr, loopback, 16) == 0 || (addr[0] == 0xfe && (addr[1] & 0xc0) == 0x80))
        return SCOPE_LINK;
    return addr[0] == 0xfe && (addr[1] & 0xc0) == 0xc0 ? SCOPE_SITE : SCOPE_GLOBAL;
}

/* The one for which the statement holds goes first. */
static int prefer(bool a, bool b)
{
    return (int)b - (int)a;
}

int qp_dest_compare(const struct qp_dest *a, const struct qp_dest *b)
{
    int r = prefer(a->reachable, b->reachable); /* rule 1: avoid unusable destinations */
    if (r != 0 || !a->reachable)
        return r;
    const struct policy *pa = policy_of(a->addr), *pb = policy_of(b->addr);
    const unsigned sa = scope_of(a->addr), sb = scope_of(b->addr);
    r = prefer(sa == scope_of(a->source), sb == scope_of(b->source)); /* rule 2: matching scope */
    if (r != 0)
        return r;
    r = prefer(pa->label == policy_of(a->source)->label,
               pb->label == policy_of(b->source)->label); /* rule 5: matching label */
    if (r != 0)
        return r;
    if (pa->precedence != pb->precedence) /* rule 6: higher precedence */
        return (int)pb->precedence - (int)pa->precedence;
    if (sa != sb) /* rule 8: smaller scope */
        return (int)sa - (int)sb;
    /* Rule 9: longest matching prefix, of the part that names a network (section 2.2). Not for
     * IPv4, where it would undo the rotation by which a name spreads its clients. */
    if (a->family == QP_FAMILY_V6 && b->family == QP_FAMILY_V6) {
        unsigned ca = common_bits(a->addr, a->source), cb = common_bits(b->addr, b->source);
        ca = ca > 64 ? 64 : ca;
        cb = cb > 64 ? 64 : cb;
        return (int)cb - (int)ca;
    }
    return 0;
}

void qp_dest_sort(struct qp_dest *dest, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        struct qp_dest moving = dest[i];
        size_t at = i;
        for (; at > 0 && qp_dest_compare(&dest[at - 1], &moving) > 0; at--)
            dest[at] = dest[at - 1];
        dest[at] = moving;
    }
}
