/* The option table: one row for each key. Everything else is expanded from it: the struct below,
 * checks, defaults, quicpro_option_at(), the sections of configuration files, the names of
 * environment variables, and docs/reference/config.md.
 *
 * U(key, group, unit, min, max, default, change, help)  a number
 * B(key, group, default, change, help)                  a truth value
 * S(key, group, default, change, help)                  text; "": not set
 * L(key, group, default, change, help)                  words separated by commas; "": none
 * D(key, group, help)                                   bytes, NUL or not, FROZEN and not set by
 *                                                       default: never shown, zeroed when freed
 * C(key, group, choices, default, change, help)         one of the words; stored as its index
 * N(key, group, unit, min, max, default, help)          a number that is checked and kept, and has
 *                                                       no effect: the help says why
 * R(key, group, only, why)                              a truth value that is refused unless it is
 *                                                       the only one; no field in the struct
 *
 * group   the section of a configuration file, and the chapter of the reference
 * change  LIVE: may be set on what is running; FROZEN: is copied when something is made from it
 * help    one line: what it is, what 0 or "" means, the section of the RFC
 *
 * Keys end with their unit (_ms, _us, _bytes, _packets) where there is one: Python and the command
 * line take `max_idle_timeout` in seconds because this table has `max_idle_timeout_ms`. */
#ifndef QP_BASE_OPTIONS_H
#define QP_BASE_OPTIONS_H

#include <quicpro/config.h>
#include <stdbool.h>

