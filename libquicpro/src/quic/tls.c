#include "quic/tls.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <threads.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/options.h"
#include "quic/engine.h"

enum { MAX_ALPN = 128 }; /* bytes of all protocols on the wire: some ten names of usual length */

/* What the callbacks of a context need; freed with it. */
struct context {
    uint8_t alpn[MAX_ALPN]; /* wire format: length, bytes, ... (RFC 7301 section 3.1) */
    size_t alpn_len;
    int keylog_fd; /* -1: none */
};

static void context_free(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int index, long argl,
                         void *argp)
{
    struct context *context = ptr;
    (void)parent, (void)ad, (void)index, (void)argl, (void)argp;
    if (context == NULL)
        return;
    if (context->keylog_fd >= 0)
        close(context->keylog_fd);
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

/* The last reason BoringSSL gives, without its file names and numbers. */
static const char *tls_reason(void)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    return reason == NULL ? "unknown reason" : reason;
}

__attribute__((format(printf, 3, 4))) static int fail(char *error, size_t size, const char *format,
                                                      ...)
{
    va_list ap;
    va_start(ap, format);
    vsnprintf(error, size, format, ap);
    va_end(ap);
    ERR_clear_error();
    return QUICPRO_ECERT;
}

/* "h3,h3-29" to wire format. */
static int parse_alpn(struct context *context, const char *text)
{
    while (*text != '\0') {
        size_t len = strcspn(text, ",");
        if (len == 0 || len > 255 || context->alpn_len + 1 + len > MAX_ALPN)
            return QUICPRO_EVALUE;
        context->alpn[context->alpn_len] = (uint8_t)len;
        memcpy(context->alpn + context->alpn_len + 1, text, len);
        context->alpn_len += 1 + len;
        text += len + (text[len] == ',');
    }
    return context->alpn_len == 0 ? QUICPRO_EVALUE : 0;
}

/* "If no protocol in common, the server SHALL send a fatal no_application_protocol alert"
 * (RFC 7301 section 3.2); QUIC demands it of clients as well (RFC 9001 section 8.1). */
static int select_alpn(SSL *ssl, const uint8_t **out, uint8_t *out_len, const uint8_t *in,
                       unsigned in_len, void *arg)
{
    const struct context *context = arg;
    (void)ssl;
    if (SSL_select_next_proto((uint8_t **)out, out_len, context->alpn, (unsigned)context->alpn_len,
                              in, in_len) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    return SSL_TLSEXT_ERR_OK;
}

static void keylog(const SSL *ssl, const char *line)
{
    const struct context *context = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), context_index());
    char text[512];
    int n = snprintf(text, sizeof(text), "%s\n", line);
    /* One write for each line, so that several processes can share the file. */
    if (n > 0 && (size_t)n < sizeof(text) && write(context->keylog_fd, text, (size_t)n) < 0)
        return; /* a full disk must not end connections */
}

/* A context with everything servers and clients have in common. */
static int common_new(SSL_CTX **ret, const struct qp_options *options, char *error, size_t size)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_method());
    struct context *context = OPENSSL_zalloc(sizeof(*context));
    if (ctx == NULL || context == NULL || !SSL_CTX_set_ex_data(ctx, context_index(), context)) {
        OPENSSL_free(context);
        SSL_CTX_free(ctx);
        return QUICPRO_ENOMEM;
    }
    context->keylog_fd = -1;
    int r = parse_alpn(context, options->alpn);
    if (r < 0) {
        snprintf(error, size, "alpn: '%s' is not a list of protocol names separated by commas",
                 options->alpn);
        goto out;
    }
    if (options->keylog_file[0] != '\0') {
        context->keylog_fd =
            open(options->keylog_file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
        if (context->keylog_fd < 0) {
            fail(error, size, "keylog_file: cannot write '%s': %s", options->keylog_file,
                 strerror(errno));
            r = QUICPRO_EVALUE;
            goto out;
        }
        SSL_CTX_set_keylog_callback(ctx, keylog);
    }
    SSL_CTX_set_alpn_select_cb(ctx, select_alpn, context);
    r = 0;
    if (!SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) ||
        !SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) ||
        SSL_CTX_set_alpn_protos(ctx, context->alpn, (unsigned)context->alpn_len) != 0 ||
        !SSL_CTX_set1_groups_list(ctx, "X25519MLKEM768:X25519:P-256:P-384"))
        r = QUICPRO_ENOMEM;
    if (r == 0) {
        *ret = ctx;
        return 0;
    }
out:
    SSL_CTX_free(ctx);
    return r;
}

static int readable(const char *option, const char *file, char *error, size_t size)
{
    if (file[0] == '\0')
        return fail(error, size, "%s is not set: a server needs a certificate and its key", option);
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail(error, size, "%s: cannot read '%s': %s", option, file, strerror(errno));
    close(fd);
    return 0;
}

