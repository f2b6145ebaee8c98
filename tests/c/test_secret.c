#include "os/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"

static int read_of(size_t size, unsigned mode)
{
    static uint8_t data[QP_SECRET_FILE_MAX + 1], got[QP_SECRET_FILE_MAX];
    char path[] = "/tmp/quicpro-secret-XXXXXX";
    int fd = mkstemp(path);
    for (size_t i = 0; i < size; i++)
        data[i] = (uint8_t)(i * 7);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size || fchmod(fd, mode) != 0)
        abort();
    close(fd);
    int r = qp_secret_read(got, path);
    if (r > 0)
        CHECK_MEM(got, data, (size_t)r);
    unlink(path);
    return r;
}

static void test_files(void)
{
    static const struct {
        size_t size;
        unsigned mode;
        int want;
    } row[] = {
        {32, 0600, 32},      {32, 0400, 32},     {4096, 0600, 4096},
        {31, 0600, -EINVAL}, {0, 0600, -EINVAL}, {4097, 0600, -EINVAL},
        {32, 0640, -EPERM},  {32, 0604, -EPERM}, {32, 0620, -EPERM},
    };
    for (size_t i = 0; i < COUNTOF(row); i++)
        CHECK_INT(read_of(row[i].size, row[i].mode), ==, row[i].want);
}

static void test_what_is_no_file(void)
{
    uint8_t got[QP_SECRET_FILE_MAX];
    char path[] = "/tmp/quicpro-secret-XXXXXX";
    CHECK_INT(qp_secret_read(got, "/nonexistent/secret"), ==, -ENOENT);
    CHECK_INT(qp_secret_read(got, "/tmp"), ==, -EINVAL);
    CHECK_INT(qp_secret_read(got, "/dev/zero"), ==, -EINVAL);
    if (mkdtemp(path) == NULL)
        abort();
    char fifo[64];
    snprintf(fifo, sizeof(fifo), "%s/fifo", path);
    CHECK_INT(mkfifo(fifo, 0600), ==, 0);
    CHECK_INT(qp_secret_read(got, fifo), ==, -EINVAL); /* and does not wait for a writer */
    unlink(fifo);
    rmdir(path);
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_files),
        TEST(test_what_is_no_file),
    };
    return RUN(tests);
}
