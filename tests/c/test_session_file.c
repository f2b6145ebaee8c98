#include "os/session_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"

static char dir[] = "/tmp/quicpro-test-XXXXXX";
static char path[64], other[64];

static int open_it(struct qp_session_file *file)
{
    const char *why;
    return qp_session_file_open(file, path, 1000, &why);
}

/* Why it is refused, "" if it is not. */
static const char *refused(int want)
{
    struct qp_session_file file;
    const char *why;
    CHECK_INT(qp_session_file_open(&file, path, 1000, &why), ==, want);
    if (want == 0)
        qp_session_file_close(&file);
    CHECK(file.data == NULL);
    return why == NULL ? "" : why;
}

static void write_file(const char *text, mode_t mode)
{
    unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, mode);
    if (fd < 0 || write(fd, text, strlen(text)) < 0 || fchmod(fd, mode) < 0 || close(fd) < 0)
        abort();
}

static void test_is_made_and_kept(void)
{
    struct qp_session_file file;
    struct stat st;
    CHECK_INT(open_it(&file), ==, 0);
    CHECK_U64(file.len, ==, 0);
    CHECK_INT(qp_session_file_write(&file, (const uint8_t *)"a longer text", 13), ==, 0);
    CHECK_INT(qp_session_file_write(&file, (const uint8_t *)"text", 4), ==, 0);
    qp_session_file_close(&file);
    CHECK(stat(path, &st) == 0);
    CHECK_INT(st.st_mode & 07777, ==, 0600);
    CHECK_INT(open_it(&file), ==, 0);
    CHECK_U64(file.len, ==, 4);
    CHECK_MEM(file.data, "text", 4);
    qp_session_file_close(&file);
    unlink(path);
}

static void test_one_process_at_a_time(void)
{
    struct qp_session_file first, second;
    CHECK_INT(open_it(&first), ==, 0);
    CHECK_INT(open_it(&second), ==, -EAGAIN);
    qp_session_file_close(&first);
    CHECK_INT(open_it(&second), ==, 0);
    qp_session_file_close(&second);
    unlink(path);
}

static void test_what_others_may_touch_is_refused(void)
{
    static const mode_t mode[] = {0604, 0640, 0602, 0620, 0601, 0777};
    for (size_t i = 0; i < COUNTOF(mode); i++) {
        write_file("x", mode[i]);
        CHECK_STR(refused(-EPERM), "others may read or write it; chmod 600 helps");
    }
    write_file("x", 0600);
    CHECK_STR(refused(0), "");
    unlink(path);
}

static void test_foreign_owner_is_refused(void)
{
    if (geteuid() != 0) {
        check_skip("only root can give files away");
        return;
    }
    write_file("x", 0600);
    CHECK(chown(path, 1, 1) == 0);
    CHECK_STR(refused(-EPERM), "another user's");
    unlink(path);
}

static void test_only_plain_files(void)
{
    snprintf(other, sizeof(other), "%s/other", dir);
    CHECK(symlink(other, path) == 0);
    CHECK_STR(refused(-ELOOP), "a link");
    CHECK(access(other, F_OK) != 0); /* nothing was made through it */
    unlink(path);
    CHECK(mkfifo(path, 0600) == 0);
    CHECK_STR(refused(-EPERM), "not a plain file");
    unlink(path);
    CHECK(mkdir(path, 0700) == 0);
    CHECK_STR(refused(-EISDIR), "");
    rmdir(path);
}

static void test_too_large_is_not_read(void)
{
    char text[1002];
    memset(text, 'x', sizeof(text) - 1);
    text[1001] = '\0';
    write_file(text, 0600);
    CHECK_STR(refused(-EFBIG), "");
    text[1000] = '\0';
    write_file(text, 0600);
    struct qp_session_file file;
    CHECK_INT(open_it(&file), ==, 0);
    CHECK_U64(file.len, ==, 1000);
    qp_session_file_close(&file);
    unlink(path);
}

static void test_folder_that_is_not_there(void)
{
    struct qp_session_file file;
    const char *why;
    CHECK_INT(qp_session_file_open(&file, "/nonexistent/sessions", 10, &why), ==, -ENOENT);
}

static void test_full_disk_leaves_an_empty_file(void)
{
    struct qp_session_file file = {.fd = open("/dev/full", O_RDWR | O_CLOEXEC)};
    if (file.fd < 0) {
        check_skip("no /dev/full");
        return;
    }
    CHECK_INT(qp_session_file_write(&file, (const uint8_t *)"x", 1), <, 0);
    qp_session_file_close(&file);
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_is_made_and_kept),
        TEST(test_one_process_at_a_time),
        TEST(test_what_others_may_touch_is_refused),
        TEST(test_foreign_owner_is_refused),
        TEST(test_only_plain_files),
        TEST(test_too_large_is_not_read),
        TEST(test_folder_that_is_not_there),
        TEST(test_full_disk_leaves_an_empty_file),
    };
    if (mkdtemp(dir) == NULL)
        return 1;
    snprintf(path, sizeof(path), "%s/sessions", dir);
    int r = RUN(tests);
    rmdir(dir);
    return r;
}
