#include "os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"

struct folder {
    char dir[32], path[96];
};

static void folder_init(struct folder *f)
{
    *f = (struct folder){.dir = "/tmp/quicpro-test-XXXXXX"};
    if (mkdtemp(f->dir) == NULL)
        abort();
    snprintf(f->path, sizeof(f->path), "%s/file", f->dir);
}

static void folder_done(struct folder *f)
{
    unlink(f->path);
    rmdir(f->dir);
}

static void fill(const char *path, size_t len)
{
    FILE *file = fopen(path, "w");
    for (size_t i = 0; i < len; i++)
        fputc((int)(i * 7 % 251), file);
    fclose(file);
}

static void test_read_takes_all_or_nothing(void)
{
    static const struct {
        size_t len, max;
        int want;
    } row[] = {
        {0, 10, 0},        {10, 10, 0},         {11, 10, -EFBIG},         {16384, 20000, 0},
        {16385, 20000, 0}, {100000, 100000, 0}, {100001, 100000, -EFBIG},
    };
    struct folder f;
    folder_init(&f);
    for (size_t i = 0; i < COUNTOF(row); i++) {
        uint8_t *data = NULL;
        size_t len = 0, wrong = 0;
        fill(f.path, row[i].len);
        CHECK_INT(qp_file_read(f.path, row[i].max, &data, &len), ==, row[i].want);
        if (row[i].want < 0) {
            CHECK(data == NULL);
            continue;
        }
        CHECK_U64(len, ==, row[i].len);
        for (size_t k = 0; k < len; k++)
            wrong += data[k] != k * 7 % 251;
        CHECK_U64(wrong, ==, 0);
        free(data);
    }
    folder_done(&f);
}

static void test_read_says_what_is_wrong(void)
{
    uint8_t *data = NULL;
    size_t len;
    CHECK_INT(qp_file_read("/nonexistent/file", 10, &data, &len), ==, -ENOENT);
    CHECK_INT(qp_file_read("/tmp", 10, &data, &len), ==, -EISDIR);
    CHECK_INT(qp_file_read("/dev/zero", 100000, &data, &len), ==, -EFBIG);
    CHECK(data == NULL);
}

static void *write_pipe(void *arg)
{
    fill(arg, 70000);
    return NULL;
}

static void test_read_takes_a_pipe(void)
{
    struct folder f;
    pthread_t writer;
    uint8_t *data = NULL;
    size_t len = 0;
    folder_init(&f);
    CHECK_INT(mkfifo(f.path, 0600), ==, 0);
    pthread_create(&writer, NULL, write_pipe, f.path);
    CHECK_INT(qp_file_read(f.path, 100000, &data, &len), ==, 0);
    CHECK_U64(len, ==, 70000);
    pthread_join(writer, NULL);
    free(data);
    folder_done(&f);
}

static void note(void *arg, const char *path)
{
    char *seen = arg;
    strncat(seen, strrchr(path, '/') + 1, 100);
    strncat(seen, " ", 2);
}

static void test_each_visits_files_in_order(void)
{
    static const char *const name[] = {"b.pem", "a.pem", ".hidden", "link"};
    struct folder f;
    char path[128], seen[512] = "";
    folder_init(&f);
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof(path), "%s/%s", f.dir, name[i]);
        fill(path, 1);
    }
    snprintf(path, sizeof(path), "%s/link", f.dir);
    CHECK_INT(symlink("a.pem", path), ==, 0);
    snprintf(path, sizeof(path), "%s/dangling", f.dir);
    CHECK_INT(symlink("nothing", path), ==, 0);
    snprintf(path, sizeof(path), "%s/folder", f.dir);
    CHECK_INT(mkdir(path, 0700), ==, 0);
    CHECK_INT(qp_file_each(f.dir, 100, note, seen), ==, 0);
    CHECK_STR(seen, "a.pem b.pem link ");
    seen[0] = '\0';
    CHECK_INT(qp_file_each(f.dir, 4, note, seen), ==, -E2BIG);
    CHECK_STR(seen, "");
    CHECK_INT(qp_file_each("/nonexistent", 4, note, seen), ==, -ENOENT);
    rmdir(path);
    snprintf(path, sizeof(path), "%s/dangling", f.dir);
    unlink(path);
    for (size_t i = 0; i < COUNTOF(name); i++) {
        snprintf(path, sizeof(path), "%s/%s", f.dir, name[i]);
        unlink(path);
    }
    folder_done(&f);
}

