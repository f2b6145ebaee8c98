/* Which certificates of peers are believed. */
#include <string.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "quic/tls_context.h"
#include "quic/tls_pem.h"

/* Where distributions keep the bundle that BoringSSL's own default does not name. */
static const char *const system_bundle[] = {"/etc/ssl/certs/ca-certificates.crt",
                                            "/etc/pki/tls/certs/ca-bundle.crt",
                                            "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"};

static int add_authority(void *arg, CRYPTO_BUFFER *der)
{
    X509 *cert = X509_parse_from_buffer(der);
    /* A bundle may hold what this library cannot read: the rest still counts. */
    int ok = cert == NULL || X509_STORE_add_cert(arg, cert);
    X509_free(cert);
    return ok ? 0 : QUICPRO_ENOMEM;
}

static int add_source(X509_STORE *store, const struct qp_tls_args *args, const char *file,
                      const struct qp_bytes *data)
{
    struct qp_tls_source source;
    int r = qp_tls_source_open(&source, args, "ca", file, data);
    if (r <= 0)
        return r;
    r = qp_tls_each_cert(&source, add_authority, store);
    if (r == -1)
        r = qp_tls_fail(args, QUICPRO_ECERT, "%s holds no certificate, neither PEM nor DER: %s",
                        source.name, qp_tls_reason());
    qp_tls_source_done(&source);
    return r;
}

/* No authorities at all are no error here: every verification fails, and says so. */
static void add_system(SSL_CTX *ctx, const struct qp_tls_args *args)
{
    X509_STORE *store = SSL_CTX_get_cert_store(ctx);
    if (args->env->variable("SSL_CERT_FILE") == NULL)
        for (size_t i = 0; i < sizeof(system_bundle) / sizeof(system_bundle[0]); i++)
            if (add_source(store, args, system_bundle[i], NULL) > 0)
                break;
    SSL_CTX_set_default_verify_paths(ctx);
    ERR_clear_error();
    args->error[0] = '\0';
}

int qp_tls_verify_init(SSL_CTX *ctx, const struct qp_tls_args *args, bool server)
{
    const struct qp_options *o = args->options;
    if (server || !o->verify_peer)
        return 0;
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    int r = add_source(SSL_CTX_get_cert_store(ctx), args, o->ca_file, &o->ca_data);
    if (r == 0)
        add_system(ctx, args);
    return r < 0 ? r : 0;
}

const char *qp_tls_verify_error(struct ssl_st *ssl)
{
    long result = SSL_get_verify_result(ssl);
    /* BoringSSL's word for a handshake that did not come as far as a certificate. */
    if (result == X509_V_OK || result == X509_V_ERR_INVALID_CALL)
        return NULL;
    return X509_verify_cert_error_string(result);
}
