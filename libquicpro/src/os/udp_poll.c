/* The poller on poll(2), with nothing but POSIX: a pipe wakes it, its timer is a number. Row 0 of
 * the table is the pipe, the others are sockets. A turn walks through the table once and goes on
 * before the kernel is asked again, so that no socket is served twice while another one waits.
 *
 * A foreign loop that watches our descriptors must stop before one of their numbers is given to
 * something else. So closing a socket that it may watch puts the pipe's other end in its place
 * (dup2(2): the socket itself is gone at once), and frees the number when the flush after the next
 * list comes. */
#include "os/udp_plain.h"
#include "os/udp_socket.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "os/clock.h"

struct qp_udp_poller {
    int wake_in, wake_out; /* the pipe */
    quicpro_tstamp armed;
    struct qp_udp_plain *plain;
    struct pollfd *fd; /* `count` of `room` rows */
    struct qp_udp_socket **socket;
    size_t count, room, next;      /* next: first row this turn has not looked at */
    bool in_turn, woken;           /* woken: by the timer or the pipe, not told yet */
    bool listed;                   /* somebody else watches the descriptors */
    uint64_t version;              /* of the list of descriptors */
    int *parked;                   /* numbers to be freed */
    size_t parked_count, unlisted; /* unlisted: of these, known to be watched no more */
};

static void free_parked(struct qp_udp_poller *poller, size_t count)
{
    for (size_t i = 0; i < count; i++)
        close(poller->parked[i]);
    poller->parked_count -= count;
    poller->unlisted -= poller->unlisted < count ? poller->unlisted : count;
    memmove(poller->parked, poller->parked + count, poller->parked_count * sizeof(int));
}

static void poller_free(struct qp_udp_poller *poller)
{
    if (poller == NULL)
        return;
    if (poller->parked_count != 0)
        free_parked(poller, poller->parked_count);
    if (poller->wake_in >= 0)
        close(poller->wake_in);
    if (poller->wake_out >= 0)
        close(poller->wake_out);
    qp_udp_plain_free(poller->plain);
    free(poller->parked);
    free(poller->socket);
    free(poller->fd);
    free(poller);
}

static int make_room(struct qp_udp_poller *poller)
{
    if (poller->count < poller->room)
        return 0;
    const size_t room = poller->room == 0 ? 8 : poller->room * 2;
    struct pollfd *fd = realloc(poller->fd, room * sizeof(*fd));
    if (fd == NULL)
        return QUICPRO_ENOMEM;
    poller->fd = fd;
    struct qp_udp_socket **socket = realloc(poller->socket, room * sizeof(struct qp_udp_socket *));
    if (socket == NULL)
        return QUICPRO_ENOMEM;
    poller->socket = socket;
    poller->room = room;
    return 0;
}

static int add(struct qp_udp_poller *poller, int fd, struct qp_udp_socket *socket)
{
    int r = make_room(poller);
    if (r < 0)
        return r;
    poller->fd[poller->count] = (struct pollfd){.fd = fd, .events = POLLIN};
    poller->socket[poller->count++] = socket;
    poller->version++;
    return 0;
}

static int open_pipe(struct qp_udp_poller *poller)
{
    int end[2];
    if (pipe(end) < 0)
        return -errno;
    poller->wake_in = end[0];
    poller->wake_out = end[1];
    for (int i = 0; i < 2; i++)
        if (fcntl(end[i], F_SETFL, O_NONBLOCK) < 0 || fcntl(end[i], F_SETFD, FD_CLOEXEC) < 0)
            return -errno;
    return add(poller, poller->wake_in, NULL);
}

static int poller_new(struct qp_udp_poller **ret)
{
    struct qp_udp_poller *poller = calloc(1, sizeof(*poller));
    if (poller == NULL)
        return QUICPRO_ENOMEM;
    poller->armed = QUICPRO_FOREVER;
    poller->wake_in = poller->wake_out = -1;
    int r = open_pipe(poller);
    if (r == 0)
        r = qp_udp_plain_new(&poller->plain);
    if (r < 0) {
        poller_free(poller);
        return r;
    }
    *ret = poller;
    return 0;
}

