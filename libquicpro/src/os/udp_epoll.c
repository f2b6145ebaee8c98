/* The poller on epoll. Sockets are level-triggered, so that what one turn leaves comes again; the
 * timer and the wake descriptor are edge-triggered, so that having been told of them clears them
 * without a read. A turn that was not finished goes on before the kernel is asked again: no socket
 * is served twice while another one waits.
 *
 * Setting the kernel's timer costs more than sending a packet, above all in a virtual machine, and
 * it would be moved in every turn. So it is set only for those who wait on the descriptor
 * themselves, and only when it would ring too late; what rings too early is set anew then. wait()
 * needs no timer: it knows how long to sleep. */
#include "os/udp_socket.h"

#include <limits.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "os/clock.h"

enum { READY_MAX = 64 };

struct qp_udp_poller {
    int epoll_fd, timer_fd, wake_fd;
    pid_t owner;           /* a child shares the kernel's table, and must not change it */
    quicpro_tstamp wanted; /* when to ring */
    quicpro_tstamp armed;  /* when the descriptor rings, if not earlier; 0: it does */
    bool shared;           /* somebody has the descriptor, and may wait on it */
    bool coarse;           /* the kernel waits in milliseconds */
    struct qp_udp_area *area;
    bool in_turn, woken; /* woken: by the timer or the wake descriptor, not told yet */
    int next, count;     /* of ready, those of this turn not handed out yet */
    struct epoll_event ready[READY_MAX];
};

static int watch(struct qp_udp_poller *poller, int op, int fd, uint32_t events, void *what)
{
    struct epoll_event event = {.events = events, .data.ptr = what};
    return epoll_ctl(poller->epoll_fd, op, fd, &event) < 0 ? -errno : 0;
}

static void poller_free(struct qp_udp_poller *poller)
{
    if (poller == NULL)
        return;
    if (poller->epoll_fd >= 0)
        close(poller->epoll_fd);
    if (poller->timer_fd >= 0)
        close(poller->timer_fd);
    if (poller->wake_fd >= 0)
        close(poller->wake_fd);
    qp_udp_area_free(poller->area);
    free(poller);
}

static int poller_new(struct qp_udp_poller **ret)
{
    struct qp_udp_poller *poller = calloc(1, sizeof(*poller));
    if (poller == NULL)
        return QUICPRO_ENOMEM;
    poller->wanted = poller->armed = QUICPRO_FOREVER;
    poller->owner = getpid();
    poller->timer_fd = poller->wake_fd = -1;
    int r;
    if ((poller->epoll_fd = epoll_create1(EPOLL_CLOEXEC)) < 0 ||
        (poller->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)) < 0 ||
        (poller->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) < 0)
        r = -errno;
    else if ((r = watch(poller, EPOLL_CTL_ADD, poller->timer_fd, EPOLLIN | EPOLLET,
                        &poller->timer_fd)) == 0 &&
             (r = watch(poller, EPOLL_CTL_ADD, poller->wake_fd, EPOLLIN | EPOLLET,
                        &poller->wake_fd)) == 0)
        r = qp_udp_area_new(&poller->area);
    if (r < 0) {
        poller_free(poller);
        return r;
    }
    *ret = poller;
    return 0;
}

static void wake(struct qp_udp_poller *poller)
{
    int before = errno; /* signal handlers must not change it */
    uint64_t one = 1;
    ssize_t n = write(poller->wake_fd, &one, sizeof(one));
    (void)n; /* only a full counter is refused, after 2^64 - 2 calls */
    errno = before;
}

/* Sees to it that the descriptor rings when it should, or before. */
static void set_timer(struct qp_udp_poller *poller)
{
    const quicpro_tstamp at = poller->wanted;
    struct itimerspec spec = {
        .it_value = {(time_t)(at / QUICPRO_SECOND), (long)(at % QUICPRO_SECOND)}};
    if (!poller->shared || poller->armed <= at)
        return;
    if (at == 0)
        wake(poller);
    else if (timerfd_settime(poller->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL) < 0)
        return;
    poller->armed = at;
}

