typedef uint64_t quicpro_handle;
typedef quicpro_handle quicpro_conn;
typedef quicpro_handle quicpro_stream;
typedef uint64_t quicpro_tstamp;
enum quicpro_error {
    QUICPRO_OK,
    QUICPRO_EINVAL,
    QUICPRO_ENOMEM,
    QUICPRO_EAGAIN,
    QUICPRO_E2BIG,
    QUICPRO_ETIMEDOUT,
    QUICPRO_ECONNREFUSED,
    QUICPRO_ESTALE,
    QUICPRO_EPROTO,
    QUICPRO_EENGINE,
    QUICPRO_ESTATE,
    QUICPRO_ELIMIT,
    QUICPRO_ETLS,
    QUICPRO_EVERIFY,
    QUICPRO_EALPN,
    QUICPRO_EHANDSHAKE,
    QUICPRO_EIDLE,
    QUICPRO_ECLOSED,
    QUICPRO_ERESET,
    QUICPRO_EVERSION,
    QUICPRO_ERESOLVE,
    QUICPRO_EOPTION,
    QUICPRO_EVALUE,
    QUICPRO_ECERT,
    QUICPRO_EFORK,
    QUICPRO_EPOLICY,
    QUICPRO_EEARLY,
    ...
};
const char *quicpro_strerror(int error);
const char *quicpro_error_name(int error);
const char *quicpro_wire_code_name(uint64_t code, int app);
const char *quicpro_version(void);
const char *quicpro_part_version(const char *part);
enum quicpro_log_level {
    QUICPRO_LOG_ERROR = 1,
    QUICPRO_LOG_WARNING = 2,
    QUICPRO_LOG_INFO = 3,
    QUICPRO_LOG_DEBUG = 4,
};
typedef void quicpro_log_fn(void *user, int level, const char *line);
typedef struct quicpro_config quicpro_config;
enum quicpro_option_type {
    QUICPRO_OPTION_BOOL,
    QUICPRO_OPTION_UINT,
    QUICPRO_OPTION_STRING,
    QUICPRO_OPTION_CHOICE,
    QUICPRO_OPTION_LIST,
    QUICPRO_OPTION_BYTES,
};
enum quicpro_option_status {
    QUICPRO_OPTION_HONOURED,
    QUICPRO_OPTION_NO_EFFECT,
    QUICPRO_OPTION_REFUSED,
};
typedef struct quicpro_option {
    const char *key;
    enum quicpro_option_type type;
    const char *unit;
    uint64_t min, max;
    const char *default_value;
    const char *choices;
    const char *help;
    const char *group;
    int live;
    enum quicpro_option_status status;
} quicpro_option;
int quicpro_config_new(quicpro_config **ret);
void quicpro_config_free(quicpro_config *config);
int quicpro_config_set(quicpro_config *config, const char *key, const char *value);
int quicpro_config_set_bytes(quicpro_config *config, const char *key, const void *data, size_t len);
typedef void quicpro_qlog_fn(void *user, quicpro_conn conn, const char *name, const uint8_t *data, size_t len);
int quicpro_config_set_qlog(quicpro_config *config, quicpro_qlog_fn *fn, void *user);
const char *quicpro_config_get(quicpro_config *config, const char *key);
const char *quicpro_config_error(const quicpro_config *config);
const quicpro_option *quicpro_option_at(size_t index);
const quicpro_option *quicpro_option_find(const char *name);
const char *quicpro_option_old_name(const quicpro_option *option, size_t index);
const quicpro_option *quicpro_option_nearest(const char *name);
typedef struct quicpro_devcert {
    char *ca_pem, *cert_pem, *key_pem;
    char spki_sha256[48];
} quicpro_devcert;
int quicpro_devcert_make(quicpro_devcert *ret, const char *const *names, size_t count,
                         unsigned days);
