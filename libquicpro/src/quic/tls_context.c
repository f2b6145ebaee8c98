#include "quic/tls_context.h"

#include <threads.h>

static void context_free(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int index, long argl,
                         void *argp)
{
    struct qp_tls_context *context = ptr;
    (void)parent, (void)ad, (void)index, (void)argl, (void)argp;
    if (context == NULL)
        return;
    if (context->keylog_fd >= 0)
        context->env->log_close(context->keylog_fd);
    qp_tls_cert_done(&context->cert);
    qp_tls_hosts_done(&context->hosts);
    OPENSSL_free(context);
}

/* BoringSSL hands out numbers of ex_data slots for the process: a fact about it, not state of ours.
 */
static int context_slot;
static void context_slot_init(void)
{
    context_slot = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, context_free);
}

static int context_index(void)
{
    static once_flag once = ONCE_FLAG_INIT;
    call_once(&once, context_slot_init);
    return context_slot;
}

struct qp_tls_context *qp_tls_context_new(SSL_CTX *ctx, const struct qp_tls_args *args)
{
    struct qp_tls_context *context = OPENSSL_zalloc(sizeof(*context));
    if (context == NULL)
        return NULL;
    context->env = args->env;
    context->log = args->log;
    context->keylog_fd = -1;
    if (SSL_CTX_set_ex_data(ctx, context_index(), context))
        return context;
    OPENSSL_free(context);
    return NULL;
}

struct qp_tls_context *qp_tls_context_get(const SSL_CTX *ctx)
{
    return SSL_CTX_get_ex_data(ctx, context_index());
}

struct qp_tls_context *qp_tls_context_of(const SSL *ssl)
{
    return qp_tls_context_get(SSL_get_SSL_CTX(ssl));
}
