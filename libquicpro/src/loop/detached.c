#include <quicpro/sans_io.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loop/loop.h"
#include "os/udp_memory.h"

struct qp_host_entry {
    char name[256];
    size_t count;
    struct qp_addr addr[QP_RESOLVE_MAX];
};

static const char how[] = "a loop without I/O looks up no names (quicpro_loop_add_host)";

int quicpro_loop_new_detached(quicpro_loop **ret, const quicpro_config *config, quicpro_tstamp now)
{
    quicpro_loop *loop;
    if (ret == NULL || now == QUICPRO_FOREVER)
        return QUICPRO_EINVAL;
    int r = qp_loop_make(&loop, config);
    if (r < 0)
        return r;
    loop->detached = true;
    loop->given = now;
    loop->resolver = NULL;
    loop->udp = &qp_udp_memory;
    snprintf(loop->backend, sizeof(loop->backend), "I/O backend memory: the caller does the I/O");
    r = qp_udp_memory_new(&loop->poller, (size_t)loop->options.socket_buffer_bytes, now);
    if (r < 0) {
        quicpro_loop_free(loop);
        return r;
    }
    *ret = loop;
    return 0;
}

int quicpro_loop_set_now(quicpro_loop *loop, quicpro_tstamp now)
{
    if (loop == NULL || now == QUICPRO_FOREVER)
        return QUICPRO_EINVAL;
    if (!loop->detached)
        return QUICPRO_ESTATE;
    if (now < loop->given)
        return qp_loop_fail(loop, QUICPRO_EINVAL, "the time went back by %llu ns",
                            (unsigned long long)(loop->given - now));
    loop->given = now;
    qp_udp_memory_set_now(loop->poller, now);
    return 0;
}

/* An address of ours; false: of another family. */
static bool take(struct qp_addr *ret, const quicpro_address *address)
{
    memset(ret, 0, sizeof(*ret));
    if (address->sa.sa_family == AF_INET)
        ret->in = address->in;
    else if (address->sa.sa_family == AF_INET6)
        ret->in6 = address->in6;
    else
        return false;
    qp_addr_unmap(ret);
    return true;
}

static void give(quicpro_address *ret, const struct qp_addr *addr)
{
    memset(ret, 0, sizeof(*ret));
    if (addr->sa.sa_family == AF_INET6)
        ret->in6 = addr->in6;
    else
        ret->in = addr->in;
}

/* 0 if calls of this file may be made. */
static int check(const quicpro_loop *loop)
{
    if (loop == NULL)
        return QUICPRO_EINVAL;
    if (!loop->detached)
        return QUICPRO_ESTATE;
    return qp_loop_is_ours(loop) ? 0 : QUICPRO_EFORK;
}

int quicpro_loop_set_address(quicpro_loop *loop, const quicpro_address *address)
{
    struct qp_addr addr;
    int r = check(loop);
    if (r < 0)
        return r;
    if (address == NULL || !take(&addr, address) || qp_addr_is_wildcard(&addr))
        return QUICPRO_EINVAL;
    qp_udp_memory_set_address(loop->poller, &addr);
    return 0;
}

static struct qp_host_entry *find_host(const struct qp_hosts *hosts, const char *name)
{
    for (size_t i = 0; i < hosts->count; i++)
        if (strcmp(hosts->entry[i].name, name) == 0)
            return &hosts->entry[i];
    return NULL;
}

int quicpro_loop_add_host(quicpro_loop *loop, const char *host, const quicpro_address *address)
{
    struct qp_addr addr;
    int r = check(loop);
    if (r < 0)
        return r;
    if (host == NULL || address == NULL || host[0] == '\0' ||
        strlen(host) >= sizeof(((struct qp_host_entry *)0)->name) || !take(&addr, address))
        return QUICPRO_EINVAL;
    struct qp_hosts *hosts = &loop->hosts;
    struct qp_host_entry *entry = find_host(hosts, host);
    if (entry == NULL) {
        entry = realloc(hosts->entry, (hosts->count + 1) * sizeof(*entry));
        if (entry == NULL)
            return QUICPRO_ENOMEM;
        hosts->entry = entry;
        entry += hosts->count++;
        memset(entry, 0, sizeof(*entry));
        memcpy(entry->name, host, strlen(host));
    }
    if (entry->count == QP_RESOLVE_MAX)
        return QUICPRO_ELIMIT;
    entry->addr[entry->count++] = addr;
    return 0;
}

