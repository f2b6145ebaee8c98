/* Certificates of every kind a test needs, made by BoringSSL: authorities, chains, expired ones,
 * ones for clients; and what the tls*.c files are made from. */
#ifndef AUTHORITY_H
#define AUTHORITY_H

#include <arpa/inet.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <openssl/bn.h>
#include <openssl/ec_key.h>
#include <openssl/evp.h>
#include <openssl/mem.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "base/log.h"
#include "base/options.h"
#include "check.h"
#include "os/env.h"
#include "os/file.h"
#include "quic/tls.h"

enum { AUTHORITY_HOUR = 3600, AUTHORITY_DAY = 86400 };

/* A certificate with its key; issuer NULL: it signs itself. */
struct identity {
    X509 *cert;
    EVP_PKEY *key;
};

struct wanted {
    const char *cn;       /* common name */
    const char *names[4]; /* subjectAltName: hosts and addresses */
    const char *usage;    /* extended key usage; NULL: none */
    bool ca;
    int64_t from, until; /* seconds from now; both 0: since yesterday, for 30 days */
};

static inline EVP_PKEY *authority_key(void)
{
    EC_KEY *ec = EC_KEY_new_by_curve_name(NID_X9_62_prime256v1);
    EVP_PKEY *key = EVP_PKEY_new();
    if (ec == NULL || key == NULL || !EC_KEY_generate_key(ec) || !EVP_PKEY_assign_EC_KEY(key, ec))
        abort();
    return key;
}

static inline void authority_extend(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_nconf_nid(NULL, &ctx, nid, value);
    if (extension == NULL || !X509_add_ext(cert, extension, -1))
        abort();
    X509_EXTENSION_free(extension);
}

static inline void authority_name(X509 *cert, const struct wanted *wanted)
{
    char text[512] = "";
    for (size_t i = 0; i < COUNTOF(wanted->names) && wanted->names[i] != NULL; i++) {
        uint8_t ip[16];
        const char *name = wanted->names[i];
        bool literal = inet_pton(AF_INET, name, ip) == 1 || inet_pton(AF_INET6, name, ip) == 1;
        size_t at = strlen(text);
        snprintf(text + at, sizeof(text) - at, "%s%s:%s", at == 0 ? "" : ",",
                 literal ? "IP" : "DNS", name);
    }
    if (text[0] != '\0')
        authority_extend(cert, cert, NID_subject_alt_name, text);
}

static inline struct identity identity_new(const struct wanted *wanted,
                                           const struct identity *issuer)
{
    const time_t now = time(NULL);
    const bool dated = wanted->from != 0 || wanted->until != 0;
    struct identity made = {X509_new(), authority_key()};
    X509 *cert = made.cert, *by = issuer == NULL ? cert : issuer->cert;
    BIGNUM *serial = BN_new();
    X509_NAME *name = X509_get_subject_name(cert);
    if (!X509_set_version(cert, X509_VERSION_3) ||
        !BN_rand(serial, 127, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) ||
        !BN_to_ASN1_INTEGER(serial, X509_get_serialNumber(cert)) ||
        !ASN1_TIME_set_posix(X509_getm_notBefore(cert),
                             now + (dated ? wanted->from : -AUTHORITY_DAY)) ||
        !ASN1_TIME_set_posix(X509_getm_notAfter(cert),
                             now + (dated ? wanted->until : 30 * AUTHORITY_DAY)) ||
        !X509_set_pubkey(cert, made.key) ||
        !X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const uint8_t *)wanted->cn, -1, -1,
                                    0) ||
        !X509_set_issuer_name(cert, X509_get_subject_name(by)))
        abort();
    BN_free(serial);
    authority_extend(cert, by, NID_basic_constraints,
                     wanted->ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
    authority_extend(cert, by, NID_key_usage,
                     wanted->ca ? "critical,keyCertSign,cRLSign" : "critical,digitalSignature");
    authority_extend(cert, by, NID_subject_key_identifier, "hash");
    if (wanted->usage != NULL)
        authority_extend(cert, by, NID_ext_key_usage, wanted->usage);
    authority_name(cert, wanted);
    if (!X509_sign(cert, issuer == NULL ? made.key : issuer->key, EVP_sha256()))
        abort();
    return made;
}

static inline void identity_done(struct identity *identity)
{
    X509_free(identity->cert);
    EVP_PKEY_free(identity->key);
    *identity = (struct identity){0};
}

