#include "quic/tls_ocsp.h"

#include <stdbool.h>

#include <openssl/asn1.h>
#include <openssl/bytestring.h>
#include <openssl/err.h>

enum {
    /* "If nextUpdate is not set, the responder is indicating that newer revocation information is
     * available all the time" (RFC 6960 section 4.2.2.1): then a week is long enough. */
    WITHOUT_END = 7 * 86400,
    TIME_CHARS = 15, /* YYYYMMDDHHMMSSZ */
};

#define CONTEXT(n) (CBS_ASN1_CONTEXT_SPECIFIC | (n))
#define EXPLICIT(n) (CBS_ASN1_CONTEXT_SPECIFIC | CBS_ASN1_CONSTRUCTED | (n))

static const uint8_t basic_response[] = {0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x01};

static bool read_time(CBS *cbs, int64_t *ret)
{
    CBS text;
    char chars[TIME_CHARS + 1] = "";
    ASN1_GENERALIZEDTIME *time = ASN1_GENERALIZEDTIME_new();
    bool ok = time != NULL && CBS_get_asn1(cbs, &text, CBS_ASN1_GENERALIZEDTIME) &&
              CBS_copy_bytes(&text, (uint8_t *)chars, TIME_CHARS) && CBS_len(&text) == 0 &&
              ASN1_GENERALIZEDTIME_set_string(time, chars) && ASN1_TIME_to_posix(time, ret);
    ASN1_GENERALIZEDTIME_free(time);
    return ok;
}

/* CertStatus ::= CHOICE { good [0] NULL, revoked [1] RevokedInfo, unknown [2] NULL } */
static bool read_status(CBS *cbs, enum qp_tls_ocsp_status *ret)
{
    CBS contents;
    CBS_ASN1_TAG tag;
    if (!CBS_get_any_asn1(cbs, &contents, &tag))
        return false;
    *ret = tag == CONTEXT(0)    ? QP_TLS_OCSP_GOOD
           : tag == EXPLICIT(1) ? QP_TLS_OCSP_REVOKED
                                : QP_TLS_OCSP_UNKNOWN;
    return tag == CONTEXT(0) || tag == EXPLICIT(1) || tag == CONTEXT(2);
}

/* SingleResponse ::= SEQUENCE { certID CertID, certStatus, thisUpdate, nextUpdate [0] OPTIONAL, ..
 * } CertID ::= SEQUENCE { hashAlgorithm, issuerNameHash, issuerKeyHash, serialNumber } */
static bool read_single(CBS *cbs, struct qp_tls_ocsp_single *ret)
{
    struct qp_tls_ocsp *says = &ret->says;
    CBS single, id, next;
    int has_next;
    if (!CBS_get_asn1(cbs, &single, CBS_ASN1_SEQUENCE) ||
        !CBS_get_asn1(&single, &id, CBS_ASN1_SEQUENCE) ||
        !CBS_get_asn1_element(&id, &ret->algorithm, CBS_ASN1_SEQUENCE) ||
        !CBS_get_asn1(&id, &ret->name_hash, CBS_ASN1_OCTETSTRING) ||
        !CBS_get_asn1(&id, &ret->key_hash, CBS_ASN1_OCTETSTRING) ||
        !CBS_get_asn1(&id, &ret->serial, CBS_ASN1_INTEGER) ||
        !read_status(&single, &says->status) || !read_time(&single, &says->from) ||
        !CBS_get_optional_asn1(&single, &next, &has_next, EXPLICIT(0)))
        return false;
    if (!has_next) {
        says->until = says->from + WITHOUT_END;
        return true;
    }
    return read_time(&next, &says->until) && CBS_len(&next) == 0;
}

/* OCSPResponse ::= SEQUENCE { responseStatus ENUMERATED, responseBytes [0] EXPLICIT OPTIONAL },
 * down to the list of single responses. */
const char *qp_tls_ocsp_open(struct qp_tls_ocsp_response *ret, const uint8_t *der, size_t len)
{
    CBS cbs, response, status, wrapped, bytes, type, basic, data, ignored;
    CBS_ASN1_TAG tag;
    uint8_t code;
    CBS_init(&cbs, der, len);
    if (!CBS_get_asn1(&cbs, &response, CBS_ASN1_SEQUENCE) || CBS_len(&cbs) != 0 ||
        !CBS_get_asn1(&response, &status, CBS_ASN1_ENUMERATED) || !CBS_get_u8(&status, &code) ||
        CBS_len(&status) != 0)
        return "holds no OCSP response in DER";
    if (code != 0)
        return "holds an OCSP response that reports an error";
    if (!CBS_get_asn1(&response, &wrapped, EXPLICIT(0)) ||
        !CBS_get_asn1(&wrapped, &bytes, CBS_ASN1_SEQUENCE) ||
        !CBS_get_asn1(&bytes, &type, CBS_ASN1_OBJECT) ||
        !CBS_mem_equal(&type, basic_response, sizeof(basic_response)) ||
        !CBS_get_asn1(&bytes, &wrapped, CBS_ASN1_OCTETSTRING) ||
        !CBS_get_asn1(&wrapped, &basic, CBS_ASN1_SEQUENCE) ||
        !CBS_get_asn1_element(&basic, &ret->data, CBS_ASN1_SEQUENCE))
        return "holds no OCSP response of the basic type";
    ret->rest = basic;
    wrapped = ret->data;
    if (!CBS_get_asn1(&wrapped, &data, CBS_ASN1_SEQUENCE) ||
        !CBS_get_optional_asn1(&data, NULL, NULL, EXPLICIT(0)) ||   /* version */
        !CBS_get_any_asn1(&data, &ignored, &tag) ||                 /* responderID */
        !CBS_get_asn1(&data, &ignored, CBS_ASN1_GENERALIZEDTIME) || /* producedAt */
        !CBS_get_asn1(&data, &ret->singles, CBS_ASN1_SEQUENCE))
        return "holds no OCSP response of the basic type";
    return NULL;
}

const char *qp_tls_ocsp_next(struct qp_tls_ocsp_single *ret, struct qp_tls_ocsp_response *response)
{
    if (read_single(&response->singles, ret))
        return NULL;
    ERR_clear_error(); /* of times that are none */
    return "holds an OCSP response that makes no sense";
}

const char *qp_tls_ocsp_read(struct qp_tls_ocsp *ret, const uint8_t *der, size_t len,
                             const uint8_t *serial, size_t serial_len)
{
    struct qp_tls_ocsp_response response;
    struct qp_tls_ocsp_single single;
    const char *why = qp_tls_ocsp_open(&response, der, len);
    while (why == NULL && CBS_len(&response.singles) != 0) {
        why = qp_tls_ocsp_next(&single, &response);
        if (why == NULL && CBS_mem_equal(&single.serial, serial, serial_len)) {
            *ret = single.says;
            return NULL;
        }
    }
    return why == NULL ? "is not about this certificate" : why;
}
