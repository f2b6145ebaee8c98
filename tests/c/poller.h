/* What every poller must do, whatever the kernel has for it. A test program defines `ops` and
 * `take_over` (see below) before it includes this, and runs the rows of POLLER_TESTS. */
#ifndef POLLER_H
#define POLLER_H

#include "os/udp.h"

#include "check.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

static const struct qp_udp_ops *const ops;
/* Another file has taken the place of the socket's: the poller watches it from here on. */
static bool take_over(struct qp_udp_poller *poller, struct qp_udp_socket *sock);

static const quicpro_tstamp LONG = 10 * QUICPRO_SECOND; /* a test that waits for it has failed */

static quicpro_tstamp now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * QUICPRO_SECOND + (uint64_t)ts.tv_nsec;
}

static struct qp_addr loopback(void)
{
    struct qp_addr addr;
    memset(&addr, 0, sizeof(addr));
    addr.in.sin_family = AF_INET;
    addr.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return addr;
}

static struct qp_udp_poller *poller_new(void)
{
    struct qp_udp_poller *poller = NULL;
    CHECK_INT(ops->poller_new(&poller), ==, 0);
    return poller;
}

static bool open_one(struct qp_udp_poller *poller, struct qp_udp_socket *sock)
{
    struct qp_addr local = loopback();
    memset(sock, 0, sizeof(*sock));
    return CHECK_INT(ops->open(poller, sock, &local, NULL), ==, 0);
}

static void send_to(struct qp_udp_poller *poller, struct qp_udp_socket *from,
                    const struct qp_udp_socket *to)
{
    CHECK_INT(ops->send(poller, from, NULL, &to->local, (const uint8_t *)"ping", 4, 4), ==, 4);
}

/* As a foreign loop would: whether one of the descriptors is ready, or the time has come. */
static bool fd_ready(struct qp_udp_poller *poller, int milliseconds)
{
    quicpro_watch list[64];
    struct pollfd fd[64];
    const size_t count = ops->fds(poller, list, COUNTOF(list));
    const quicpro_tstamp at = ops->expiry(poller), start = now();
    if (!CHECK(count <= COUNTOF(list)))
        return false;
    for (size_t i = 0; i < count; i++)
        fd[i] = (struct pollfd){
            list[i].fd, (short)(list[i].wants & QUICPRO_WANT_WRITABLE ? POLLIN | POLLOUT : POLLIN),
            0};
    if (at != QUICPRO_FOREVER && at <= start + (quicpro_tstamp)milliseconds * QUICPRO_MILLISECOND)
        return true;
    return poll(fd, (nfds_t)count, milliseconds) > 0;
}

/* Everything that is ready, in one turn. */
static size_t turn(struct qp_udp_poller *poller, struct qp_udp_socket **ready, size_t max)
{
    struct qp_udp_socket *sock;
    bool in, out;
    size_t n = 0;
    while ((sock = ops->next_ready(poller, &in, &out)) != NULL)
        if (CHECK(n < max))
            ready[n++] = sock;
    return n;
}

static void test_a_datagram_makes_its_socket_ready(void)
{
    struct qp_udp_poller *poller = poller_new();
    struct qp_udp_socket a, b;
    struct qp_udp_train train[2];
    bool in = false, out = true;
    if (!open_one(poller, &a) || !open_one(poller, &b))
        return;
    send_to(poller, &a, &b);
    CHECK_INT(ops->wait(poller, LONG), ==, 1);
    CHECK(fd_ready(poller, 0));
    CHECK(ops->next_ready(poller, &in, &out) == &b && in && !out);
    CHECK(ops->next_ready(poller, &in, &out) == NULL);
    CHECK_INT(ops->receive(poller, &b, train, 2), ==, 1);
    CHECK(train[0].len == 4 && qp_addr_equal(&train[0].peer, &a.local));
    CHECK_MEM(train[0].data, "ping", 4);
    CHECK(ops->next_ready(poller, &in, &out) == NULL);
    CHECK_INT(ops->wait(poller, 0), ==, 0);
    CHECK_U64(ops->counts(poller)->messages_out, ==, 1);
    ops->close(poller, &a);
    ops->close(poller, &b);
    CHECK_INT(a.fd, ==, -1);
    ops->close(poller, &a); /* once more does nothing */
    ops->poller_free(poller);
}

