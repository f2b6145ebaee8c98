#include "os/session_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"

static int refuse(const char **ret_why, const char *why)
{
    *ret_why = why;
    return -EPERM;
}

/* Of the open file, so that nobody can exchange it between look and use. */
static int check(const struct qp_session_file *file, size_t max, size_t *ret_size,
                 const char **ret_why)
{
    struct stat st;
    if (fstat(file->fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return refuse(ret_why, "not a plain file");
    if (st.st_uid != geteuid())
        return refuse(ret_why, "another user's");
    if ((st.st_mode & 077) != 0)
        return refuse(ret_why, "others may read or write it; chmod 600 helps");
    if (st.st_size < 0 || (uintmax_t)st.st_size > max)
        return -EFBIG;
    *ret_size = (size_t)st.st_size;
    return 0;
}

static int read_all(struct qp_session_file *file, size_t size)
{
    file->data = malloc(size + 1);
    if (file->data == NULL)
        return -ENOMEM;
    while (file->len < size) {
        ssize_t n = pread(file->fd, file->data + file->len, size - file->len, (off_t)file->len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        file->len += (size_t)n;
    }
    return 0;
}

int qp_session_file_open(struct qp_session_file *file, const char *path, size_t max,
                         const char **ret_why)
{
    size_t size = 0;
    int r;
    *ret_why = NULL;
    /* O_NONBLOCK: a pipe in its place must not make us wait. */
    *file = (struct qp_session_file){
        .fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600)};
    if (file->fd < 0) {
        r = -errno;
        if (r == -ELOOP)
            *ret_why = "a link";
        return r;
    }
    r = check(file, max, &size, ret_why);
    if (r == 0 && flock(file->fd, LOCK_EX | LOCK_NB) < 0)
        r = errno == EWOULDBLOCK ? -EAGAIN : -errno;
    if (r == 0)
        r = check(file, max, &size, ret_why); /* its size may have changed before we had it */
    if (r == 0)
        r = read_all(file, size);
    if (r < 0)
        qp_session_file_close(file);
    return r;
}

int qp_session_file_write(struct qp_session_file *file, const uint8_t *data, size_t len)
{
    /* In place: a new file under the same name would have a lock of its own. Who dies here leaves a
     * file whose checksum is wrong, and loses some sessions. */
    size_t done = 0;
    int r = ftruncate(file->fd, 0) < 0 ? -errno : 0;
    while (r == 0 && done < len) {
        ssize_t n = pwrite(file->fd, data + done, len - done, (off_t)done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            r = n < 0 ? -errno : -EIO;
        else
            done += (size_t)n;
    }
    if (r < 0 && ftruncate(file->fd, 0) < 0)
        r = -errno;
    return r;
}

void qp_session_file_close(struct qp_session_file *file)
{
    if (file->data != NULL)
        qp_wipe(file->data, file->len);
    free(file->data);
    if (file->fd >= 0)
        close(file->fd);
    *file = (struct qp_session_file){.fd = -1};
}