static void test_append(void)
{
    struct folder f;
    struct stat facts;
    uint8_t *data = NULL;
    size_t len = 0;
    folder_init(&f);
    int a = qp_file_append_open(f.path), b = qp_file_append_open(f.path);
    CHECK_INT(a, >=, 0);
    CHECK_INT(stat(f.path, &facts), ==, 0);
    CHECK_U64(facts.st_mode & 0777, ==, 0600);
    CHECK(fcntl(a, F_GETFD) & FD_CLOEXEC);
    qp_file_append(a, "one\n", 4);
    qp_file_append(b, "two\n", 4);
    qp_file_append(a, "three\n", 6);
    qp_file_append_close(a);
    qp_file_append_close(b);
    CHECK_INT(qp_file_read(f.path, 100, &data, &len), ==, 0);
    if (CHECK_U64(len, ==, 14))
        CHECK_MEM(data, "one\ntwo\nthree\n", 14);
    free(data);
    CHECK_INT(qp_file_append_open("/nonexistent/file"), ==, -ENOENT);
    int full = qp_file_append_open("/dev/full");
    qp_file_append(full, "lost\n", 5);
    qp_file_append_close(full);
    folder_done(&f);
}

static void test_a_mark_changes_with_the_file(void)
{
    struct folder f;
    char other[128];
    folder_init(&f);
    snprintf(other, sizeof(other), "%s/other", f.dir);
    CHECK_U64(qp_file_mark(f.path), ==, 0);
    fill(f.path, 10);
    uint64_t first = qp_file_mark(f.path);
    CHECK_U64(first, !=, 0);
    CHECK_U64(qp_file_mark(f.path), ==, first);
    fill(f.path, 11);
    uint64_t longer = qp_file_mark(f.path);
    CHECK_U64(longer, !=, first);
    fill(other, 11); /* the same size, put in its place as careful programs do */
    CHECK_INT(rename(other, f.path), ==, 0);
    CHECK_U64(qp_file_mark(f.path), !=, longer);
    unlink(f.path);
    CHECK_U64(qp_file_mark(f.path), ==, 0);
    folder_done(&f);
}

static void test_create_never_takes_what_is_there(void)
{
    struct folder f;
    struct stat facts;
    char longest[5000];
    uint8_t *data = NULL;
    size_t len = 0;
    folder_init(&f);
    memset(longest, 'a', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    CHECK_INT(qp_file_create(f.dir, longest), ==, -ENAMETOOLONG);
    CHECK_INT(qp_file_create("/nonexistent", "file"), ==, -ENOENT);
    const int fd = qp_file_create(f.dir, "file");
    CHECK_INT(fd, >=, 0);
    CHECK(stat(f.path, &facts) == 0 && (facts.st_mode & 0777) == 0600);
    CHECK_INT(qp_file_create(f.dir, "file"), ==, -EEXIST);
    CHECK_INT(qp_file_write(fd, (const uint8_t *)"one ", 4), ==, 0);
    CHECK_INT(qp_file_write(fd, (const uint8_t *)"two", 3), ==, 0);
    qp_file_append_close(fd);
    CHECK_INT(qp_file_read(f.path, 100, &data, &len), ==, 0);
    CHECK(len == 7 && memcmp(data, "one two", 7) == 0);
    free(data);
    unlink(f.path);
    CHECK_INT(symlink("/nonexistent/elsewhere", f.path), ==, 0); /* nor what a link points to */
    CHECK_INT(qp_file_create(f.dir, "file"), ==, -EEXIST);
    folder_done(&f);
    const int full = open("/dev/full", O_WRONLY);
    CHECK_INT(qp_file_write(full, (const uint8_t *)"x", 1), ==, -ENOSPC);
    close(full);
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_read_takes_all_or_nothing),
        TEST(test_read_says_what_is_wrong),
        TEST(test_read_takes_a_pipe),
        TEST(test_each_visits_files_in_order),
        TEST(test_append),
        TEST(test_a_mark_changes_with_the_file),
        TEST(test_create_never_takes_what_is_there),
    };
    return RUN(tests);
}
