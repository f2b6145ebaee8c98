/* A log line goes to the function its owner was given, or nowhere. No globals. */
#ifndef QP_BASE_LOG_H
#define QP_BASE_LOG_H

#include <quicpro/base.h>

struct qp_log {
    quicpro_log_fn *fn; /* NULL: off */
    void *user;
    int level;
};

#define qp_log_on(log, lvl) ((log)->fn != NULL && (lvl) <= (log)->level)
/* Formats into 512 bytes and hands the line over; longer lines are cut. */
__attribute__((format(printf, 3, 4))) void qp_log(const struct qp_log *log, int level,
                                                  const char *format, ...);

/* Makes bytes of a peer fit for a terminal and a log: printable ASCII stays, the rest becomes \xNN,
 * a backslash \\. Always NUL-terminated; cut at size. Returns strlen(out). */
size_t qp_escape(char *out, size_t size, const void *data, size_t len);

#endif