/* Without wait(), next_ready() looks for itself; what was not read comes again. */
static void test_driven_by_a_foreign_loop(void)
{
    struct qp_udp_poller *poller = poller_new();
    struct qp_udp_socket a, *ready[2];
    if (!open_one(poller, &a))
        return;
    CHECK_U64(turn(poller, ready, 2), ==, 0);
    send_to(poller, &a, &a);
    CHECK(fd_ready(poller, 10000));
    CHECK_U64(turn(poller, ready, 2), ==, 1);
    CHECK(fd_ready(poller, 0));
    CHECK_U64(turn(poller, ready, 2), ==, 1);
    ops->close(poller, &a);
    CHECK(!fd_ready(poller, 0));
    ops->poller_free(poller);
}

static void test_idle_never_wakes(void)
{
    struct qp_udp_poller *poller = poller_new();
    struct qp_udp_socket a, *ready[2];
    if (!open_one(poller, &a))
        return;
    quicpro_tstamp start = now();
    CHECK_INT(ops->wait(poller, 20 * QUICPRO_MILLISECOND), ==, 0);
    CHECK_U64(now() - start, >=, 20 * QUICPRO_MILLISECOND);
    CHECK(!fd_ready(poller, 20));
    CHECK_U64(turn(poller, ready, 2), ==, 0);
    ops->close(poller, &a);
    ops->poller_free(poller);
}

static void test_timer(void)
{
    struct qp_udp_poller *poller = poller_new();
    struct qp_udp_socket *ready[1];
    for (int i = 0; i < 3; i++) {
        quicpro_tstamp at = now() + 3 * QUICPRO_MILLISECOND;
        ops->arm(poller, at);
        ops->arm(poller, at);
        CHECK_INT(ops->wait(poller, LONG), ==, 1);
        CHECK_U64(now(), >=, at);
        CHECK_U64(turn(poller, ready, 1), ==, 0);
        CHECK_INT(ops->wait(poller, 0), ==, 0); /* and it is cleared */
        CHECK(!fd_ready(poller, 0));
    }
    /* The same point in time once more, although it has passed. */
    quicpro_tstamp past = now();
    for (int i = 0; i < 2; i++) {
        ops->arm(poller, past);
        CHECK_INT(ops->wait(poller, LONG), ==, 1);
        CHECK_U64(turn(poller, ready, 1), ==, 0);
    }
    ops->arm(poller, 0);
    CHECK(fd_ready(poller, 10000)); /* a foreign loop sees it too */
    CHECK_U64(turn(poller, ready, 1), ==, 0);
    CHECK(!fd_ready(poller, 0));
    ops->poller_free(poller);
}

/* Whoever stops half-way through a turn and arms again at the same point in time must hear of it,
 * also by the descriptor alone; and the next run looks afresh. */
static void test_timer_beside_a_turn_that_stops(void)
{
    struct qp_udp_poller *poller = poller_new();
    struct qp_udp_socket a, *ready[2];
    struct qp_udp_train train[1];
    bool in, out;
    if (!open_one(poller, &a))
        return;
    for (int i = 0; i < 3; i++) {
        send_to(poller, &a, &a);
        ops->arm(poller, 0);
        CHECK_INT(ops->wait(poller, LONG), ==, 1);
        CHECK(ops->next_ready(poller, &in, &out) == &a);
        CHECK_INT(ops->receive(poller, &a, train, 1), ==, 1);
        ops->arm(poller, 0);
        CHECK(fd_ready(poller, 10000));
        CHECK_U64(turn(poller, ready, 2), ==, 0);
        CHECK(!fd_ready(poller, 0));
    }
    /* Left behind the last socket of a turn: the next one serves it again at once. */
    send_to(poller, &a, &a);
    CHECK(fd_ready(poller, 10000));
    for (int i = 0; i < 3; i++) {
        CHECK(ops->next_ready(poller, &in, &out) == &a);
        ops->arm(poller, QUICPRO_FOREVER);
    }
    ops->close(poller, &a);
    ops->poller_free(poller);
}

