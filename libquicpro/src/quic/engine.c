#include "quic/engine.h"

#include <assert.h>

#include "qp_engine_abi.h"

/* Both sides of the border must agree on every struct that crosses it: Rust reports its sizes in
 * qp_engine_layout(), which tests/c/test_engine.c compares; these hold C to what the header means.
 */
static_assert(sizeof(struct qp_engine_params) == 13 * 8, "params are 13 words");
static_assert(sizeof(struct qp_engine_error) == 8 + 3 * 4 + 256 + 4, "error has no padding");
static_assert(sizeof(struct qp_engine_stats) == 10 * 8, "stats are 10 words");

/* Defined by the engine's build script: names the version of qp_engine.h it was built from. */
extern const uint8_t QP_ENGINE_ABI;
const uint8_t *const qp_engine_abi_used = &QP_ENGINE_ABI;

const struct qp_engine_ops qp_engine_quiche = {
    .name = "quiche",
    .config_new = qp_engine_config_new,
    .config_free = qp_engine_config_free,
    .accept = qp_engine_accept,
    .connect = qp_engine_connect,
    .conn_free = qp_engine_conn_free,
    .ssl = qp_engine_ssl,
    .recv = qp_engine_recv,
    .send = qp_engine_send,
    .timeout = qp_engine_timeout,
    .on_timeout = qp_engine_on_timeout,
    .close = qp_engine_close,
    .flags = qp_engine_flags,
    .get_error = qp_engine_get_error,
    .get_stats = qp_engine_get_stats,
    .drain_events = qp_engine_drain_events,
    .readable_next = qp_engine_readable_next,
    .writable_next = qp_engine_writable_next,
    .stream_collected = qp_engine_stream_collected,
    .stream_recv = qp_engine_stream_recv,
    .stream_send = qp_engine_stream_send,
    .stream_stop_read = qp_engine_stream_stop_read,
    .stream_reset_write = qp_engine_stream_reset_write,
    .streams_left_bidi = qp_engine_streams_left_bidi,
    .panic_text = qp_engine_panic_text,
};
