#include "os/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"

enum { FIRST_BYTES = 16384, PATH_BYTES = 4096 };

static void forget(uint8_t *data, size_t len)
{
    if (data != NULL)
        explicit_bzero(data, len);
    free(data);
}

/* Makes room for more: realloc() would leave a copy behind. */
static int grow(uint8_t **data, size_t len, size_t *capacity)
{
    size_t wanted = *capacity == 0 ? FIRST_BYTES : *capacity * 2;
    uint8_t *larger = malloc(wanted);
    if (larger == NULL)
        return -ENOMEM;
    if (len != 0)
        memcpy(larger, *data, len);
    forget(*data, len);
    *data = larger;
    *capacity = wanted;
    return 0;
}

static int read_all(int fd, size_t max, uint8_t **data, size_t *len)
{
    size_t capacity = 0;
    for (;;) {
        if (*len == capacity) {
            int r = grow(data, *len, &capacity);
            if (r < 0)
                return r;
        }
        ssize_t n = read(fd, *data + *len, capacity - *len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            return 0;
        *len += (size_t)n;
        if (*len > max)
            return -EFBIG;
    }
}

int qp_file_read(const char *path, size_t max, uint8_t **ret, size_t *ret_len)
{
    uint8_t *data = NULL;
    size_t len = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int r = read_all(fd, max, &data, &len);
    close(fd);
    if (r < 0) {
        forget(data, len);
        return r;
    }
    *ret = data;
    *ret_len = len;
    return 0;
}

static int not_hidden(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static bool is_regular(const char *path)
{
    struct stat facts;
    return stat(path, &facts) == 0 && S_ISREG(facts.st_mode);
}

int qp_file_each(const char *directory, size_t max, void (*visit)(void *arg, const char *path),
                 void *arg)
{
    struct dirent **entries;
    char path[PATH_BYTES];
    int count = scandir(directory, &entries, not_hidden, alphasort);
    if (count < 0)
        return -errno;
    for (int i = 0; i < count; i++) {
        int n = snprintf(path, sizeof(path), "%s/%s", directory, entries[i]->d_name);
        if ((size_t)count <= max && n > 0 && (size_t)n < sizeof(path) && is_regular(path))
            visit(arg, path);
        free(entries[i]);
    }
    free(entries);
    return (size_t)count <= max ? 0 : -E2BIG;
}

int qp_file_append_open(const char *path)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    return fd < 0 ? -errno : fd;
}

void qp_file_append(int fd, const char *line, size_t len)
{
    if (write(fd, line, len) < 0)
        return; /* full, or gone */
}

void qp_file_append_close(int fd)
{
    close(fd);
}

int qp_file_create(const char *directory, const char *name)
{
    char path[PATH_BYTES];
    const int n = snprintf(path, sizeof(path), "%s/%s", directory, name);
    if (n < 0 || (size_t)n >= sizeof(path))
        return -ENAMETOOLONG;
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    return fd < 0 ? -errno : fd;
}

int qp_file_write(int fd, const uint8_t *data, size_t len)
{
    while (len != 0) {
        const ssize_t n = write(fd, data, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        data += n;
        len -= (size_t)n;
    }
    return 0;
}

uint64_t qp_file_mark(const char *path)
{
    static const uint8_t key[16]; /* nobody gains by files with the same mark */
    struct stat facts;
    if (stat(path, &facts) < 0)
        return 0;
    const uint64_t words[] = {
        facts.st_dev,          facts.st_ino,         (uint64_t)facts.st_size, facts.st_mtim.tv_sec,
        facts.st_mtim.tv_nsec, facts.st_ctim.tv_sec, facts.st_ctim.tv_nsec,
    };
    return qp_siphash(key, words, sizeof(words)) | 1;
}