static int share(struct qp_udp_poller *poller)
{
    poller->shared = true;
    set_timer(poller);
    return poller->epoll_fd;
}

static size_t fds(struct qp_udp_poller *poller, quicpro_watch *ret, size_t max)
{
    if (max > 0)
        *ret = (quicpro_watch){.fd = share(poller), .wants = QUICPRO_WANT_READABLE};
    return 1;
}

static uint64_t fds_version(const struct qp_udp_poller *poller)
{
    (void)poller;
    return 1;
}

static quicpro_tstamp expiry(const struct qp_udp_poller *poller)
{
    (void)poller;
    return QUICPRO_FOREVER;
}

static int wake_fd(const struct qp_udp_poller *poller)
{
    return poller->wake_fd;
}

/* epoll_wait(2) with a timeout in nanoseconds. */
static int ask(struct qp_udp_poller *poller, quicpro_tstamp timeout)
{
#ifdef SYS_epoll_pwait2
    if (timeout != 0 && timeout != QUICPRO_FOREVER && !poller->coarse) {
        const struct timespec spec = {(time_t)(timeout / QUICPRO_SECOND),
                                      (long)(timeout % QUICPRO_SECOND)};
        long n = syscall(SYS_epoll_pwait2, poller->epoll_fd, poller->ready, READY_MAX, &spec, NULL,
                         (size_t)0);
        if (n >= 0 || errno != ENOSYS)
            return (int)n;
        poller->coarse = true; /* before Linux 5.11 */
    }
#endif
    int milliseconds = -1;
    if (timeout != QUICPRO_FOREVER) { /* rounded up: not a moment before its time */
        uint64_t whole = timeout / QUICPRO_MILLISECOND + (timeout % QUICPRO_MILLISECOND != 0);
        milliseconds = whole < INT_MAX ? (int)whole : INT_MAX;
    }
    return epoll_wait(poller->epoll_fd, poller->ready, READY_MAX, milliseconds);
}

/* Asks the kernel; a turn begins if anything is ready. Number of things ready, or -errno. The timer
 * and the wake descriptor are done with here: told once, they are silent. */
static int look(struct qp_udp_poller *poller, quicpro_tstamp timeout)
{
    int n = ask(poller, timeout);
    bool rang = false, woken = false;
    if (n < 0)
        return -errno;
    poller->next = poller->count = 0;
    for (int i = 0; i < n; i++) {
        void *what = poller->ready[i].data.ptr;
        if (what == &poller->timer_fd)
            rang = true;
        else if (what == &poller->wake_fd)
            woken = true;
        else
            poller->ready[poller->count++] = poller->ready[i];
    }
    if (rang || (woken && poller->armed == 0))
        poller->armed = QUICPRO_FOREVER;
    if (poller->count == 0 && qp_clock_now() >= poller->wanted) {
        poller->wanted = QUICPRO_FOREVER;
        woken = true;
    }
    if (rang)
        set_timer(poller);
    poller->woken = woken;
    poller->in_turn = woken || poller->count > 0;
    return poller->count + woken;
}

static bool unfinished(const struct qp_udp_poller *poller)
{
    return poller->in_turn && (poller->woken || poller->next < poller->count);
}

static int wait(struct qp_udp_poller *poller, quicpro_tstamp timeout)
{
    if (unfinished(poller))
        return 1;
    quicpro_tstamp now = timeout == 0 ? 0 : qp_clock_now();
    const quicpro_tstamp end = timeout < QUICPRO_FOREVER - now ? now + timeout : QUICPRO_FOREVER;
    for (;;) {
        quicpro_tstamp until = end < poller->wanted ? end : poller->wanted;
        if (until != QUICPRO_FOREVER)
            until = until > now ? until - now : 0;
        int r = look(poller, timeout == 0 ? 0 : until);
        if (r != 0)
            return r > 0 ? 1 : r;
        if (timeout == 0 || (now = qp_clock_now()) >= end)
            return 0;
    } /* the timer rang too early */
}

