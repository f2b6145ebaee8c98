/* The list of backends, once; what is not built in has no row. */
#include "os/udp_backend.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

#ifdef __linux__
#define BACKEND_MAP(X)                                                                             \
    X(QP_UDP_EPOLL, qp_udp_epoll, "epoll", ", ") X(QP_UDP_POLL, qp_udp_poll, "poll", "")
#else
#define BACKEND_MAP(X) X(QP_UDP_POLL, qp_udp_poll, "poll", "")
#endif

static const struct {
    enum qp_udp_choice choice;
    const struct qp_udp_ops *ops;
} backend[] = {
#define BACKEND_ROW(choice, ops, name, comma) {choice, &ops},
    BACKEND_MAP(BACKEND_ROW)
#undef BACKEND_ROW
};

enum { BACKENDS = sizeof(backend) / sizeof(backend[0]) };

const char *qp_udp_backends(void)
{
#define BACKEND_NAME(choice, ops, name, comma) name comma
    return BACKEND_MAP(BACKEND_NAME);
#undef BACKEND_NAME
}

/* Row of a choice, BACKENDS if it is not built in. */
static size_t row_of(enum qp_udp_choice choice)
{
    size_t i = 0;
    while (i < BACKENDS && backend[i].choice != choice)
        i++;
    return i;
}

static int take(struct qp_udp_chosen *ret, size_t row, const char *why)
{
    const struct qp_udp_ops *ops = backend[row].ops;
    int r = ops->poller_new(&ret->poller);
    if (r < 0) {
        snprintf(ret->reason, sizeof(ret->reason), "I/O backend %s, %s: %s", ops->name, why,
                 quicpro_strerror(r));
        return r;
    }
    ret->ops = ops;
    snprintf(ret->reason, sizeof(ret->reason), "I/O backend %s: %s", ops->name, why);
    return 0;
}

/* What a process lacks for one backend it lacks for all of them. */
static bool hopeless(int error)
{
    return error == -EMFILE || error == -ENFILE || error == QUICPRO_ENOMEM;
}

static int take_best(struct qp_udp_chosen *ret)
{
    char why[96] = "the best that is built in";
    for (size_t row = 0;; row++) {
        int r = take(ret, row, why);
        if (r == 0 || hopeless(r) || row + 1 == BACKENDS)
            return r;
        snprintf(why, sizeof(why), "%s does not work here (%s)", backend[row].ops->name,
                 quicpro_strerror(r));
    }
}

static int take_named(struct qp_udp_chosen *ret, const char *name)
{
    char shown[32];
    if (strcmp(name, "auto") == 0)
        return take_best(ret);
    for (size_t row = 0; row < BACKENDS; row++)
        if (strcmp(backend[row].ops->name, name) == 0)
            return take(ret, row, "asked for by QUICPRO_IO");
    qp_escape(shown, sizeof(shown), name, strlen(name));
    snprintf(ret->reason, sizeof(ret->reason),
             "QUICPRO_IO is \"%s\": no such I/O backend, there are auto, %s", shown,
             qp_udp_backends());
    return QUICPRO_EVALUE;
}

int qp_udp_choose(struct qp_udp_chosen *ret, enum qp_udp_choice choice)
{
    *ret = (struct qp_udp_chosen){0};
    if (choice == QP_UDP_AUTO) {
        const char *name = getenv("QUICPRO_IO");
        return name == NULL || name[0] == '\0' ? take_best(ret) : take_named(ret, name);
    }
    const size_t row = row_of(choice);
    if (row == BACKENDS) {
        snprintf(ret->reason, sizeof(ret->reason), "this I/O backend is not built in; there are %s",
                 qp_udp_backends());
        return QUICPRO_EVALUE;
    }
    return take(ret, row, "asked for by the option io");
}
