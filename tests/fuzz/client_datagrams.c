/* What a hostile server may say to a client that is connected to it: frames, sealed with the
 * server's keys so that they get behind the seal, mixed with datagrams as they are, with time that
 * passes and with what the application does meanwhile.
 *
 * Oracle: the client neither crashes nor leaks, logs nothing but printable characters, and gives
 * out numbers that make sense; it reports the end of its connection once and nothing behind it; it
 * does not turn in circles at one moment; and when its time is over it has ended, and nothing of
 * the connection is left.
 *
 * An input begins with a byte: bit 0 HTTP/3 or a protocol of its own, bit 1 a request or a stream
 * is open, bit 2 the handshake is not confirmed yet. Then records: one byte of kind, two of length
 * (little-endian), the bytes.
 *   kind & 7  0: a datagram as it is
 *             1, 2, 3: frames, sealed into a packet; 2: of another key phase; 3: the number is the
 *             last one's again
 *             4: time passes: the first two bytes, in units of 2 to the power of the third, in us
 *             5: the application: reads, writes, opens, resets, closes
 *             6: a train: the first byte times 8 is the size of each
 *             7: frames in a Handshake packet that nobody has keys for, behind them a sealed one
 *   kind & 8  the client does not run before the next record
 *   kind & 16 from another address of the server */
#include "duo.h"

#include <sys/mman.h>
#include <unistd.h>

#include "seal.h"

enum { DATAGRAM_MAX = 1500, TURNS_MAX = 1000, STREAMS = 8 };

static struct duo duo[2]; /* HTTP/3, and a protocol of its own */
static int keylog = -1;

static struct {
    struct duo *duo;
    struct seal seal;
    quicpro_conn conn;
    quicpro_stream stream[STREAMS];
    size_t streams;
    bool connected, closed;
    uint32_t number;
    quicpro_train way; /* addresses of what the client gets */
} state;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    char path[64];
    (void)argc, (void)argv;
    keylog = memfd_create("keylog", 0);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", keylog);
    const struct duo_option option[] = {
        {true, true, "ciphers", "TLS_AES_128_GCM_SHA256"},
        {false, true, "keylog_file", path},
        {false, true, "initial_max_data_bytes", "200000"},
        {false, true, "max_idle_timeout_ms", "5000"},
        {false, true, "initial_max_streams_bidi", "4"},
        {false, true, "initial_max_streams_uni", "4"},
        {true, true, "datagrams_enable", "true"},
        {true, true, "alpn", "echo"}, /* the last, which HTTP/3 does without */
    };
    const size_t all = sizeof(option) / sizeof(option[0]);
    duo_init(&duo[0], option, all - 1);
    duo_init(&duo[1], option, all);
    return 0;
}

/* The server's secret for 1-RTT packets, out of the client's key log. */
static void read_secret(uint8_t out[SEAL_SECRET])
{
    static char text[8192];
    const char label[] = "SERVER_TRAFFIC_SECRET_0 ";
    ssize_t n = pread(keylog, text, sizeof(text) - 1, 0);
    duo_require(n > 0, "no key log");
    text[n] = '\0';
    const char *line = strstr(text, label);
    duo_require(line != NULL, "no secret in the key log");
    line += sizeof(label) - 1 + 64 + 1; /* behind the client's random */
    for (int i = 0; i < SEAL_SECRET; i++) {
        unsigned byte;
        duo_require(sscanf(line + 2 * i, "%2x", &byte) == 1, "a key log in another form");
        out[i] = (uint8_t)byte;
    }
}

static void command(uint8_t what, uint8_t which);

static void look_at(const quicpro_batch *batch)
{
    for (size_t i = 0; i < batch->event_count; i++) {
        const quicpro_event *e = &batch->events[i];
        duo_require(!state.closed, "an event behind the end");
        duo_require(e->conn == state.conn, "an event of another connection");
        duo_require(e->type >= QUICPRO_EVENT_CONNECTED && e->type <= QUICPRO_EVENT_STREAMS &&
                        e->type != QUICPRO_EVENT_REQUEST && e->type != QUICPRO_EVENT_DRAINED,
                    "an event that a client has not");
        duo_require(e->type != QUICPRO_EVENT_CONNECTED || !state.connected, "connected twice");
        state.connected |= e->type == QUICPRO_EVENT_CONNECTED;
        state.closed |= e->type == QUICPRO_EVENT_CLOSED;
        if (e->type == QUICPRO_EVENT_STREAM && state.streams < STREAMS)
            state.stream[state.streams++] = e->stream;
        if (e->type == QUICPRO_EVENT_RESET || e->type == QUICPRO_EVENT_CLOSED)
            duo_log(NULL, 0, e->data);
    }
}

