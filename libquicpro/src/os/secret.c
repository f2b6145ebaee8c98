#include "os/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static int check(int fd)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return -errno;
    if (!S_ISREG(st.st_mode) || st.st_size < QP_SECRET_FILE_MIN || st.st_size > QP_SECRET_FILE_MAX)
        return -EINVAL;
    return st.st_mode & (S_IRWXG | S_IRWXO) ? -EPERM : (int)st.st_size;
}

int qp_secret_read(uint8_t out[QP_SECRET_FILE_MAX], const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe is not waited for */
    if (fd < 0)
        return -errno;
    int size = check(fd), len = 0;
    while (size > 0 && len < size) {
        ssize_t n = read(fd, out + len, (size_t)(size - len));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            size = n < 0 ? -errno : -EINVAL; /* it shrank */
            break;
        }
        len += (int)n;
    }
    close(fd);
    return size;
}
