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

int main(void)
{
    static const struct check_test tests[] = {
        POLLER_TESTS,
        TEST(test_one_descriptor_that_never_changes),
        TEST(test_a_child_that_closes_takes_nothing_away),
    };
    return RUN(tests);
}