void quicpro_devcert_done(quicpro_devcert *cert);
enum quicpro_event_type {
    QUICPRO_EVENT_CONNECTED = 1,
    QUICPRO_EVENT_CLOSED = 2,
    QUICPRO_EVENT_REQUEST = 3,
    QUICPRO_EVENT_RESPONSE = 4,
    QUICPRO_EVENT_DATA = 5,
    QUICPRO_EVENT_TRAILERS = 6,
    QUICPRO_EVENT_RESET = 7,
    QUICPRO_EVENT_WRITABLE = 8,
    QUICPRO_EVENT_GOAWAY = 9,
    QUICPRO_EVENT_DRAINED = 10,
    QUICPRO_EVENT_CERTIFICATES = 11,
    QUICPRO_EVENT_STREAM = 12,
    QUICPRO_EVENT_READABLE = 13,
    QUICPRO_EVENT_STOPPED = 14,
    QUICPRO_EVENT_DATAGRAM = 15,
    QUICPRO_EVENT_STREAMS = 16,
    QUICPRO_EVENT_PATH = 17,
    QUICPRO_EVENT_EARLY = 18,
};
enum quicpro_early_data {
    QUICPRO_EARLY_NONE = 0,
    QUICPRO_EARLY_ACCEPTED = 1,
    QUICPRO_EARLY_REJECTED = 2,
};
enum quicpro_flag {
    QUICPRO_FLAG_FIN = 1,
    QUICPRO_FLAG_REMOTE = 2,
    QUICPRO_FLAG_APP = 4,
    QUICPRO_FLAG_INFORMATIONAL = 8,
    QUICPRO_FLAG_EARLY = 16,
    QUICPRO_FLAG_UNI = 32,
};
typedef struct quicpro_event {
    uint16_t type;
    uint16_t flags;
    int32_t error;
    quicpro_conn conn;
    quicpro_stream stream;
    uint64_t code;
    const void *data;
    size_t len;
    uint64_t stream_id;
    void *user;
} quicpro_event;
typedef struct quicpro_field {
    uint32_t name;
    uint32_t name_len;
    uint32_t value;
    uint32_t value_len;
} quicpro_field;
typedef struct quicpro_batch {
    const quicpro_event *events;
    size_t event_count;
    const quicpro_field *fields;
    size_t field_count;
    const char *text;
    size_t text_len;
} quicpro_batch;
const char *quicpro_known_name(uint32_t index, size_t *len);
const char *quicpro_field_name(const quicpro_batch *batch, const quicpro_field *field, size_t *len);
const char *quicpro_field_value(const quicpro_batch *batch, const quicpro_field *field,
                                size_t *len);
const char *quicpro_event_field(const quicpro_batch *batch, const quicpro_event *event,
                                const char *name, size_t *len);
const char *quicpro_event_name(unsigned type);
typedef struct quicpro_loop quicpro_loop;
int quicpro_loop_new(quicpro_loop **ret, const quicpro_config *config);
void quicpro_loop_free(quicpro_loop *loop);
int quicpro_loop_run(quicpro_loop *loop, size_t budget, const quicpro_batch **ret);
int quicpro_loop_flush(quicpro_loop *loop);
int quicpro_loop_wait(quicpro_loop *loop, quicpro_tstamp timeout);
void quicpro_loop_wake(quicpro_loop *loop);
int quicpro_loop_fd(const quicpro_loop *loop);
enum quicpro_want {
    QUICPRO_WANT_READABLE = 1,
    QUICPRO_WANT_WRITABLE = 2,
    QUICPRO_WANT_RUN = 4,
};
typedef struct quicpro_watch {
    int fd;
    int wants;
} quicpro_watch;
int quicpro_loop_fds(quicpro_loop *loop, quicpro_watch *ret, size_t max, uint64_t *version);
int quicpro_loop_wants(const quicpro_loop *loop);
quicpro_tstamp quicpro_loop_expiry(const quicpro_loop *loop);
const char *quicpro_loop_backend(const quicpro_loop *loop);
quicpro_tstamp quicpro_now(void);
void quicpro_loop_set_log(quicpro_loop *loop, quicpro_log_fn *fn, void *user, int level);
const char *quicpro_loop_error(const quicpro_loop *loop);
typedef struct quicpro_loop_stats {
    size_t size;
    uint64_t wakeups;
    uint64_t datagrams_in, datagrams_out;
    uint64_t bytes_in, bytes_out;
    uint64_t syscalls_in, syscalls_out;
    uint64_t dropped_in;
    uint64_t send_blocked;
    uint64_t connections;
    uint64_t connections_made;
    uint64_t streams;
    uint64_t streams_made;
    uint64_t panics;
    uint64_t versions_sent;
    uint64_t retries_sent;
    uint64_t tokens_refused;
    uint64_t resets_sent;
    uint64_t refused_source;
    uint64_t refused_packet;
    uint64_t refused_full;
    uint64_t refused_handshakes;
    uint64_t refused_prefix;
    uint64_t keys_spent;
    uint64_t send_refused;
    uint64_t spins;
    uint64_t busy_poll;
    uint64_t datagrams_refused;
} quicpro_loop_stats;
int quicpro_loop_get_stats(const quicpro_loop *loop, quicpro_loop_stats *stats);
typedef struct quicpro_server quicpro_server;
int quicpro_server_new(quicpro_server **ret, quicpro_loop *loop, const quicpro_config *config);
int quicpro_server_set_option(quicpro_server *server, const char *key, const char *value);
int quicpro_server_add_certificate(quicpro_server *server, const char *host,
                                   const quicpro_config *config);
