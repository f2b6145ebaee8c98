/* Sockets are made ready for QUIC here: never blocking, never fragmenting, and telling the
 * destination address where it is not known beforehand. Each refusal of the kernel that QUIC can
 * live with only switches a feature off. */
#include "os/udp_socket.h"

#include "os/udp_info.h"

#include <fcntl.h>
#include <net/if.h>
#if defined(__linux__) && !defined(QP_UDP_POSIX)
#include <netinet/udp.h>
#endif
#include <string.h>
#include <unistd.h>

#ifdef SOCK_CLOEXEC
enum { ATOMIC_FLAGS = SOCK_NONBLOCK | SOCK_CLOEXEC };
#else
enum { ATOMIC_FLAGS = 0 }; /* set one by one */
#endif

static int set_int(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof(value));
}

static int get_int(int fd, int level, int name)
{
    int value = -1;
    socklen_t len = sizeof(value);
    return getsockopt(fd, level, name, &value, &len) < 0 ? -1 : value;
}

/* Privilege lifts the system's ceiling (rmem_max), without it the kernel gives what it may. */
static void set_buffers(int fd, size_t bytes)
{
    int value = bytes > INT32_MAX / 2 ? INT32_MAX / 2 : (int)bytes;
    if (bytes == 0)
        return;
#ifdef SO_RCVBUFFORCE
    if (set_int(fd, SOL_SOCKET, SO_RCVBUFFORCE, value) == 0 &&
        set_int(fd, SOL_SOCKET, SO_SNDBUFFORCE, value) == 0)
        return;
#endif
    (void)set_int(fd, SOL_SOCKET, SO_RCVBUF, value);
    (void)set_int(fd, SOL_SOCKET, SO_SNDBUF, value);
}

/* "UDP datagrams MUST NOT be fragmented at the IP layer" (RFC 9000 section 14). PROBE sets DF and
 * does not let the kernel's own idea of the path refuse what QUIC wants to try. */
static void never_fragment(int fd, int family)
{
#ifdef IPV6_PMTUDISC_PROBE
    if (family == AF_INET6)
        (void)set_int(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE);
#elif defined(IPV6_DONTFRAG)
    if (family == AF_INET6)
        (void)set_int(fd, IPPROTO_IPV6, IPV6_DONTFRAG, 1);
#endif
        /* On IPv6 sockets that also speak IPv4 this counts for the latter; else it is refused. */
#ifdef IP_PMTUDISC_PROBE
    (void)set_int(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
#elif defined(IP_DONTFRAG)
    (void)set_int(fd, IPPROTO_IP, IP_DONTFRAG, 1);
#endif
    (void)fd, (void)family;
}

static int set_busy_poll(int fd, unsigned microseconds)
{
    if (microseconds == 0)
        return 0;
#ifdef SO_BUSY_POLL
    if (set_int(fd, SOL_SOCKET, SO_BUSY_POLL, (int)microseconds) < 0)
        return -errno;
#ifdef SO_PREFER_BUSY_POLL
    (void)set_int(fd, SOL_SOCKET, SO_PREFER_BUSY_POLL,
                  1); /* needs privilege, and is a refinement */
#endif
    return 0;
#else
    (void)fd;
    return -ENOTSUP;
#endif
}

bool qp_udp_busy_polls(const struct qp_udp_socket *socket)
{
#ifdef SO_INCOMING_NAPI_ID
    return get_int(socket->fd, SOL_SOCKET, SO_INCOMING_NAPI_ID) > 0;
#else
    (void)socket;
    return false;
#endif
}

static void probe(int fd, struct qp_udp_features *features)
{
#ifdef UDP_SEGMENT
    if (features->gso)
        features->gso = set_int(fd, IPPROTO_UDP, UDP_SEGMENT, 0) == 0;
    if (features->gro)
        features->gro = set_int(fd, IPPROTO_UDP, UDP_GRO, 1) == 0;
    else
        (void)set_int(fd, IPPROTO_UDP, UDP_GRO, 0);
    if (features->mmsg) /* nothing to do is done, or there is no such call */
        features->mmsg = sendmmsg(fd, NULL, 0, 0) == 0 && recvmmsg(fd, NULL, 0, 0, NULL) == 0;
#else
    features->gso = features->gro = features->mmsg = false;
    (void)fd;
#endif
}

int qp_udp_iface_check(const char *name)
{
    return name == NULL || name[0] == '\0' || if_nametoindex(name) != 0 ? 0 : -ENODEV;
}

/* Only traffic of one interface. Where the system lets nobody have that without privilege, at least
 * what is sent goes there. */
static int bind_to_iface(int fd, int family, const char *name)
{
    if (name == NULL || name[0] == '\0')
        return 0;
    const unsigned index = if_nametoindex(name);
    if (index == 0)
        return -ENODEV;
    int r = -1;
#ifdef SO_BINDTODEVICE
    r = setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, (socklen_t)strlen(name) + 1);
    if (r == 0 || errno != EPERM)
        return r == 0 ? 0 : -errno;
#endif
#ifdef IP_UNICAST_IF
    r = family == AF_INET6 ? set_int(fd, IPPROTO_IPV6, IPV6_UNICAST_IF, (int)htonl(index))
                           : set_int(fd, IPPROTO_IP, IP_UNICAST_IF, (int)htonl(index));
#elif defined(IP_BOUND_IF)
    r = family == AF_INET6 ? set_int(fd, IPPROTO_IPV6, IPV6_BOUND_IF, (int)index)
                           : set_int(fd, IPPROTO_IP, IP_BOUND_IF, (int)index);
#else
    errno = ENOTSUP;
    (void)family;
#endif
    return r == 0 ? 0 : -errno;
}

