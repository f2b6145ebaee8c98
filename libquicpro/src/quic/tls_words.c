#include "quic/tls_words.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/mem.h>
#include <openssl/x509v3.h>

#include "base/log.h"

enum {
    NAME_BYTES = 160, /* of a subject or issuer: who it is stands in front */
    HOSTS_SHOWN = 5,
};

void qp_tls_name_text(char *out, size_t size, const X509_NAME *name)
{
    const uint8_t *text = (const uint8_t *)"";
    size_t len = 0;
    BIO *bio = BIO_new(BIO_s_mem());
    if (bio != NULL && name != NULL && X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253) >= 0)
        BIO_mem_contents(bio, &text, &len);
    snprintf(out, size, "%.*s", len > size ? (int)size : (int)len, (const char *)text);
    BIO_free(bio);
    ERR_clear_error();
}

void qp_tls_span_text(char *out, size_t size, int64_t seconds)
{
    static const struct {
        int64_t seconds;
        const char *name;
    } unit[] = {{86400, "day"}, {3600, "hour"}, {60, "minute"}, {1, "second"}};
    size_t i = 0;
    if (seconds < 0)
        seconds = 0;
    while (i < 3 && seconds < unit[i].seconds)
        i++;
    const long long n = (long long)(seconds / unit[i].seconds);
    snprintf(out, size, "%lld %s%s", n, unit[i].name, n == 1 ? "" : "s");
}

/* A text that grows to its size and no further. */
struct text {
    char *out;
    size_t size, len;
};

__attribute__((format(printf, 2, 3))) static void add(struct text *text, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(text->out + text->len, text->size - text->len, format, ap);
    va_end(ap);
    if (n > 0)
        text->len += (size_t)n < text->size - text->len ? (size_t)n : text->size - text->len - 1;
}

/* "certificate", or which one if it is not the peer's own. */
static void add_which(struct text *text, const struct qp_tls_refusal *r)
{
    char name[NAME_BYTES];
    add(text, "certificate");
    if (r->cert == NULL || r->cert == r->leaf)
        return;
    qp_tls_name_text(name, sizeof(name), X509_get_subject_name(r->cert));
    add(text, " '%s' of its chain", name);
}

static void add_moment(struct text *text, const ASN1_TIME *time)
{
    const uint8_t *printed;
    size_t len;
    BIO *bio = BIO_new(BIO_s_mem());
    if (bio != NULL && ASN1_TIME_print(bio, time) && BIO_mem_contents(bio, &printed, &len))
        add(text, "%.*s", (int)len, (const char *)printed);
    BIO_free(bio);
}

static void expired(struct text *text, const struct qp_tls_refusal *r)
{
    const ASN1_TIME *end = X509_get0_notAfter(r->cert == NULL ? r->leaf : r->cert);
    int64_t at;
    char span[32];
    add_which(text, r);
    if (!ASN1_TIME_to_posix(end, &at))
        at = r->now;
    qp_tls_span_text(span, sizeof(span), r->now - at);
    add(text, " expired %s ago, on ", span);
    add_moment(text, end);
}

static void too_early(struct text *text, const struct qp_tls_refusal *r)
{
    const ASN1_TIME *begin = X509_get0_notBefore(r->cert == NULL ? r->leaf : r->cert);
    int64_t at;
    char span[32];
    add_which(text, r);
    if (!ASN1_TIME_to_posix(begin, &at))
        at = r->now;
    qp_tls_span_text(span, sizeof(span), at - r->now);
    add(text, " is not valid until ");
    add_moment(text, begin);
    add(text, ", in %s", span);
}

/* An address as a certificate holds it: 4 or 16 bytes (RFC 5280 section 4.2.1.6). */
static void add_address(struct text *text, const uint8_t *ip, size_t len)
{
    char shown[INET6_ADDRSTRLEN];
    if ((len == 4 || len == 16) &&
        inet_ntop(len == 4 ? AF_INET : AF_INET6, ip, shown, sizeof(shown)) != NULL)
        add(text, "'%s'", shown);
    else
        add(text, "an address of %zu bytes", len);
}

/* One name of subjectAltName; false: it names no host. */
static bool add_host(struct text *text, const GENERAL_NAME *name, bool first)
{
    int type;
    const ASN1_STRING *value = GENERAL_NAME_get0_value(name, &type);
    char shown[96];
    if (type != GEN_DNS && type != GEN_IPADD)
        return false;
    add(text, "%s", first ? "" : ", ");
    if (type == GEN_IPADD) {
        add_address(text, ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value));
        return true;
    }
    qp_escape(shown, sizeof(shown), ASN1_STRING_get0_data(value),
              (size_t)ASN1_STRING_length(value));
    add(text, "'%s'", shown);
    return true;
}

static void wrong_host(struct text *text, const struct qp_tls_refusal *r)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(r->leaf, NID_subject_alt_name, NULL, NULL);
    size_t shown = 0, more = 0;
    add(text, "%s '%s' does not match ",
        r->error == X509_V_ERR_IP_ADDRESS_MISMATCH ? "address" : "host name",
        r->host == NULL ? "" : r->host);
    for (size_t i = 0; names != NULL && i < sk_GENERAL_NAME_num(names); i++) {
        if (shown == HOSTS_SHOWN)
            more++;
        else if (add_host(text, sk_GENERAL_NAME_value(names, i), shown == 0))
            shown++;
    }
    if (shown == 0)
        add(text, "the certificate, which names no host");
    if (more != 0)
        add(text, " and %zu more", more);
    GENERAL_NAMES_free(names);
}

static void unknown_authority(struct text *text, const struct qp_tls_refusal *r)
{
    char name[NAME_BYTES];
    const X509 *cert = r->cert == NULL ? r->leaf : r->cert;
    const X509_NAME *issuer = X509_get_issuer_name(cert);
    qp_tls_name_text(name, sizeof(name), issuer);
    if (cert == r->leaf && X509_NAME_cmp(issuer, X509_get_subject_name(cert)) == 0)
        add(text, "self-signed certificate '%s' is not among the trusted ones", name);
    else
        add(text, "issued by unknown authority '%s'", name);
}

static void wrong_signature(struct text *text, const struct qp_tls_refusal *r)
{
    char name[NAME_BYTES];
    qp_tls_name_text(name, sizeof(name), X509_get_issuer_name(r->cert == NULL ? r->leaf : r->cert));
    add_which(text, r);
    add(text, " was not signed by the trusted authority '%s', only by one of that name", name);
}

void qp_tls_words(char *out, size_t size, const struct qp_tls_refusal *refusal)
{
    struct text text = {out, size, 0};
    out[0] = '\0';
    switch (refusal->error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
        expired(&text, refusal);
        break;
    case X509_V_ERR_CERT_NOT_YET_VALID:
        too_early(&text, refusal);
        break;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        wrong_host(&text, refusal);
        break;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        unknown_authority(&text, refusal);
        break;
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
        wrong_signature(&text, refusal);
        break;
    case X509_V_ERR_CERT_CHAIN_TOO_LONG:
        add(&text, "more than verify_depth (%d) certificates between it and an authority",
            refusal->depth);
        break;
    case X509_V_ERR_INVALID_PURPOSE:
        add_which(&text, refusal);
        add(&text, " is not meant for %s",
            refusal->cert != NULL && refusal->cert != refusal->leaf ? "signing others"
            : refusal->client                                       ? "clients"
                                                                    : "servers");
        break;
    default:
        add(&text, "%s", X509_verify_cert_error_string(refusal->error));
        break;
    }
    ERR_clear_error();
}
