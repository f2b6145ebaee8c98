/* RFC 3542 section 6, and its IPv4 twin of Linux and macOS. */
#include "os/udp_info.h"

#include <string.h>

#if defined(QP_UDP_INFO4) || defined(QP_UDP_INFO6)
static size_t put_head(uint8_t *at, int level, int type, size_t len)
{
    struct cmsghdr *head = (struct cmsghdr *)at;
    head->cmsg_level = level;
    head->cmsg_type = type;
    head->cmsg_len = CMSG_LEN(len);
    return CMSG_SPACE(len);
}
#endif

int qp_udp_info_ask(int fd, int family)
{
    int on = 1;
#ifdef QP_UDP_INFO4
    if (family == AF_INET && setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on)) < 0)
        return -errno;
#endif
#ifdef QP_UDP_INFO6
    if (family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on)) < 0)
        return -errno;
#endif
    (void)fd, (void)on;
    return 0;
}

bool qp_udp_info_read(const struct cmsghdr *c, int family, struct qp_addr *local)
{
    const uint8_t *data = CMSG_DATA((struct cmsghdr *)(uintptr_t)c);
#ifdef QP_UDP_INFO4
    if (family == AF_INET && c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
        struct in_pktinfo info;
        memcpy(&info, data, sizeof(info));
        local->in.sin_addr = info.ipi_addr;
        return true;
    }
#endif
#ifdef QP_UDP_INFO6
    if (family == AF_INET6 && c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
        struct in6_pktinfo info;
        memcpy(&info, data, sizeof(info));
        local->in6.sin6_addr = info.ipi6_addr;
        local->in6.sin6_scope_id =
            IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr) ? (uint32_t)info.ipi6_ifindex : 0;
        return true;
    }
#endif
    (void)data, (void)family, (void)local;
    return false;
}

size_t qp_udp_info_write(uint8_t *at, int family, const struct qp_addr *local)
{
#ifdef QP_UDP_INFO6
    if (family == AF_INET6) {
        struct qp_addr mapped = *local;
        qp_addr_map(&mapped);
        const struct in6_pktinfo info = {.ipi6_addr = mapped.in6.sin6_addr,
                                         .ipi6_ifindex = mapped.in6.sin6_scope_id};
        memcpy(CMSG_DATA((struct cmsghdr *)at), &info, sizeof(info));
        return put_head(at, IPPROTO_IPV6, IPV6_PKTINFO, sizeof(info));
    }
#endif
#ifdef QP_UDP_INFO4
    if (family == AF_INET) {
        const struct in_pktinfo info = {.ipi_spec_dst = local->in.sin_addr};
        memcpy(CMSG_DATA((struct cmsghdr *)at), &info, sizeof(info));
        return put_head(at, IPPROTO_IP, IP_PKTINFO, sizeof(info));
    }
#endif
    (void)at, (void)family, (void)local;
    return 0;
}
