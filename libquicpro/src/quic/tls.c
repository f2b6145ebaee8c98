/* Contexts: what connections of one server or client have in common, and their callbacks. */
#include "quic/tls.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "quic/tickets.h"
#include "quic/tls_context.h"
#include "quic/tls_name.h"
#include "quic/tls_policy.h"
#include "quic/tls_verify.h"

/* "h3,h3-29" to wire format. */
static int parse_alpn(struct qp_tls_context *context, const struct qp_tls_args *args)
{
    const char *text = args->options->alpn;
    while (*text != '\0') {
        size_t len = strcspn(text, ",");
        if (len == 0 || len > 255 || context->alpn_len + 1 + len > QP_TLS_MAX_ALPN)
            break;
        context->alpn[context->alpn_len] = (uint8_t)len;
        memcpy(context->alpn + context->alpn_len + 1, text, len);
        context->alpn_len += 1 + len;
        text += len + (text[len] == ',');
    }
    if (*text == '\0' && context->alpn_len != 0)
        return 0;
    return qp_tls_fail(args, QUICPRO_EVALUE,
                       "alpn: '%s' is not a list of protocol names separated by commas",
                       args->options->alpn);
}

/* "If no protocol in common, the server SHALL send a fatal no_application_protocol alert"
 * (RFC 7301 section 3.2); QUIC demands it of clients as well (RFC 9001 section 8.1). */
static int select_alpn(SSL *ssl, const uint8_t **out, uint8_t *out_len, const uint8_t *in,
                       unsigned in_len, void *arg)
{
    const struct qp_tls_context *context = arg;
    (void)ssl;
    if (SSL_select_next_proto((uint8_t **)out, out_len, context->alpn, (unsigned)context->alpn_len,
                              in, in_len) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    return SSL_TLSEXT_ERR_OK;
}

/* What a server does as soon as it has read a ClientHello, in this order. False ends the handshake:
 * with internal_error, so only for what is no fault of the client. */
typedef bool hello_step(struct qp_tls_context *context, const SSL_CLIENT_HELLO *hello);

static bool choose_certificate(struct qp_tls_context *context, const SSL_CLIENT_HELLO *hello)
{
    const char *name = SSL_get_servername(hello->ssl, TLSEXT_NAMETYPE_host_name);
    struct qp_tls_cert *cert = name == NULL ? NULL : qp_tls_hosts_find(&context->hosts, name);
    if (cert == NULL)
        cert = &context->cert;
    return SSL_add1_credential(hello->ssl,
                               qp_tls_cert_now(cert, context->env->wall(), context->log)) == 1;
}

static bool guard_early_data(struct qp_tls_context *context, const SSL_CLIENT_HELLO *hello)
{
    (void)context;
    qp_tickets_look_at(hello);
    return true;
}

static hello_step *const hello_steps[] = {choose_certificate, guard_early_data};

static enum ssl_select_cert_result_t on_client_hello(const SSL_CLIENT_HELLO *hello)
{
    struct qp_tls_context *context = qp_tls_context_of(hello->ssl);
    for (size_t i = 0; i < sizeof(hello_steps) / sizeof(hello_steps[0]); i++)
        if (!hello_steps[i](context, hello))
            return ssl_select_cert_error;
    return ssl_select_cert_success;
}

static void keylog(const SSL *ssl, const char *line)
{
    const struct qp_tls_context *context = qp_tls_context_of(ssl);
    char text[512];
    int n = snprintf(text, sizeof(text), "%s\n", line);
    if (n > 0 && (size_t)n < sizeof(text))
        context->env->log_line(context->keylog_fd, text, (size_t)n);
}

/* The file for secrets, and who named it. A locked configuration does not listen to variables. */
static const char *keylog_path(const struct qp_tls_args *args, const char **who)
{
    const struct qp_options *o = args->options;
    const char *path = NULL;
    *who = "keylog_file";
    if (o->keylog_file[0] != '\0')
        return o->keylog_file;
    if (o->keylog_env && o->security_allow_config_override)
        path = args->env->variable("SSLKEYLOGFILE");
    *who = "SSLKEYLOGFILE";
    return path == NULL ? "" : path;
}

static int open_keylog(SSL_CTX *ctx, struct qp_tls_context *context, const struct qp_tls_args *args)
{
    const char *who, *path = keylog_path(args, &who);
    if (path[0] == '\0')
        return 0;
    int fd = args->env->log_open(path);
    if (fd < 0)
        return qp_tls_fail(args, QUICPRO_EVALUE, "%s: cannot write '%s': %s", who, path,
                           strerror(-fd));
    context->keylog_fd = fd;
    SSL_CTX_set_keylog_callback(ctx, keylog);
    qp_log(args->log, QUICPRO_LOG_WARNING, "%s: secrets of all connections go to '%s'", who, path);
    return 0;
}

static int set_versions(SSL_CTX *ctx, const struct qp_tls_context *context)
{
    if (SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) &&
        SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) &&
        SSL_CTX_set_alpn_protos(ctx, context->alpn, (unsigned)context->alpn_len) == 0)
        return 0;
    return QUICPRO_ENOMEM;
}

