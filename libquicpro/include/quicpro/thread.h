/* A loop in a thread of its own, for callers that block. */
#ifndef QUICPRO_THREAD_H
#define QUICPRO_THREAD_H

#include <quicpro/loop.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Runs one loop in one C thread. Other threads enter it to issue commands and wait for the events
 *  of one handle; all functions here are safe from any thread. After fork() every call in the child
 *  returns QUICPRO_EFORK; quicpro_thread_free() then only releases memory. */
typedef struct quicpro_thread quicpro_thread;

/** Starts the thread (all signals blocked in it).
 *  @param ret     owned by the caller, freed by quicpro_thread_free()
 *  @param config  as for quicpro_loop_new()
 *  @return 0; as quicpro_loop_new(); -EAGAIN of pthread_create(3)
 *  @since 0.1 */
QUICPRO_API int quicpro_thread_new(quicpro_thread **ret, const quicpro_config *config);

/** Stops and joins the thread and frees its loop. Free clients on it first, between enter and
 *  leave. Threads that wait return QUICPRO_ECLOSED; none may call afterwards.
 *  @param thread  may be NULL @since 0.1 */
QUICPRO_API void quicpro_thread_free(quicpro_thread *thread);

/** Keeps the events of all handles together from now on, in their order: they are those of handle 0
 *  in quicpro_thread_wait(). For callers that keep the state of connections themselves, and for
 *  servers, whose connections nobody knows before. To be called first, and not for HTTP/3: no
 *  stream is paused. Datagrams beyond 1 MiB that wait are dropped. A caller that waits for them
 * drives the loop itself meanwhile, which spares two switches of threads; the thread takes over 5
 * ms after the last one.
 *  @return 0; QUICPRO_EINVAL; QUICPRO_EFORK
 *  @since 0.1 */
QUICPRO_API int quicpro_thread_collect(quicpro_thread *thread);

/** Takes the loop for the calling thread: until quicpro_thread_leave() any command may be issued
 *  on it (never run, flush or wait). Keep it short: the loop stands still.
 *  @param ret  the loop, borrowed until leave
 *  @return 0; QUICPRO_EFORK
 *  @since 0.1 */
QUICPRO_API int quicpro_thread_enter(quicpro_thread *thread, quicpro_loop **ret);

/** Gives the loop back; what was commanded is sent. @since 0.1 */
QUICPRO_API void quicpro_thread_leave(quicpro_thread *thread);

/** The same for a caller that is about to command or wait again: what it commanded is sent with
 * what comes next, and after 5 ms at the latest. @since 0.1 */
QUICPRO_API void quicpro_thread_leave_later(quicpro_thread *thread);

/** Waits for events of one stream or connection. Events nobody waits for yet are kept; a stream
 *  with 1 MiB kept is paused until they are taken.
 *  @param handle   stream or connection
 *  @param timeout  ns; QUICPRO_FOREVER
 *  @param ret      its events, owned by the caller, freed by quicpro_thread_batch_free()
 *  @return number of events; QUICPRO_ETIMEDOUT; QUICPRO_ESTALE: ended and all its events taken;
 *          QUICPRO_ECLOSED: the thread is being freed; QUICPRO_EFORK; QUICPRO_ENOMEM
 *  @since 0.1 */
QUICPRO_API int quicpro_thread_wait(quicpro_thread *thread, quicpro_handle handle,
                                    quicpro_tstamp timeout, quicpro_batch **ret);

/** @param batch  may be NULL @since 0.1 */
QUICPRO_API void quicpro_thread_batch_free(quicpro_batch *batch);

/** Forgets the kept events of a handle, now and later. @since 0.1 */
QUICPRO_API void quicpro_thread_ignore(quicpro_thread *thread, quicpro_handle handle);

#ifdef __cplusplus
}
#endif
#endif