static int poller_fd(struct qp_udp_poller *poller)
{
    (void)poller;
    return -ENOTSUP;
}

static size_t fds(struct qp_udp_poller *poller, quicpro_watch *ret, size_t max)
{
    const size_t count = poller->count < max ? poller->count : max;
    for (size_t i = 0; i < count; i++)
        ret[i] = (quicpro_watch){
            .fd = poller->fd[i].fd,
            .wants = QUICPRO_WANT_READABLE |
                     (poller->fd[i].events & POLLOUT ? QUICPRO_WANT_WRITABLE : 0),
        };
    if (count == poller->count) {
        poller->listed = true;
        poller->unlisted = poller->parked_count;
    }
    return poller->count;
}

static uint64_t fds_version(const struct qp_udp_poller *poller)
{
    return poller->version;
}

static quicpro_tstamp expiry(const struct qp_udp_poller *poller)
{
    return poller->armed;
}

static int wake_fd(const struct qp_udp_poller *poller)
{
    return poller->wake_out;
}

/* Empties the pipe: whoever wrote is told once, however often it did. */
static void drain(struct qp_udp_poller *poller)
{
    uint8_t drop[256];
    while (read(poller->wake_in, drop, sizeof(drop)) > 0)
        ;
}

/* Asks the kernel; a turn begins if anything is ready. How many, or -errno. */
static int look(struct qp_udp_poller *poller, int milliseconds)
{
    int n = poll(poller->fd, (nfds_t)poller->count, milliseconds);
    if (n < 0)
        return -errno;
    poller->next = 1;
    poller->woken = false;
    if (poller->fd[0].revents != 0) {
        drain(poller);
        poller->woken = true;
    }
    if (poller->armed != QUICPRO_FOREVER && poller->armed <= qp_clock_now()) {
        poller->armed = QUICPRO_FOREVER; /* told once, like a timer descriptor */
        poller->woken = true;
        n++;
    }
    poller->in_turn = n > 0;
    return n;
}

static bool unfinished(const struct qp_udp_poller *poller)
{
    if (!poller->in_turn || poller->woken)
        return poller->in_turn;
    for (size_t i = poller->next; i < poller->count; i++)
        if (poller->fd[i].revents != 0)
            return true;
    return false;
}

/* Rounded up, so that it does not end a moment before its time. */
static int to_milliseconds(quicpro_tstamp span)
{
    uint64_t whole = span / QUICPRO_MILLISECOND + (span % QUICPRO_MILLISECOND != 0);
    return whole < INT_MAX ? (int)whole : INT_MAX;
}

static int wait(struct qp_udp_poller *poller, quicpro_tstamp timeout)
{
    if (unfinished(poller))
        return 1;
    poller->unlisted = poller->parked_count; /* who waits here does not watch elsewhere */
    if (poller->armed != QUICPRO_FOREVER) {
        const quicpro_tstamp now = qp_clock_now();
        const quicpro_tstamp left = poller->armed > now ? poller->armed - now : 0;
        timeout = left < timeout ? left : timeout;
    }
    int r = look(poller, timeout == QUICPRO_FOREVER ? -1 : to_milliseconds(timeout));
    return r > 0 ? 1 : r;
}

static struct qp_udp_socket *next_ready(struct qp_udp_poller *poller, bool *ret_readable,
                                        bool *ret_writable)
{
    if (!poller->in_turn && look(poller, 0) <= 0)
        return NULL;
    poller->woken = false;
    while (poller->next < poller->count) {
        struct pollfd *fd = &poller->fd[poller->next++];
        if (fd->revents & POLLNVAL) /* closed by somebody else: silent from here on */
            fd->fd = -1;
        else if (fd->revents != 0) {
            /* A pending error is read like a datagram. */
            *ret_readable = (fd->revents & (POLLIN | POLLERR | POLLHUP)) != 0;
            *ret_writable = (fd->revents & POLLOUT) != 0;
            fd->revents = 0;
            return poller->socket[poller->next - 1];
        }
    }
    poller->in_turn = false;
    return NULL;
}

