/* Only AF_INET and AF_INET6 are addresses here; anything else has the text "-". */
#include "os/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

socklen_t qp_addr_len(const struct qp_addr *addr)
{
    return addr->sa.sa_family == AF_INET6 ? sizeof(addr->in6) : sizeof(addr->in);
}

bool qp_addr_equal(const struct qp_addr *a, const struct qp_addr *b)
{
    if (a->sa.sa_family != b->sa.sa_family)
        return false;
    if (a->sa.sa_family == AF_INET6)
        return a->in6.sin6_port == b->in6.sin6_port &&
               a->in6.sin6_scope_id == b->in6.sin6_scope_id &&
               memcmp(&a->in6.sin6_addr, &b->in6.sin6_addr, sizeof(a->in6.sin6_addr)) == 0;
    return a->in.sin_port == b->in.sin_port && a->in.sin_addr.s_addr == b->in.sin_addr.s_addr;
}

bool qp_addr_is_wildcard(const struct qp_addr *addr)
{
    if (addr->sa.sa_family == AF_INET6)
        return IN6_IS_ADDR_UNSPECIFIED(&addr->in6.sin6_addr);
    return addr->in.sin_addr.s_addr == htonl(INADDR_ANY);
}

bool qp_addr_unmap(struct qp_addr *addr)
{
    const struct sockaddr_in6 in6 = addr->in6;
    if (addr->sa.sa_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr))
        return false;
    memset(addr, 0, sizeof(*addr));
    addr->in.sin_family = AF_INET;
    addr->in.sin_port = in6.sin6_port;
    memcpy(&addr->in.sin_addr, &in6.sin6_addr.s6_addr[12], sizeof(addr->in.sin_addr));
    return true;
}

void qp_addr_map(struct qp_addr *addr)
{
    const struct sockaddr_in in = addr->in;
    if (addr->sa.sa_family != AF_INET)
        return;
    memset(addr, 0, sizeof(*addr));
    addr->in6.sin6_family = AF_INET6;
    addr->in6.sin6_port = in.sin_port;
    memset(&addr->in6.sin6_addr.s6_addr[10], 0xff, 2);
    memcpy(&addr->in6.sin6_addr.s6_addr[12], &in.sin_addr, sizeof(in.sin_addr));
}

int qp_addr_port(const struct qp_addr *addr)
{
    return ntohs(addr->sa.sa_family == AF_INET6 ? addr->in6.sin6_port : addr->in.sin_port);
}

void qp_addr_set_port(struct qp_addr *addr, uint16_t port)
{
    if (addr->sa.sa_family == AF_INET6)
        addr->in6.sin6_port = htons(port);
    else
        addr->in.sin_port = htons(port);
}

int qp_addr_parse(struct qp_addr *ret, const char *text)
{
    *ret = (struct qp_addr){0};
    if (inet_pton(AF_INET, text, &ret->in.sin_addr) == 1)
        ret->in.sin_family = AF_INET;
    else if (inet_pton(AF_INET6, text, &ret->in6.sin6_addr) == 1)
        ret->in6.sin6_family = AF_INET6;
    else
        return -EINVAL;
    return 0;
}

void qp_addr_text(const struct qp_addr *addr, char *out, size_t size)
{
    char host[INET6_ADDRSTRLEN] = "";
    if (addr->sa.sa_family == AF_INET6) {
        char scope[16] = "";
        if (addr->in6.sin6_scope_id != 0)
            snprintf(scope, sizeof(scope), "%%%u", (unsigned)addr->in6.sin6_scope_id);
        inet_ntop(AF_INET6, &addr->in6.sin6_addr, host, sizeof(host));
        snprintf(out, size, "[%s%s]:%d", host, scope, qp_addr_port(addr));
    } else if (addr->sa.sa_family == AF_INET) {
        inet_ntop(AF_INET, &addr->in.sin_addr, host, sizeof(host));
        snprintf(out, size, "%s:%d", host, qp_addr_port(addr));
    } else {
        snprintf(out, size, "-");
    }
}
