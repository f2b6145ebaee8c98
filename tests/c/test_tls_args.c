#include "quic/tls_args.h"

#include <openssl/err.h>

#include "check.h"

static void test_a_failure_is_told_once(void)
{
    char line[16];
    const struct qp_tls_args args = {.error = line, .error_size = sizeof(line)};
    ERR_clear_error();
    CHECK_STR(qp_tls_reason(), "unknown reason");
    ERR_put_error(ERR_LIB_PEM, 0, ERR_R_MALLOC_FAILURE, "file", 1);
    CHECK_STR(qp_tls_reason(), "malloc failure");
    CHECK_INT(qp_tls_fail(&args, QUICPRO_ECERT, "%s: %d", "key", 7), ==, QUICPRO_ECERT);
    CHECK_STR(line, "key: 7");
    CHECK_STR(qp_tls_reason(), "unknown reason");
}

static void test_long_lines_are_cut(void)
{
    char line[8];
    const struct qp_tls_args args = {.error = line, .error_size = sizeof(line)};
    CHECK_INT(qp_tls_fail(&args, QUICPRO_EVALUE, "%s", "0123456789"), ==, QUICPRO_EVALUE);
    CHECK_STR(line, "0123456");
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_a_failure_is_told_once),
        TEST(test_long_lines_are_cut),
    };
    return RUN(tests);
}
