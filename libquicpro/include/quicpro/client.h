/* Client: connections to servers. */
#ifndef QUICPRO_CLIENT_H
#define QUICPRO_CLIENT_H

#include <quicpro/loop.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct quicpro_client quicpro_client;

/** Makes an HTTP/3 client on a loop. Certificates and host names are verified unless the option
 *  "verify_peer" is off.
 *  @param ret     owned by the caller, freed by quicpro_client_free()
 *  @param loop    must outlive the client
 *  @param config  borrowed for the call; NULL means the defaults
 *  @return 0; QUICPRO_ECERT: "ca_file" unreadable (see quicpro_loop_error()); -ENODEV: there is no
 *          such "iface"; QUICPRO_ENOMEM
 *  @since 0.1 */
QUICPRO_API int quicpro_client_new(quicpro_client **ret, quicpro_loop *loop,
                                   const quicpro_config *config);

/** Changes an option of a running client; only those whose row says `live` (quicpro_option_at()).
 *  Counts for what happens from now on: a lower limit closes nothing that is open already.
 *  @param key, value  as for quicpro_config_set(); borrowed for the call
 *  @return 0; QUICPRO_ESTATE: the option is not live; QUICPRO_EOPTION, QUICPRO_EVALUE,
 *          QUICPRO_EPOLICY, QUICPRO_EINVAL, QUICPRO_ENOMEM: as quicpro_config_set(). What it has to
 *          say is in quicpro_loop_error(). Whatever failed changed nothing.
 *  @since 0.1 */
QUICPRO_API int quicpro_client_set_option(quicpro_client *client, const char *key,
                                          const char *value);

/** Ends a client; its connections are closed with H3_NO_ERROR.
 *  @param client  may be NULL @since 0.1 */
QUICPRO_API void quicpro_client_free(quicpro_client *client);

/** Starts a connection. Returns at once; QUICPRO_EVENT_CONNECTED or QUICPRO_EVENT_CLOSED follows.
 *  Requests may be made at once, they wait for the handshake. The addresses of a host are tried one
 *  after the other and at the same time (RFC 8305; options "family", "happy_eyeballs_delay_ms",
 *  "resolve_timeout_ms"); when all fail, the text of CLOSED names each with its reason.
 *  @param host  name or address literal, brackets around IPv6 allowed; borrowed for the call. The
 *               certificate must name it (RFC 9110 section 4.3.4).
 *  @param port  1 to 65535
 *  @param user  handed out in the events of the connection
 *  @param ret   the connection
 *  @return 0; QUICPRO_EINVAL; QUICPRO_ELIMIT: "max_connections" are open; QUICPRO_EVALUE: a literal
 * that the option "family" rules out; QUICPRO_ENOMEM; -EAGAIN: no thread for the resolver
 *  @since 0.1 */
QUICPRO_API int quicpro_client_connect(quicpro_client *client, const char *host, uint16_t port,
                                       void *user, quicpro_conn *ret);

#ifdef __cplusplus
}
#endif
#endif
