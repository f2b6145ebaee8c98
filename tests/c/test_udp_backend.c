#include "os/udp_backend.h"

#include "check.h"

#include <stdlib.h>

static void choose(const char *environment, enum qp_udp_choice choice, int r, const char *name,
                   const char *reason)
{
    struct qp_udp_chosen chosen;
    if (environment == NULL)
        unsetenv("QUICPRO_IO");
    else
        setenv("QUICPRO_IO", environment, 1);
    if (!CHECK_INT(qp_udp_choose(&chosen, choice), ==, r) ||
        !CHECK(strstr(chosen.reason, reason) != NULL))
        printf("# QUICPRO_IO=%s choice %d: %s\n", environment, (int)choice, chosen.reason);
    if (r < 0) {
        CHECK(chosen.ops == NULL && chosen.poller == NULL);
        return;
    }
    CHECK_STR(chosen.ops->name, name);
    chosen.ops->poller_free(chosen.poller);
}

static void test_who_chooses(void)
{
    static const struct {
        const char *environment;
        enum qp_udp_choice choice;
        int r;
        const char *name, *reason;
    } row[] = {
        {NULL, QP_UDP_AUTO, 0, "epoll", "the best"},
        {"", QP_UDP_AUTO, 0, "epoll", "the best"},
        {"auto", QP_UDP_AUTO, 0, "epoll", "the best"},
        {"poll", QP_UDP_AUTO, 0, "poll", "QUICPRO_IO"},
        {"epoll", QP_UDP_AUTO, 0, "epoll", "QUICPRO_IO"},
        {"poll", QP_UDP_EPOLL, 0, "epoll", "option io"},
        {NULL, QP_UDP_POLL, 0, "poll", "option io"},
        {"kqueue", QP_UDP_POLL, 0, "poll", "option io"},
        {"kqueue", QP_UDP_AUTO, QUICPRO_EVALUE, NULL, "\"kqueue\""},
        {"po\nll", QP_UDP_AUTO, QUICPRO_EVALUE, NULL, "po\\x0all"},
        {NULL, (enum qp_udp_choice)9, QUICPRO_EVALUE, NULL, "not built in"},
    };
    for (size_t i = 0; i < COUNTOF(row); i++)
        choose(row[i].environment, row[i].choice, row[i].r, row[i].name, row[i].reason);
}

static void test_list(void)
{
    CHECK_STR(qp_udp_backends(), "epoll, poll");
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_who_chooses),
        TEST(test_list),
    };
    return RUN(tests);
}