void qp_detached_done(struct qp_hosts *hosts)
{
    free(hosts->entry);
    *hosts = (struct qp_hosts){0};
}

void qp_detached_look_up(const quicpro_loop *loop, struct qp_resolve_result *result,
                         const char *host, uint16_t port, int family)
{
    const struct qp_host_entry *entry = find_host(&loop->hosts, host);
    memset(result, 0, sizeof(*result));
    for (size_t i = 0; entry != NULL && i < entry->count; i++) {
        if (family != AF_UNSPEC && entry->addr[i].sa.sa_family != family)
            continue;
        struct qp_addr *addr = &result->addr[result->count];
        *addr = entry->addr[i];
        qp_addr_set_port(addr, port);
        result->source[result->count++] = *addr; /* there is nothing to compare it with */
    }
    if (result->count != 0)
        return;
    result->error = QUICPRO_ERESOLVE;
    snprintf(result->text, sizeof(result->text), "%s",
             entry == NULL ? how : "it has no address of this family");
}

void qp_detached_listen(const quicpro_loop *loop, struct qp_resolve_result *result,
                        const char *host, uint16_t port)
{
    memset(result, 0, sizeof(*result));
    if (host == NULL) {
        result->addr[0].in6.sin6_family = AF_INET6;
        result->addr[1].in.sin_family = AF_INET;
        result->count = 2;
    } else if (qp_resolve_literal(&result->addr[0], host, port)) {
        result->count = 1;
    } else {
        qp_detached_look_up(loop, result, host, port, AF_UNSPEC);
    }
    for (size_t i = 0; i < result->count; i++)
        qp_addr_set_port(&result->addr[i], port);
}

/* The port of a train's local address; NULL: there is none. */
static struct qp_port *find_port(const quicpro_loop *loop, const quicpro_train *train,
                                 struct qp_udp_train *ret)
{
    *ret = (struct qp_udp_train){.data = train->data, .len = train->len, .segment = train->segment};
    if (!take(&ret->local, &train->local) || !take(&ret->peer, &train->peer))
        return NULL;
    struct qp_udp_socket *socket = qp_udp_memory_find(loop->poller, &ret->local, &ret->peer);
    if (socket == NULL)
        return NULL;
    if (!socket->wildcard)
        ret->local = socket->local;
    return socket->owner;
}

int quicpro_loop_recv(quicpro_loop *loop, const quicpro_train *train)
{
    struct qp_udp_train in;
    int r = check(loop);
    if (r < 0)
        return r;
    if (train == NULL || (train->len != 0 && (train->data == NULL || train->segment == 0)))
        return QUICPRO_EINVAL;
    struct qp_port *port = find_port(loop, train, &in);
    if (port == NULL)
        return QUICPRO_ECONNREFUSED;
    const quicpro_tstamp now = qp_loop_now(loop);
    qp_resume_tick(port->endpoint, now);
    qp_port_take(port, &in, now);
    qp_udp_memory_prompt(loop->poller);
    return 0;
}

int quicpro_loop_send(quicpro_loop *loop, size_t max, quicpro_train *ret)
{
    struct qp_udp_train out;
    int r = check(loop);
    if (r < 0)
        return r;
    if (ret == NULL || max == 0)
        return QUICPRO_EINVAL;
    const size_t count = qp_udp_memory_take(loop->poller, max, &out);
    if (count == 0)
        return 0;
    *ret = (quicpro_train){.data = out.data, .len = out.len, .segment = out.segment};
    give(&ret->local, &out.local);
    give(&ret->peer, &out.peer);
    return (int)count;
}

int quicpro_loop_refused(quicpro_loop *loop, const quicpro_train *train, int error)
{
    struct qp_udp_train out;
    int r = check(loop);
    if (r < 0)
        return r;
    if (train == NULL || error >= 0)
        return QUICPRO_EINVAL;
    struct qp_port *port = find_port(loop, train, &out);
    if (port == NULL)
        return QUICPRO_ECONNREFUSED;
    const quicpro_tstamp now = qp_loop_now(loop);
    if (port->link != NULL && port->link->state == QP_LINK_HANDSHAKE)
        qp_dial_refused(port->link, error, now);
    qp_udp_memory_prompt(loop->poller);
    return 0;
}
