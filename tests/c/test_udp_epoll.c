#include "poller.h"

#include <sys/epoll.h>
#include <sys/wait.h>

static const struct qp_udp_ops *const ops = &qp_udp_epoll;

static bool take_over(struct qp_udp_poller *poller, struct qp_udp_socket *sock)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = sock};
    return epoll_ctl(ops->poller_fd(poller), EPOLL_CTL_ADD, sock->fd, &event) == 0;
}

static void test_one_descriptor_that_never_changes(void)
{
    struct qp_udp_poller *poller = poller_new();
    struct qp_udp_socket a;
    quicpro_watch list[2];
    const uint64_t version = ops->fds_version(poller);
    if (!open_one(poller, &a))
        return;
    CHECK_U64(ops->fds(poller, list, 2), ==, 1);
    CHECK(list[0].fd == ops->poller_fd(poller) && list[0].wants == QUICPRO_WANT_READABLE);
    CHECK_U64(ops->fds_version(poller), ==, version);
    ops->arm(poller, now());
    CHECK_U64(ops->expiry(poller), ==, QUICPRO_FOREVER);
    ops->close(poller, &a);
    ops->poller_free(poller);
}

/* A child that lets go of what it inherited shares the kernel's table with us. */
static void test_a_child_that_closes_takes_nothing_away(void)
{
    struct qp_udp_poller *poller = poller_new();
    struct qp_udp_socket a;
    int status = -1;
    if (!open_one(poller, &a))
        return;
    pid_t pid = fork();
    if (pid == 0) {
        ops->close(poller, &a);
        ops->poller_free(poller);
        _exit(0);
    }
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    send_to(poller, &a, &a);
    CHECK_INT(ops->wait(poller, LONG), ==, 1);
    ops->close(poller, &a);
    ops->poller_free(poller);
}

/* Moved to a later time, the kernel's timer stays where it is: wait() does not tell of its ring,
 * and the descriptor rings once more in time. */
static void test_a_timer_that_was_put_off(void)
{
    struct qp_udp_poller *poller = poller_new();
    struct qp_udp_socket *ready[1];
    CHECK_INT(ops->poller_fd(poller), >=, 0); /* from here on it is set at all */
    quicpro_tstamp start = now();
    ops->arm(poller, start + QUICPRO_MILLISECOND);
    ops->arm(poller, start + 30 * QUICPRO_MILLISECOND);
    CHECK_INT(ops->wait(poller, LONG), ==, 1);
    CHECK_U64(now(), >=, start + 30 * QUICPRO_MILLISECOND);
    CHECK_U64(turn(poller, ready, 1), ==, 0);
    start = now();
    ops->arm(poller, start + QUICPRO_MILLISECOND);
    ops->arm(poller, start + 30 * QUICPRO_MILLISECOND);
    for (int rings = 0; now() < start + 30 * QUICPRO_MILLISECOND; rings++) {
        CHECK_INT(rings, <, 2);
        CHECK(fd_ready(poller, 10000));
        CHECK_U64(turn(poller, ready, 1), ==, 0);
    }
    CHECK(!fd_ready(poller, 0));
    ops->poller_free(poller);
}

/* Who takes the descriptor after arming hears of what was armed. */
static void test_a_timer_armed_before_the_descriptor_was_taken(void)
{
    struct qp_udp_poller *poller = poller_new();
    struct qp_udp_socket *ready[1];
    ops->arm(poller, now() + 2 * QUICPRO_MILLISECOND);
    CHECK(fd_ready(poller, 10000));
    CHECK_U64(turn(poller, ready, 1), ==, 0);
    CHECK(!fd_ready(poller, 0));
    ops->poller_free(poller);
}

int main(void)
{
    static const struct check_test tests[] = {
        POLLER_TESTS,
        TEST(test_one_descriptor_that_never_changes),
        TEST(test_a_child_that_closes_takes_nothing_away),
        TEST(test_a_timer_that_was_put_off),
        TEST(test_a_timer_armed_before_the_descriptor_was_taken),
    };
    return RUN(tests);
}