static void arm(struct qp_udp_poller *poller, quicpro_tstamp at)
{
    /* Who arms is through with what it took, even if it did not ask for the end of the turn. */
    poller->in_turn = unfinished(poller);
    poller->armed = at;
    if (poller->unlisted != 0)
        free_parked(poller, poller->unlisted);
}

static void wake(struct qp_udp_poller *poller)
{
    int before = errno; /* signal handlers must not change it */
    ssize_t n = write(poller->wake_out, "", 1);
    (void)n; /* a full pipe wakes as well */
    errno = before;
}

static int open_socket(struct qp_udp_poller *poller, struct qp_udp_socket *socket,
                       const struct qp_addr *local, const struct qp_addr *peer)
{
    socket->features.gso = socket->features.gro = socket->features.mmsg = false;
    int r = qp_udp_socket_open(socket, local, peer);
    if (r < 0)
        return r;
    r = add(poller, socket->fd, socket);
    if (r < 0) {
        close(socket->fd);
        socket->fd = -1;
    }
    return r;
}

static int adopt(struct qp_udp_poller *poller, struct qp_udp_socket *socket, int fd)
{
    socket->features.gso = socket->features.gro = socket->features.mmsg = false;
    int r = qp_udp_socket_adopt(socket, fd);
    if (r < 0)
        return r;
    r = add(poller, fd, socket);
    if (r < 0)
        socket->fd = -1; /* fd stays the caller's */
    return r;
}

static size_t row_of(const struct qp_udp_poller *poller, const struct qp_udp_socket *socket)
{
    size_t i = 1;
    while (i < poller->count && poller->socket[i] != socket)
        i++;
    return i;
}

/* Closes the socket and keeps its number, if that can be done. */
static bool park(struct qp_udp_poller *poller, int fd)
{
    int *parked = realloc(poller->parked, (poller->parked_count + 1) * sizeof(int));
    if (parked == NULL)
        return false;
    poller->parked = parked;
    if (dup2(poller->wake_out, fd) < 0)
        return false;
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    poller->parked[poller->parked_count++] = fd;
    return true;
}

static void close_socket(struct qp_udp_poller *poller, struct qp_udp_socket *socket)
{
    if (socket->fd < 0)
        return;
    const size_t row = row_of(poller, socket);
    if (row < poller->count) {
        poller->count--;
        memmove(&poller->fd[row], &poller->fd[row + 1],
                (poller->count - row) * sizeof(*poller->fd));
        memmove(&poller->socket[row], &poller->socket[row + 1],
                (poller->count - row) * sizeof(struct qp_udp_socket *));
        if (row < poller->next)
            poller->next--;
        poller->version++;
    }
    if (!poller->listed || !park(poller, socket->fd))
        close(socket->fd);
    socket->fd = -1;
    socket->want_write = false;
}

static int receive(struct qp_udp_poller *poller, struct qp_udp_socket *socket,
                   struct qp_udp_train *train, size_t max)
{
    return qp_udp_plain_receive(poller->plain, socket, train, max);
}

static void watch_write(struct qp_udp_poller *poller, struct qp_udp_socket *socket, bool on)
{
    const size_t row = row_of(poller, socket);
    if (socket->want_write == on || row == poller->count)
        return;
    poller->fd[row].events = (short)(POLLIN | (on ? POLLOUT : 0));
    socket->want_write = on;
    poller->version++;
}

static int64_t send_train(struct qp_udp_poller *poller, struct qp_udp_socket *socket,
                          const struct qp_addr *local, const struct qp_addr *peer,
                          const uint8_t *data, size_t len, size_t segment)
{
    int64_t sent = qp_udp_plain_send(poller->plain, socket, local, peer, data, len, segment);
    if (sent >= 0 && (size_t)sent < len)
        watch_write(poller, socket, true);
    return sent;
}

static void disarm_write(struct qp_udp_poller *poller, struct qp_udp_socket *socket)
{
    watch_write(poller, socket, false);
}

static const struct qp_udp_counts *counts(const struct qp_udp_poller *poller)
{
    return qp_udp_plain_counts(poller->plain);
}

const struct qp_udp_ops qp_udp_poll = {
    .name = "poll",
    .poller_new = poller_new,
    .poller_free = poller_free,
    .poller_fd = poller_fd,
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