static struct qp_udp_socket *next_ready(struct qp_udp_poller *poller, bool *ret_readable,
                                        bool *ret_writable)
{
    if (!poller->in_turn && look(poller, 0) <= 0)
        return NULL;
    poller->woken = false;
    while (poller->next < poller->count) {
        const struct epoll_event *event = &poller->ready[poller->next++];
        if (event->data.ptr == NULL) /* closed meanwhile */
            continue;
        /* A pending error is read like a datagram. */
        *ret_readable = (event->events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0;
        *ret_writable = (event->events & EPOLLOUT) != 0;
        return event->data.ptr;
    }
    poller->in_turn = false;
    return NULL;
}

static void arm(struct qp_udp_poller *poller, quicpro_tstamp at)
{
    /* Who arms is through with what it took, even if it did not ask for the end of the turn. */
    poller->in_turn = unfinished(poller);
    poller->wanted = at;
    set_timer(poller);
}

static int add(struct qp_udp_poller *poller, struct qp_udp_socket *socket)
{
    return watch(poller, EPOLL_CTL_ADD, socket->fd, EPOLLIN, socket);
}

static int open_socket(struct qp_udp_poller *poller, struct qp_udp_socket *socket,
                       const struct qp_addr *local, const struct qp_addr *peer)
{
    int r = qp_udp_socket_open(socket, local, peer);
    if (r < 0)
        return r;
    r = add(poller, socket);
    if (r < 0) {
        close(socket->fd);
        socket->fd = -1;
    }
    return r;
}

static int adopt(struct qp_udp_poller *poller, struct qp_udp_socket *socket, int fd)
{
    int r = qp_udp_socket_adopt(socket, fd);
    if (r < 0)
        return r;
    r = add(poller, socket);
    if (r < 0)
        socket->fd = -1; /* fd stays the caller's */
    return r;
}

static void close_socket(struct qp_udp_poller *poller, struct qp_udp_socket *socket)
{
    if (socket->fd < 0)
        return;
    /* Closing alone would not do: a copy of the descriptor elsewhere keeps the registration. */
    if (getpid() == poller->owner)
        (void)watch(poller, EPOLL_CTL_DEL, socket->fd, 0, NULL);
    close(socket->fd);
    socket->fd = -1;
    socket->want_write = false;
    for (int i = poller->next; i < poller->count; i++)
        if (poller->ready[i].data.ptr == socket)
            poller->ready[i].data.ptr = NULL;
}

static int receive(struct qp_udp_poller *poller, struct qp_udp_socket *socket,
                   struct qp_udp_train *train, size_t max)
{
    return qp_udp_area_receive(poller->area, socket, train, max);
}

static int64_t send_train(struct qp_udp_poller *poller, struct qp_udp_socket *socket,
                          const struct qp_addr *local, const struct qp_addr *peer,
                          const uint8_t *data, size_t len, size_t segment)
{
    int64_t sent = qp_udp_area_send(poller->area, socket, local, peer, data, len, segment);
    if (sent >= 0 && (size_t)sent < len && !socket->want_write) {
        int r = watch(poller, EPOLL_CTL_MOD, socket->fd, EPOLLIN | EPOLLOUT, socket);
        if (r < 0)
            return r; /* nothing would tell when to go on: lost rather than stuck */
        socket->want_write = true;
    }
    return sent;
}

static void disarm_write(struct qp_udp_poller *poller, struct qp_udp_socket *socket)
{
    if (!socket->want_write)
        return;
    (void)watch(poller, EPOLL_CTL_MOD, socket->fd, EPOLLIN, socket);
    socket->want_write = false;
}

static const struct qp_udp_counts *counts(const struct qp_udp_poller *poller)
{
    return qp_udp_area_counts(poller->area);
}

const struct qp_udp_ops qp_udp_epoll = {
    .name = "epoll",
    .poller_new = poller_new,
    .poller_free = poller_free,
    .single = true,
    .poller_fd = share,
    .fds = fds,
    .fds_version = fds_version,
    .expiry = expiry,
    .wait = wait,
    .next_ready = next_ready,
    .arm = arm,
    .wake = wake,
    .wake_fd = wake_fd,
    .open = open_socket,
    .adopt = adopt,
    .close = close_socket,
    .receive = receive,
    .send = send_train,
    .disarm_write = disarm_write,
    .counts = counts,
};
