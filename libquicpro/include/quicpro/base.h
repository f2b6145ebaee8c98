/* Names that every other header needs: export macro, handles, time, errors, versions. */
#ifndef QUICPRO_BASE_H
#define QUICPRO_BASE_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define QUICPRO_API __attribute__((visibility("default")))

#define QUICPRO_VERSION_MAJOR 0
#define QUICPRO_VERSION_MINOR 1
#define QUICPRO_VERSION_PATCH 0

/** A connection or a stream that a loop made; 0 is never one. */
typedef uint64_t quicpro_handle;
typedef quicpro_handle quicpro_conn;
typedef quicpro_handle quicpro_stream;

/** A point in time, or a span of it, in nanoseconds. Points are on CLOCK_MONOTONIC. */
typedef uint64_t quicpro_tstamp;
#define QUICPRO_MICROSECOND UINT64_C(1000)
#define QUICPRO_MILLISECOND UINT64_C(1000000)
#define QUICPRO_SECOND UINT64_C(1000000000)
#define QUICPRO_FOREVER UINT64_MAX

/* Every error once: name, value, text. System failures keep -errno, ours begin at -1000. */
#define QUICPRO_ERROR_MAP(X)                                                                       \
    X(EINVAL, -EINVAL, "invalid argument")                                                         \
    X(ENOMEM, -ENOMEM, "out of memory")                                                            \
    X(EAGAIN, -EAGAIN, "try again after the next event")                                           \
    X(E2BIG, -E2BIG, "larger than this version of the library understands")                        \
    X(ETIMEDOUT, -ETIMEDOUT, "timed out")                                                          \
    X(ECONNREFUSED, -ECONNREFUSED, "connection refused: nothing listens there")                    \
    X(ESTALE, -1000, "the handle has ended")                                                       \
    X(EPROTO, -1001, "the peer violated the protocol")                                             \
    X(EENGINE, -1002, "internal error in the QUIC engine")                                         \
    X(ESTATE, -1003, "not possible in this state")                                                 \
    X(ELIMIT, -1004, "a limit was reached")                                                        \
    X(ETLS, -1005, "TLS failed")                                                                   \
    X(EVERIFY, -1006, "the peer's certificate was not accepted")                                   \
    X(EALPN, -1007, "no application protocol in common")                                           \
    X(EHANDSHAKE, -1008, "the handshake did not finish in time")                                   \
    X(EIDLE, -1009, "the connection was idle too long")                                            \
    X(ECLOSED, -1010, "the connection is closed")                                                  \
    X(ERESET, -1011, "the stream was reset")                                                       \
    X(EVERSION, -1012, "no QUIC version in common")                                                \
    X(ERESOLVE, -1013, "the host name could not be resolved")                                      \
    X(EOPTION, -1014, "unknown option")                                                            \
    X(EVALUE, -1015, "value out of range")                                                         \
    X(ECERT, -1016, "certificate or key could not be used")                                        \
    X(EFORK, -1017, "made before fork(): make a new one in this process")                          \
    X(EPOLICY, -1018, "the configuration is locked")                                               \
    X(EEARLY, -1019, "early data was rejected")

enum quicpro_error {
    QUICPRO_OK = 0,
#define QUICPRO_ERROR_ENUM(name, value, text) QUICPRO_##name = (value),
    QUICPRO_ERROR_MAP(QUICPRO_ERROR_ENUM)
#undef QUICPRO_ERROR_ENUM
};

/** Text of an error code.
 *  @param error  any value a function of this library returned, or 0
 *  @return a static string without newline; for -errno values the C library's short name
 *  @since 0.1 */
QUICPRO_API const char *quicpro_strerror(int error);

/** Name of an error code, such as "QUICPRO_ESTALE".
 *  @param error  any value a function of this library returned, or 0
 *  @return a static string; "QUICPRO_ESYSTEM" for other -errno values
 *  @since 0.1 */
QUICPRO_API const char *quicpro_error_name(int error);

/** Name of a close or reset code as its RFC spells it, such as "H3_REQUEST_CANCELLED".
 *  @param code  the code on the wire
 *  @param app   non-zero: an HTTP/3 code (RFC 9114 section 8.1, RFC 9204 section 6); zero: a
 *               transport code (RFC 9000 section 20.1); 0x100 to 0x1ff there is a TLS alert
 *  @return a static string; "unknown code" where no RFC in use names it
 *  @since 0.1 */
QUICPRO_API const char *quicpro_wire_code_name(uint64_t code, int app);

/** Version of the library, such as "0.1.0". @return a static string @since 0.1 */
QUICPRO_API const char *quicpro_version(void);

/** Version of a part that the library carries.
 *  @param part  "quiche", "boringssl", "nghttp3" or "backends" (a comma-separated list of the I/O
 *               backends built in)
 *  @return a static string, or NULL for any other part
 *  @since 0.1 */
QUICPRO_API const char *quicpro_part_version(const char *part);

enum quicpro_log_level {
    QUICPRO_LOG_ERROR = 1,
    QUICPRO_LOG_WARNING = 2,
    QUICPRO_LOG_INFO = 3,
    QUICPRO_LOG_DEBUG = 4,
};

/** Receives one line of log, without newline; bytes that came from a peer are escaped. Called from
 *  inside calls on the loop it was set on, on their thread; it must not call that loop. */
typedef void quicpro_log_fn(void *user, int level, const char *line);

#ifdef __cplusplus
}
#endif
#endif
