/* OCSP responses, of a file and of a server.
 *
 * Oracle: whatever the bytes are, there is an answer or a reason, in finite time and within the
 * bytes; an answer names a known status, and the same bytes give the same answer again; a response
 * that is cut anywhere says nothing. A client believes none: nobody has the key that would sign it.
 *
 * The first byte is the length of the serial number that is asked for, which follows it.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/ec_key.h>
#include <openssl/err.h>
#include <openssl/nid.h>

#include "quic/tls_ocsp.h"
#include "quic/tls_staple.h"

static X509 *issuer, *leaf;

static void require(bool ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "oracle: %s\n", what);
        abort();
    }
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    EC_KEY *ec = EC_KEY_new_by_curve_name(NID_X9_62_prime256v1);
    EVP_PKEY *key = EVP_PKEY_new();
    issuer = X509_new();
    leaf = X509_new();
    require(ec != NULL && key != NULL && issuer != NULL && leaf != NULL &&
                EC_KEY_generate_key(ec) && EVP_PKEY_assign_EC_KEY(key, ec) &&
                X509_set_pubkey(issuer, key) &&
                ASN1_INTEGER_set_uint64(X509_get_serialNumber(leaf), 0x010203),
            "no certificates");
    EVP_PKEY_free(key);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct qp_tls_ocsp first, second;
    if (size == 0 || (size_t)data[0] + 1 > size)
        return 0;
    const uint8_t *serial = data + 1;
    const size_t serial_len = data[0];
    /* A copy of just this length, so that a sanitizer sees every byte too far. */
    const size_t len = size - 1 - serial_len;
    uint8_t *der = malloc(len == 0 ? 1 : len);
    require(der != NULL, "no memory");
    memcpy(der, serial + serial_len, len);
    memset(&first, 0xa5, sizeof(first));
    char words[256] = "";
    bool revoked;
    require(
        !qp_tls_staple_good(der, len, leaf, issuer, 1000000100, &revoked, words, sizeof(words)) &&
            words[0] != '\0' && !revoked,
        "a client believes it");
    const char *why = qp_tls_ocsp_read(&first, der, len, serial, serial_len);
    if (why != NULL) {
        require(why[0] != '\0', "refuses without a word");
        free(der);
        return 0;
    }
    require(first.status >= QP_TLS_OCSP_GOOD && first.status <= QP_TLS_OCSP_UNKNOWN,
            "names a status that is none");
    require(qp_tls_ocsp_read(&second, der, len, serial, serial_len) == NULL &&
                second.status == first.status && second.from == first.from &&
                second.until == first.until,
            "says something else the second time");
    require(qp_tls_ocsp_read(&second, der, len - 1, serial, serial_len) != NULL,
            "takes a response that is cut");
    free(der);
    return 0;
}