static void test_timer_moved_and_disarmed(void)
{
    struct qp_udp_poller *poller = poller_new();
    struct qp_udp_socket *ready[1];
    quicpro_tstamp start = now();
    ops->arm(poller, start + 3600 * QUICPRO_SECOND);
    ops->arm(poller, start + 2 * QUICPRO_MILLISECOND);
    CHECK_INT(ops->wait(poller, LONG), ==, 1);
    CHECK_U64(turn(poller, ready, 1), ==, 0);
    ops->arm(poller, start); /* it has rung, and is taken back before anybody looked */
    ops->arm(poller, QUICPRO_FOREVER);
    CHECK_INT(ops->wait(poller, 10 * QUICPRO_MILLISECOND), ==, 0);
    ops->poller_free(poller);
}

static void *wake_from_here(void *user)
{
    ops->wake(user);
    return NULL;
}

static void test_wake_from_another_thread(void)
{
    struct qp_udp_poller *poller = poller_new();
    struct qp_udp_socket *ready[1];
    for (int i = 0; i < 20; i++) {
        pthread_t thread;
        if (!CHECK_INT(pthread_create(&thread, NULL, wake_from_here, poller), ==, 0))
            break;
        CHECK_INT(ops->wait(poller, LONG), ==, 1);
        CHECK_U64(turn(poller, ready, 1), ==, 0);
        pthread_join(thread, NULL);
    }
    CHECK_INT(ops->wait(poller, 0), ==, 0);
    ops->poller_free(poller);
}

static void test_wake_before_wait_and_by_descriptor(void)
{
    struct qp_udp_poller *poller = poller_new();
    struct qp_udp_socket *ready[1];
    uint64_t one = 1;
    errno = 77;
    ops->wake(poller);
    CHECK_INT(errno, ==, 77);
    ops->wake(poller);
    CHECK_INT(ops->wait(poller, LONG), ==, 1);
    CHECK_INT(ops->wait(poller, LONG), ==, 1); /* not cleared before the turn */
    CHECK_U64(turn(poller, ready, 1), ==, 0);
    CHECK_INT(ops->wait(poller, 0), ==, 0); /* two became one */
    CHECK_INT(write(ops->wake_fd(poller), &one, sizeof(one)), ==, 8);
    CHECK(fd_ready(poller, 10000));
    CHECK_U64(turn(poller, ready, 1), ==, 0);
    CHECK(!fd_ready(poller, 0));
    ops->poller_free(poller);
}

/* A turn that stops half-way goes on with the sockets that were not served. */
static void test_fair_to_all_sockets(void)
{
    enum { SOCKETS = 5 };
    struct qp_udp_poller *poller = poller_new();
    struct qp_udp_socket sock[SOCKETS];
    unsigned served[SOCKETS] = {0};
    bool in, out;
    for (size_t i = 0; i < SOCKETS; i++)
        if (!open_one(poller, &sock[i]))
            return;
    for (size_t i = 0; i < SOCKETS; i++)
        send_to(poller, &sock[0], &sock[i]);
    /* Nobody reads, so all stay ready; each time only one is served. */
    for (int i = 0; i < 10 * SOCKETS; i++) {
        CHECK_INT(ops->wait(poller, LONG), ==, 1);
        struct qp_udp_socket *next = ops->next_ready(poller, &in, &out);
        if (next == NULL) { /* the end of a turn */
            next = ops->next_ready(poller, &in, &out);
            if (!CHECK(next != NULL))
                break;
        }
        served[next - sock]++;
    }
    for (size_t i = 0; i < SOCKETS; i++)
        CHECK_U64(served[i], ==, 10);
    for (size_t i = 0; i < SOCKETS; i++)
        ops->close(poller, &sock[i]);
    ops->poller_free(poller);
}

