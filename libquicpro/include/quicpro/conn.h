/* One connection from inside: what it counted, and the network paths it knows (RFC 9000 section
 * 9). */
#ifndef QUICPRO_CONN_H
#define QUICPRO_CONN_H

#include <quicpro/loop.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What a connection counted since it began, over all its paths. `_in` is received, `_out` sent. */
typedef struct quicpro_conn_stats {
    size_t size; /* in: sizeof the struct the caller knows */
    uint64_t packets_in, packets_out;
    uint64_t packets_lost;          /* declared lost (RFC 9002 section 6.1) */
    uint64_t packets_spurious_lost; /* of these, acknowledged later */
    uint64_t packets_retransmitted; /* packets with something that was lost before */
    uint64_t bytes_in, bytes_out;   /* UDP payload */
    uint64_t bytes_acked, bytes_lost;
    uint64_t stream_bytes_retransmitted;
    uint64_t datagrams_in, datagrams_out; /* DATAGRAM frames (RFC 9221) */
    uint64_t resets_in, resets_out;       /* RESET_STREAM */
    uint64_t stops_in, stops_out;         /* STOP_SENDING */
    /* Who could not send because of a limit of the other's (RFC 9000 section 4): `_in`, the peer
     * because of ours. */
    uint64_t data_blocked_in, data_blocked_out;
    uint64_t stream_data_blocked_in, stream_data_blocked_out;
    uint64_t streams_blocked_bidi_in, streams_blocked_uni_in;
    uint64_t path_challenges_in;    /* PATH_CHALLENGE (RFC 9000 section 8.2) */
    uint64_t amplification_limited; /* times a server waited for the client to prove its address */
    uint64_t in_flight_ns;          /* time with bytes sent that were not acknowledged */
    uint64_t send_count_wrong;      /* 1: the engine lost count of what waits to be sent, a fault */
    uint64_t paths;                 /* that it knows now: quicpro_conn_get_path() */
    uint64_t ids_issued;            /* connection IDs of ours that the peer may use now */
    uint64_t ids_spare;             /* of the peer's, that no path uses: one is for moving */
    uint64_t rtt_ns, min_rtt_ns;    /* of the path in use; 0: not measured */
    uint64_t cwnd_bytes;            /* of the path in use */
} quicpro_conn_stats;

/** What a connection counted.
 *  @param stats  size set by the caller; unknown tail bytes are left alone
 *  @return 0; QUICPRO_ESTALE; QUICPRO_EINVAL: size too small. All is 0 before a client has begun to
 *          connect to an address.
 *  @since 0.1 */
QUICPRO_API int quicpro_conn_get_stats(quicpro_loop *loop, quicpro_conn conn,
                                       quicpro_conn_stats *stats);

/** How far the validation of a path has come (RFC 9000 section 8.2). */
enum quicpro_path_state {
    QUICPRO_PATH_FAILED = 0,
    QUICPRO_PATH_UNKNOWN = 1,     /* not begun */
    QUICPRO_PATH_VALIDATING = 2,  /* a challenge is under way */
    QUICPRO_PATH_MTU_UNKNOWN = 3, /* the address answers; not yet known to carry 1200 bytes */
    QUICPRO_PATH_VALIDATED = 4,
};

/** One network path of a connection: two addresses, and everything that depends on the way between
 *  them. `_in` is received, `_out` sent. */
typedef struct quicpro_path_stats {
    size_t size;     /* in: sizeof the struct the caller knows */
    char local[64];  /* "127.0.0.1:4433", "[::1]:4433", NUL-terminated */
    char peer[64];   /* likewise */
    uint32_t state;  /* enum quicpro_path_state */
    uint32_t active; /* 1: what is not a probe is sent here */
    uint64_t packets_in, packets_out, packets_lost, packets_retransmitted;
    uint64_t bytes_in, bytes_out, bytes_lost, stream_bytes_retransmitted;
    uint64_t datagrams_in, datagrams_out, datagrams_lost; /* DATAGRAM frames (RFC 9221) */
    uint64_t ptos;                                        /* probe timeouts (RFC 9002 6.2) */
    uint64_t rtt_ns;                                      /* smoothed (RFC 9002 section 5.3) */
    uint64_t min_rtt_ns, max_rtt_ns;                      /* 0: not measured */
    uint64_t rttvar_ns;
    uint64_t cwnd_bytes;
    uint64_t mtu_bytes;     /* largest UDP payload sent now; see the option "pmtud" */
    uint64_t delivery_rate; /* bytes a second, as acknowledged */
    uint64_t max_bandwidth; /* bytes a second; only "congestion_control" bbr2 estimates it */
    uint64_t rtt_jumps;     /* bbr2: times the round trip grew and stayed so */
    uint64_t startup_exit_cwnd_bytes; /* the window when slow start ended; 0: it has not */
} quicpro_path_stats;

/** Numbers of one path. The first one is not always the one in use; see `active`.
 *  @param index  from 0
 *  @param path   size set by the caller; unknown tail bytes are left alone
 *  @return 1; 0: there are not so many; QUICPRO_ESTALE; QUICPRO_EINVAL: size too small
 *  @since 0.1 */
QUICPRO_API int quicpro_conn_get_path(quicpro_loop *loop, quicpro_conn conn, size_t index,
                                      quicpro_path_stats *path);

/** What happened to a path: the code of QUICPRO_EVENT_PATH. */
enum quicpro_path_change {
    QUICPRO_PATH_USABLE = 1,     /* client: the path that was probed works, both ways */
    QUICPRO_PATH_UNUSABLE = 2,   /* client: it does not; the connection stays where it is */
    QUICPRO_PATH_MOVED = 3,      /* client: the connection has moved to the path */
    QUICPRO_PATH_PEER_MOVED = 4, /* server: the client has, or its NAT has given it a new address */
};

/** Client: finds out whether another path to the same peer works, without using it (RFC 9000
 *  section 9.1). QUICPRO_EVENT_PATH has the answer. One path at a time: a probe gives the last up.
 *  @param local  an address of this host in numbers, of the family in use; NULL: the one in use
 *  @param port   0: any other
 *  @return 0; QUICPRO_ESTALE; QUICPRO_EINVAL: no such address; QUICPRO_ESTATE: a server's, not yet
 *          confirmed, the option "migration" is off, or the peer does not want it; QUICPRO_EAGAIN:
 *          the peer has given no connection ID for it yet; -errno: the socket
 *          (quicpro_loop_error() says which of these)
 *  @since 0.1 */
QUICPRO_API int quicpro_conn_probe(quicpro_loop *loop, quicpro_conn conn, const char *local,
                                   unsigned port);

/** Client: moves to the path that was probed, at once or as soon as it is known to work (RFC 9000
 *  section 9.2); without one, to another port of the address in use. QUICPRO_EVENT_PATH tells.
 *  @return 0; as quicpro_conn_probe()
 *  @since 0.1 */
QUICPRO_API int quicpro_conn_migrate(quicpro_loop *loop, quicpro_conn conn);

#ifdef __cplusplus
}
#endif
#endif