/* clang-format off */
#define QP_OPTION_MAP(U, B, S, L, C, N, R, D)                                                      \
    B(security_allow_config_override, security, true, FROZEN,                                      \
      "false locks a configuration: what is set later must not change any value")                  \
                                                                                                   \
    S(cert_file, tls, "", FROZEN, "certificate chain, PEM or DER, leaf first; a server needs one") \
    D(cert_data, tls, "the same as bytes, instead of a file")                                      \
    S(key_file, tls, "", FROZEN, "private key of the certificate, PEM or DER")                     \
    D(key_data, tls, "the same as bytes, instead of a file")                                       \
    D(key_passphrase, tls, "what an encrypted private key is encrypted with")                      \
    S(ocsp_file, tls, "", FROZEN,                                                                  \
      "server: OCSP response in DER to staple, while it is not stale (RFC 6960)")                  \
    B(ocsp_require, tls, false, FROZEN,                                                            \
      "client: refuse a server that staples no good and fresh OCSP response (RFC 6066 8)")         \
    U(tls_watch_ms, tls, "ms", 0, 86400000, 0, FROZEN,                                             \
      "server: look this often whether files of certificates changed, and reload them; 0: never")  \
    S(ca_file, tls, "", FROZEN,                                                                    \
      "authorities to trust, PEM or DER; a client without any ca_ trusts the system's")            \
    D(ca_data, tls, "more of them as bytes, instead of a file")                                    \
    S(ca_path, tls, "", FROZEN, "folder of such files, all of them read")                          \
    B(verify_peer, tls, true, FROZEN, "check the peer's certificate, and a server's name")         \
    C(client_auth, tls, "none|optional|required", "none", FROZEN,                                  \
      "server: ask clients for a certificate of the ca_ authorities (RFC 8446 4.3.2)")             \
    U(verify_depth, tls, "certificates", 0, 100, 10, FROZEN,                                       \
      "how many may stand between a peer's certificate and an authority")                          \
    L(pins, tls, "", FROZEN,                                                                       \
      "sha256/BASE64 of public keys (RFC 7469 2.4) of which a peer's chain must have one")         \
    L(alpn, tls, "h3", FROZEN, "application protocols offered, best first (RFC 7301)")             \
    L(groups, tls, "X25519MLKEM768,X25519,P-256,P-384", FROZEN,                                    \
      "key exchanges offered and taken; the client's order counts (RFC 8446 4.2.7)")               \
    L(ciphers, tls, "", FROZEN,                                                                    \
      "cipher suites offered and taken; the server's order counts; none: AES first where fast")    \
    S(keylog_file, tls, "", FROZEN,                                                                \
      "append TLS secrets to this file, for packet analysers; never in production")                \
    B(keylog_env, tls, true, FROZEN,                                                               \
      "let SSLKEYLOGFILE name that file; never in setuid programs and locked configurations")      \
    B(session_tickets, tls, true, FROZEN,                                                          \
      "server: give clients tickets to resume with; client: use them (RFC 8446 2.2)")              \
    U(ticket_lifetime_sec, tls, "s", 60, 604800, 7200, FROZEN,                                     \
      "server: how long a ticket is good for (RFC 8446 4.6.1)")                                    \
    U(ticket_rotation_sec, tls, "s", 0, 604800, 0, FROZEN,                                         \
      "server: how long a key seals tickets; it opens them for three times as long; 0: half a "    \
      "ticket's lifetime")                                                                         \
    B(early_data, tls, false, FROZEN,                                                              \
      "server: take 0-RTT data, at most once; client: send safe requests as such (RFC 8470)")      \
    U(early_data_flights, tls, "flights", 64, 16777216, 131072, FROZEN,                            \
      "server: first flights with early data remembered for two and a half minutes (RFC 8446 8)")  \
    U(session_cache_entries, tls, "sessions", 0, 4096, 256, FROZEN,                                \
      "client: sessions kept to resume with; 0: none")                                             \
    S(session_file, tls, "", FROZEN,                                                               \
      "client: keep sessions in this file, readable by its owner only; not set: in memory")        \
    R(tls_enable, tls, true, "QUIC is always encrypted (RFC 9001)")                                \
                                                                                                   \
    U(max_idle_timeout_ms, quic, "ms", 0, 3600000, 30000, FROZEN,                                  \
      "close a connection silent for this long; 0: never (RFC 9000 10.1)")                         \
    U(ping_interval_ms, quic, "ms", 0, 3600000, 0, LIVE,                                           \
      "send a PING when nothing was heard for this long, or a third of the idle timeout; 0: never")\
    U(handshake_timeout_ms, quic, "ms", 100, 600000, 10000, LIVE,                                  \
      "give a handshake up after this long; counts for those that begin")                          \
    C(family, quic, "any|ipv4|ipv6", "any", LIVE,                                                  \
      "client: addresses to connect to; any: both race, IPv6 first where not known (RFC 8305)")    \
    C(migration, quic, "auto|manual|off", "auto", LIVE,                                            \
      "client: move to another path; auto: also when the address in use is gone (RFC 9000 9)")     \
    U(happy_eyeballs_delay_ms, quic, "ms", 0, 60000, 250, LIVE,                                    \
      "client: start of the next address while one does not answer (RFC 8305 5)")                  \
    U(resolve_timeout_ms, quic, "ms", 1, 600000, 5000, LIVE,                                       \
      "client: wait this long for a host's addresses, within the handshake's time")                \
    U(initial_max_data_bytes, quic, "bytes", 65536, 1073741824, 10485760, FROZEN,                  \
      "receive window of a connection (RFC 9000 4.1)")                                             \
    U(initial_max_stream_data_bytes, quic, "bytes", 16384, 268435456, 1048576, FROZEN,             \
      "receive window of a stream (RFC 9000 4.1)")                                                 \
    U(initial_max_stream_data_bidi_local_bytes, quic, "bytes", 0, 268435456, 0, FROZEN,            \
      "of it, bidirectional streams we open; 0: as initial_max_stream_data_bytes")                 \
    U(initial_max_stream_data_bidi_remote_bytes, quic, "bytes", 0, 268435456, 0, FROZEN,           \
      "of it, bidirectional streams the peer opens; 0: as initial_max_stream_data_bytes")          \
    U(initial_max_stream_data_uni_bytes, quic, "bytes", 0, 268435456, 0, FROZEN,                   \
      "of it, unidirectional streams; 0: as initial_max_stream_data_bytes")                        \
    U(max_connection_window_bytes, quic, "bytes", 0, 4294967296, 0, FROZEN,                        \
      "what a connection's receive window may grow to; 0: twice what it begins with")              \
    U(max_stream_window_bytes, quic, "bytes", 0, 4294967296, 0, FROZEN,                            \
      "what a stream's receive window may grow to; 0: twice the largest it begins with")           \
    U(initial_max_streams_bidi, quic, "streams", 1, 65536, 100, FROZEN,                            \
      "requests a peer may have open at once (RFC 9000 4.6)")                                      \
    U(initial_max_streams_uni, quic, "streams", 3, 65536, 16, FROZEN,                              \
      "unidirectional streams a peer may have open; HTTP/3 needs three (RFC 9114 6.2)")            \
    U(max_udp_payload_bytes, quic, "bytes", 1200, 65527, 1350, FROZEN,                             \
      "largest datagram sent; the path must carry it, unless pmtud finds out (RFC 9000 14)")       \
    B(pmtud, quic, false, FROZEN,                                                                  \
      "send 1200 bytes, and more once a probe of up to max_udp_payload_bytes came through (RFC 8899)")\
    U(max_recv_udp_payload_bytes, quic, "bytes", 1200, 65527, 65527, FROZEN,                       \
      "largest datagram accepted; the peer is told (RFC 9000 18.2)")                               \
    U(burst_bytes, quic, "bytes", 16384, 16777216, 524288, LIVE,                                   \
      "bytes one connection may send in one turn of the loop")                                     \
    U(max_ack_delay_ms, quic, "ms", 0, 16383, 25, FROZEN,                                          \
      "promised to peers: acknowledgements come within this (RFC 9000 18.2)")                      \
    U(ack_delay_exponent, quic, "bits", 0, 20, 3, FROZEN,                                          \
      "how finely the delay of an acknowledgement is told (RFC 9000 18.2)")                        \
    U(active_connection_id_limit, quic, "IDs", 2, 8, 4, FROZEN,                                    \
      "IDs of the peer kept, one for each path and one to move on to (RFC 9000 5.1.1)")            \
    B(disable_active_migration, quic, false, FROZEN,                                               \
      "tell the peer not to move to another address of its own (RFC 9000 9)")                      \
    B(grease_enable, quic, true, FROZEN,                                                           \
      "send what nobody knows now and then, so that peers keep ignoring it (RFC 9287)")            \
    B(datagrams_enable, quic, false, FROZEN, "accept and send DATAGRAM frames (RFC 9221)")         \
    U(dgram_recv_queue_len, quic, "datagrams", 1, 65536, 1024, FROZEN,                             \
      "DATAGRAMs that wait to be read; what comes then is dropped (RFC 9221 5.2)")                 \
    U(dgram_send_queue_len, quic, "datagrams", 1, 65536, 1024, FROZEN,                             \
      "DATAGRAMs that wait to be sent")                                                            \
    C(congestion_control, quic, "cubic|reno|bbr2", "cubic", FROZEN,                                \
      "congestion controller (RFC 9002, RFC 9438)")                                                \
    U(initial_cwnd_packets, quic, "packets", 1, 1000, 32, FROZEN,                                  \
      "initial congestion window (RFC 9002 7.2)")                                                  \
    U(initial_rtt_ms, quic, "ms", 1, 10000, 333, FROZEN,                                           \
      "round trip assumed until there is one; a third of the first timeout (RFC 9002 6.2.2)")      \
    B(hystart_enable, quic, true, FROZEN,                                                          \
      "cubic and reno: leave slow start when round trips grow (RFC 9406)")                         \
    N(min_cwnd_packets, quic, "packets", 1, 1000, 4,                                               \
      "no effect: the engine's least congestion window is two packets (RFC 9002 7.2)")             \
    B(pacing, quic, true, FROZEN, "spread what is sent over the round trip (RFC 9002 7.7)")        \
    U(pacing_max_burst_packets, quic, "packets", 1, 10000, 10, FROZEN,                             \
      "datagrams that go at once; more where 2 ms of the rate are more (RFC 9002 7.7)")            \
    U(max_pacing_rate_mbps, quic, "Mbit/s", 0, 1000000, 0, FROZEN,                                 \
      "with \"pacing\": a connection sends no faster, bursts aside; 0: no limit")                    \
    N(pto_initial_ms, quic, "ms", 1, 600000, 1000,                                                 \
      "no effect: it is three times initial_rtt_ms (RFC 9002 6.2.2)")                              \
    N(pto_max_ms, quic, "ms", 1, 3600000, 60000,                                                   \
      "no effect: probe timeouts double until the idle timeout (RFC 9002 6.2.1)")                  \
    N(max_pto_probes, quic, "probes", 1, 1000, 5,                                                  \
      "no effect: the engine sends at most two a timeout (RFC 9002 6.2.4)")                        \
    R(disable_congestion_control, quic, false,                                                     \
      "a sender without congestion control harms the network (RFC 9002 7)")                        \
    R(transport_disable_encryption, quic, false, "QUIC is always encrypted (RFC 9001)")            \
                                                                                                   \
    U(max_amplification_factor, limits, "times", 1, 3, 3, FROZEN,                                  \
      "server: bytes sent for each from an address that is not validated (RFC 9000 8.1)")          \
    U(max_connections, limits, "connections", 1, 1048576, 65536, LIVE,                             \
      "connections open at once on a server or client")                                            \
    U(max_handshakes, limits, "connections", 1, 1048576, 4096, LIVE,                               \
      "handshakes unfinished at once on a server")                                                 \
    U(max_handshakes_per_prefix, limits, "connections", 1, 1048576, 1024, LIVE,                    \
      "of these, from one IPv4 /24 or IPv6 /48; the loopback is not counted")                      \
    C(retry, limits, "never|auto|always", "auto", LIVE,                                            \
      "server: make clients prove their address before they cost anything (RFC 9000 8.1.2)")       \
    U(retry_handshakes, limits, "connections", 0, 1048576, 256, LIVE,                              \
      "unfinished handshakes from which on \"retry\" auto asks for proof")                         \
    U(stateless_resets_per_second, limits, "packets", 0, 1000000, 100, FROZEN,                     \
      "answers to packets of unknown connections; 0: none (RFC 9000 10.3)")                        \
    S(secret_file, limits, "", FROZEN,                                                             \
      "server: 32 or more random bytes that restarts and workers share; not set: new ones each time")\
                                                                                                   \
    S(qlog_dir, qlog, "", FROZEN,                                                                  \
      "write a qlog of each connection into this folder: ODCID_server.sqlog, ODCID_client.sqlog")  \
    B(qlog_env, qlog, true, FROZEN,                                                                \
      "let QLOGDIR name that folder; never in setuid programs and locked configurations")          \
    C(qlog_level, qlog, "core|base|extra", "base", LIVE,                                           \
      "how much is in it: packets and recovery, also states and data, also what debugs us")        \
    U(qlog_sample, qlog, "connections", 1, 1000000000, 1, LIVE,                                    \
      "log one in so many connections, by chance; 1: all of them")                                 \
    L(qlog_peers, qlog, "", FROZEN,                                                                \
      "log only peers of these addresses and prefixes, such as 192.0.2.0/24; none: any")           \
    C(qlog_addresses, qlog, "full|prefix|none", "full", LIVE,                                      \
      "addresses in it; prefix: /24 of IPv4, /48 of IPv6, no ports")                               \
    U(qlog_max_bytes, qlog, "bytes", 4096, 1099511627776, 67108864, LIVE,                          \
      "of one file: a last record says that the rest is left out")                                 \
    U(qlog_max_files, qlog, "files", 1, 1000000000, 10000, LIVE,                                   \
      "that a server or client writes; connections after that are not logged")                     \
    U(qlog_ring_bytes, qlog, "bytes", 0, 67108864, 0, LIVE,                                        \
      "keep the last so many bytes in memory, write them if the connection ends in an error; 0: "  \
      "write all")                                                                                 \
                                                                                                   \
    U(max_field_section_bytes, http3, "bytes", 1024, 1048576, 65536, FROZEN,                       \
      "largest field section accepted (RFC 9114 4.2.2)")                                           \
    U(qpack_max_table_bytes, http3, "bytes", 0, 65536, 4096, FROZEN,                               \
      "dynamic table offered to the peer's encoder (RFC 9204 3.2.3)")                              \
    U(qpack_blocked_streams, http3, "streams", 0, 1000, 16, FROZEN,                                \
      "streams that may wait for the dynamic table (RFC 9204 2.1.2)")                              \
    U(send_queue_bytes, http3, "bytes", 4096, 1073741824, 262144, LIVE,                            \
      "bytes of a body that may wait for the transport")                                           \
    C(early_data_unsafe, http3, "wait|refuse|show", "wait", FROZEN,                                \
      "server: early requests that are not safe wait for the handshake, get 425, or are shown; "   \
      "what a gateway took early cannot wait: 425, 425, shown (RFC 8470); early streams of other " \
      "protocols: wait, wait, shown")                                                              \
    U(request_resets_per_second, http3, "requests", 0, 1000000, 200, FROZEN,                       \
      "server: requests that a client may take back or spoil in a second, as many at once; more "  \
      "close its connection with H3_EXCESSIVE_LOAD (rapid reset); 0: any number")                  \
    U(max_pending_requests, http3, "requests", 0, 1048576, 1000, LIVE,                             \
      "client: requests that may wait for a handshake or a stream")                                \
                                                                                                   \
    U(socket_buffer_bytes, socket, "bytes", 0, 1073741824, 4194304, FROZEN,                        \
      "SO_RCVBUF and SO_SNDBUF asked for; 0: the system's")                                        \
    C(io, socket, "auto|epoll|poll", "auto", FROZEN,                                               \
      "I/O backend of a loop; auto: what QUICPRO_IO names, else the best one")                     \
    S(iface, socket, "", FROZEN,                                                                   \
      "network interface that sockets are bound to; not set: any")                                 \
    U(spin_us, socket, "us", 0, 1000, 0, FROZEN,                                                   \
      "look for datagrams this long before sleeping; costs a core, saves a wake-up")               \
    U(busy_poll_us, socket, "us", 0, 1000, 0, FROZEN,                                              \
      "have the kernel poll the device this long (SO_BUSY_POLL), where it can; 0: no")             \
    B(gso, socket, true, FROZEN,                                                                   \
      "send trains of datagrams in one call where the kernel can (UDP_SEGMENT)")                   \
    B(gro, socket, true, FROZEN,                                                                   \
      "receive trains of datagrams in one call where the kernel can (UDP_GRO)")                    \
    B(mmsg, socket, true, FROZEN,                                                                  \
      "send and receive several messages in one call where the kernel can")

