/* The loop: sockets, timers and connections of one thread. */
#ifndef QUICPRO_LOOP_H
#define QUICPRO_LOOP_H

#include <quicpro/config.h>
#include <quicpro/event.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct quicpro_loop quicpro_loop;

/** Makes a loop: a descriptor to wait on, a timer, receive and send buffers (about 2 MiB).
 *  @param ret     owned by the caller, freed by quicpro_loop_free()
 *  @param config  read for the I/O options; borrowed for the call; NULL means the defaults
 *  @return 0; QUICPRO_ENOMEM; -EMFILE and other -errno of epoll_create1(2), timerfd_create(2)
 *  @since 0.1 */
QUICPRO_API int quicpro_loop_new(quicpro_loop **ret, const quicpro_config *config);

/** Ends a loop at once: connections are dropped without a word to their peers (close servers and
 *  clients first to be polite). Servers and clients on it must have been freed.
 *  @param loop  may be NULL @since 0.1 */
QUICPRO_API void quicpro_loop_free(quicpro_loop *loop);

/** Receives, runs timers, and returns what happened. Never blocks.
 *  @param budget  stop receiving once this many events are there; 0 means 256. What is left comes
 *                 with the next run; the descriptor stays readable.
 *  @param ret     the batch, owned by the loop until its next run; event_count may be 0
 *  @return number of events; QUICPRO_ENOMEM; QUICPRO_EFORK
 *  @since 0.1 */
QUICPRO_API int quicpro_loop_run(quicpro_loop *loop, size_t budget, const quicpro_batch **ret);

/** Sends what the commands since the last flush made, and sets the timer. Never blocks: what the
 *  kernel does not take is kept and sent when it does.
 *  @return 0; QUICPRO_EFORK
 *  @since 0.1 */
QUICPRO_API int quicpro_loop_flush(quicpro_loop *loop);

/** Blocks until quicpro_loop_run() has something to do.
 *  @param timeout  at most this long, in ns; QUICPRO_FOREVER, or 0 for a look
 *  @return 1: call run; 0: the timeout passed; -EINTR: a signal came; QUICPRO_EFORK
 *  @since 0.1 */
QUICPRO_API int quicpro_loop_wait(quicpro_loop *loop, quicpro_tstamp timeout);

/** Makes a quicpro_loop_wait() of this loop return, now or when it is next called. The only call
 *  that is safe from any thread and from a signal handler. @since 0.1 */
QUICPRO_API void quicpro_loop_wake(quicpro_loop *loop);

/** Descriptor that a foreign event loop can watch; it stays the loop's. It covers the timers
 *  too, unless quicpro_loop_expiry() says otherwise.
 *  @return a descriptor
 *  @since 0.1 */
QUICPRO_API int quicpro_loop_fd(const quicpro_loop *loop);

enum quicpro_want {
    QUICPRO_WANT_READABLE = 1, /* watch the descriptor for reading */
    QUICPRO_WANT_WRITABLE = 2, /* watch it for writing as well */
    QUICPRO_WANT_RUN = 4,      /* do not wait: call run again */
};

/** What the descriptor should be watched for, to be asked after each flush.
 *  @return bits of enum quicpro_want
 *  @since 0.1 */
QUICPRO_API int quicpro_loop_wants(const quicpro_loop *loop);

/** When run must be called although the descriptor is silent.
 *  @return a point in time; QUICPRO_FOREVER: never, the descriptor tells
 *  @since 0.1 */
QUICPRO_API quicpro_tstamp quicpro_loop_expiry(const quicpro_loop *loop);

/** The clock all points in time refer to. @return ns on CLOCK_MONOTONIC @since 0.1 */
QUICPRO_API quicpro_tstamp quicpro_now(void);

/** Sends log lines to a function.
 *  @param fn     NULL turns logging off (the default)
 *  @param level  the most talkative enum quicpro_log_level wanted
 *  @since 0.1 */
QUICPRO_API void quicpro_loop_set_log(quicpro_loop *loop, quicpro_log_fn *fn, void *user,
                                      int level);

/** What the last failed call on this loop, its servers or its clients had to say, as one line for
 *  people; "" if none failed.
 *  @return owned by the loop until its next call
 *  @since 0.1 */
QUICPRO_API const char *quicpro_loop_error(const quicpro_loop *loop);

/** Counters of a loop since it was made. */
typedef struct quicpro_loop_stats {
    size_t size;      /* in: sizeof the struct the caller knows */
    uint64_t wakeups; /* quicpro_loop_wait() or run found something ready */
    uint64_t datagrams_in, datagrams_out;
    uint64_t bytes_in, bytes_out;
    uint64_t syscalls_in, syscalls_out;
    uint64_t dropped_in;   /* datagrams that belong to no connection and make none */
    uint64_t send_blocked; /* times the kernel took no more */
    uint64_t connections;  /* open now */
    uint64_t connections_made;
    uint64_t streams; /* open now */
    uint64_t streams_made;
    uint64_t panics; /* connections lost to an internal error of the engine */
    /* Servers, datagrams that belong to no connection: answered ... */
    uint64_t versions_sent;  /* Version Negotiation (RFC 9000 section 6) */
    uint64_t retries_sent;   /* Retry (section 8.1.2) */
    uint64_t tokens_refused; /* closed with INVALID_TOKEN */
    uint64_t resets_sent;    /* stateless resets (section 10.3) */
    /* ... and not answered. */
    uint64_t refused_source;     /* from a port or address that no client has */
    uint64_t refused_packet;     /* begins no connection, or too small */
    uint64_t refused_full;       /* "max_connections", or shutting down */
    uint64_t refused_handshakes; /* "max_handshakes" */
    uint64_t refused_prefix;     /* "max_handshakes_per_prefix" */
    uint64_t keys_spent; /* connections ended because their keys had sealed enough (RFC 9001 6.6) */
} quicpro_loop_stats;

/** @param stats  size set by the caller; unknown tail bytes are left alone
 *  @return 0; QUICPRO_EINVAL: size too small
 *  @since 0.1 */
QUICPRO_API int quicpro_loop_get_stats(const quicpro_loop *loop, quicpro_loop_stats *stats);

#ifdef __cplusplus
}
#endif
#endif
