/* The control messages that name our own address: the destination of what came, the source of what
 * goes. Sockets at a wildcard need them; where a system has none, such a socket keeps the wildcard
 * for its address, which does on a machine with one address. */
#ifndef QP_OS_UDP_INFO_H
#define QP_OS_UDP_INFO_H

#include "os/udp.h"

#if defined(IPV6_PKTINFO) && !defined(QP_UDP_POSIX)
#define QP_UDP_INFO6 1
#endif
#if defined(IP_PKTINFO) && !defined(QP_UDP_POSIX)
#define QP_UDP_INFO4 1
#endif

enum {
#ifdef QP_UDP_INFO6
    QP_UDP_INFO6_SPACE = CMSG_SPACE(sizeof(struct in6_pktinfo)),
#else
    QP_UDP_INFO6_SPACE = 0,
#endif
#ifdef QP_UDP_INFO4
    QP_UDP_INFO4_SPACE = CMSG_SPACE(sizeof(struct in_pktinfo)),
#else
    QP_UDP_INFO4_SPACE = 0,
#endif
};

/* Asks for the destination of each datagram. 0 or -errno. */
int qp_udp_info_ask(int fd, int family);
/* Whether c is such a message, for a socket of this family; if so the address of *local is set, its
 * port stays. */
bool qp_udp_info_read(const struct cmsghdr *c, int family, struct qp_addr *local);
/* Writes one for a socket of this family at `at`, aligned as struct cmsghdr; bytes, 0 for none. An
 * IPv4 address for an IPv6 socket is mapped. */
size_t qp_udp_info_write(uint8_t *at, int family, const struct qp_addr *local);

#endif
