#include <quicpro/devcert.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/base64.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/ec_key.h>
#include <openssl/evp.h>
#include <openssl/mem.h>
#include <openssl/nid.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509.h>

enum { MAX_NAMES = 64, MAX_DAYS = 397, HOUR = 3600, DAY = 86400 };

static EVP_PKEY *new_key(void)
{
    EC_KEY *ec = EC_KEY_new_by_curve_name(NID_X9_62_prime256v1);
    EVP_PKEY *key = EVP_PKEY_new();
    if (ec == NULL || key == NULL || !EC_KEY_generate_key(ec) || !EVP_PKEY_set1_EC_KEY(key, ec)) {
        EVP_PKEY_free(key);
        key = NULL;
    }
    EC_KEY_free(ec);
    return key;
}

static int add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *ext = X509V3_EXT_nconf_nid(NULL, &ctx, nid, value);
    int ok = ext != NULL && X509_add_ext(cert, ext, -1);
    X509_EXTENSION_free(ext);
    return ok;
}

/* subjectAltName (RFC 5280 section 4.2.1.6). */
static int add_names(X509 *cert, const char *const *names, size_t count)
{
    GENERAL_NAMES *list = GENERAL_NAMES_new();
    int ok = list != NULL;
    for (size_t i = 0; i < count && ok; i++) {
        uint8_t ip[16];
        size_t ip_len = inet_pton(AF_INET, names[i], ip) == 1    ? 4
                        : inet_pton(AF_INET6, names[i], ip) == 1 ? 16
                                                                 : 0;
        GENERAL_NAME *name = GENERAL_NAME_new();
        ASN1_STRING *text =
            ASN1_STRING_type_new(ip_len != 0 ? V_ASN1_OCTET_STRING : V_ASN1_IA5STRING);
        ok = name != NULL && text != NULL &&
             ASN1_STRING_set(text, ip_len != 0 ? (const void *)ip : names[i],
                             ip_len != 0 ? (ossl_ssize_t)ip_len : (ossl_ssize_t)strlen(names[i]));
        if (ok) {
            GENERAL_NAME_set0_value(name, ip_len != 0 ? GEN_IPADD : GEN_DNS, text);
            ok = sk_GENERAL_NAME_push(list, name) != 0;
        } else {
            ASN1_STRING_free(text);
        }
        if (!ok)
            GENERAL_NAME_free(name);
    }
    ok = ok && X509_add1_ext_i2d(cert, NID_subject_alt_name, list, 0, X509V3_ADD_DEFAULT) == 1;
    GENERAL_NAMES_free(list);
    return ok;
}

static X509 *new_cert(EVP_PKEY *key, const char *common_name, unsigned days)
{
    X509 *cert = X509_new();
    X509_NAME *name = cert == NULL ? NULL : X509_get_subject_name(cert);
    BIGNUM *serial = BN_new();
    time_t now = time(NULL);
    int ok = name != NULL && serial != NULL && X509_set_version(cert, X509_VERSION_3) &&
             BN_rand(serial, 127, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) &&
             BN_to_ASN1_INTEGER(serial, X509_get_serialNumber(cert)) != NULL &&
             ASN1_TIME_adj(X509_getm_notBefore(cert), now, 0, -HOUR) != NULL &&
             ASN1_TIME_adj(X509_getm_notAfter(cert), now, (int)days, -HOUR) != NULL &&
             X509_set_pubkey(cert, key) &&
             X509_NAME_add_entry_by_txt(name, "O", MBSTRING_ASC,
                                        (const uint8_t *)"quicpro development", -1, -1, 0) &&
             X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const uint8_t *)common_name, -1,
                                        -1, 0);
    BN_free(serial);
    if (!ok) {
        X509_free(cert);
        return NULL;
    }
    return cert;
}