int quicpro_server_reload_tls(quicpro_server *server);
void quicpro_server_free(quicpro_server *server);
int quicpro_server_listen(quicpro_server *server, const char *host, uint16_t port);
int quicpro_server_listen_fd(quicpro_server *server, int fd);
void quicpro_server_shutdown(quicpro_server *server);
void quicpro_server_abort(quicpro_server *server);
void quicpro_server_set_user(quicpro_server *server, void *user);
size_t quicpro_server_connections(const quicpro_server *server);
typedef struct quicpro_client quicpro_client;
int quicpro_client_new(quicpro_client **ret, quicpro_loop *loop, const quicpro_config *config);
int quicpro_client_set_option(quicpro_client *client, const char *key, const char *value);
void quicpro_client_free(quicpro_client *client);
int quicpro_client_connect(quicpro_client *client, const char *host, uint16_t port, void *user,
                           quicpro_conn *ret);
typedef struct quicpro_nv {
    const char *name;
    size_t name_len;
    const char *value;
    size_t value_len;
} quicpro_nv;
int quicpro_request(quicpro_loop *loop, quicpro_conn conn, const quicpro_nv *fields,
                    size_t field_count, const void *body, size_t len, int fin, void *user,
                    quicpro_stream *ret);
int quicpro_respond(quicpro_loop *loop, quicpro_stream stream, unsigned status,
                    const quicpro_nv *fields, size_t field_count, const void *body, size_t len,
                    int fin);
int quicpro_stream_write(quicpro_loop *loop, quicpro_stream stream, const void *data, size_t len,
                         int fin);
int quicpro_stream_trailers(quicpro_loop *loop, quicpro_stream stream, const quicpro_nv *fields,
                            size_t field_count);
int quicpro_stream_reset(quicpro_loop *loop, quicpro_stream stream, uint64_t code);
int quicpro_stream_pause(quicpro_loop *loop, quicpro_stream stream, int paused);
int quicpro_stream_set_user(quicpro_loop *loop, quicpro_stream stream, void *user);
int quicpro_conn_set_user(quicpro_loop *loop, quicpro_conn conn, void *user);
int quicpro_conn_close(quicpro_loop *loop, quicpro_conn conn, uint64_t code, const char *reason);
typedef struct quicpro_conn_info {
    size_t size;
    char local[64];
    char peer[64];
    char alpn[16];
    char cipher[32];
    char group[32];
    uint32_t version;
    uint32_t established;
    quicpro_tstamp rtt;
    quicpro_tstamp min_rtt;
    uint64_t cwnd;
    uint64_t bytes_in, bytes_out;
    uint64_t packets_in, packets_out, packets_lost;
    uint64_t streams;
    uint32_t resumed;
    uint32_t early_data;
} quicpro_conn_info;
int quicpro_conn_get_info(quicpro_loop *loop, quicpro_conn conn, quicpro_conn_info *info);
int quicpro_conn_get_peer_certificate(quicpro_loop *loop, quicpro_conn conn, size_t index,
                                      const void **der, size_t *len);
int quicpro_conn_get_peer_subject(quicpro_loop *loop, quicpro_conn conn, char *out, size_t size);
typedef struct quicpro_conn_stats {
    size_t size;
    uint64_t packets_in, packets_out;
    uint64_t packets_lost;
    uint64_t packets_spurious_lost;
    uint64_t packets_retransmitted;
    uint64_t bytes_in, bytes_out;
    uint64_t bytes_acked, bytes_lost;
    uint64_t stream_bytes_retransmitted;
    uint64_t datagrams_in, datagrams_out;
    uint64_t resets_in, resets_out;
    uint64_t stops_in, stops_out;
    uint64_t data_blocked_in, data_blocked_out;
    uint64_t stream_data_blocked_in, stream_data_blocked_out;
    uint64_t streams_blocked_bidi_in, streams_blocked_uni_in;
    uint64_t path_challenges_in;
    uint64_t amplification_limited;
    uint64_t in_flight_ns;
    uint64_t send_count_wrong;
    uint64_t paths;
    uint64_t ids_issued;
    uint64_t ids_spare;
    uint64_t rtt_ns, min_rtt_ns;
    uint64_t cwnd_bytes;
} quicpro_conn_stats;
int quicpro_conn_get_stats(quicpro_loop *loop, quicpro_conn conn, quicpro_conn_stats *stats);
enum quicpro_path_state {
    QUICPRO_PATH_FAILED = 0,
    QUICPRO_PATH_UNKNOWN = 1,
    QUICPRO_PATH_VALIDATING = 2,
    QUICPRO_PATH_MTU_UNKNOWN = 3,
    QUICPRO_PATH_VALIDATED = 4,
};
typedef struct quicpro_path_stats {
    size_t size;
    char local[64];
    char peer[64];
    uint32_t state;
    uint32_t active;
    uint64_t packets_in, packets_out, packets_lost, packets_retransmitted;
    uint64_t bytes_in, bytes_out, bytes_lost, stream_bytes_retransmitted;
    uint64_t datagrams_in, datagrams_out, datagrams_lost;
    uint64_t ptos;
    uint64_t rtt_ns;
    uint64_t min_rtt_ns, max_rtt_ns;
    uint64_t rttvar_ns;
    uint64_t cwnd_bytes;
    uint64_t mtu_bytes;
    uint64_t delivery_rate;
    uint64_t max_bandwidth;
    uint64_t rtt_jumps;
    uint64_t startup_exit_cwnd_bytes;
} quicpro_path_stats;
int quicpro_conn_get_path(quicpro_loop *loop, quicpro_conn conn, size_t index,
                          quicpro_path_stats *path);
