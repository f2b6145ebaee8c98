/* What a stranger may say before his keys are known: frames and ClientHellos, sealed into Initial
 * packets for an idle server, so that they get behind the seal, where no mutation of a sealed
 * packet ever gets; mixed with datagrams and trains as they are.
 *
 * Oracle: whatever strangers send, the server neither crashes nor leaks, sends at most three times
 * the bytes it got (RFC 9000 section 8), has no more connections than its limit, takes nobody for
 * connected, and logs nothing but printable characters.
 *
 * An input is a row of records: one byte of kind, two of length (little-endian), the bytes.
 *   kind & 3  0: a datagram as it is
 *             1: frames, which are sealed into an Initial packet and padded to a whole datagram
 *             2: the same without padding
 *             3: a train of datagrams in one message, the first byte times 8 the size of each
 *   kind & 4  the server flushes, and the batch changes hands, before the next record
 *   kind & 24 which of four connection IDs a sealed packet is for
 * The seeds hold the ClientHello of aioquic 1.7.
 */
#include <netinet/in.h>
#include <quicpro.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "loop/loop.h"
#include "quic/packet.h"
#include "seal.h"

enum { CIDS = 4, CID_BYTES = 8, DATAGRAM_MAX = 1500, HANDSHAKES = 3 };

/* Keys of the client's Initial packets for one connection ID (RFC 9001 section 5.2). */
struct keys {
    uint8_t dcid[CID_BYTES];
    struct seal seal;
};

static struct keys keys[CIDS];
static quicpro_config *config;

/* The wire: one socket, one message that waits, and what went through. */
static struct {
    struct qp_udp_socket *socket;
    uint8_t *data;
    size_t len, segment;
    uint64_t bytes_in, bytes_out;
} wire;

static void require(bool ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "oracle: %s\n", what);
        abort();
    }
}

static struct qp_udp_socket *wire_next_ready(struct qp_udp_poller *poller, bool *ret_readable,
                                             bool *ret_writable)
{
    (void)poller;
    *ret_readable = true;
    *ret_writable = false;
    return wire.data == NULL ? NULL : wire.socket;
}

static int wire_open(struct qp_udp_poller *poller, struct qp_udp_socket *socket,
                     const struct qp_addr *local, const struct qp_addr *peer)
{
    (void)poller, (void)peer;
    socket->fd = 0;
    socket->local = *local;
    socket->local.in.sin_port = htons(4433);
    wire.socket = socket;
    return 0;
}

static void wire_close(struct qp_udp_poller *poller, struct qp_udp_socket *socket)
{
    (void)poller, (void)socket;
    wire.socket = NULL;
}

static int wire_receive(struct qp_udp_poller *poller, struct qp_udp_socket *socket,
                        struct qp_udp_train *train, size_t max)
{
    static uint8_t *last; /* the poller's until the next receive */
    (void)poller, (void)max;
    free(last);
    last = wire.data;
    if (wire.data == NULL)
        return 0;
    *train = (struct qp_udp_train){wire.data, wire.len, wire.segment, .local = socket->local};
    train->peer.in = (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(50000), .sin_addr.s_addr = htonl(0x7f000001)};
    wire.bytes_in += wire.len;
    wire.data = NULL;
    return 1;
}

static int64_t wire_send(struct qp_udp_poller *poller, struct qp_udp_socket *socket,
                         const struct qp_addr *local, const struct qp_addr *peer,
                         const uint8_t *data, size_t len, size_t segment)
{
    (void)poller, (void)socket, (void)local, (void)data;
    require(ntohs(peer->in.sin_port) == 50000, "sends to a stranger");
    require(segment != 0 && segment <= DATAGRAM_MAX, "sends a datagram of a silly size");
    wire.bytes_out += len;
    /* "an endpoint MUST limit the amount of data it sends to the unvalidated address to three times
     * the amount of data received from that address" */
    require(wire.bytes_out <= 3 * wire.bytes_in, "amplifies");
    return (int64_t)len;
}

static void wire_arm(struct qp_udp_poller *poller, quicpro_tstamp at)
{
    (void)poller, (void)at;
}

static void on_log(void *user, int level, const char *line)
{
    (void)user, (void)level;
    for (; *line != '\0'; line++)
        require(*line >= 0x20 && *line < 0x7f, "logs what is not printable");
}

static void make_keys(struct keys *k, uint8_t number)
{
    static const uint8_t salt[20] = {0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17,
                                     0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a};
    uint8_t initial[SEAL_SECRET], client[SEAL_SECRET];
    size_t len;
    memset(k->dcid, 0xc0 | number, CID_BYTES);
    HKDF_extract(initial, &len, EVP_sha256(), k->dcid, CID_BYTES, salt, sizeof(salt));
    seal_expand(client, sizeof(client), initial, "client in");
    seal_init(&k->seal, client);
}

