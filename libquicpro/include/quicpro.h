/* libquicpro: QUIC and HTTP/3, client and server.
 *
 * One loop, two calls. `quicpro_loop_run` receives datagrams, runs timers and returns one batch of
 * events; the application looks at them and issues commands; `quicpro_loop_flush` writes what the
 * commands made. Nothing calls back into the application.
 *
 *     quicpro_loop_new(&loop, config);
 *     quicpro_server_new(&server, loop, config);
 *     quicpro_server_listen(server, "127.0.0.1", 4433);
 *     while (running) {
 *         const quicpro_batch *batch;
 *         quicpro_loop_wait(loop, QUICPRO_FOREVER);
 *         quicpro_loop_run(loop, 0, &batch);
 *         for (size_t i = 0; i < batch->event_count; i++)
 *             handle(&batch->events[i]);
 *         quicpro_loop_flush(loop);
 *     }
 *
 * Without sockets and clock, for event loops and simulators of one's own: quicpro/sans_io.h.
 *
 * Three kinds of objects:
 * - what the caller makes (config, loop, server, client, thread) is a pointer, freed by its
 * `_free`, which accepts NULL. Free servers and clients before their loop.
 * - what the loop makes (connections, streams) is a 64-bit handle. A handle that has ended is never
 *   reused for another object; a call that gets one returns QUICPRO_ESTALE and does nothing.
 * - events and the bytes they point to belong to the loop until its next `quicpro_loop_run`.
 *
 * Threads: a loop and everything on it belongs to one thread at a time; there are no locks inside
 * and no globals, so any number of loops may run in any number of threads. `quicpro_thread` is the
 * one exception and says so. Fork: a child must not use objects its parent made; it may make its
 * own.
 *
 * Errors: a function that returns `int` returns >= 0 for success and a QUICPRO_E... code below zero
 * otherwise; `ret` arguments are written only on success.
 */
#ifndef QUICPRO_H
#define QUICPRO_H

#include <quicpro/base.h>
#include <quicpro/client.h>
#include <quicpro/config.h>
#include <quicpro/conn.h>
#include <quicpro/devcert.h>
#include <quicpro/event.h>
#include <quicpro/http.h>
#include <quicpro/loop.h>
#include <quicpro/metrics.h>
#include <quicpro/sans_io.h>
#include <quicpro/server.h>
#include <quicpro/stream.h>
#include <quicpro/thread.h>
#include <quicpro/tls.h>

#endif
