/* Certificates of peers. */
#ifndef QUICPRO_TLS_H
#define QUICPRO_TLS_H

#include <quicpro/loop.h>

#ifdef __cplusplus
extern "C" {
#endif

/** One certificate of the chain that the peer sent: its own first, then what it sent along, as it
 *  came and in DER. A server has one only if "client_auth" asks for it and the client has one.
 *  @param index  from 0
 *  @param der    where the bytes are; owned by the connection, until the next call on the loop
 *  @param len    where their number goes
 *  @return 1; 0: no such certificate, or the handshake is not done; QUICPRO_ESTALE; QUICPRO_EINVAL
 *  @since 0.1 */
QUICPRO_API int quicpro_conn_get_peer_certificate(quicpro_loop *loop, quicpro_conn conn,
                                                  size_t index, const void **der, size_t *len);

/** Who the peer's own certificate says that it is, such as "CN=alice,O=Example" (RFC 4514); bytes
 *  that are not printable are escaped.
 *  @param out   where the text goes, cut at size, NUL-terminated; "" if there is no certificate
 *  @param size  bytes, at least 1
 *  @return 0; QUICPRO_ESTALE; QUICPRO_EINVAL
 *  @since 0.1 */
QUICPRO_API int quicpro_conn_get_peer_subject(quicpro_loop *loop, quicpro_conn conn, char *out,
                                              size_t size);

#ifdef __cplusplus
}
#endif
#endif
