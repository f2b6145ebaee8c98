#include "quic/tls_args.h"

#include <stdarg.h>
#include <stdio.h>

#include <openssl/err.h>

const char *qp_tls_reason(void)
{
    const uint32_t error = ERR_peek_last_error();
    const char *reason = error == 0 ? NULL : ERR_reason_error_string(error);
    return reason == NULL ? "unknown reason" : reason;
}

int qp_tls_fail(const struct qp_tls_args *args, int code, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    vsnprintf(args->error, args->error_size, format, ap);
    va_end(ap);
    ERR_clear_error();
    return code;
}