static void test_more_sockets_than_one_look_takes(void)
{
    enum { SOCKETS = 150 };
    static struct qp_udp_socket sock[SOCKETS], *ready[SOCKETS];
    static struct qp_udp_train train[1];
    struct qp_udp_poller *poller = poller_new();
    for (size_t i = 0; i < SOCKETS; i++)
        if (!open_one(poller, &sock[i]))
            return;
    for (size_t i = 0; i < SOCKETS; i++)
        send_to(poller, &sock[0], &sock[i]);
    size_t seen = 0;
    for (int turns = 0; turns < 10 && seen < SOCKETS; turns++) {
        size_t n = turn(poller, ready, SOCKETS);
        for (size_t i = 0; i < n; i++)
            CHECK_INT(ops->receive(poller, ready[i], train, 1), ==, 1);
        seen += n;
    }
    CHECK_U64(seen, ==, SOCKETS);
    for (size_t i = 0; i < SOCKETS; i++)
        ops->close(poller, &sock[i]);
    ops->poller_free(poller);
}

static void test_closed_sockets_do_not_come_out(void)
{
    struct qp_udp_poller *poller = poller_new();
    struct qp_udp_socket sock[3], *ready[3];
    bool in, out;
    for (size_t i = 0; i < 3; i++)
        if (!open_one(poller, &sock[i]))
            return;
    for (size_t i = 0; i < 3; i++)
        send_to(poller, &sock[0], &sock[i]);
    CHECK_INT(ops->wait(poller, LONG), ==, 1);
    struct qp_udp_socket *first = ops->next_ready(poller, &in, &out);
    CHECK(first != NULL);
    for (size_t i = 0; i < 3; i++)
        if (&sock[i] != first)
            ops->close(poller, &sock[i]); /* ready, and not handed out yet */
    CHECK_U64(turn(poller, ready, 3), ==, 0);
    CHECK_U64(turn(poller, ready, 3), ==, 1);
    CHECK(ready[0] == first);
    ops->close(poller, first);
    CHECK(!fd_ready(poller, 0));
    ops->poller_free(poller);
}

/* A supervisor keeps a copy of each socket it hands over: closing ours must end it for us. */
static void test_closed_although_a_copy_lives(void)
{
    struct qp_udp_poller *poller = poller_new();
    struct qp_udp_socket mine = {0}, other;
    struct qp_addr local = loopback();
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    socklen_t len = sizeof(local);
    if (!CHECK(bind(fd, &local.sa, sizeof(local.in)) == 0) || !open_one(poller, &other))
        return;
    CHECK(getsockname(fd, &local.sa, &len) == 0);
    CHECK_INT(ops->adopt(poller, &mine, dup(fd)), ==, 0);
    CHECK(qp_addr_equal(&mine.local, &local));
    ops->close(poller, &mine);
    mine.local = local;
    send_to(poller, &other, &mine);
    CHECK_INT(ops->wait(poller, 10 * QUICPRO_MILLISECOND), ==, 0);
    ops->close(poller, &other);
    ops->poller_free(poller);
    close(fd);
}

static void test_adopt_leaves_a_refused_descriptor_alone(void)
{
    struct qp_udp_poller *poller = poller_new();
    struct qp_udp_socket sock = {.fd = -1};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_INT(ops->adopt(poller, &sock, fd), ==, QUICPRO_EINVAL);
    CHECK_INT(close(fd), ==, 0);
    ops->poller_free(poller);
    ops->poller_free(NULL);
}

