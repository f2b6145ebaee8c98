#include "poller.h"

#include <fcntl.h>
#include <sys/socket.h>

static const struct qp_udp_ops *const ops = &qp_udp_poll;

static bool take_over(struct qp_udp_poller *poller, struct qp_udp_socket *sock)
{
    (void)poller;
    return sock->fd >= 0; /* the table holds the number, not the file */
}

static void test_features_of_the_kernel_stay_off(void)
{
    struct qp_udp_poller *poller = poller_new();
    struct qp_udp_socket a = {.features = {.gso = true, .gro = true, .mmsg = true}};
    struct qp_addr local = loopback();
    if (!CHECK_INT(ops->open(poller, &a, &local, NULL), ==, 0))
        return;
    CHECK(!a.features.gso && !a.features.gro && !a.features.mmsg);
    ops->close(poller, &a);
    ops->poller_free(poller);
}

static void test_a_descriptor_for_each_socket(void)
{
    struct qp_udp_poller *poller = poller_new();
    struct qp_udp_socket a, b;
    quicpro_watch list[4];
    CHECK_INT(ops->poller_fd(poller), ==, -ENOTSUP);
    CHECK_U64(ops->fds(poller, list, 4), ==, 1);
    uint64_t version = ops->fds_version(poller);
    if (!open_one(poller, &a) || !open_one(poller, &b))
        return;
    CHECK_U64(ops->fds_version(poller), >, version);
    CHECK_U64(ops->fds(poller, NULL, 0), ==, 3);
    CHECK_U64(ops->fds(poller, list, 4), ==, 3);
    CHECK(list[1].fd == a.fd && list[2].fd == b.fd);
    for (size_t i = 0; i < 3; i++)
        CHECK_INT(list[i].wants, ==, QUICPRO_WANT_READABLE);
    version = ops->fds_version(poller);
    ops->close(poller, &a);
    CHECK_U64(ops->fds_version(poller), >, version);
    CHECK_U64(ops->fds(poller, list, 4), ==, 2);
    CHECK(list[1].fd == b.fd);
    ops->close(poller, &b);
    ops->poller_free(poller);
}

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

/* Whoever was told of a descriptor watches it until it is told otherwise: until then its number
 * must not come back as something else, though the socket is gone. */
static void test_a_number_is_kept_until_it_is_unlisted(void)
{
    struct qp_udp_poller *poller = poller_new();
    struct qp_udp_socket a, b, again = {0};
    quicpro_watch list[4];
    if (!open_one(poller, &a) || !open_one(poller, &b))
        return;
    const int number = a.fd;
    struct qp_addr local = a.local;
    CHECK_U64(ops->fds(poller, list, 4), ==, 3);
    ops->close(poller, &a);
    CHECK(is_open(number));
    CHECK_INT(ops->open(poller, &again, &local, NULL), ==, 0); /* its port is free at once */
    CHECK_INT(again.fd, !=, number);
    ops->arm(poller, QUICPRO_FOREVER);
    CHECK(is_open(number)); /* nobody asked since */
    CHECK_U64(ops->fds(poller, list, 2), ==, 3);
    ops->arm(poller, QUICPRO_FOREVER);
    CHECK(is_open(number)); /* nor is half a list one */
    CHECK_U64(ops->fds(poller, list, 4), ==, 3);
    CHECK(is_open(number));
    ops->arm(poller, QUICPRO_FOREVER);
    CHECK(!is_open(number));
    const int last = b.fd;
    ops->close(poller, &b);
    ops->close(poller, &again);
    CHECK(is_open(last));
    ops->poller_free(poller);
    CHECK(!is_open(last));
}

static void test_unwatched_descriptors_are_closed_at_once(void)
{
    struct qp_udp_poller *poller = poller_new();
    struct qp_udp_socket a;
    if (!open_one(poller, &a))
        return;
    const int number = a.fd;
    ops->close(poller, &a);
    CHECK(!is_open(number));
    ops->poller_free(poller);
}

static void test_expiry_is_what_was_armed(void)
{
    struct qp_udp_poller *poller = poller_new();
    struct qp_udp_socket *ready[1];
    const quicpro_tstamp at = now();
    CHECK_U64(ops->expiry(poller), ==, QUICPRO_FOREVER);
    ops->arm(poller, at + LONG);
    CHECK_U64(ops->expiry(poller), ==, at + LONG);
    CHECK_U64(turn(poller, ready, 1), ==, 0);
    CHECK_U64(ops->expiry(poller), ==, at + LONG); /* not yet */
    ops->arm(poller, at);
    CHECK_U64(turn(poller, ready, 1), ==, 0);
    CHECK_U64(ops->expiry(poller), ==, QUICPRO_FOREVER); /* told */
    ops->poller_free(poller);
}

/* A descriptor that somebody closed behind our back must not make a loop spin. */
static void test_a_lost_descriptor_is_silent(void)
{
    struct qp_udp_poller *poller = poller_new();
    struct qp_udp_socket a, *ready[1];
    if (!open_one(poller, &a))
        return;
    CHECK_INT(close(a.fd), ==, 0);
    CHECK_U64(turn(poller, ready, 1), ==, 0);
    CHECK_INT(ops->wait(poller, 10 * QUICPRO_MILLISECOND), ==, 0);
    ops->poller_free(poller);
}

/* More calls than the pipe holds bytes. */
static void test_wake_never_blocks(void)
{
    struct qp_udp_poller *poller = poller_new();
    struct qp_udp_socket *ready[1];
    for (int i = 0; i < 100000; i++)
        ops->wake(poller);
    CHECK_INT(ops->wait(poller, LONG), ==, 1);
    CHECK_U64(turn(poller, ready, 1), ==, 0);
    CHECK_INT(ops->wait(poller, 0), ==, 0);
    ops->poller_free(poller);
}

int main(void)
{
    static const struct check_test tests[] = {
        POLLER_TESTS,
        TEST(test_features_of_the_kernel_stay_off),
        TEST(test_a_descriptor_for_each_socket),
        TEST(test_a_number_is_kept_until_it_is_unlisted),
        TEST(test_unwatched_descriptors_are_closed_at_once),
        TEST(test_expiry_is_what_was_armed),
        TEST(test_a_lost_descriptor_is_silent),
        TEST(test_wake_never_blocks),
    };
    return RUN(tests);
}
