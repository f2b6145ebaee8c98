/* The one table through which the rest sees the engine; see qp_engine.h for what each entry does.
 */
#ifndef QP_QUIC_ENGINE_H
#define QP_QUIC_ENGINE_H

#include "qp_engine.h"

struct qp_engine_ops {
    const char *name;
    void (*set_now)(uint64_t now);
    int (*config_new)(qp_engine_config **ret, struct ssl_ctx_st *ctx,
                      const struct qp_engine_params *params);
    void (*config_free)(qp_engine_config *config);
    int (*accept)(qp_engine_conn **ret, qp_engine_config *config, const struct qp_engine_ids *ids,
                  const struct sockaddr *local, const struct sockaddr *peer);
    int (*connect)(qp_engine_conn **ret, qp_engine_config *config, const struct qp_engine_ids *ids,
                   const struct sockaddr *local, const struct sockaddr *peer);
    void (*conn_free)(qp_engine_conn *conn);
    struct ssl_st *(*ssl)(qp_engine_conn *conn);
    int (*recv)(qp_engine_conn *conn, uint8_t *data, size_t len, size_t segment,
                const struct sockaddr *local, const struct sockaddr *peer);
    int (*send)(qp_engine_conn *conn, uint8_t *out, size_t cap, size_t payload, uint16_t *lens,
                size_t max, struct sockaddr *local, struct sockaddr *peer, uint64_t *at);
    int (*paces)(const qp_engine_conn *conn);
    uint64_t (*expiry)(qp_engine_conn *conn);
    void (*on_timeout)(qp_engine_conn *conn);
    int (*ping)(qp_engine_conn *conn);
    int (*close)(qp_engine_conn *conn, int app, uint64_t code, const uint8_t *reason,
                 size_t reason_len);
    uint32_t (*flags)(const qp_engine_conn *conn);
    void (*get_error)(const qp_engine_conn *conn, struct qp_engine_error *ret);
    void (*get_stats)(const qp_engine_conn *conn, struct qp_engine_stats *ret);
    int (*get_peer_params)(const qp_engine_conn *conn, struct qp_engine_peer_params *ret);
    int (*path_at)(const qp_engine_conn *conn, size_t index, struct qp_engine_path *ret,
                   struct sockaddr *local, struct sockaddr *peer);
    int (*path_event)(qp_engine_conn *conn, uint64_t *value, struct sockaddr *local,
                      struct sockaddr *peer);
    int (*probe_path)(qp_engine_conn *conn, const struct sockaddr *local,
                      const struct sockaddr *peer);
    int (*migrate)(qp_engine_conn *conn, const struct sockaddr *local, const struct sockaddr *peer);
    int (*leave_path)(qp_engine_conn *conn, const struct sockaddr *local,
                      const struct sockaddr *peer);
    int (*all_acked)(const qp_engine_conn *conn);
    size_t (*scids_left)(const qp_engine_conn *conn);
    int (*new_scid)(qp_engine_conn *conn, const uint8_t *scid, size_t len, const uint8_t *token);
    size_t (*retired_scid)(qp_engine_conn *conn, uint8_t *out);
    size_t (*dcid)(const qp_engine_conn *conn, uint8_t *out);
    size_t (*dcids_left)(const qp_engine_conn *conn);
    size_t (*session)(const qp_engine_conn *conn, uint8_t *out, size_t cap);
    int (*set_session)(qp_engine_conn *conn, const uint8_t *data, size_t len);
    int (*set_qlog)(qp_engine_conn *conn, enum qp_engine_qlog_level level, const char *title,
                    qp_engine_write_fn *fn, void *user);
    int (*dgram_send)(qp_engine_conn *conn, const uint8_t *data, size_t len);
    int64_t (*dgram_max)(const qp_engine_conn *conn);
    int64_t (*dgram_next)(const qp_engine_conn *conn);
    int64_t (*dgram_recv)(qp_engine_conn *conn, uint8_t *out, size_t cap);
    int64_t (*readable_next)(qp_engine_conn *conn);
    int64_t (*writable_next)(qp_engine_conn *conn, int *stopped, uint64_t *code);
    int (*stream_collected)(qp_engine_conn *conn, uint64_t id);
    int (*stream_stopped)(qp_engine_conn *conn, uint64_t id, uint64_t *code);
    int64_t (*stream_recv)(qp_engine_conn *conn, uint64_t id, uint8_t *out, size_t cap, int *fin,
                           uint64_t *code);
    int64_t (*stream_send)(qp_engine_conn *conn, uint64_t id, const uint8_t *data, size_t len,
                           int fin, uint64_t *code);
    int64_t (*stream_lend)(qp_engine_conn *conn, uint64_t id, struct qp_engine_block *block,
                           const uint8_t *data, size_t len, int fin, uint64_t *code);
    int (*stream_stop_read)(qp_engine_conn *conn, uint64_t id, uint64_t code);
    int (*stream_reset_write)(qp_engine_conn *conn, uint64_t id, uint64_t code);
    int (*stream_priority)(qp_engine_conn *conn, uint64_t id, uint8_t urgency, int incremental);
    uint64_t (*streams_left)(const qp_engine_conn *conn, int bidi);
    size_t (*panic_text)(char *out, size_t size);
};

extern const struct qp_engine_ops qp_engine_quiche;

/* Version texts of what the engine carries. */
const char *qp_engine_tls_version(void);

#endif
