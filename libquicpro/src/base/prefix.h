/* Addresses and prefixes of IPv4 and IPv6 in words: "192.0.2.1, 198.51.100.0/24, 2001:db8::/32". */
#ifndef QP_BASE_PREFIX_H
#define QP_BASE_PREFIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sockaddr;

struct qp_prefix {
    uint8_t addr[16]; /* IPv4 as ::ffff:192.0.2.1 (RFC 4291 section 2.5.5.2) */
    uint8_t bits;     /* of the 128 */
};

struct qp_prefixes {
    struct qp_prefix *list;
    size_t count;
};

/* Words between commas. 0; QUICPRO_ENOMEM; QUICPRO_EVALUE: *wrong is the word at fault, of
 * *wrong_len bytes, in text */
int qp_prefixes_parse(struct qp_prefixes *ret, const char *text, const char **wrong,
                      size_t *wrong_len);
void qp_prefixes_done(struct qp_prefixes *prefixes);
/* Whether an address is in one of them. */
bool qp_prefixes_match(const struct qp_prefixes *prefixes, const struct sockaddr *addr);

#endif
