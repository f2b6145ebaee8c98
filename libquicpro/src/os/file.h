/* Whole files, directories, and files that lines are appended to. */
#ifndef QP_OS_FILE_H
#define QP_OS_FILE_H

#include <stddef.h>
#include <stdint.h>

/* Reads a file to its end; a pipe will do. The bytes are the caller's, from malloc(); what was
 * copied on the way is zeroed, because it may be a key. 0; -EFBIG: longer than max; -errno */
int qp_file_read(const char *path, size_t max, uint8_t **ret, size_t *ret_len);

/* Calls visit with the path of each regular file of a directory (links to such included) whose name
 * does not begin with a dot, in the order of their names. 0; -E2BIG: more than max; -errno */
int qp_file_each(const char *directory, size_t max, void (*visit)(void *arg, const char *path),
                 void *arg);

/* A file for lines: made with mode 0600, never cut. A descriptor, or -errno */
int qp_file_append_open(const char *path);
/* One write for each line, so that several processes can share the file. Nothing is said of a full
 * disk: whoever logs goes on. */
void qp_file_append(int fd, const char *line, size_t len);
void qp_file_append_close(int fd);

/* A new file, mode 0600, of a directory; never one that is there. A descriptor for
 * qp_file_write() and qp_file_append_close(); -EEXIST; -errno */
int qp_file_create(const char *directory, const char *name);
/* All of it. 0; -errno */
int qp_file_write(int fd, const uint8_t *data, size_t len);

/* What becomes another number when a file is written, replaced, or comes and goes; 0 if it cannot
 * be looked at. */
uint64_t qp_file_mark(const char *path);

#endif
