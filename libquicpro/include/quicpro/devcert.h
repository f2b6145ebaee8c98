/* Certificates for development: a local authority and a leaf that it signed. */
#ifndef QUICPRO_DEVCERT_H
#define QUICPRO_DEVCERT_H

#include <quicpro/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A certificate authority, a server certificate of it, and the server's key, all new: ECDSA P-256
 *  with SHA-256. The authority's key is thrown away, so nothing else can ever be signed with it.
 *  Chromium accepts the leaf of a --ignore-certificate-errors-spki-list; its validity is kept under
 *  the 398 days that browsers allow. */
typedef struct quicpro_devcert {
    char *ca_pem, *cert_pem, *key_pem; /* NUL-terminated, freed by quicpro_devcert_done() */
    char spki_sha256[48];              /* base64 of the leaf's public key hash */
} quicpro_devcert;

/** @param ret    written on success, emptied by quicpro_devcert_done()
 *  @param names  DNS names and address literals the leaf is for; borrowed
 *  @param count  1 to 64
 *  @param days   validity from an hour ago, 1 to 397
 *  @return 0; QUICPRO_EINVAL: count, days or a name; QUICPRO_ENOMEM; QUICPRO_ETLS
 *  @since 0.1 */
QUICPRO_API int quicpro_devcert_make(quicpro_devcert *ret, const char *const *names, size_t count,
                                     unsigned days);

/** Zeroes and frees what quicpro_devcert_make() wrote. @param cert may be NULL @since 0.1 */
QUICPRO_API void quicpro_devcert_done(quicpro_devcert *cert);

#ifdef __cplusplus
}
#endif
#endif
