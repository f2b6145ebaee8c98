/* Server: sockets that accept connections. */
#ifndef QUICPRO_SERVER_H
#define QUICPRO_SERVER_H

#include <quicpro/loop.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct quicpro_server quicpro_server;

/** Makes an HTTP/3 server on a loop; it listens nowhere yet.
 *  @param ret     owned by the caller, freed by quicpro_server_free()
 *  @param loop    must outlive the server
 *  @param config  "cert_file" and "key_file" must be set, or "cert_data" and "key_data"; borrowed
 * for the call
 *  @return 0; QUICPRO_ECERT: certificate or key missing, unreadable or not a pair (see
 *          quicpro_loop_error()); -ENODEV: there is no such "iface"; QUICPRO_EVALUE; QUICPRO_ENOMEM
 *  @since 0.1 */
QUICPRO_API int quicpro_server_new(quicpro_server **ret, quicpro_loop *loop,
                                   const quicpro_config *config);

/** Changes an option of a running server; only those whose row says `live` (quicpro_option_at()).
 *  Counts for what happens from now on: a lower limit closes nothing that is open already.
 *  @param key, value  as for quicpro_config_set(); borrowed for the call
 *  @return 0; QUICPRO_ESTATE: the option is not live; QUICPRO_EOPTION, QUICPRO_EVALUE,
 *          QUICPRO_EPOLICY, QUICPRO_EINVAL, QUICPRO_ENOMEM: as quicpro_config_set(). What it has to
 *          say is in quicpro_loop_error(). Whatever failed changed nothing.
 *  @since 0.1 */
QUICPRO_API int quicpro_server_set_option(quicpro_server *server, const char *key,
                                          const char *value);

/** Gives a server another certificate, for clients that ask for a name (SNI, RFC 6066 section 3).
 *  Clients that ask for none of its names, or for no name, are shown the one the server was made
 *  with. Counts for handshakes from now on; a name that has a certificate gets the new one.
 *  @param host    a host name in ASCII, or "*.example" for all names of one label more, for which
 *                 there is none of their own; borrowed for the call
 *  @param config  "cert_*", "key_*" and "ocsp_file" count; borrowed for the call
 *  @return 0; QUICPRO_EVALUE: host is not a name; QUICPRO_ECERT as quicpro_server_new();
 *          QUICPRO_EINVAL; QUICPRO_ENOMEM. Whatever failed changed nothing.
 *  @since 0.1 */
QUICPRO_API int quicpro_server_add_certificate(quicpro_server *server, const char *host,
                                               const quicpro_config *config);

/** Reads the files of all certificates, keys, authorities and OCSP responses again, for handshakes
 *  from now on; connections keep what they have.
 *  @return 0; an error of quicpro_server_new(): the old ones stay in use, and quicpro_loop_error()
 *          says what is wrong with the new ones
 *  @since 0.1 */
QUICPRO_API int quicpro_server_reload_tls(quicpro_server *server);

/** Ends a server; its connections are closed with H3_NO_ERROR, without waiting for requests.
 *  @param server  may be NULL @since 0.1 */
QUICPRO_API void quicpro_server_free(quicpro_server *server);

/** Opens a UDP socket for each address the name has. May be called several times.
 *  @param host  name or address literal; NULL means all addresses, IPv4 and IPv6
 *  @param port  0 lets the kernel choose one
 *  @return the port; -EADDRINUSE, -EACCES and other -errno of bind(2); QUICPRO_ERESOLVE
 *  @since 0.1 */
QUICPRO_API int quicpro_server_listen(quicpro_server *server, const char *host, uint16_t port);

/** Takes over a bound UDP socket.
 *  @param fd  moved to the server on success
 *  @return its port; QUICPRO_EINVAL: not a bound UDP socket; -errno
 *  @since 0.1 */
QUICPRO_API int quicpro_server_listen_fd(quicpro_server *server, int fd);

/** Stops politely: no new connections, those whose handshake is not done are refused
 *  (CONNECTION_REFUSED), GOAWAY on the others, each closes when its open requests are answered (RFC
 *  9114 section 5.2). QUICPRO_EVENT_DRAINED tells the end. @since 0.1 */
QUICPRO_API void quicpro_server_shutdown(quicpro_server *server);

/** Closes every connection now with H3_NO_ERROR, requests or not. @since 0.1 */
QUICPRO_API void quicpro_server_abort(quicpro_server *server);

/** @param user  handed out in QUICPRO_EVENT_DRAINED and QUICPRO_EVENT_CERTIFICATES @since 0.1 */
QUICPRO_API void quicpro_server_set_user(quicpro_server *server, void *user);

/** Connections open now. @since 0.1 */
QUICPRO_API size_t quicpro_server_connections(const quicpro_server *server);

#ifdef __cplusplus
}
#endif
#endif
