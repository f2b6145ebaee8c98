#include "quic/tls_context.h"

#include "check.h"

static int closed;

static void log_close(int fd)
{
    CHECK_INT(fd, ==, 77);
    closed++;
}

static void test_a_context_goes_with_its_ctx(void)
{
    static const struct qp_tls_env env = {.log_close = log_close};
    const struct qp_tls_args args = {.env = &env};
    SSL_CTX *ctx = SSL_CTX_new(TLS_method()), *other = SSL_CTX_new(TLS_method());
    struct qp_tls_context *context = qp_tls_context_new(ctx, &args);
    if (CHECK(context != NULL)) {
        CHECK_INT(context->keylog_fd, ==, -1);
        CHECK(context->env == &env);
        context->keylog_fd = 77;
    }
    CHECK(qp_tls_context_get(ctx) == context);
    CHECK(qp_tls_context_get(other) == NULL);
    SSL *ssl = SSL_new(ctx);
    CHECK(qp_tls_context_of(ssl) == context);
    SSL_CTX_free(other);
    SSL_CTX_free(ctx);
    CHECK_INT(closed, ==, 0); /* a connection still uses it */
    SSL_free(ssl);
    CHECK_INT(closed, ==, 1);
}

int main(void)
{
    static const struct check_test tests[] = {TEST(test_a_context_goes_with_its_ctx)};
    return RUN(tests);
}