/* A client's Initial packet around frames (RFC 9001 section 5); its length. */
static size_t seal(uint8_t *out, struct keys *k, uint32_t number, const uint8_t *frames, size_t len,
                   bool pad)
{
    enum { LENGTH_AT = 6 + CID_BYTES + 1 + 1, HEAD = LENGTH_AT + 2 + SEAL_PN };
    const size_t room = DATAGRAM_MAX - HEAD - SEAL_TAG;
    len = len < room ? len : room;
    memset(out, 0, DATAGRAM_MAX); /* zeros are PADDING frames */
    memcpy(out + HEAD, frames, len);
    if (pad && len < QP_MIN_INITIAL - HEAD - SEAL_TAG)
        len = QP_MIN_INITIAL - HEAD - SEAL_TAG;
    if (len < SEAL_PN)
        len = SEAL_PN; /* what header protection samples */
    out[0] = 0xc0 | (SEAL_PN - 1);
    out[4] = 1;
    out[5] = CID_BYTES;
    memcpy(out + 6, k->dcid, CID_BYTES); /* no source ID, no token: two zeros */
    out[LENGTH_AT] = (uint8_t)(0x40 | (SEAL_PN + len + SEAL_TAG) >> 8);
    out[LENGTH_AT + 1] = (uint8_t)(SEAL_PN + len + SEAL_TAG);
    return seal_packet(&k->seal, out, HEAD, number, len);
}

/* A file without a name in any folder; its path works as long as this process lives. */
static void set_file(const char *key, const char *text)
{
    char path[64];
    int fd = memfd_create(key, 0);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    require(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) &&
                quicpro_config_set(config, key, path) == 0,
            "no file in memory");
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static const char *const names[] = {"localhost"};
    quicpro_devcert cert;
    char limit[8];
    (void)argc, (void)argv;
    require(quicpro_config_new(&config) == 0 && quicpro_devcert_make(&cert, names, 1, 30) == 0,
            "no certificate");
    set_file("cert_file", cert.cert_pem);
    set_file("key_file", cert.key_pem);
    quicpro_devcert_done(&cert);
    snprintf(limit, sizeof(limit), "%d", HANDSHAKES);
    require(quicpro_config_set(config, "max_handshakes", limit) == 0, "no such option");
    for (uint8_t i = 0; i < CIDS; i++)
        make_keys(&keys[i], i);
    return 0;
}

static void run(quicpro_loop *loop, bool flush)
{
    const quicpro_batch *batch;
    require(quicpro_loop_run(loop, 0, &batch) >= 0, "cannot run");
    for (size_t i = 0; i < batch->event_count; i++)
        require(batch->events[i].type == QUICPRO_EVENT_CLOSED, "takes a stranger for connected");
    if (flush)
        require(quicpro_loop_flush(loop) == 0, "cannot flush");
}

static void send_record(quicpro_loop *loop, unsigned kind, uint32_t number, const uint8_t *data,
                        size_t len)
{
    uint8_t sealed[DATAGRAM_MAX];
    size_t segment = len;
    if ((kind & 3) == 3) {
        if (len < 2)
            return;
        segment = 8u * (data[0] + 1u);
        data++;
        len--;
        if (segment > len)
            segment = len;
    } else if ((kind & 3) != 0) {
        segment = len = seal(sealed, &keys[kind >> 3 & 3], number, data, len, (kind & 3) == 1);
        data = sealed;
    }
    /* A block of exactly its size, so that AddressSanitizer sees a byte too many being read. */
    wire.data = malloc(len == 0 ? 1 : len);
    require(wire.data != NULL, "out of memory");
    if (len != 0)
        memcpy(wire.data, data, len);
    wire.len = len;
    wire.segment = segment;
    run(loop, (kind & 4) != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct qp_udp_ops ops;
    quicpro_loop *loop;
    quicpro_server *server;
    require(quicpro_loop_new(&loop, config) == 0, "no loop");
    quicpro_loop_set_log(loop, on_log, NULL, QUICPRO_LOG_DEBUG);
    const struct qp_udp_ops *real = loop->udp;
    ops = *real;
    ops.next_ready = wire_next_ready;
    ops.open = wire_open;
    ops.close = wire_close;
    ops.receive = wire_receive;
    ops.send = wire_send;
    ops.arm = wire_arm;
    loop->udp = &ops;
    wire.bytes_in = wire.bytes_out = 0;
    require(quicpro_server_new(&server, loop, config) == 0 &&
                quicpro_server_listen(server, "127.0.0.1", 4433) == 4433,
            "no server");
    for (uint32_t number = 0; size >= 3; number++) {
        unsigned kind = data[0];
        size_t len = data[1] | (size_t)data[2] << 8;
        data += 3;
        size -= 3;
        len = len < size ? len : size;
        send_record(loop, kind, number, data, len);
        data += len;
        size -= len;
        require(quicpro_server_connections(server) <= HANDSHAKES, "has too many connections");
    }
    run(loop, true);
    quicpro_server_free(server);
    (void)wire_receive(NULL, NULL, NULL, 0); /* frees the last message */
    loop->udp = real;
    quicpro_loop_free(loop);
    return 0;
}
