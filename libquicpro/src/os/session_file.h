/* The file with a client's sessions. Whoever reads it can resume them, so it is its owner's alone;
 * several processes may share it, each for the moment of one change. */
#ifndef QP_OS_SESSION_FILE_H
#define QP_OS_SESSION_FILE_H

#include <stddef.h>
#include <stdint.h>

struct qp_session_file {
    int fd;
    uint8_t *data; /* what is in it; freed by close */
    size_t len;
};

/* Opens the file, made with mode 0600 if it is not there, locks it against other processes and
 * reads it. Never waits, never follows a link at the end of the path.
 * 0; -EAGAIN: another process has it; -ELOOP: a link; -EPERM: not a plain file, not ours, or others
 * may read or write it; -EFBIG: longer than max; -ENOMEM; other -errno of open(2). For these
 * *ret_why is a static word or two for people, NULL if strerror() tells enough. */
int qp_session_file_open(struct qp_session_file *file, const char *path, size_t max,
                         const char **ret_why);
/* Replaces what is in it. 0; -errno: it is empty, or damaged in a way that its checksum shows. */
int qp_session_file_write(struct qp_session_file *file, const uint8_t *data, size_t len);
/* Unlocks, zeroes what was read. */
void qp_session_file_close(struct qp_session_file *file);

#endif
