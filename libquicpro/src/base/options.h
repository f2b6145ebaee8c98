/* The option table: one row for each key. Everything else is expanded from it: the struct below,
 * checks, defaults, quicpro_option_at(), and what the bindings show.
 *
 * U(key, unit, min, max, default, help)  B(key, default, help)
 * S(key, default, help)                  C(key, choices, default, help): stored as index of the
 * word
 */
#ifndef QP_BASE_OPTIONS_H
#define QP_BASE_OPTIONS_H

#include <quicpro/config.h>
#include <stdbool.h>

/* clang-format off */
#define QP_OPTION_MAP(U, B, S, C)                                                                                              \
    S(cert_file, "", "server: certificate chain, PEM, leaf first")                                                             \
    S(key_file, "", "server: private key of the certificate, PEM, not encrypted")                                              \
    S(ca_file, "", "client: PEM file of the authorities to trust; not set: the system's")                                      \
    B(verify_peer, true, "client: check the server's certificate and name")                                                    \
    S(alpn, "h3", "application protocols offered, separated by commas, best first")                                            \
    U(max_idle_timeout_ms, "ms", 0, 3600000, 30000, "close a connection silent for this long; 0: never (RFC 9000 10.1)")       \
    U(handshake_timeout_ms, "ms", 100, 600000, 10000, "give a handshake up after this long")                                   \
    U(initial_max_data_bytes, "bytes", 65536, 1073741824, 10485760, "receive window of a connection (RFC 9000 4.1)")           \
    U(initial_max_stream_data_bytes, "bytes", 16384, 268435456, 1048576, "receive window of a stream (RFC 9000 4.1)")          \
    U(initial_max_streams_bidi, "streams", 1, 65536, 100, "requests a peer may have open at once (RFC 9000 4.6)")              \
    U(max_connections, "connections", 1, 1048576, 65536, "connections open at once on a server or client")                    \
    U(max_handshakes, "connections", 1, 1048576, 4096, "handshakes unfinished at once on a server")                           \
    U(max_udp_payload_bytes, "bytes", 1200, 65527, 1350, "largest datagram sent; the path must carry it (RFC 9000 14)")        \
    U(max_field_section_bytes, "bytes", 1024, 1048576, 65536, "largest field section accepted (RFC 9114 4.2.2)")               \
    U(qpack_max_table_bytes, "bytes", 0, 65536, 4096, "dynamic table offered to the peer's encoder (RFC 9204 3.2.3)")          \
    U(qpack_blocked_streams, "streams", 0, 1000, 16, "streams that may wait for the dynamic table (RFC 9204 2.1.2)")           \
    U(send_queue_bytes, "bytes", 4096, 1073741824, 262144, "bytes of a body that may wait for the transport")                  \
    U(max_pending_requests, "requests", 0, 1048576, 1000, "client: requests that may wait for a handshake or a stream")        \
    U(burst_bytes, "bytes", 16384, 16777216, 524288, "bytes one connection may send in one turn of the loop")                  \
    C(congestion_control, "cubic|reno|bbr2", "cubic", "congestion controller (RFC 9002, RFC 9438)")                            \
    U(initial_cwnd_packets, "packets", 1, 1000, 32, "initial congestion window")                                               \
    U(socket_buffer_bytes, "bytes", 0, 1073741824, 4194304, "SO_RCVBUF and SO_SNDBUF asked for; 0: the system's")              \
    B(gso, true, "send trains of datagrams in one call where the kernel can (UDP_SEGMENT)")                                    \
    B(gro, true, "receive trains of datagrams in one call where the kernel can (UDP_GRO)")                                     \
    B(mmsg, true, "send and receive several messages in one call where the kernel can")                                        \
    S(keylog_file, "", "append TLS secrets to this file, for packet analysers; never in production")                           \
/* clang-format on */

struct qp_options {
#define QP_OPTION_U(key, unit, min, max, def, help) uint64_t key;
#define QP_OPTION_B(key, def, help) bool key;
#define QP_OPTION_S(key, def, help) char *key; /* never NULL */
#define QP_OPTION_C(key, choices, def, help) unsigned key;
    QP_OPTION_MAP(QP_OPTION_U, QP_OPTION_B, QP_OPTION_S, QP_OPTION_C)
#undef QP_OPTION_U
#undef QP_OPTION_B
#undef QP_OPTION_S
#undef QP_OPTION_C
};

struct quicpro_config {
    struct qp_options options;
    char error[256];
    char text[32]; /* what quicpro_config_get() returned for a number */
};

int qp_options_init(struct qp_options *options); /* the defaults; QUICPRO_ENOMEM */
/* The values of config, or of the defaults when it is NULL. */
int qp_options_copy(struct qp_options *options, const struct quicpro_config *config);
void qp_options_done(struct qp_options *options);

#endif
