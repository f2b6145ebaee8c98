/* Counters of loops, in memory that other processes may read, and as text for Prometheus. */
#ifndef QUICPRO_METRICS_H
#define QUICPRO_METRICS_H

#include <quicpro/base.h>
#include <quicpro/loop.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Bytes of memory that the counters of one loop need. @since 0.1 */
QUICPRO_API size_t quicpro_metrics_size(void);

/** Where the counters of a loop are; gauges, such as the number of open connections, are as of its
 *  last flush.
 *  @return the memory, owned by the loop or whoever gave it
 *  @since 0.1 */
QUICPRO_API const void *quicpro_loop_get_metrics(const quicpro_loop *loop);

/** Has a loop keep its counters elsewhere, such as in memory that is shared with a process that
 *  reads them; those so far move there. Reading is safe at any time, and costs the loop nothing.
 *  @param memory  quicpro_metrics_size() bytes, aligned to 8, borrowed; NULL: the loop's own again
 *  @return 0; QUICPRO_EINVAL: too small, or not aligned
 *  @since 0.1 */
QUICPRO_API int quicpro_loop_set_metrics(quicpro_loop *loop, void *memory, size_t size);

/** Counters of one loop, to be told from those of others. */
typedef struct quicpro_metrics_source {
    const void *memory;
    const char *labels; /* such as worker="3", written as it is; NULL or "": none */
} quicpro_metrics_source;

/** Counters as text in the exposition format of Prometheus 0.0.4 ("text/plain; version=0.0.4").
 *  Every name begins with quicpro_; docs/reference/metrics.md has them all.
 *  @param count  sources; one whose memory is no loop's, or of another version, is left out
 *  @param buf    where the text goes, ended by a NUL; cut off if it is too small
 *  @param cap    bytes of room, may be 0
 *  @return bytes of the whole text, without the NUL
 *  @since 0.1 */
QUICPRO_API size_t quicpro_metrics_text(const quicpro_metrics_source *sources, size_t count,
                                        char *buf, size_t cap);

#ifdef __cplusplus
}
#endif
#endif
