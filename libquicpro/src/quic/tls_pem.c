#include "quic/tls_pem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/bytestring.h>
#include <openssl/err.h>
#include <openssl/mem.h>
#include <openssl/pem.h>
#include <openssl/pkcs8.h>

/* Bundles of authorities are some 250 KB. */
enum { MAX_FILE_BYTES = 8 << 20 };

int qp_tls_source_open(struct qp_tls_source *source, const struct qp_tls_args *args,
                       const char *option, const char *file, const struct qp_bytes *data)
{
    source->data = source->owned = NULL;
    source->len = 0;
    if (data != NULL && data->len != 0) {
        if (file[0] != '\0')
            return qp_tls_fail(args, QUICPRO_ECERT, "%s_file and %s_data are both set: choose one",
                               option, option);
        snprintf(source->name, sizeof(source->name), "%s_data", option);
        source->data = data->data;
        source->len = data->len;
        return 1;
    }
    if (file[0] == '\0')
        return 0;
    snprintf(source->name, sizeof(source->name), "%s_file '%s'", option, file);
    int r = args->env->read_file(file, MAX_FILE_BYTES, &source->owned, &source->len);
    if (r < 0)
        return qp_tls_fail(args, QUICPRO_ECERT, "%s_file: cannot read '%s': %s", option, file,
                           strerror(-r));
    source->data = source->owned;
    return 1;
}

void qp_tls_source_done(struct qp_tls_source *source)
{
    if (source->owned != NULL)
        OPENSSL_cleanse(source->owned, source->len);
    free(source->owned);
    source->data = source->owned = NULL;
}

static bool is_pem(const struct qp_tls_source *source)
{
    static const char mark[] = "-----BEGIN ";
    return memmem(source->data, source->len, mark, sizeof(mark) - 1) != NULL;
}

static int give(const uint8_t *der, size_t len, int (*visit)(void *arg, CRYPTO_BUFFER *cert),
                void *arg)
{
    CRYPTO_BUFFER *cert = CRYPTO_BUFFER_new(der, len, NULL);
    int r = cert == NULL ? QUICPRO_ENOMEM : visit(arg, cert);
    CRYPTO_BUFFER_free(cert);
    return r;
}

static int each_pem(const struct qp_tls_source *source,
                    int (*visit)(void *arg, CRYPTO_BUFFER *cert), void *arg)
{
    BIO *bio = BIO_new_mem_buf(source->data, (ossl_ssize_t)source->len);
    char *name, *header;
    uint8_t *der;
    long len;
    int count = 0, r = 0;
    while (r >= 0 && PEM_read_bio(bio, &name, &header, &der, &len)) {
        if (strcmp(name, PEM_STRING_X509) == 0 || strcmp(name, PEM_STRING_X509_OLD) == 0) {
            r = give(der, (size_t)len, visit, arg);
            count++;
        }
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_free(der);
    }
    BIO_free(bio);
    if (r < 0)
        return r;
    /* The end of the file is no mistake; a block that breaks off is one. */
    if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE || count == 0)
        return -1;
    ERR_clear_error();
    return count;
}

int qp_tls_each_cert(const struct qp_tls_source *source,
                     int (*visit)(void *arg, CRYPTO_BUFFER *cert), void *arg)
{
    CBS rest, one;
    int count = 0;
    if (is_pem(source))
        return each_pem(source, visit, arg);
    CBS_init(&rest, source->data, source->len);
    while (CBS_len(&rest) != 0) {
        if (!CBS_get_asn1_element(&rest, &one, CBS_ASN1_SEQUENCE))
            return -1;
        int r = give(CBS_data(&one), CBS_len(&one), visit, arg);
        if (r < 0)
            return r;
        count++;
    }
    return count == 0 ? -1 : count;
}

struct asked {
    const struct qp_bytes *passphrase;
    bool yes;
};

/* Without a passphrase: better an error than a prompt on the terminal of a daemon. */
static int give_passphrase(char *out, int size, int rwflag, void *user)
{
    struct asked *asked = user;
    (void)rwflag;
    asked->yes = true;
    size_t len = asked->passphrase->len;
    if (len == 0 || len > (size_t)size)
        return -1;
    memcpy(out, asked->passphrase->data, len);
    return (int)len;
}

static EVP_PKEY *read_pem(const struct qp_tls_source *source, const struct qp_bytes *passphrase,
                          bool *encrypted)
{
    struct asked asked = {passphrase, false};
    BIO *bio = BIO_new_mem_buf(source->data, (ossl_ssize_t)source->len);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, give_passphrase, &asked);
    BIO_free(bio);
    *encrypted = asked.yes;
    return key;
}

/* EncryptedPrivateKeyInfo: an algorithm and an OCTET STRING, where a plain key begins with its
 * version (RFC 5958 sections 2 and 3). */
static bool looks_encrypted(const struct qp_tls_source *source)
{
    CBS cbs, body, ignored;
    CBS_init(&cbs, source->data, source->len);
    return CBS_get_asn1(&cbs, &body, CBS_ASN1_SEQUENCE) && CBS_len(&cbs) == 0 &&
           CBS_get_asn1(&body, &ignored, CBS_ASN1_SEQUENCE) &&
           CBS_get_asn1(&body, &ignored, CBS_ASN1_OCTETSTRING) && CBS_len(&body) == 0;
}

static EVP_PKEY *read_der(const struct qp_tls_source *source, const struct qp_bytes *passphrase,
                          bool *encrypted)
{
    const uint8_t *at = source->data;
    CBS cbs;
    *encrypted = looks_encrypted(source);
    if (!*encrypted)
        return d2i_AutoPrivateKey(NULL, &at, (long)source->len);
    CBS_init(&cbs, source->data, source->len);
    if (passphrase->len == 0)
        return NULL;
    return PKCS8_parse_encrypted_private_key(&cbs, (const char *)passphrase->data, passphrase->len);
}

EVP_PKEY *qp_tls_read_key(const struct qp_tls_source *source, const struct qp_bytes *passphrase,
                          bool *encrypted, const char **why)
{
    ERR_clear_error();
    EVP_PKEY *key = (is_pem(source) ? read_pem : read_der)(source, passphrase, encrypted);
    /* The first that went wrong: what it led to says less. */
    const char *reason = ERR_reason_error_string(ERR_peek_error());
    *why = key != NULL ? "" : reason == NULL ? "unknown reason" : reason;
    return key;
}
