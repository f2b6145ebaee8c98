/* A file with a secret. */
#ifndef QP_OS_SECRET_H
#define QP_OS_SECRET_H

#include <stdint.h>

enum { QP_SECRET_FILE_MIN = 32, QP_SECRET_FILE_MAX = 4096 }; /* bytes */

/* Reads the whole file. Refuses one that others than its owner may read, so that a slip with its
 * mode is found before it is used. The number of bytes; -errno; -EPERM: others may read it;
 * -EINVAL: no plain file, or of another size than QP_SECRET_FILE_MIN to QP_SECRET_FILE_MAX. */
int qp_secret_read(uint8_t out[QP_SECRET_FILE_MAX], const char *path);

#endif
