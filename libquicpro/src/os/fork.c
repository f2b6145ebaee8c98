#include "os/fork.h"

#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

struct qp_fork_guard {
    volatile unsigned char ours; /* 1; the kernel clears the page in children (Linux 4.14) */
    pid_t pid;                   /* asked only where it does not */
    bool wiped;
};

struct qp_fork_guard *qp_fork_guard_new(void)
{
    long page = sysconf(_SC_PAGESIZE);
    struct qp_fork_guard *guard =
        mmap(NULL, (size_t)page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (guard == MAP_FAILED)
        return NULL;
    guard->wiped = madvise(guard, (size_t)page, MADV_WIPEONFORK) == 0;
    guard->pid = guard->wiped ? 0 : getpid();
    guard->ours = 1;
    return guard;
}

void qp_fork_guard_free(struct qp_fork_guard *guard)
{
    if (guard != NULL)
        munmap(guard, (size_t)sysconf(_SC_PAGESIZE));
}

bool qp_fork_guard_is_ours(const struct qp_fork_guard *guard)
{
    if (guard->ours == 0)
        return false;
    return guard->wiped || guard->pid == getpid();
}
