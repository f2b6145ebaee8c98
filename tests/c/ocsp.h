/* OCSP responses as responders make them (RFC 6960 appendix B): signed if there is a key, and else
 * cut where the signature would begin. */
#ifndef OCSP_H
#define OCSP_H

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/bytestring.h>
#include <openssl/evp.h>
#include <openssl/mem.h>
#include <openssl/x509.h>

struct ocsp {
    const uint8_t *serial;
    size_t serial_len;
    int response_status;  /* 0: successful */
    unsigned cert_status; /* 0 good, 1 revoked, 2 unknown */
    int64_t from, until;  /* seconds since 1970; until 0: not there */
    bool other_first;     /* a response about another certificate stands before it */
    const X509 *issuer;   /* whose name and key the response hashes; NULL: zeros */
    EVP_PKEY *key;        /* signs; P-256 */
    const X509 *brought;  /* the signer's certificate, if it is not the issuer's */
    bool damaged;         /* what is signed differs from what is sent */
};

static inline void ocsp_time(CBB *out, int64_t at)
{
    CBB text;
    char chars[32];
    struct tm tm;
    time_t t = (time_t)at;
    gmtime_r(&t, &tm);
    strftime(chars, sizeof(chars), "%Y%m%d%H%M%SZ", &tm);
    if (!CBB_add_asn1(out, &text, CBS_ASN1_GENERALIZEDTIME) ||
        !CBB_add_bytes(&text, (const uint8_t *)chars, strlen(chars)) || !CBB_flush(out))
        abort();
}

static inline void ocsp_single(CBB *out, const struct ocsp *o, const uint8_t *serial, size_t len)
{
    static const uint8_t sha1[] = {0x30, 0x07, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a};
    uint8_t hash[2][20] = {{0}};
    CBB single, id, part;
    const unsigned tag = CBS_ASN1_CONTEXT_SPECIFIC | o->cert_status;
    if (!CBB_add_asn1(out, &single, CBS_ASN1_SEQUENCE) ||
        !CBB_add_asn1(&single, &id, CBS_ASN1_SEQUENCE) || !CBB_add_bytes(&id, sha1, sizeof(sha1)))
        abort();
    if (o->issuer != NULL &&
        (!X509_NAME_digest(X509_get_subject_name(o->issuer), EVP_sha1(), hash[0], NULL) ||
         !X509_pubkey_digest(o->issuer, EVP_sha1(), hash[1], NULL)))
        abort();
    for (int i = 0; i < 2; i++)
        if (!CBB_add_asn1(&id, &part, CBS_ASN1_OCTETSTRING) ||
            !CBB_add_bytes(&part, hash[i], sizeof(hash[i])))
            abort();
    if (!CBB_add_asn1(&id, &part, CBS_ASN1_INTEGER) || !CBB_add_bytes(&part, serial, len) ||
        !CBB_add_asn1(&single, &part, o->cert_status == 1 ? tag | CBS_ASN1_CONSTRUCTED : tag))
        abort();
    if (o->cert_status == 1)
        ocsp_time(&part, o->from);
    ocsp_time(&single, o->from);
    if (o->until != 0) {
        if (!CBB_add_asn1(&single, &part, CBS_ASN1_CONTEXT_SPECIFIC | CBS_ASN1_CONSTRUCTED | 0))
            abort();
        ocsp_time(&part, o->until);
    }
    if (!CBB_flush(out))
        abort();
}

/* signatureAlgorithm (ecdsa-with-SHA256), signature, certs; data is complete already. */
static inline void ocsp_sign(CBB *basic, const struct ocsp *o, const uint8_t *data, size_t len)
{
    static const uint8_t ecdsa[] = {0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86,
                                    0x48, 0xce, 0x3d, 0x04, 0x03, 0x02};
    uint8_t signature[128], *der = NULL, *copy = malloc(len);
    size_t size = sizeof(signature);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    CBB bits, list, certs;
    memcpy(copy, data, len);
    copy[len - 1] ^= o->damaged;
    if (!EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, o->key) ||
        !EVP_DigestSign(ctx, signature, &size, copy, len) ||
        !CBB_add_bytes(basic, ecdsa, sizeof(ecdsa)) ||
        !CBB_add_asn1(basic, &bits, CBS_ASN1_BITSTRING) || !CBB_add_u8(&bits, 0) ||
        !CBB_add_bytes(&bits, signature, size))
        abort();
    if (o->brought != NULL) {
        int n = i2d_X509((X509 *)o->brought, &der);
        if (n < 0 ||
            !CBB_add_asn1(basic, &list, CBS_ASN1_CONTEXT_SPECIFIC | CBS_ASN1_CONSTRUCTED | 0) ||
            !CBB_add_asn1(&list, &certs, CBS_ASN1_SEQUENCE) ||
            !CBB_add_bytes(&certs, der, (size_t)n))
            abort();
    }
    if (!CBB_flush(basic))
        abort();
    OPENSSL_free(der);
    EVP_MD_CTX_free(ctx);
    free(copy);
}

/* From malloc(). */
static inline uint8_t *ocsp_make(const struct ocsp *o, size_t *len)
{
    static const uint8_t basic_type[] = {0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x01};
    static const uint8_t other[] = {0x42};
    CBB cbb, response, outer, part, bytes, octets, basic, inner, data, list;
    uint8_t *der, *tbs;
    size_t tbs_len;
    if (!CBB_init(&cbb, 512) || !CBB_add_asn1(&cbb, &response, CBS_ASN1_SEQUENCE) ||
        !CBB_add_asn1(&response, &part, CBS_ASN1_ENUMERATED) ||
        !CBB_add_u8(&part, (uint8_t)o->response_status) ||
        !CBB_add_asn1(&response, &outer, CBS_ASN1_CONTEXT_SPECIFIC | CBS_ASN1_CONSTRUCTED | 0) ||
        !CBB_add_asn1(&outer, &bytes, CBS_ASN1_SEQUENCE) ||
        !CBB_add_asn1(&bytes, &octets, CBS_ASN1_OBJECT) ||
        !CBB_add_bytes(&octets, basic_type, sizeof(basic_type)) ||
        !CBB_add_asn1(&bytes, &octets, CBS_ASN1_OCTETSTRING) ||
        !CBB_add_asn1(&octets, &basic, CBS_ASN1_SEQUENCE) || !CBB_init(&inner, 512) ||
        !CBB_add_asn1(&inner, &data, CBS_ASN1_SEQUENCE) ||
        !CBB_add_asn1(&data, &part, CBS_ASN1_CONTEXT_SPECIFIC | CBS_ASN1_CONSTRUCTED | 2) ||
        !CBB_add_asn1_octet_string(&part, other, 1))
        abort();
    ocsp_time(&data, o->from);
    if (!CBB_add_asn1(&data, &list, CBS_ASN1_SEQUENCE))
        abort();
    if (o->other_first)
        ocsp_single(&list, o, other, sizeof(other));
    ocsp_single(&list, o, o->serial, o->serial_len);
    if (!CBB_finish(&inner, &tbs, &tbs_len) || !CBB_add_bytes(&basic, tbs, tbs_len))
        abort();
    if (o->key != NULL)
        ocsp_sign(&basic, o, tbs, tbs_len);
    OPENSSL_free(tbs);
    if (!CBB_finish(&cbb, &der, len))
        abort();
    uint8_t *ret = malloc(*len);
    memcpy(ret, der, *len);
    OPENSSL_free(der);
    return ret;
}

#endif
