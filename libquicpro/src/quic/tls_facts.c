/* What a handshake agreed on. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "quic/engine.h"
#include "quic/tls.h"
#include "quic/tls_words.h"

void qp_tls_get_facts(struct ssl_st *ssl, struct qp_tls_facts *ret)
{
    const uint8_t *alpn;
    unsigned len;
    const SSL_CIPHER *cipher = SSL_get_current_cipher(ssl);
    const char *group = SSL_get_group_name(SSL_get_group_id(ssl));
    const char *name = cipher == NULL ? "" : SSL_CIPHER_standard_name(cipher);
    SSL_get0_alpn_selected(ssl, &alpn, &len);
    snprintf(ret->alpn, sizeof(ret->alpn), "%.*s", (int)len, (const char *)alpn);
    snprintf(ret->cipher, sizeof(ret->cipher), "%s",
             strncmp(name, "TLS_", 4) == 0 ? name + 4 : name);
    snprintf(ret->group, sizeof(ret->group), "%s", group == NULL ? "" : group);
}

/* Both are kept with the session, which stays when the configuration of the handshake goes. */
bool qp_tls_peer_cert(struct ssl_st *ssl, size_t index, const uint8_t **der, size_t *len)
{
    const STACK_OF(CRYPTO_BUFFER) *chain = SSL_get0_peer_certificates(ssl);
    if (chain == NULL || index >= sk_CRYPTO_BUFFER_num(chain))
        return false;
    const CRYPTO_BUFFER *cert = sk_CRYPTO_BUFFER_value(chain, index);
    *der = CRYPTO_BUFFER_data(cert);
    *len = CRYPTO_BUFFER_len(cert);
    return true;
}

void qp_tls_peer_subject(struct ssl_st *ssl, char *out, size_t size)
{
    X509 *cert = SSL_get_peer_certificate(ssl);
    qp_tls_name_text(out, size, cert == NULL ? NULL : X509_get_subject_name(cert));
    X509_free(cert);
}

const char *qp_tls_alert_text(unsigned alert)
{
    return SSL_alert_desc_string_long((int)alert);
}

const char *qp_engine_tls_version(void)
{
    static_assert(BORINGSSL_API_VERSION == 44, "name the new version in the text below");
    return "BoringSSL, API version 44";
}