const void *quicpro_loop_get_metrics(const quicpro_loop *loop);
typedef struct quicpro_metrics_source {
    const void *memory;
    const char *labels;
} quicpro_metrics_source;
size_t quicpro_metrics_text(const quicpro_metrics_source *sources, size_t count, char *buf,
                            size_t cap);
enum quicpro_path_change {
    QUICPRO_PATH_USABLE = 1,
    QUICPRO_PATH_UNUSABLE = 2,
    QUICPRO_PATH_MOVED = 3,
    QUICPRO_PATH_PEER_MOVED = 4,
};
int quicpro_conn_probe(quicpro_loop *loop, quicpro_conn conn, const char *local, unsigned port);
int quicpro_conn_migrate(quicpro_loop *loop, quicpro_conn conn);
int quicpro_stream_open(quicpro_loop *loop, quicpro_conn conn, int bidi, void *user,
                        quicpro_stream *ret);
int64_t quicpro_stream_read(quicpro_loop *loop, quicpro_stream stream, void *buf, size_t cap,
                            int *fin, uint64_t *code);
int quicpro_stream_shutdown(quicpro_loop *loop, quicpro_stream stream, unsigned how, uint64_t code);
int quicpro_stream_set_priority(quicpro_loop *loop, quicpro_stream stream, unsigned urgency,
                                int incremental);
int quicpro_datagram_send(quicpro_loop *loop, quicpro_conn conn, const void *data, size_t len);
int quicpro_conn_finish(quicpro_loop *loop, quicpro_conn conn, uint64_t code, const char *reason);
int64_t quicpro_datagram_max(quicpro_loop *loop, quicpro_conn conn);
enum quicpro_op {
    QUICPRO_OP_RESPOND = 1,
    QUICPRO_OP_WRITE = 2,
    QUICPRO_OP_TRAILERS = 3,
    QUICPRO_OP_RESET = 4,
    QUICPRO_OP_PAUSE = 5,
    QUICPRO_OP_RESUME = 6,
};
typedef struct quicpro_record {
    uint32_t op;
    uint32_t flags;
    quicpro_stream stream;
    uint64_t code;
    uint32_t field_count;
    uint32_t body_len;
} quicpro_record;
int quicpro_loop_submit(quicpro_loop *loop, const void *records, size_t len, size_t *refused);
typedef struct quicpro_thread quicpro_thread;
int quicpro_thread_new(quicpro_thread **ret, const quicpro_config *config);
void quicpro_thread_free(quicpro_thread *thread);
int quicpro_thread_collect(quicpro_thread *thread);
int quicpro_thread_enter(quicpro_thread *thread, quicpro_loop **ret);
void quicpro_thread_leave(quicpro_thread *thread);
void quicpro_thread_leave_later(quicpro_thread *thread);
int quicpro_thread_wait(quicpro_thread *thread, quicpro_handle handle, quicpro_tstamp timeout,
                        quicpro_batch **ret);
void quicpro_thread_batch_free(quicpro_batch *batch);
void quicpro_thread_ignore(quicpro_thread *thread, quicpro_handle handle);
extern "Python" int quicpro_py_on_log(int level, const char *line);
extern "Python" int quicpro_py_on_qlog(uint64_t number, const char *name, const uint8_t *data, size_t len);
void quicpro_py_log(void *user, int level, const char *line);
void quicpro_py_qlog(void *user, quicpro_conn conn, const char *name, const uint8_t *data, size_t len);
extern volatile int quicpro_py_ended;