/* Everything there is to do at this moment; what the client sends goes nowhere. */
static void run(void)
{
    quicpro_loop *loop = state.duo->client_loop;
    for (int turns = 0; turns < TURNS_MAX; turns++) {
        const quicpro_batch *batch;
        quicpro_train train;
        duo_require(quicpro_loop_run(loop, 0, &batch) >= 0, "cannot run");
        look_at(batch);
        duo_require(quicpro_loop_flush(loop) == 0, "cannot flush");
        while (quicpro_loop_send(loop, 1, &train) > 0)
            duo_require(train.len <= DATAGRAM_MAX, "sends a datagram of a silly size");
        if (quicpro_loop_expiry(loop) > state.duo->now)
            return;
    }
    duo_require(false, "turns in circles");
}

static void pass(quicpro_tstamp span)
{
    const quicpro_tstamp end = state.duo->now + span;
    quicpro_tstamp at;
    while ((at = quicpro_loop_expiry(state.duo->client_loop)) <= end) {
        duo_set_now(state.duo, at);
        run();
    }
    duo_set_now(state.duo, end);
    run();
}

/* The server's part of the handshake, without its last words if `confirmed` is not wanted. */
static void connect_duo(bool confirmed)
{
    struct duo *d = state.duo;
    uint8_t secret[SEAL_SECRET];
    duo_require(ftruncate(keylog, 0) == 0, "cannot empty the key log");
    duo_require(quicpro_client_connect(d->client, "192.0.2.1", 443, NULL, &state.conn) == 0,
                "cannot connect");
    for (int turn = 0; !state.connected || (confirmed && turn < 4); turn++) {
        quicpro_loop *const from = turn % 2 == 0 ? d->client_loop : d->server_loop;
        quicpro_loop *const to = turn % 2 == 0 ? d->server_loop : d->client_loop;
        const quicpro_batch *batch;
        quicpro_train train;
        duo_require(turn < 20, "the handshake does not end");
        duo_require(quicpro_loop_flush(from) == 0, "cannot flush");
        while (quicpro_loop_send(from, 64, &train) > 0) {
            const quicpro_address local = train.local;
            train.local = train.peer;
            train.peer = local;
            duo_require(quicpro_loop_recv(to, &train) == 0, "a datagram that does not arrive");
            if (to == d->client_loop)
                state.way = train;
        }
        duo_require(quicpro_loop_run(to, 0, &batch) >= 0, "cannot run");
        if (to == d->client_loop)
            look_at(batch);
    }
    read_secret(secret);
    seal_init(&state.seal, secret);
    state.number = 1000;
    /* The server has done its part. */
    struct qp_link *link;
    uint32_t cursor = 0;
    quicpro_handle handle;
    while ((link = qp_slab_next(&d->server_loop->links, &cursor, &handle)) != NULL)
        qp_link_free(link);
}

static void receive(const uint8_t *data, size_t len, size_t segment, bool elsewhere)
{
    /* A block of exactly its size, so that AddressSanitizer sees a byte too many being read. */
    uint8_t *copy = malloc(len == 0 ? 1 : len);
    duo_require(copy != NULL, "out of memory");
    if (len != 0)
        memcpy(copy, data, len);
    quicpro_train train = state.way;
    train.data = copy;
    train.len = len;
    train.segment = segment;
    if (elsewhere)
        train.peer.in.sin_port ^= 1;
    int r = quicpro_loop_recv(state.duo->client_loop, &train);
    duo_require(r == 0 || elsewhere || state.closed, "a client that hears nothing");
    free(copy);
}

static size_t seal_frames(uint8_t *out, const uint8_t *frames, size_t len, unsigned kind)
{
    enum { HEAD = 1 + QP_CID_LEN + SEAL_PN };
    const struct qp_link *link = qp_link_get(state.duo->client_loop, state.conn);
    const size_t room = DATAGRAM_MAX - HEAD - SEAL_TAG;
    if (link == NULL || link->conn.impl == NULL)
        return 0;
    len = len < room ? len : room;
    memset(out, 0, DATAGRAM_MAX);
    out[0] = (uint8_t)(0x40 | (SEAL_PN - 1) | ((kind & 7) == 2 ? 4 : 0));
    memcpy(out + 1, link->conn.scid, QP_CID_LEN);
    if (len != 0)
        memcpy(out + HEAD, frames, len);
    if (len < SEAL_PN)
        len = SEAL_PN;
    return seal_packet(&state.seal, out, HEAD, (kind & 7) == 3 ? state.number : ++state.number,
                       len);
}

/* A long header with a length and nothing that can be opened. */
static size_t foreign_packet(uint8_t *out)
{
    const struct qp_link *link = qp_link_get(state.duo->client_loop, state.conn);
    if (link == NULL || link->conn.impl == NULL)
        return 0;
    memset(out, 0x55, 100);
    memcpy(out, "\xe0\0\0\0\1", 5);
    out[5] = QP_CID_LEN;
    memcpy(out + 6, link->conn.scid, QP_CID_LEN);
    out[26] = 0;
    out[27] = 0x40;
    out[28] = 71;
    return 100;
}

