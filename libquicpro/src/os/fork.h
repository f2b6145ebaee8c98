/* Tells a process from the children it forks, without a system call for each question. */
#ifndef QP_OS_FORK_H
#define QP_OS_FORK_H

#include <stdbool.h>

/* A byte that reads 1 here and 0 in every child; NULL: out of memory. */
struct qp_fork_guard;
struct qp_fork_guard *qp_fork_guard_new(void);
void qp_fork_guard_free(struct qp_fork_guard *guard);
bool qp_fork_guard_is_ours(const struct qp_fork_guard *guard);

#endif
