#include "os/vault.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

static void test_memory_is_zero_and_writable(void)
{
    uint8_t *vault = qp_vault_new(10000);
    if (!CHECK(vault != NULL))
        return;
    for (size_t i = 0; i < 10000; i++)
        CHECK_INT(vault[i], ==, 0);
    memset(vault, 0xff, 10000);
    qp_vault_free(vault, 10000);
    qp_vault_free(NULL, 10000);
}

static void test_more_than_there_is(void)
{
    CHECK(qp_vault_new(SIZE_MAX / 2) == NULL);
}

/* The kernel says so in the flags of the mapping: dd, not in core dumps; wf, wiped on fork. */
static void test_stays_out_of_core_dumps(void)
{
    unsigned char *vault = qp_vault_new(4096);
    char line[256], flags[256] = "", want[32];
    FILE *f = fopen("/proc/self/smaps", "r");
    bool here = false;
    if (f == NULL) {
        check_skip("no /proc");
        qp_vault_free(vault, 4096);
        return;
    }
    while (fgets(line, sizeof(line), f) != NULL) {
        unsigned long from, to;
        if (sscanf(line, "%lx-%lx ", &from, &to) == 2 && strchr(line, ':') > strchr(line, ' '))
            here = (uintptr_t)vault >= from && (uintptr_t)vault < to;
        else if (here && strncmp(line, "VmFlags:", 8) == 0)
            snprintf(flags, sizeof(flags), "%.*s", (int)sizeof(flags) - 1, line);
    }
    fclose(f);
    snprintf(want, sizeof(want), " dd");
    if (!CHECK(strstr(flags, want) != NULL))
        printf("# %s", flags);
    qp_vault_free(vault, 4096);
}

static void test_child_finds_nothing(void)
{
    uint8_t *vault = qp_vault_new(4096);
    int status = 0;
    memset(vault, 7, 4096);
    pid_t child = fork();
    if (child == 0)
        _exit(vault[0] + vault[4095]);
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status));
    CHECK_INT(WEXITSTATUS(status), ==, 0);
    CHECK_INT(vault[0], ==, 7);
    qp_vault_free(vault, 4096);
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_memory_is_zero_and_writable),
        TEST(test_more_than_there_is),
        TEST(test_stays_out_of_core_dumps),
        TEST(test_child_finds_nothing),
    };
    return RUN(tests);
}