static void command(uint8_t what, uint8_t which)
{
    quicpro_loop *loop = state.duo->client_loop;
    const quicpro_stream stream = state.streams == 0 ? 0 : state.stream[which % state.streams];
    uint8_t buf[3000] = {0};
    quicpro_conn_info info = {.size = sizeof(info)};
    int fin;
    switch (what & 15) {
    case 0:
    case 1:
        if (state.duo == &duo[1] && state.streams < STREAMS &&
            quicpro_stream_open(loop, state.conn, what & 1, NULL, &state.stream[state.streams]) ==
                0)
            state.streams++;
        break;
    case 2:
        quicpro_stream_write(loop, stream, buf, which * 8, what >> 4 & 1);
        break;
    case 3:
        quicpro_stream_read(loop, stream, buf, 1 + which * 8, &fin, NULL);
        break;
    case 4:
        quicpro_stream_reset(loop, stream, which);
        break;
    case 5:
        quicpro_stream_shutdown(loop, stream, 1 + which % 3, which);
        break;
    case 6:
        quicpro_datagram_send(loop, state.conn, buf, which);
        break;
    case 7:
        if (quicpro_conn_get_info(loop, state.conn, &info) == 0)
            duo_require(info.streams <= 1000000 &&
                            strnlen(info.peer, sizeof(info.peer)) < sizeof(info.peer),
                        "numbers that make no sense");
        break;
    case 8:
        quicpro_stream_pause(loop, stream, which & 1);
        break;
    case 9: {
        const quicpro_nv nv[] = {QUICPRO_NV(":method", "GET"), QUICPRO_NV(":scheme", "https"),
                                 QUICPRO_NV(":authority", "192.0.2.1"), QUICPRO_NV(":path", "/")};
        if (state.streams < STREAMS && quicpro_request(loop, state.conn, nv, 4, NULL, 0, which & 1,
                                                       NULL, &state.stream[state.streams]) == 0)
            state.streams++;
        break;
    }
    case 15:
        quicpro_conn_close(loop, state.conn, which, "enough");
        break;
    default:
        quicpro_stream_set_priority(loop, stream, which % 9, what & 1);
        break;
    }
}

static void record(unsigned kind, const uint8_t *data, size_t len)
{
    uint8_t packet[DATAGRAM_MAX + 100];
    const bool elsewhere = (kind & 16) != 0;
    size_t n;
    switch (kind & 7) {
    case 0:
        receive(data, len, len, elsewhere);
        break;
    case 4:
        if (len >= 3)
            pass((quicpro_tstamp)(data[0] | data[1] << 8) * QUICPRO_MICROSECOND << data[2] % 24);
        return;
    case 5:
        for (size_t i = 0; i + 1 < len && i < 64; i += 2)
            command(data[i], data[i + 1]);
        break;
    case 6:
        if (len >= 2) {
            const size_t segment = 8u * (data[0] + 1u);
            receive(data + 1, len - 1, segment < len - 1 ? segment : len - 1, elsewhere);
        }
        break;
    case 7:
        n = foreign_packet(packet);
        if (n != 0) {
            n += seal_frames(packet + n, data, len, kind);
            receive(packet, n, n, elsewhere);
        }
        break;
    default:
        n = seal_frames(packet, data, len, kind);
        if (n != 0)
            receive(packet, n, n, elsewhere);
        break;
    }
    if ((kind & 8) == 0)
        run();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const unsigned how = size == 0 ? 0 : *data;
    struct duo *d = &duo[how & 1];
    memset(&state, 0, sizeof(state));
    state.duo = d;
    connect_duo((how & 4) == 0);
    if (how & 2) {
        command(how & 1 ? 1 : 9, 0);
        command(2 | 16, 10);
    }
    run();
    data += size != 0;
    size -= size != 0;
    while (size >= 3) {
        const unsigned kind = data[0];
        size_t len = data[1] | (size_t)data[2] << 8;
        data += 3;
        size -= 3;
        len = len < size ? len : size;
        record(kind, data, len);
        data += len;
        size -= len;
    }
    run();
    /* Nobody says anything any more. */
    for (int i = 0; quicpro_loop_expiry(d->client_loop) != QUICPRO_FOREVER; i++) {
        duo_require(i < 1000, "does not come to its end");
        duo_set_now(d, quicpro_loop_expiry(d->client_loop));
        run();
    }
    duo_require(state.closed, "has not told of the end");
    duo_require_nothing_left(d->client_loop);
    seal_done(&state.seal);
    return 0;
}