static inline char *authority_text(BIO *bio, size_t *len)
{
    const uint8_t *data;
    size_t size;
    if (!BIO_mem_contents(bio, &data, &size))
        abort();
    char *text = malloc(size + 1);
    memcpy(text, data, size);
    text[size] = '\0';
    if (len != NULL)
        *len = size;
    BIO_free(bio);
    return text;
}

/* PEM of up to two certificates, and keys in every form; all of them from malloc(). */
static inline char *pem_of(const X509 *first, const X509 *second)
{
    BIO *bio = BIO_new(BIO_s_mem());
    if (!PEM_write_bio_X509(bio, (X509 *)first) ||
        (second != NULL && !PEM_write_bio_X509(bio, (X509 *)second)))
        abort();
    return authority_text(bio, NULL);
}

static inline char *pem_of_key(const EVP_PKEY *key, const char *passphrase)
{
    BIO *bio = BIO_new(BIO_s_mem());
    if (!PEM_write_bio_PKCS8PrivateKey(bio, key, passphrase == NULL ? NULL : EVP_aes_256_cbc(),
                                       passphrase, passphrase == NULL ? 0 : (int)strlen(passphrase),
                                       NULL, NULL))
        abort();
    return authority_text(bio, NULL);
}

static inline char *der_of(const X509 *cert, size_t *len)
{
    BIO *bio = BIO_new(BIO_s_mem());
    if (!i2d_X509_bio(bio, (X509 *)cert))
        abort();
    return authority_text(bio, len);
}

static inline char *der_of_key(const EVP_PKEY *key, const char *passphrase, size_t *len)
{
    BIO *bio = BIO_new(BIO_s_mem());
    int ok = passphrase == NULL ? i2d_PKCS8PrivateKeyInfo_bio(bio, key)
                                : i2d_PKCS8PrivateKey_bio(bio, key, EVP_aes_256_cbc(), passphrase,
                                                          (int)strlen(passphrase), NULL, NULL);
    if (!ok)
        abort();
    return authority_text(bio, len);
}

/* Writes what pem_of() and the like made, and frees it. */
static inline void put_file(const char *path, char *text, size_t len)
{
    FILE *f = fopen(path, "wb");
    if (f == NULL || fwrite(text, 1, len, f) != len || fclose(f) != 0)
        abort();
    free(text);
}

static inline void put_text(const char *path, char *text)
{
    put_file(path, text, strlen(text));
}

/* The outside of TLS: the real one, but for its clock. */
static int64_t authority_now_offset;

static inline int64_t authority_wall(void)
{
    return time(NULL) + authority_now_offset;
}

static const struct qp_tls_env authority_env = {
    .wall = authority_wall,
    .read_file = qp_file_read,
    .each_file = qp_file_each,
    .variable = qp_env_get,
    .log_open = qp_file_append_open,
    .log_line = qp_file_append,
    .log_close = qp_file_append_close,
};

/* Options, a folder for files, and the arguments made of them. */
struct setting {
    char dir[32], cert[64], key[64], ca[64];
    struct quicpro_config *config;
    char error[512];
    struct qp_log log;
    struct qp_tls_args args;
};

static inline void setting_init(struct setting *s)
{
    *s = (struct setting){.dir = "/tmp/quicpro-test-XXXXXX"};
    if (mkdtemp(s->dir) == NULL || quicpro_config_new(&s->config) < 0)
        abort();
    snprintf(s->cert, sizeof(s->cert), "%s/cert", s->dir);
    snprintf(s->key, sizeof(s->key), "%s/key", s->dir);
    snprintf(s->ca, sizeof(s->ca), "%s/ca", s->dir);
    s->args = (struct qp_tls_args){
        .options = &s->config->options,
        .env = &authority_env,
        .log = &s->log,
        .error = s->error,
        .error_size = sizeof(s->error),
    };
}

static inline void setting_set(struct setting *s, const char *key, const char *value)
{
    if (!CHECK_INT(quicpro_config_set(s->config, key, value), ==, 0))
        printf("#   %s\n", quicpro_config_error(s->config));
}

static inline void setting_done(struct setting *s)
{
    quicpro_config_free(s->config);
    unlink(s->cert);
    unlink(s->key);
    unlink(s->ca);
    rmdir(s->dir);
}

/* Whether the last failure said this. */
static inline bool setting_said(const struct setting *s, const char *what)
{
    bool yes = strstr(s->error, what) != NULL;
    if (!yes)
        printf("#   not \"%s\": %s\n", what, s->error);
    return yes;
}

#endif