/* A(old name, key): names that quicpro_async and its successor gave the same thing. */
#define QP_OPTION_ALIAS_MAP(A)                                                                     \
    A(default_cert_file, cert_file)                                                                \
    A(default_key_file, key_file)                                                                  \
    A(default_ca_file, ca_file)                                                                    \
    A(tls_ciphers, ciphers)                                                                        \
    A(curves, groups)                                                                              \
    A(tls_curves, groups)                                                                          \
    A(tls_verify_depth, verify_depth)                                                              \
    A(tls_verify_peer, verify_peer)                                                                \
    A(tls_session_ticket_lifetime_sec, ticket_lifetime_sec)                                        \
    A(tls_enable_early_data, early_data)                                                           \
    A(tls_server_0rtt_cache_size, early_data_flights)                                              \
    A(initial_max_data, initial_max_data_bytes)                                                    \
    A(initial_max_stream_data, initial_max_stream_data_bytes)                                      \
    A(initial_max_stream_data_bidi_local, initial_max_stream_data_bidi_local_bytes)                \
    A(initial_max_stream_data_bidi_remote, initial_max_stream_data_bidi_remote_bytes)              \
    A(initial_max_stream_data_uni, initial_max_stream_data_uni_bytes)                              \
    A(max_recv_udp_payload_size, max_recv_udp_payload_bytes)                                       \
    A(cc_enable_hystart_plus_plus, hystart_enable)                                                 \
    A(max_udp_payload_size, max_udp_payload_bytes)                                                 \
    A(cc_algorithm, congestion_control)                                                            \
    A(cc_initial_cwnd_packets, initial_cwnd_packets)                                               \
    A(cc_min_cwnd_packets, min_cwnd_packets)                                                       \
    A(pto_timeout_ms_initial, pto_initial_ms)                                                      \
    A(pto_timeout_ms_max, pto_max_ms)                                                              \
    A(qlog_path, qlog_dir)                                                                         \
    A(max_sessions, max_connections)
