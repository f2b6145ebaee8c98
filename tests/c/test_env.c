#include "os/env.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

static void test_a_variable_is_found(void)
{
    setenv("QUICPRO_TEST_VARIABLE", "value", 1);
    CHECK_STR(qp_env_get("QUICPRO_TEST_VARIABLE"), "value");
    unsetenv("QUICPRO_TEST_VARIABLE");
    CHECK(qp_env_get("QUICPRO_TEST_VARIABLE") == NULL);
}

static bool copy_program(const char *path)
{
    char block[65536];
    size_t n;
    FILE *in = fopen("/proc/self/exe", "rb"), *out = fopen(path, "wb");
    if (in == NULL || out == NULL)
        return false;
    while ((n = fread(block, 1, sizeof(block), in)) > 0)
        fwrite(block, 1, n, out);
    fclose(in);
    return fclose(out) == 0;
}

enum { NOBODY = 65534, TRUSTED = 10, IGNORED = 11, PLAIN = 12 };

/* A copy of this program that belongs to root and is setuid, started by nobody: exit code of it. */
static int run_setuid(const char *path)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        setenv("QUICPRO_TEST_VARIABLE", "value", 1);
        if (setgid(NOBODY) == 0 && setuid(NOBODY) == 0)
            execl(path, path, "child", NULL);
        _exit(1);
    }
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_setuid_programs_trust_no_variable(void)
{
    char dir[] = "/tmp/quicpro-test-XXXXXX", path[64];
    if (geteuid() != 0) {
        check_skip("only root can make a setuid program of another user");
        return;
    }
    if (!CHECK(mkdtemp(dir) != NULL))
        return;
    snprintf(path, sizeof(path), "%s/program", dir);
    CHECK(copy_program(path) && chmod(dir, 0755) == 0 && chmod(path, 04755) == 0);
    int code = run_setuid(path);
    if (code == PLAIN)
        check_skip("/tmp is mounted nosuid");
    else
        CHECK_INT(code, ==, IGNORED);
    unlink(path);
    rmdir(dir);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        TEST(test_a_variable_is_found),
        TEST(test_setuid_programs_trust_no_variable),
    };
    if (argc > 1 && strcmp(argv[1], "child") == 0)
        return geteuid() != 0                                ? PLAIN
               : qp_env_get("QUICPRO_TEST_VARIABLE") == NULL ? IGNORED
                                                             : TRUSTED;
    return RUN(tests);
}