static X509 *make_ca(EVP_PKEY *key, unsigned days)
{
    X509 *ca = new_cert(key, "quicpro development CA", days);
    if (ca != NULL && X509_set_issuer_name(ca, X509_get_subject_name(ca)) &&
        add_extension(ca, ca, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
        add_extension(ca, ca, NID_key_usage, "critical,keyCertSign,cRLSign") &&
        add_extension(ca, ca, NID_subject_key_identifier, "hash") &&
        X509_sign(ca, key, EVP_sha256()) != 0)
        return ca;
    X509_free(ca);
    return NULL;
}

static X509 *make_leaf(EVP_PKEY *key, X509 *ca, EVP_PKEY *ca_key, const char *const *names,
                       size_t count, unsigned days)
{
    X509 *leaf = new_cert(key, names[0], days);
    if (leaf != NULL && X509_set_issuer_name(leaf, X509_get_subject_name(ca)) &&
        add_extension(leaf, ca, NID_basic_constraints, "critical,CA:FALSE") &&
        add_extension(leaf, ca, NID_key_usage, "critical,digitalSignature") &&
        add_extension(leaf, ca, NID_ext_key_usage, "serverAuth") &&
        add_extension(leaf, ca, NID_subject_key_identifier, "hash") &&
        add_extension(leaf, ca, NID_authority_key_identifier, "keyid") &&
        add_names(leaf, names, count) && X509_sign(leaf, ca_key, EVP_sha256()) != 0)
        return leaf;
    X509_free(leaf);
    return NULL;
}

/* What a BIO holds, as a string of the caller's. */
static char *text_of(BIO *bio)
{
    const uint8_t *data;
    size_t len;
    char *text;
    if (!BIO_mem_contents(bio, &data, &len) || (text = malloc(len + 1)) == NULL)
        return NULL;
    memcpy(text, data, len);
    text[len] = '\0';
    return text;
}

static char *cert_text(X509 *first, X509 *second)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;
    if (bio != NULL && PEM_write_bio_X509(bio, first) &&
        (second == NULL || PEM_write_bio_X509(bio, second)))
        text = text_of(bio);
    BIO_free(bio);
    return text;
}

static char *key_text(EVP_PKEY *key)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;
    if (bio != NULL && PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL))
        text = text_of(bio);
    BIO_free(bio);
    return text;
}

static int spki_hash(EVP_PKEY *key, char *out, size_t size)
{
    uint8_t *der = NULL, hash[SHA256_DIGEST_LENGTH];
    size_t needed;
    int len = i2d_PUBKEY(key, &der);
    if (len < 0 || !EVP_EncodedLength(&needed, sizeof(hash)) || needed > size)
        return 0;
    SHA256(der, (size_t)len, hash);
    EVP_EncodeBlock((uint8_t *)out, hash, sizeof(hash));
    OPENSSL_free(der);
    return 1;
}

int quicpro_devcert_make(quicpro_devcert *ret, const char *const *names, size_t count,
                         unsigned days)
{
    if (ret == NULL || names == NULL || count == 0 || count > MAX_NAMES || days == 0 ||
        days > MAX_DAYS)
        return QUICPRO_EINVAL;
    for (size_t i = 0; i < count; i++)
        if (names[i] == NULL || names[i][0] == '\0' || strlen(names[i]) > 63)
            return QUICPRO_EINVAL; /* a common name is at most 64 characters (RFC 5280 A.1) */
    EVP_PKEY *ca_key = new_key(), *key = new_key();
    X509 *ca = ca_key == NULL ? NULL : make_ca(ca_key, days);
    X509 *leaf = ca == NULL || key == NULL ? NULL : make_leaf(key, ca, ca_key, names, count, days);
    int r = QUICPRO_ETLS;
    if (leaf != NULL) {
        quicpro_devcert made = {cert_text(ca, NULL), cert_text(leaf, ca), key_text(key), ""};
        if (made.ca_pem != NULL && made.cert_pem != NULL && made.key_pem != NULL &&
            spki_hash(key, made.spki_sha256, sizeof(made.spki_sha256))) {
            *ret = made;
            r = 0;
        } else {
            quicpro_devcert_done(&made);
            r = QUICPRO_ENOMEM;
        }
    }
    X509_free(leaf);
    X509_free(ca);
    EVP_PKEY_free(key);
    EVP_PKEY_free(ca_key);
    return r;
}

void quicpro_devcert_done(quicpro_devcert *cert)
{
    if (cert == NULL)
        return;
    free(cert->ca_pem);
    free(cert->cert_pem);
    if (cert->key_pem != NULL) {
        OPENSSL_cleanse(cert->key_pem, strlen(cert->key_pem));
        free(cert->key_pem);
    }
    *cert = (quicpro_devcert){0};
}