/* clang-format on */

/* Bytes of an option: data is NULL if none are set, else a NUL follows that does not count. */
struct qp_bytes {
    uint8_t *data;
    size_t len;
};

struct qp_options {
#define QP_OPTION_U(key, group, unit, min, max, def, change, help) uint64_t key;
#define QP_OPTION_B(key, group, def, change, help) bool key;
#define QP_OPTION_S(key, group, def, change, help) char *key; /* never NULL */
#define QP_OPTION_C(key, group, choices, def, change, help) unsigned key;
#define QP_OPTION_N(key, group, unit, min, max, def, help) uint64_t key;
#define QP_OPTION_R(key, group, only, why)
#define QP_OPTION_D(key, group, help) struct qp_bytes key;
    QP_OPTION_MAP(QP_OPTION_U, QP_OPTION_B, QP_OPTION_S, QP_OPTION_S, QP_OPTION_C, QP_OPTION_N,
                  QP_OPTION_R, QP_OPTION_D)
#undef QP_OPTION_U
#undef QP_OPTION_B
#undef QP_OPTION_S
#undef QP_OPTION_C
#undef QP_OPTION_N
#undef QP_OPTION_R
#undef QP_OPTION_D
    quicpro_qlog_fn *qlog_fn; /* quicpro_config_set_qlog(); NULL: none */
    void *qlog_user;
};

