#include "os/fork.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

static void test_a_child_finds_out(void)
{
    struct qp_fork_guard *guard = qp_fork_guard_new();
    int status = -1;
    if (!CHECK(guard != NULL))
        return;
    CHECK(qp_fork_guard_is_ours(guard));
    pid_t pid = fork();
    if (pid == 0)
        _exit(qp_fork_guard_is_ours(guard) ? 1 : 0);
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK(qp_fork_guard_is_ours(guard));
    qp_fork_guard_free(guard);
    qp_fork_guard_free(NULL);
}

int main(void)
{
    static const struct check_test tests[] = {TEST(test_a_child_finds_out)};
    return RUN(tests);
}
