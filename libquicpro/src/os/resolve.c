/* A look-up belongs to two: the caller and its thread. Whoever lets go last frees it; the wake
 * descriptor is only touched under the lock and while the caller still holds on. */
#include "os/resolve.h"

#include "base/log.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { HOST_MAX = 255 }; /* RFC 1035 section 2.3.4 */

static bool take(struct qp_addr *ret, const struct sockaddr *sa, socklen_t len)
{
    if ((sa->sa_family != AF_INET || len != sizeof(ret->in)) &&
        (sa->sa_family != AF_INET6 || len != sizeof(ret->in6)))
        return false;
    memset(ret, 0, sizeof(*ret));
    memcpy(ret, sa, len);
    qp_addr_unmap(ret);
    return true;
}

/* The host without its brackets; NULL if it is too long for a name. */
static const char *strip(const char *host, char *out, size_t size)
{
    size_t len = strlen(host);
    if (len >= 2 && host[0] == '[' && host[len - 1] == ']') {
        host++;
        len -= 2;
    }
    if (len >= size)
        return NULL;
    memcpy(out, host, len);
    out[len] = '\0';
    return out;
}

int qp_resolve_literal(struct qp_addr *ret, const char *host, uint16_t port)
{
    char name[HOST_MAX + 1];
    struct qp_addr addr;
    if (strip(host, name, sizeof(name)) == NULL)
        return 0;
    memset(&addr, 0, sizeof(addr));
    if (host[0] != '[' && inet_pton(AF_INET, name, &addr.in.sin_addr) == 1) {
        addr.sa.sa_family = AF_INET;
    } else if (strchr(name, ':') != NULL) {
        /* getaddrinfo(3) knows zones ("fe80::1%eth0"); told so, it asks nobody. */
        struct addrinfo hints = {.ai_family = AF_INET6,
                                 .ai_socktype = SOCK_DGRAM,
                                 .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
        struct addrinfo *list = NULL;
        if (getaddrinfo(name, NULL, &hints, &list) != 0)
            return 0;
        bool ok = take(&addr, list->ai_addr, list->ai_addrlen);
        freeaddrinfo(list);
        if (!ok)
            return 0;
    } else {
        return 0;
    }
    qp_addr_set_port(&addr, port);
    *ret = addr;
    return 1;
}

static void fail(struct qp_resolve_result *result, const char *host, const char *why)
{
    char shown[64];
    qp_escape(shown, sizeof(shown), host, strlen(host));
    result->error = QUICPRO_ERESOLVE;
    snprintf(result->text, sizeof(result->text), "\"%s\": %s", shown, why);
}

static void look_up(struct qp_resolve_result *result, const char *host, uint16_t port, int family,
                    int flags)
{
    char name[HOST_MAX + 1];
    struct addrinfo *list = NULL;
    struct addrinfo hints = {
        .ai_family = family, .ai_socktype = SOCK_DGRAM, .ai_flags = AI_NUMERICSERV | flags};
    memset(result, 0, sizeof(*result));
    if (host != NULL && qp_resolve_literal(&result->addr[0], host, port)) {
        result->count = 1;
        return;
    }
    if (host != NULL && (host[0] == '\0' || host[0] == '[' || strchr(host, ':') != NULL)) {
        fail(result, host, "not a host name");
        return;
    }
    if (host != NULL && strip(host, name, sizeof(name)) == NULL) {
        fail(result, host, "longer than a host name can be");
        return;
    }
    /* No host needs a service; the port is put in afterwards. */
    int r = getaddrinfo(host == NULL ? NULL : name, "0", &hints, &list);
    if (r == EAI_MEMORY) {
        result->error = QUICPRO_ENOMEM;
        return;
    }
    if (r != 0) {
        fail(result, host == NULL ? "*" : host,
             r == EAI_SYSTEM ? quicpro_strerror(-errno) : gai_strerror(r));
        return;
    }
    for (const struct addrinfo *at = list; at != NULL && result->count < QP_RESOLVE_MAX;
         at = at->ai_next) {
        struct qp_addr *addr = &result->addr[result->count];
        if (take(addr, at->ai_addr, at->ai_addrlen)) {
            qp_addr_set_port(addr, port);
            result->count++;
        }
    }
    freeaddrinfo(list);
    if (result->count == 0)
        fail(result, host == NULL ? "*" : host,
             family == AF_INET    ? "has no IPv4 address"
             : family == AF_INET6 ? "has no IPv6 address"
                                  : "has no IPv4 or IPv6 address");
}

void qp_resolve_now(struct qp_resolve_result *result, const char *host, uint16_t port, int passive)
{
    look_up(result, host, port, AF_UNSPEC, passive ? AI_PASSIVE : 0);
}

/* connect(2) on a UDP socket sends nothing and chooses the source address. */
static void find_source(struct qp_addr *source, const struct qp_addr *addr)
{
    socklen_t len = sizeof(*source);
    int fd = socket(addr->sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    memset(source, 0, sizeof(*source));
    if (fd < 0)
        return;
    if (connect(fd, &addr->sa, qp_addr_len(addr)) != 0 || getsockname(fd, &source->sa, &len) != 0)
        memset(source, 0, sizeof(*source));
    close(fd);
}

struct qp_resolve {
    pthread_mutex_t lock;
    bool done, abandoned;
    int wake_fd;
    uint16_t port;
    int family;
    char host[HOST_MAX + 3]; /* brackets included */
    struct qp_resolve_result result;
};

static void destroy(struct qp_resolve *resolve)
{
    pthread_mutex_destroy(&resolve->lock);
    free(resolve);
}

static void *run_thread(void *user)
{
    struct qp_resolve *resolve = user;
    struct qp_resolve_result *result = &resolve->result;
    look_up(result, resolve->host, resolve->port, resolve->family, 0);
    for (size_t i = 0; i < result->count; i++)
        find_source(&result->source[i], &result->addr[i]);
    pthread_mutex_lock(&resolve->lock);
    bool abandoned = resolve->abandoned;
    resolve->done = true;
    if (!abandoned) {
        uint64_t one = 1;
        ssize_t n = write(resolve->wake_fd, &one, sizeof(one));
        (void)n; /* EAGAIN: the counter is full, so it is awake */
    }
    pthread_mutex_unlock(&resolve->lock);
    if (abandoned)
        destroy(resolve);
    return NULL;
}

static int start_thread(struct qp_resolve *resolve)
{
    pthread_attr_t attr;
    pthread_t thread;
    sigset_t all, old;
    if (pthread_attr_init(&attr) != 0)
        return QUICPRO_ENOMEM;
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    sigfillset(&all); /* signals are for the application's threads */
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int r = pthread_create(&thread, &attr, run_thread, resolve);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attr);
    return r == 0 ? 0 : -EAGAIN;
}

static int resolve_start(struct qp_resolve **ret, const char *host, uint16_t port, int family,
                         int wake_fd)
{
    struct qp_resolve *resolve = calloc(1, sizeof(*resolve));
    if (resolve == NULL)
        return QUICPRO_ENOMEM;
    pthread_mutex_init(&resolve->lock, NULL);
    resolve->wake_fd = wake_fd;
    resolve->port = port;
    resolve->family = family;
    /* A host that is too long keeps one byte too many, so that the look-up refuses it. */
    snprintf(resolve->host, sizeof(resolve->host), "%s", host);
    int r = start_thread(resolve);
    if (r < 0) {
        destroy(resolve);
        return r;
    }
    *ret = resolve;
    return 0;
}

static int resolve_poll(struct qp_resolve *resolve, struct qp_resolve_result *result)
{
    pthread_mutex_lock(&resolve->lock);
    bool done = resolve->done;
    pthread_mutex_unlock(&resolve->lock);
    if (done)
        *result = resolve->result; /* the thread touches it no more */
    return done;
}

static void resolve_free(struct qp_resolve *resolve)
{
    if (resolve == NULL)
        return;
    pthread_mutex_lock(&resolve->lock);
    bool done = resolve->done;
    resolve->abandoned = true;
    pthread_mutex_unlock(&resolve->lock);
    if (done)
        destroy(resolve);
}

const struct qp_resolver_ops qp_resolver_system = {
    .start = resolve_start,
    .poll = resolve_poll,
    .free = resolve_free,
};
