#include "quic/tls_cert.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/asn1.h>
#include <openssl/bytestring.h>
#include <openssl/err.h>
#include <openssl/mem.h>
#include <openssl/x509.h>

#include "base/log.h"
#include "base/options.h"
#include "quic/tls_ocsp.h"
#include "quic/tls_pem.h"
#include "quic/tls_words.h"

/* What one load has read so far. */
struct load {
    const struct qp_tls_args *args;
    struct qp_tls_source cert, key, ocsp;
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

/* A certificate of our own that nobody will accept is worth a line, not the end of the server. */
static void warn_of_dates(const struct load *load)
{
    struct qp_tls_refusal refusal = {.leaf = load->leaf, .now = load->args->env->wall()};
    int64_t from, until;
    char words[256];
    if (!ASN1_TIME_to_posix(X509_get0_notBefore(load->leaf), &from) ||
        !ASN1_TIME_to_posix(X509_get0_notAfter(load->leaf), &until))
        return;
    if (refusal.now >= from && refusal.now <= until)
        return;
    refusal.error =
        refusal.now < from ? X509_V_ERR_CERT_NOT_YET_VALID : X509_V_ERR_CERT_HAS_EXPIRED;
    qp_tls_words(words, sizeof(words), &refusal);
    qp_log(load->args->log, QUICPRO_LOG_WARNING, "%s: %s", load->cert.name, words);
}

/* Whether a response is worth sending; the log hears why not. */
static bool worth_sending(const struct load *load, const struct qp_tls_ocsp *response)
{
    const struct qp_log *log = load->args->log;
    const int64_t now = load->args->env->wall();
    char span[32];
    if (response->status != QP_TLS_OCSP_GOOD) {
        qp_log(log, QUICPRO_LOG_WARNING, "%s is not sent: it calls the certificate %s",
               load->ocsp.name, response->status == QP_TLS_OCSP_REVOKED ? "revoked" : "unknown");
        return false;
    }
    if (now >= response->from && now < response->until)
        return true;
    const bool early = now < response->from;
    qp_tls_span_text(span, sizeof(span), early ? response->from - now : now - response->until);
    qp_log(log, QUICPRO_LOG_WARNING, "%s is not sent: %s %s", load->ocsp.name,
           early ? "it is not valid for another" : "it has been stale for", span);
    return false;
}

/* 1 with *until; 0: not set, or not worth sending; QUICPRO_ECERT: not about this certificate */
static int read_ocsp(struct load *load, int64_t *until)
{
    const struct qp_tls_args *args = load->args;
    struct qp_tls_ocsp response;
    uint8_t *der = NULL;
    CBS cbs, serial;
    int r = qp_tls_source_open(&load->ocsp, args, "ocsp", args->options->ocsp_file, NULL);
    if (r <= 0)
        return r;
    int len = i2d_ASN1_INTEGER(X509_get0_serialNumber(load->leaf), &der);
    CBS_init(&cbs, der, len < 0 ? 0 : (size_t)len);
    const char *why = CBS_get_asn1(&cbs, &serial, CBS_ASN1_INTEGER)
                          ? qp_tls_ocsp_read(&response, load->ocsp.data, load->ocsp.len,
                                             CBS_data(&serial), CBS_len(&serial))
                          : "cannot be compared with the certificate";
    OPENSSL_free(der);
    if (why != NULL)
        return qp_tls_fail(args, QUICPRO_ECERT, "%s %s", load->ocsp.name, why);
    *until = response.until;
    return worth_sending(load, &response);
}

static SSL_CREDENTIAL *credential(const struct load *load, bool stapled)
{
    SSL_CREDENTIAL *made = SSL_CREDENTIAL_new_x509();
    CRYPTO_BUFFER *ocsp = stapled ? CRYPTO_BUFFER_new(load->ocsp.data, load->ocsp.len, NULL) : NULL;
    int ok = made != NULL && (!stapled || ocsp != NULL) &&
             SSL_CREDENTIAL_set1_cert_chain(made, load->chain, load->chain_len) &&
             SSL_CREDENTIAL_set1_private_key(made, load->pkey) &&
             (!stapled || SSL_CREDENTIAL_set1_ocsp_response(made, ocsp));
    CRYPTO_BUFFER_free(ocsp);
    if (ok)
        return made;
    SSL_CREDENTIAL_free(made);
    return NULL;
}

/* 1; QUICPRO_ECERT */
static int make(struct qp_tls_cert *ret, struct load *load)
{
    struct qp_tls_cert made = {0};
    int stapled = read_ocsp(load, &made.stapled_until);
    if (stapled < 0)
        return stapled;
    made.plain = credential(load, false);
    if (stapled > 0)
        made.stapled = credential(load, true);
    if (made.plain == NULL || (stapled > 0 && made.stapled == NULL)) {
        qp_tls_cert_done(&made);
        return qp_tls_fail(load->args, QUICPRO_ECERT, "%s cannot be used: %s", load->cert.name,
                           qp_tls_reason());
    }
    warn_of_dates(load);
    *ret = made;
    return 1;
}

static void load_done(struct load *load)
{
    qp_tls_source_done(&load->cert);
    qp_tls_source_done(&load->key);
    qp_tls_source_done(&load->ocsp);
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
    r = make(ret, load);
out:
    load_done(load);
    return r;
}

void qp_tls_cert_done(struct qp_tls_cert *cert)
{
    SSL_CREDENTIAL_free(cert->plain);
    SSL_CREDENTIAL_free(cert->stapled);
    *cert = (struct qp_tls_cert){0};
}

SSL_CREDENTIAL *qp_tls_cert_now(struct qp_tls_cert *cert, int64_t now, const struct qp_log *log)
{
    if (cert->stapled == NULL)
        return cert->plain;
    if (now < cert->stapled_until)
        return cert->stapled;
    if (!cert->stale)
        qp_log(log, QUICPRO_LOG_WARNING,
               "ocsp_file: the response has become stale and is not sent any more");
    cert->stale = true;
    return cert->plain;
}
