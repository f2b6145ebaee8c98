#include "quic/engine.h"

#include <assert.h>

#include "qp_engine_abi.h"

/* Both sides of the border must agree on every struct that crosses it: Rust reports its sizes in
 * qp_engine_layout(), which tests/c/test_engine.c compares; these hold C to what the header means.
 */
static_assert(sizeof(struct qp_engine_params) == 27 * 8, "params are words");
static_assert(sizeof(struct qp_engine_error) == 8 + 3 * 4 + 256 + 4, "error has no padding");
static_assert(sizeof(struct qp_engine_stats) == 30 * 8, "stats are words");
static_assert(sizeof(struct qp_engine_path) == 24 * 8, "a path is words");
static_assert(sizeof(struct qp_engine_peer_params) == 13 * 8, "the peer's params are words");
static_assert(sizeof(struct qp_engine_ids) == 5 * 8, "pointers and sizes are words");

/* Defined by the engine's build script: names the version of qp_engine.h it was built from. */
extern const uint8_t QP_ENGINE_ABI;
const uint8_t *const qp_engine_abi_used = &QP_ENGINE_ABI;

const struct qp_engine_ops qp_engine_quiche = {
    .name = "quiche",
    .set_now = qp_engine_set_now,
    .config_new = qp_engine_config_new,
    .config_free = qp_engine_config_free,
    .accept = qp_engine_accept,
    .connect = qp_engine_connect,
    .conn_free = qp_engine_conn_free,
    .ssl = qp_engine_ssl,
    .recv = qp_engine_recv,
    .send = qp_engine_send,
    .paces = qp_engine_paces,
    .expiry = qp_engine_expiry,
    .on_timeout = qp_engine_on_timeout,
    .ping = qp_engine_ping,
    .close = qp_engine_close,
    .flags = qp_engine_flags,
    .get_error = qp_engine_get_error,
    .get_stats = qp_engine_get_stats,
    .get_peer_params = qp_engine_get_peer_params,
    .path_at = qp_engine_path_at,
    .path_event = qp_engine_path_event,
    .probe_path = qp_engine_probe_path,
    .migrate = qp_engine_migrate,
    .leave_path = qp_engine_leave_path,
    .all_acked = qp_engine_all_acked,
    .scids_left = qp_engine_scids_left,
    .new_scid = qp_engine_new_scid,
    .retired_scid = qp_engine_retired_scid,
    .dcid = qp_engine_dcid,
    .dcids_left = qp_engine_dcids_left,
    .session = qp_engine_session,
    .set_session = qp_engine_set_session,
    .set_qlog = qp_engine_set_qlog,
    .dgram_send = qp_engine_dgram_send,
    .dgram_max = qp_engine_dgram_max,
    .dgram_next = qp_engine_dgram_next,
    .dgram_recv = qp_engine_dgram_recv,
    .readable_next = qp_engine_readable_next,
    .writable_next = qp_engine_writable_next,
    .stream_collected = qp_engine_stream_collected,
    .stream_stopped = qp_engine_stream_stopped,
    .stream_recv = qp_engine_stream_recv,
    .stream_send = qp_engine_stream_send,
    .stream_lend = qp_engine_stream_lend,
    .stream_stop_read = qp_engine_stream_stop_read,
    .stream_reset_write = qp_engine_stream_reset_write,
    .stream_priority = qp_engine_stream_priority,
    .streams_left = qp_engine_streams_left,
    .panic_text = qp_engine_panic_text,
};