/* An encrypted key gets no password: better an error than a prompt on the terminal of a daemon. */
static int no_password(char *out, int size, int rwflag, void *user)
{
    (void)out, (void)size, (void)rwflag, (void)user;
    return -1;
}

int qp_tls_server_new(struct ssl_ctx_st **ret, const struct qp_options *options, char *error,
                      size_t error_size)
{
    SSL_CTX *ctx;
    int r = common_new(&ctx, options, error, error_size);
    if (r < 0)
        return r;
    r = readable("cert_file", options->cert_file, error, error_size);
    if (r == 0)
        r = readable("key_file", options->key_file, error, error_size);
    SSL_CTX_set_default_passwd_cb(ctx, no_password);
    if (r < 0)
        goto out;
    if (!SSL_CTX_use_certificate_chain_file(ctx, options->cert_file))
        r = fail(error, error_size, "cert_file: '%s' holds no usable PEM certificate: %s",
                 options->cert_file, tls_reason());
    else if (!SSL_CTX_use_PrivateKey_file(ctx, options->key_file, SSL_FILETYPE_PEM))
        r = ERR_GET_REASON(ERR_peek_last_error()) == X509_R_KEY_VALUES_MISMATCH
                ? fail(error, error_size, "key_file: '%s' is not the key of certificate '%s'",
                       options->key_file, options->cert_file)
                : fail(error, error_size,
                       "key_file: '%s' holds no usable PEM private key without a password: %s",
                       options->key_file, tls_reason());
    else if (!SSL_CTX_check_private_key(ctx))
        r = fail(error, error_size, "key_file: '%s' is not the key of certificate '%s'",
                 options->key_file, options->cert_file);
    if (r == 0) {
        *ret = ctx;
        return 0;
    }
out:
    SSL_CTX_free(ctx);
    return r;
}

/* Where distributions keep the bundle that BoringSSL's own default does not name. */
static void load_system_authorities(SSL_CTX *ctx)
{
    static const char *const bundle[] = {"/etc/ssl/certs/ca-certificates.crt",
                                         "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"};
    if (getenv("SSL_CERT_FILE") == NULL)
        for (size_t i = 0; i < sizeof(bundle) / sizeof(bundle[0]); i++)
            if (access(bundle[i], R_OK) == 0 && SSL_CTX_load_verify_locations(ctx, bundle[i], NULL))
                break;
    SSL_CTX_set_default_verify_paths(ctx);
    ERR_clear_error(); /* no authorities at all: every verification fails, and says so */
}

int qp_tls_client_new(struct ssl_ctx_st **ret, const struct qp_options *options, char *error,
                      size_t error_size)
{
    SSL_CTX *ctx;
    int r = common_new(&ctx, options, error, error_size);
    if (r < 0)
        return r;
    if (options->verify_peer) {
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
        if (options->ca_file[0] == '\0') {
            load_system_authorities(ctx);
        } else {
            r = readable("ca_file", options->ca_file, error, error_size);
            if (r == 0 && !SSL_CTX_load_verify_locations(ctx, options->ca_file, NULL))
                r = fail(error, error_size, "ca_file: '%s' holds no PEM certificate: %s",
                         options->ca_file, tls_reason());
        }
    }
    if (r < 0) {
        SSL_CTX_free(ctx);
        return r;
    }
    *ret = ctx;
    return 0;
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

void qp_tls_get_facts(struct ssl_st *ssl, struct qp_tls_facts *ret)
{
    const uint8_t *alpn;
    unsigned len;
    const SSL_CIPHER *cipher = SSL_get_current_cipher(ssl);
    const char *group = SSL_get_group_name(SSL_get_group_id(ssl));
    const char *name = cipher == NULL ? "" : SSL_CIPHER_standard_name(cipher);
    SSL_get0_alpn_selected(ssl, &alpn, &len);
    snprintf(ret->alpn, sizeof(ret->alpn), "%.*s", (int)len, (const char *)alpn);
    snprintf(ret->cipher, sizeof(ret->cipher), "%s",
             strncmp(name, "TLS_", 4) == 0 ? name + 4 : name);
    snprintf(ret->group, sizeof(ret->group), "%s", group == NULL ? "" : group);
}

const char *qp_tls_verify_error(struct ssl_st *ssl)
{
    long result = SSL_get_verify_result(ssl);
    /* BoringSSL's word for a handshake that did not come as far as a certificate. */
    if (result == X509_V_OK || result == X509_V_ERR_INVALID_CALL)
        return NULL;
    return X509_verify_cert_error_string(result);
}

const char *qp_tls_alert_text(unsigned alert)
{
    return SSL_alert_desc_string_long((int)alert);
}

const char *qp_engine_tls_version(void)
{
    static_assert(BORINGSSL_API_VERSION == 44, "name the new version in the text below");
    return "BoringSSL, API version 44";
}