/* A socket that is bound, as the kernel describes it. */
static int describe(struct qp_udp_socket *socket, int fd)
{
    socklen_t len = sizeof(socket->local);
    memset(&socket->local, 0, sizeof(socket->local));
    memset(&socket->peer, 0, sizeof(socket->peer));
    if (getsockname(fd, &socket->local.sa, &len) < 0)
        return -errno;
    len = sizeof(socket->peer);
    socket->connected = getpeername(fd, &socket->peer.sa, &len) == 0;
    socket->wildcard = !socket->connected && qp_addr_is_wildcard(&socket->local);
    socket->family = socket->local.sa.sa_family;
    socket->dual = socket->family == AF_INET6 && get_int(fd, IPPROTO_IPV6, IPV6_V6ONLY) == 0;
    qp_addr_unmap(&socket->local);
    qp_addr_unmap(&socket->peer);
    return 0;
}

static int prepare(struct qp_udp_socket *socket, int fd, int family, bool wildcard)
{
    never_fragment(fd, family);
    int r = wildcard ? qp_udp_info_ask(fd, family) : 0;
    if (r < 0)
        return r;
    set_buffers(fd, socket->features.buffer_bytes);
    socket->features.busy_poll_error = set_busy_poll(fd, socket->features.busy_poll_us);
    probe(fd, &socket->features);
    return 0;
}

static int set_flags(int fd)
{
    const int flags = fcntl(fd, F_GETFL);
    return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? -1
                                                                   : fcntl(fd, F_SETFD, FD_CLOEXEC);
}

int qp_udp_socket_open(struct qp_udp_socket *sock, const struct qp_addr *local,
                       const struct qp_addr *peer)
{
    const struct qp_addr *any = local != NULL ? local : peer;
    int family = any == NULL ? AF_UNSPEC : any->sa.sa_family;
    if (family != AF_INET && family != AF_INET6)
        return QUICPRO_EINVAL;
    int fd = socket(family, SOCK_DGRAM | ATOMIC_FLAGS, IPPROTO_UDP);
    int r;
    if (fd < 0)
        return -errno;
    if (ATOMIC_FLAGS == 0 && set_flags(fd) < 0)
        goto failed;
    if (family == AF_INET6 && set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1) < 0)
        goto failed;
    r = bind_to_iface(fd, family, sock->iface);
    if (r < 0) {
        close(fd);
        return r;
    }
    if (local != NULL && bind(fd, &local->sa, qp_addr_len(local)) < 0)
        goto failed;
    if (peer != NULL && connect(fd, &peer->sa, qp_addr_len(peer)) < 0)
        goto failed;
    r = prepare(sock, fd, family, peer == NULL && qp_addr_is_wildcard(local));
    if (r == 0)
        r = describe(sock, fd);
    if (r < 0) {
        close(fd);
        return r;
    }
    sock->fd = fd;
    sock->want_write = false;
    return 0;
failed:
    r = -errno;
    close(fd);
    return r;
}

int qp_udp_socket_adopt(struct qp_udp_socket *socket, int fd)
{
    if (get_int(fd, SOL_SOCKET, SO_TYPE) != SOCK_DGRAM)
        return QUICPRO_EINVAL;
#ifdef SO_PROTOCOL
    if (get_int(fd, SOL_SOCKET, SO_PROTOCOL) != IPPROTO_UDP)
        return QUICPRO_EINVAL;
#endif
    int r = describe(socket, fd);
    if (r < 0)
        return r;
    int family = socket->family;
    if ((family != AF_INET && family != AF_INET6) || qp_addr_port(&socket->local) == 0)
        return QUICPRO_EINVAL;
    if (set_flags(fd) < 0)
        return -errno;
    r = bind_to_iface(fd, family, socket->iface);
    if (r == 0)
        r = prepare(socket, fd, family, socket->wildcard);
    if (r < 0)
        return r;
    socket->fd = fd;
    socket->want_write = false;
    return 0;
}