struct quicpro_config {
    struct qp_options options;
    char error[512];
    char text[32]; /* what quicpro_config_get() returned for a number or a word */
};

int qp_options_init(struct qp_options *options); /* the defaults; QUICPRO_ENOMEM */
/* The values of config, or of the defaults when it is NULL. */
int qp_options_copy(struct qp_options *options, const struct quicpro_config *config);
int qp_options_clone(struct qp_options *options, const struct qp_options *from);
void qp_options_done(struct qp_options *options);

/* The row of a key or of an old name; negative: there is none. */
int qp_option_row(const char *name);
/* Checks text for a row, then stores it. 0; QUICPRO_ENOMEM; QUICPRO_EVALUE: *ret_why says why, and
 * is the row's help if the value is refused. */
int qp_options_set(struct qp_options *options, size_t row, const char *text, const char **ret_why);
/* True if text means the value that the row has already. */
bool qp_options_same(const struct qp_options *options, size_t row, const char *text);
/* The same for a row of bytes; len 0: not set. 0; QUICPRO_ENOMEM */
int qp_options_set_bytes(struct qp_options *options, size_t row, const void *data, size_t len);
bool qp_options_same_bytes(const struct qp_options *options, size_t row, const void *data,
                           size_t len);
/* The value as text: owned by options, static, or written to `text`; of bytes only how many. */
const char *qp_options_get(const struct qp_options *options, size_t row, char *text, size_t size);
/* Sets an option by name, with a sentence for people if that fails. `running`: options is what
 * something runs with, so only LIVE rows may change. 0; what quicpro_config_set() returns;
 * QUICPRO_ESTATE: running, and the row is FROZEN. */
int qp_options_change(struct qp_options *options, const char *key, const char *value, bool running,
                      char *error, size_t size);

#endif
