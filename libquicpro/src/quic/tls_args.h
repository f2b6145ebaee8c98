/* What a TLS context is made from, and how that fails. */
#ifndef QP_QUIC_TLS_ARGS_H
#define QP_QUIC_TLS_ARGS_H

#include <quicpro/base.h>

struct qp_options;
struct qp_log;

/* What TLS needs from outside: a core reads no clock, file or environment. Outlives the contexts.
 */
struct qp_tls_env {
    int64_t (*wall)(void); /* seconds since 1970 */
    /* As qp_file_read(), qp_file_each() and qp_env_get(). */
    int (*read_file)(const char *path, size_t max, uint8_t **ret, size_t *ret_len);
    int (*each_file)(const char *directory, size_t max, void (*visit)(void *arg, const char *path),
                     void *arg);
    const char *(*variable)(const char *name);
    /* A file that lines are appended to: a descriptor, or -errno. */
    int (*log_open)(const char *path);
    void (*log_line)(int fd, const char *line, size_t len);
    void (*log_close)(int fd);
};

/* What a context is made from. All borrowed for the call, except env and log. */
struct qp_tls_args {
    const struct qp_options *options;
    const struct qp_tls_env *env;
    const struct qp_log *log; /* outlives the context */
    char *error;              /* on failure: one line that names the option, the file, the reason */
    size_t error_size;
};

/* Writes the line for people, forgets what BoringSSL noted, returns code. */
__attribute__((format(printf, 3, 4))) int qp_tls_fail(const struct qp_tls_args *args, int code,
                                                      const char *format, ...);
/* The last reason BoringSSL gives, without its file names and numbers. */
const char *qp_tls_reason(void);

#endif
