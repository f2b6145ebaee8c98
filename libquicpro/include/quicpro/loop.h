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
 *  @return 0; QUICPRO_ENOMEM; QUICPRO_EVALUE: the option "io", or QUICPRO_IO in the environment,
 *          names an I/O backend that is not built in; -EMFILE and other -errno of
 *          epoll_create1(2), timerfd_create(2), pipe(2)
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
 *  too, unless quicpro_loop_expiry() says otherwise; now and then it becomes readable in vain,
 *  where a timer was put off.
 *  @return a descriptor, the same as long as the loop lives; -ENOTSUP: the I/O backend has several,
 *          see quicpro_loop_fds()
 *  @since 0.1 */
QUICPRO_API int quicpro_loop_fd(const quicpro_loop *loop);

enum quicpro_want {
    QUICPRO_WANT_READABLE = 1, /* watch the descriptor for reading */
    QUICPRO_WANT_WRITABLE = 2, /* watch it for writing as well */
    QUICPRO_WANT_RUN = 4,      /* do not wait: call run again */
};

/** One descriptor of a loop. */
typedef struct quicpro_watch {
    int fd;
    int wants; /* QUICPRO_WANT_READABLE, QUICPRO_WANT_WRITABLE */
} quicpro_watch;

/** All descriptors that a foreign event loop has to watch, to be asked after each flush (and so
 *  there must be one after quicpro_server_listen() and whatever else opens sockets). With most
 *  backends there is one that never changes; the "poll" backend has one for each socket and one
 *  more. They stay the loop's. A number that was listed is not used for anything else before it has
 *  been missing from a later list. Sockets can be ready because of an error, which run reads:
 *  call it then as well, and where that ends the watch (libuv's uv_poll_t) begin a new one.
 *  @param ret      written by at most max entries, the whole list if there is room for it
 *  @param version  in: of the list that the caller has, 0 for none; out: of this one, if it was
 *                  written whole
 *  @return entries that there are; 0: nothing has changed since *version; QUICPRO_EINVAL
 *  @since 0.1 */
QUICPRO_API int quicpro_loop_fds(quicpro_loop *loop, quicpro_watch *ret, size_t max,
                                 uint64_t *version);

/** What the descriptor should be watched for, to be asked after each flush. Where there are
 * several, the bits of all of them; quicpro_loop_fds() tells them apart.
 *  @return bits of enum quicpro_want
 *  @since 0.1 */
QUICPRO_API int quicpro_loop_wants(const quicpro_loop *loop);

/** When run must be called although the descriptor is silent.
 *  @return a point in time; QUICPRO_FOREVER: never, the descriptor tells
 *  @since 0.1 */
QUICPRO_API quicpro_tstamp quicpro_loop_expiry(const quicpro_loop *loop);

/** The I/O backend that a loop runs on, and why, as one line for people, such as "I/O backend
 *  epoll: the best that is built in".
 *  @return owned by the loop
 *  @since 0.1 */
QUICPRO_API const char *quicpro_loop_backend(const quicpro_loop *loop);

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
    uint64_t
        send_refused; /* datagrams that the kernel did not send: too large, no route, a filter */
    uint64_t spins;   /* waits that found something while they spun ("spin_us"); part of wakeups */
    uint64_t busy_poll;         /* enum quicpro_busy_poll: the best of the sockets open now */
    uint64_t datagrams_refused; /* quicpro_datagram_send() that found its queue full */
    uint64_t qlog_files;        /* begun ("qlog_dir") */
    uint64_t qlog_failed;       /* not begun, or not written to their end: no place, no permission,
                                   too many; their connections went on */
} quicpro_loop_stats;

/** What became of the option "busy_poll_us". */
enum quicpro_busy_poll {
    QUICPRO_BUSY_POLL_OFF = 0,       /* not asked for */
    QUICPRO_BUSY_POLL_REFUSED = 1,   /* by the kernel; the log says why */
    QUICPRO_BUSY_POLL_NO_EFFECT = 2, /* accepted, but what came was from a device without queues to
                                        poll, such as lo or veth */
    QUICPRO_BUSY_POLL_ACCEPTED = 3,  /* accepted; nothing came yet that would show more */
    QUICPRO_BUSY_POLL_ACTIVE = 4,    /* the kernel polls the queue of a device */
};

/** @param stats  size set by the caller; unknown tail bytes are left alone
 *  @return 0; QUICPRO_EINVAL: size too small
 *  @since 0.1 */
QUICPRO_API int quicpro_loop_get_stats(const quicpro_loop *loop, quicpro_loop_stats *stats);

#ifdef __cplusplus
}
#endif
#endif