/* A context with everything servers and clients have in common. */
static int common_new(SSL_CTX **ret, const struct qp_tls_args *args, bool server)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_method());
    struct qp_tls_context *context = ctx == NULL ? NULL : qp_tls_context_new(ctx, args);
    if (context == NULL) {
        SSL_CTX_free(ctx);
        return QUICPRO_ENOMEM;
    }
    int r = parse_alpn(context, args);
    if (r == 0)
        r = open_keylog(ctx, context, args);
    if (r == 0)
        r = set_versions(ctx, context);
    if (r == 0)
        r = qp_tls_policy_init(ctx, args);
    if (r == 0)
        r = qp_tls_verify_init(ctx, args, server);
    if (r < 0) {
        SSL_CTX_free(ctx);
        return r;
    }
    SSL_CTX_set_alpn_select_cb(ctx, select_alpn, context);
    *ret = ctx;
    return 0;
}

int qp_tls_server_new(struct ssl_ctx_st **ret, const struct qp_tls_args *args)
{
    SSL_CTX *ctx;
    int r = common_new(&ctx, args, true);
    if (r < 0)
        return r;
    struct qp_tls_context *context = qp_tls_context_get(ctx);
    r = qp_tls_cert_load(&context->cert, args);
    if (r == 0)
        r = qp_tls_fail(args, QUICPRO_ECERT,
                        "cert_file is not set: a server needs a certificate and its key");
    if (r < 0) {
        SSL_CTX_free(ctx);
        return r;
    }
    SSL_CTX_set_select_certificate_cb(ctx, on_client_hello);
    *ret = ctx;
    return 0;
}

int qp_tls_client_new(struct ssl_ctx_st **ret, const struct qp_tls_args *args)
{
    SSL_CTX *ctx;
    int r = common_new(&ctx, args, false);
    if (r < 0)
        return r;
    struct qp_tls_context *context = qp_tls_context_get(ctx);
    r = qp_tls_cert_load(&context->cert, args); /* 0: it shows none to servers that ask */
    if (r > 0)
        r = SSL_CTX_add1_credential(ctx, context->cert.plain) ? 0 : QUICPRO_ENOMEM;
    if (r < 0) {
        SSL_CTX_free(ctx);
        return r;
    }
    *ret = ctx;
    return 0;
}

int qp_tls_add_host(struct ssl_ctx_st *ctx, const char *host, const struct qp_tls_args *args)
{
    struct qp_tls_context *context = qp_tls_context_get(ctx);
    struct qp_tls_cert cert = {0};
    char name[QP_TLS_NAME_MAX + 1], shown[128];
    const char *why;
    if (qp_tls_name_read(name, host, &why) < 0) {
        qp_escape(shown, sizeof(shown), host, strlen(host));
        return qp_tls_fail(args, QUICPRO_EVALUE, "'%s' %s", shown, why);
    }
    int r = qp_tls_cert_load(&cert, args);
    if (r == 0)
        return qp_tls_fail(args, QUICPRO_ECERT, "cert_file is not set for '%s'", name);
    if (r > 0)
        r = qp_tls_hosts_put(&context->hosts, name, &cert);
    qp_tls_cert_done(&cert);
    return r;
}

void qp_tls_free(struct ssl_ctx_st *ctx)
{
    SSL_CTX_free(ctx);
}

void qp_tls_shed(struct ssl_st *ssl)
{
    SSL_set_shed_handshake_config(ssl, 1);
}

int qp_tls_set_host(struct ssl_st *ssl, const char *host)
{
    uint8_t ip[16];
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    int r = qp_tls_verify_host(ssl, host);
    if (r < 0)
        return r;
    if (inet_pton(AF_INET, host, ip) == 1)
        return X509_VERIFY_PARAM_set1_ip(param, ip, 4) ? 0 : QUICPRO_EINVAL;
    if (inet_pton(AF_INET6, host, ip) == 1 && IN6_IS_ADDR_V4MAPPED((struct in6_addr *)ip))
        return X509_VERIFY_PARAM_set1_ip(param, ip + 12, 4) ? 0 : QUICPRO_EINVAL;
    if (inet_pton(AF_INET6, host, ip) == 1)
        return X509_VERIFY_PARAM_set1_ip(param, ip, 16) ? 0 : QUICPRO_EINVAL;
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (!X509_VERIFY_PARAM_set1_host(param, host, strlen(host)) ||
        !SSL_set_tlsext_host_name(ssl, host))
        return QUICPRO_EINVAL;
    return 0;
}
