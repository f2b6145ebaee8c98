#include "quic/tls_cert.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509.h>

#include "quic/tls_context.h"
#include "quic/tls_pem.h"

/* What one load has read so far. */
struct load {
    const struct qp_tls_args *args;
    struct qp_tls_source cert, key;
    CRYPTO_BUFFER *chain[16]; /* leaf first; longer ones are cut by every verifier */
    size_t chain_len;
    X509 *leaf;
    EVP_PKEY *pkey;
};

static int add_to_chain(void *arg, CRYPTO_BUFFER *cert)
{
    struct load *load = arg;
    if (load->chain_len == sizeof(load->chain) / sizeof(load->chain[0]))
        return qp_tls_fail(load->args, QUICPRO_ECERT, "%s holds more than %zu certificates",
                           load->cert.name, load->chain_len);
    CRYPTO_BUFFER_up_ref(cert);
    load->chain[load->chain_len++] = cert;
    return 0;
}

static int read_chain(struct load *load)
{
    int r = qp_tls_each_cert(&load->cert, add_to_chain, load);
    if (r < -1)
        return r;
    load->leaf = r <= 0 ? NULL : X509_parse_from_buffer(load->chain[0]);
    if (load->leaf == NULL)
        return qp_tls_fail(load->args, QUICPRO_ECERT,
                           "%s holds no usable certificate, neither PEM nor DER: %s",
                           load->cert.name, qp_tls_reason());
    return 0;
}

/* Whether BoringSSL lacks what the key was encrypted with; anything else is a passphrase that does
 * not fit, or a file that was damaged: both end in bytes that make no sense. */
static bool is_unsupported(const char *why)
{
    return strncmp(why, "UNKNOWN", 7) == 0 || strncmp(why, "UNSUPPORTED", 11) == 0;
}

static int read_key(struct load *load)
{
    const struct qp_bytes *passphrase = &load->args->options->key_passphrase;
    bool encrypted;
    const char *why;
    load->pkey = qp_tls_read_key(&load->key, passphrase, &encrypted, &why);
    if (load->pkey != NULL)
        return 0;
    if (!encrypted)
        return qp_tls_fail(load->args, QUICPRO_ECERT,
                           "%s holds no usable private key, neither PEM nor DER: %s",
                           load->key.name, why);
    if (passphrase->len == 0)
        return qp_tls_fail(load->args, QUICPRO_ECERT, "%s is encrypted: set key_passphrase",
                           load->key.name);
    if (is_unsupported(why))
        return qp_tls_fail(load->args, QUICPRO_ECERT,
                           "%s is encrypted by a method that is not supported: %s", load->key.name,
                           why);
    return qp_tls_fail(load->args, QUICPRO_ECERT, "%s cannot be decrypted: key_passphrase is wrong",
                       load->key.name);
}

/* Whether the key is that of a certificate further down: then the order is wrong, not the key. */
static bool key_of_another(const struct load *load)
{
    for (size_t i = 1; i < load->chain_len; i++) {
        X509 *cert = X509_parse_from_buffer(load->chain[i]);
        bool yes = cert != NULL && X509_check_private_key(cert, load->pkey) == 1;
        X509_free(cert);
        if (yes)
            return true;
    }
    return false;
}

static int check_pair(const struct load *load)
{
    if (X509_check_private_key(load->leaf, load->pkey) == 1)
        return 0;
    if (key_of_another(load))
        return qp_tls_fail(load->args, QUICPRO_ECERT,
                           "%s: the first certificate must be that of the key, its issuers follow",
                           load->cert.name);
    return qp_tls_fail(load->args, QUICPRO_ECERT, "%s is not the key of the certificate in %s",
                       load->key.name, load->cert.name);
}

static SSL_CREDENTIAL *credential(const struct load *load)
{
    SSL_CREDENTIAL *made = SSL_CREDENTIAL_new_x509();
    if (made != NULL && SSL_CREDENTIAL_set1_cert_chain(made, load->chain, load->chain_len) &&
        SSL_CREDENTIAL_set1_private_key(made, load->pkey))
        return made;
    SSL_CREDENTIAL_free(made);
    return NULL;
}

static void load_done(struct load *load)
{
    qp_tls_source_done(&load->cert);
    qp_tls_source_done(&load->key);
    for (size_t i = 0; i < load->chain_len; i++)
        CRYPTO_BUFFER_free(load->chain[i]);
    X509_free(load->leaf);
    EVP_PKEY_free(load->pkey);
    free(load);
}

/* 1; 0: neither is set; an error if only one is. */
static int open_pair(struct load *load)
{
    const struct qp_options *o = load->args->options;
    int cert = qp_tls_source_open(&load->cert, load->args, "cert", o->cert_file, &o->cert_data);
    int key = cert < 0
                  ? cert
                  : qp_tls_source_open(&load->key, load->args, "key", o->key_file, &o->key_data);
    if (key < 0 || cert == key)
        return key;
    return qp_tls_fail(load->args, QUICPRO_ECERT,
                       "%s is not set: a certificate needs its key, and a key its certificate",
                       cert == 0 ? "cert_file" : "key_file");
}

int qp_tls_cert_load(struct qp_tls_cert *ret, const struct qp_tls_args *args)
{
    struct load *load = calloc(1, sizeof(*load));
    if (load == NULL)
        return QUICPRO_ENOMEM;
    load->args = args;
    int r = open_pair(load);
    if (r <= 0)
        goto out;
    r = read_chain(load);
    if (r == 0)
        r = read_key(load);
    if (r == 0)
        r = check_pair(load);
    if (r < 0)
        goto out;
    struct qp_tls_cert made = {credential(load)};
    r = made.plain == NULL ? qp_tls_fail(args, QUICPRO_ECERT, "%s cannot be used: %s",
                                         load->cert.name, qp_tls_reason())
                           : 1;
    if (r == 1)
        *ret = made;
out:
    load_done(load);
    return r;
}

void qp_tls_cert_done(struct qp_tls_cert *cert)
{
    SSL_CREDENTIAL_free(cert->plain);
    *cert = (struct qp_tls_cert){0};
}
