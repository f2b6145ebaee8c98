/* Which address of a host to try first: destination address selection (RFC 6724 section 6) by the
 * rules that need no more than an address and the source address the system would use for it. Rules
 * 4 (home addresses) and 7 (encapsulation) need the kernel, and stand where they cannot decide. */
#ifndef QP_CLIENT_DEST_H
#define QP_CLIENT_DEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum qp_family {
    QP_FAMILY_ANY, /* not known, or no matter */
    QP_FAMILY_V4,
    QP_FAMILY_V6,
};

/* An address to go to. IPv4 as ::ffff:a.b.c.d, as the policy table of RFC 6724 has it. */
struct qp_dest {
    enum qp_family family; /* V4 or V6 */
    uint8_t addr[16];
    uint8_t source[16];
    bool reachable; /* the system knows a way to it, from `source` */
    uint32_t tag;   /* the caller's */
};

/* Best first. Stable: what the rules do not tell apart keeps its order (rule 10). */
void qp_dest_sort(struct qp_dest *dest, size_t count);
/* Less than 0: a first; more than 0: b first; 0: no rule decides. */
int qp_dest_compare(const struct qp_dest *a, const struct qp_dest *b);

#endif