static void test_refused_by_the_peer(void)
{
    struct qp_udp_poller *poller = poller_new();
    struct qp_udp_socket server, client = {0};
    struct qp_udp_train train[1];
    bool in = false, out;
    if (!open_one(poller, &server) ||
        !CHECK_INT(ops->open(poller, &client, NULL, &server.local), ==, 0))
        return;
    ops->close(poller, &server);
    send_to(poller, &client, &server);
    CHECK_INT(ops->wait(poller, LONG), ==, 1);
    CHECK(ops->next_ready(poller, &in, &out) == &client && in);
    CHECK_INT(ops->receive(poller, &client, train, 1), ==, -ECONNREFUSED);
    CHECK(ops->next_ready(poller, &in, &out) == NULL);
    CHECK_INT(ops->wait(poller, 0), ==, 0); /* told once */
    ops->close(poller, &client);
    ops->poller_free(poller);
}

/* On loopback UDP takes everything at once, so a pair of local sockets that fill up stands in for
 * the UDP socket; to the poller they look the same. */
static void check_write_blocked(bool mmsg)
{
    enum { SEGMENT = 1000, SEGMENTS = 60 };
    static uint8_t data[SEGMENTS * SEGMENT];
    struct qp_udp_poller *poller = poller_new();
    struct qp_udp_socket sock;
    int pair[2];
    bool in, out;
    if (!open_one(poller, &sock) ||
        !CHECK(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, pair) == 0) ||
        !CHECK(dup2(pair[0], sock.fd) == sock.fd) || !CHECK(take_over(poller, &sock)))
        return;
    sock.connected = true;
    sock.features.gso = false;
    sock.features.mmsg = mmsg;
    CHECK(!sock.want_write);
    int64_t n = SEGMENTS * SEGMENT, sent = 0;
    for (int i = 0; i < 10000 && n == SEGMENTS * SEGMENT; i++) {
        n = ops->send(poller, &sock, NULL, NULL, data, sizeof(data), SEGMENT);
        sent += n;
    }
    CHECK(n >= 0 && n < SEGMENTS * SEGMENT && n % SEGMENT == 0);
    CHECK(sock.want_write);
    CHECK_INT(ops->send(poller, &sock, NULL, NULL, data, SEGMENT, SEGMENT), ==, 0);
    CHECK_INT(ops->wait(poller, 0), ==, 0);
    for (int64_t got = 0; got < sent; got += SEGMENT)
        if (!CHECK_INT(read(pair[1], data, sizeof(data)), ==, SEGMENT))
            break;
    CHECK_INT(ops->wait(poller, LONG), ==, 1);
    CHECK(ops->next_ready(poller, &in, &out) == &sock && out && !in);
    CHECK(sock.want_write); /* until its owner has nothing left */
    CHECK(ops->next_ready(poller, &in, &out) == NULL);
    CHECK(ops->next_ready(poller, &in, &out) == &sock && out);
    ops->disarm_write(poller, &sock);
    CHECK(!sock.want_write);
    CHECK(ops->next_ready(poller, &in, &out) == NULL);
    CHECK_INT(ops->wait(poller, 0), ==, 0);
    ops->disarm_write(poller, &sock); /* once more does nothing */
    ops->close(poller, &sock);
    ops->poller_free(poller);
    close(pair[0]);
    close(pair[1]);
}

static void test_write_blocked_and_taken_up_again(void)
{
    check_write_blocked(false);
    check_write_blocked(true);
}

#define POLLER_TESTS                                                                               \
    TEST(test_a_datagram_makes_its_socket_ready), TEST(test_driven_by_a_foreign_loop),             \
        TEST(test_idle_never_wakes), TEST(test_timer), TEST(test_timer_beside_a_turn_that_stops),  \
        TEST(test_timer_moved_and_disarmed), TEST(test_wake_from_another_thread),                  \
        TEST(test_wake_before_wait_and_by_descriptor), TEST(test_fair_to_all_sockets),             \
        TEST(test_more_sockets_than_one_look_takes), TEST(test_closed_sockets_do_not_come_out),    \
        TEST(test_closed_although_a_copy_lives),                                                   \
        TEST(test_adopt_leaves_a_refused_descriptor_alone), TEST(test_refused_by_the_peer),        \
        TEST(test_write_blocked_and_taken_up_again)

#endif
