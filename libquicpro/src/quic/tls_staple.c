#include "quic/tls_staple.h"

#include <stdio.h>

#include <openssl/asn1.h>
#include <openssl/bytestring.h>
#include <openssl/digest.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/mem.h>
#include <openssl/obj.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "quic/tls_ocsp.h"
#include "quic/tls_words.h"

enum {
    /* A responder's clock may be ahead of ours: "thisUpdate" is often the second it answered in. */
    SKEW_S = 300,
    /* Certificates that a response may bring along; one, of the responder, is what they have. */
    MAX_CERTS = 4,
};

#define EXPLICIT(n) (CBS_ASN1_CONTEXT_SPECIFIC | CBS_ASN1_CONSTRUCTED | (n))

/* CertID names a certificate by its serial number and by hashes of its issuer's name and key, which
 * keep a response of one authority from serving for another with the same numbers. */
static bool is_about(const struct qp_tls_ocsp_single *single, const X509 *cert, const X509 *issuer)
{
    CBS algorithm = single->algorithm, der, serial;
    uint8_t name[EVP_MAX_MD_SIZE], key[EVP_MAX_MD_SIZE], *bytes = NULL;
    unsigned name_len, key_len;
    const EVP_MD *md = EVP_parse_digest_algorithm(&algorithm);
    const int len = i2d_ASN1_INTEGER(X509_get0_serialNumber(cert), &bytes);
    CBS_init(&der, bytes, len < 0 ? 0 : (size_t)len);
    const bool same = md != NULL && CBS_get_asn1(&der, &serial, CBS_ASN1_INTEGER) &&
                      CBS_mem_equal(&single->serial, CBS_data(&serial), CBS_len(&serial)) &&
                      X509_NAME_digest(X509_get_subject_name(issuer), md, name, &name_len) &&
                      CBS_mem_equal(&single->name_hash, name, name_len) &&
                      X509_pubkey_digest(issuer, md, key, &key_len) &&
                      CBS_mem_equal(&single->key_hash, key, key_len);
    OPENSSL_free(bytes);
    return same;
}

/* What a BasicOCSPResponse has behind its data. */
struct signature {
    const EVP_MD *md; /* NULL: the key's own, as of Ed25519 */
    int key_type;
    CBS bits, certs;
};

static bool read_signature(struct signature *ret, CBS rest)
{
    CBS algorithm, oid, string, list;
    int digest, key, has_certs;
    uint8_t unused;
    if (!CBS_get_asn1(&rest, &algorithm, CBS_ASN1_SEQUENCE) ||
        !CBS_get_asn1(&algorithm, &oid, CBS_ASN1_OBJECT) ||
        !CBS_get_asn1(&rest, &string, CBS_ASN1_BITSTRING) || !CBS_get_u8(&string, &unused) ||
        unused != 0 || !CBS_get_optional_asn1(&rest, &list, &has_certs, EXPLICIT(0)))
        return false;
    ret->bits = string;
    CBS_init(&ret->certs, NULL, 0);
    if (has_certs && !CBS_get_asn1(&list, &ret->certs, CBS_ASN1_SEQUENCE))
        return false;
    if (!OBJ_find_sigid_algs(OBJ_cbs2nid(&oid), &digest, &key))
        return false;
    ret->md = digest == NID_undef ? NULL : EVP_get_digestbynid(digest);
    ret->key_type = key;
    return digest == NID_undef || (ret->md != NULL && EVP_MD_size(ret->md) >= 32);
}

static bool is_signed_by(const struct qp_tls_ocsp_response *response, const struct signature *how,
                         const X509 *signer)
{
    EVP_PKEY *key = X509_get0_pubkey(signer);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    const bool yes = ctx != NULL && key != NULL && EVP_PKEY_id(key) == how->key_type &&
                     EVP_DigestVerifyInit(ctx, NULL, how->md, NULL, key) &&
                     EVP_DigestVerify(ctx, CBS_data(&how->bits), CBS_len(&how->bits),
                                      CBS_data(&response->data), CBS_len(&response->data)) == 1;
    EVP_MD_CTX_free(ctx);
    return yes;
}

/* "Includes a value of id-kp-OCSPSigning in an extended key usage extension and is issued by the CA
 * that issued the certificate in question" (RFC 6960 section 4.2.2.2). */
static bool may_sign(X509 *cert, X509 *issuer, int64_t now)
{
    int64_t from, until;
    return X509_check_issued(issuer, cert) == X509_V_OK &&
           X509_verify(cert, X509_get0_pubkey(issuer)) == 1 &&
           (X509_get_extension_flags(cert) & EXFLAG_XKUSAGE) &&
           (X509_get_extended_key_usage(cert) & XKU_OCSP_SIGN) &&
           ASN1_TIME_to_posix(X509_get0_notBefore(cert), &from) &&
           ASN1_TIME_to_posix(X509_get0_notAfter(cert), &until) && now >= from && now <= until;
}

/* By whom is found out by trying; what ResponderID says is no more than a hint. */
static bool is_authentic(const struct qp_tls_ocsp_response *response, X509 *issuer, int64_t now)
{
    struct signature how;
    if (!read_signature(&how, response->rest))
        return false;
    if (is_signed_by(response, &how, issuer))
        return true;
    for (unsigned n = 0; n < MAX_CERTS && CBS_len(&how.certs) != 0; n++) {
        CBS der;
        if (!CBS_get_asn1_element(&how.certs, &der, CBS_ASN1_SEQUENCE))
            return false;
        const uint8_t *at = CBS_data(&der);
        X509 *cert = d2i_X509(NULL, &at, (long)CBS_len(&der));
        const bool yes =
            cert != NULL && may_sign(cert, issuer, now) && is_signed_by(response, &how, cert);
        X509_free(cert);
        if (yes)
            return true;
    }
    return false;
}

static bool is_good(const struct qp_tls_ocsp *says, int64_t now, bool *revoked, char *words,
                    size_t size)
{
    char span[32];
    *revoked = says->status == QP_TLS_OCSP_REVOKED;
    if (now + SKEW_S < says->from) {
        qp_tls_span_text(span, sizeof(span), says->from - now);
        snprintf(words, size, "its OCSP staple is not valid for another %s", span);
    } else if (now >= says->until) {
        qp_tls_span_text(span, sizeof(span), now - says->until);
        snprintf(words, size, "its OCSP staple has been stale for %s", span);
    } else if (says->status == QP_TLS_OCSP_GOOD) {
        return true;
    } else {
        snprintf(words, size, "its OCSP staple calls it %s", *revoked ? "revoked" : "unknown");
    }
    return false;
}

bool qp_tls_staple_good(const uint8_t *der, size_t len, X509 *cert, X509 *issuer, int64_t now,
                        bool *revoked, char *words, size_t size)
{
    struct qp_tls_ocsp_response response;
    struct qp_tls_ocsp_single single;
    *revoked = false;
    if (der == NULL || len == 0) {
        snprintf(words, size, "it came without an OCSP staple, and ocsp_require is set");
        return false;
    }
    const char *why = qp_tls_ocsp_open(&response, der, len);
    if (why == NULL && !is_authentic(&response, issuer, now))
        why = "is not signed by who may";
    bool found = false;
    while (why == NULL && !found) {
        if (CBS_len(&response.singles) == 0)
            why = "is not about this certificate";
        else
            why = qp_tls_ocsp_next(&single, &response);
        found = why == NULL && is_about(&single, cert, issuer);
    }
    ERR_clear_error();
    if (why == NULL)
        return is_good(&single.says, now, revoked, words, size);
    snprintf(words, size, "its OCSP staple %s", why);
    return false;
}
