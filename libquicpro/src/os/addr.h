/* Socket addresses of the two families QUIC runs on. */
#ifndef QP_OS_ADDR_H
#define QP_OS_ADDR_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

struct qp_addr {
    union {
        struct sockaddr sa;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    };
};

socklen_t qp_addr_len(const struct qp_addr *addr);
bool qp_addr_equal(const struct qp_addr *a, const struct qp_addr *b);
bool qp_addr_is_wildcard(const struct qp_addr *addr);
/* An IPv4 address that an IPv6 socket shows as ::ffff:192.0.2.1 (RFC 4291 section 2.5.5.2) becomes
 * what it is; others stay. True if it was one. */
bool qp_addr_unmap(struct qp_addr *addr);
/* The other way, for such a socket; IPv6 addresses stay. */
void qp_addr_map(struct qp_addr *addr);
int qp_addr_port(const struct qp_addr *addr);
void qp_addr_set_port(struct qp_addr *addr, uint16_t port);
/* An address in numbers, without a port: "192.0.2.1" or "2001:db8::1". 0; -EINVAL */
int qp_addr_parse(struct qp_addr *ret, const char *text);
/* "127.0.0.1:4433" or "[::1]:4433". */
void qp_addr_text(const struct qp_addr *addr, char *out, size_t size);

#endif
