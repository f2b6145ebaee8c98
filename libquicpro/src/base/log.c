/* Log lines are made on the stack: logging never allocates and never fails. */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { LINE_MAX_BYTES = 512 };

void qp_log(const struct qp_log *log, int level, const char *format, ...)
{
    char line[LINE_MAX_BYTES];
    va_list args;
    if (!qp_log_on(log, level))
        return;
    va_start(args, format);
    int n = vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    if (n >= 0)
        log->fn(log->user, level, line);
}

size_t qp_escape(char *out, size_t size, const void *data, size_t len)
{
    static const char hex[] = "0123456789abcdef";
    const uint8_t *p = data;
    size_t n = 0;
    if (size == 0)
        return 0;
    for (size_t i = 0; i < len; i++) {
        char text[4] = {(char)p[i]};
        size_t width = 1;
        if (p[i] == '\\') {
            text[1] = '\\';
            width = 2;
        } else if (p[i] < 0x20 || p[i] > 0x7e) {
            text[0] = '\\';
            text[1] = 'x';
            text[2] = hex[p[i] >> 4];
            text[3] = hex[p[i] & 15];
            width = 4;
        }
        if (width > size - 1 - n) /* never half of an escape */
            break;
        memcpy(out + n, text, width);
        n += width;
    }
    out[n] = '\0';
    return n;
}
