/* The server's pre-filter and its tokens: datagrams from anywhere, at any time, with tokens that
 * the server gave out, whole, altered, late, or from elsewhere.
 *
 * Oracle: a connection whose address counts as proven was sent a Retry at that address, for that
 * connection ID, at most QP_RETRY_LIFETIME ago, and its first ID is known again; nothing is sent to
 * ports and addresses of no client; no answer to a stranger is larger than what it answers; the
 * limits hold; nothing leaks.
 *
 * An input is one byte of options (retry mode, limits), then records: kind, source, time, and for
 * some a length and bytes. kind & 7   0: bytes as they are; 1: an Initial with a fresh ID; 2: an
 * Initial with the token and the ID of an earlier Retry; 3: the same, with one bit of it flipped;
 * 4: the same token with another ID; 5: a short header with an ID of the input's; 6: bytes padded
 * to 1,200; 7: half of the connections go source     high nibble: the address, low nibble: the port
 *   time       goes on by its cube in ms, so that a few of them reach the next rotation */
#include <arpa/inet.h>
#include <quicpro.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "flight.h"

enum { TOKENS = 8, DATAGRAM = 1200, INPUT_MAX = 8192 };

static struct {
    quicpro_loop *loop;
    quicpro_server *server;
    struct qp_port *port;
} state;

/* Retries that were sent. */
static struct given {
    uint8_t scid[QP_CID_LEN], odcid[QP_CID_LEN], token[QP_RETRY_TOKEN_MAX];
    size_t odcid_len, token_len;
    struct qp_addr to;
    quicpro_tstamp at;
} given[TOKENS];
static size_t given_count;

/* The datagram that is being judged, and whether it was answered. */
static struct {
    const uint8_t *dcid;
    size_t dcid_len, len, answers;
    struct qp_addr from;
    quicpro_tstamp now;
} asked;

static void require(bool ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "oracle: %s\n", what);
        abort();
    }
}

static void note_retry(const struct qp_packet *packet, const uint8_t *data, size_t len)
{
    struct given *g = &given[given_count++ % TOKENS];
    size_t head = 7u + packet->dcid_len + packet->scid_len;
    require(packet->scid_len == QP_CID_LEN && len > head + 16, "a Retry is short");
    require(len - head - 16 <= sizeof(g->token), "a token is too long");
    memcpy(g->scid, packet->scid, QP_CID_LEN);
    memcpy(g->odcid, asked.dcid, asked.dcid_len);
    g->odcid_len = asked.dcid_len;
    g->token_len = len - head - 16;
    memcpy(g->token, data + head, g->token_len);
    g->to = asked.from;
    g->at = asked.now;
}

static int64_t catch_send(struct qp_udp_poller *poller, struct qp_udp_socket *socket,
                          const struct qp_addr *local, const struct qp_addr *peer,
                          const uint8_t *data, size_t len, size_t segment)
{
    struct qp_packet packet;
    (void)poller, (void)socket, (void)local, (void)segment;
    if (asked.len == 0)
        return (int64_t)len; /* a connection's own */
    require(qp_addr_equal(peer, &asked.from), "answers somebody else");
    require(ntohs(peer->in.sin_port) != 53 && peer->in.sin_addr.s_addr != htonl(0xe0000001),
            "answers nobody's address");
    require(++asked.answers == 1, "answers twice");
    require(len < asked.len, "the answer is larger than the question");
    if (qp_packet_parse(&packet, data, len, QP_CID_LEN) && packet.type == QP_PACKET_RETRY)
        note_retry(&packet, data, len);
    return (int64_t)len;
}

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    require(f != NULL && fputs(text, f) >= 0 && fclose(f) == 0, "cannot write a file");
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static struct qp_udp_ops udp;
    char dir[] = "/tmp/quicpro-fuzz-XXXXXX", cert[64], key[64];
    const char *name = "localhost";
    quicpro_devcert made;
    quicpro_config *config;
    (void)argc, (void)argv;
    require(mkdtemp(dir) != NULL && quicpro_devcert_make(&made, &name, 1, 30) == 0, "no devcert");
    snprintf(cert, sizeof(cert), "%s/cert.pem", dir);
    snprintf(key, sizeof(key), "%s/key.pem", dir);
    write_file(cert, made.cert_pem);
    write_file(key, made.key_pem);
    quicpro_devcert_done(&made);
    require(quicpro_config_new(&config) == 0, "no configuration");
    quicpro_config_set(config, "cert_file", cert);
    quicpro_config_set(config, "key_file", key);
    quicpro_config_set(config, "stateless_resets_per_second", "5");
    state.loop = flight_loop();
    udp = *state.loop->udp;
    udp.send = catch_send;
    state.loop->udp = &udp;
    require(quicpro_server_new(&state.server, state.loop, config) == 0, "no server");
    quicpro_config_free(config);
    unlink(cert);
    unlink(key);
    rmdir(dir);
    state.port = qp_port_new(state.loop->endpoints);
    require(state.port != NULL, "no port");
    return 0;
}

static struct qp_addr source(uint8_t byte)
{
    static const uint32_t host[4] = {0xc6336407, 0xc6336408, 0xc6336507, 0xe0000001};
    struct qp_addr addr = flight_address(byte & 8 ? 53 : (uint16_t)(5000 + (byte & 7)));
    addr.in.sin_addr.s_addr = htonl(host[byte >> 4 & 3]);
    return addr;
}

static size_t initial(uint8_t *out, const uint8_t *dcid, size_t dcid_len, const uint8_t *token,
                      size_t token_len)
{
    size_t n = 5;
    memset(out, 0x55, DATAGRAM);
    memcpy(out, "\xc0\0\0\0\1", 5);
    out[n++] = (uint8_t)dcid_len;
    memcpy(out + n, dcid, dcid_len);
    n += dcid_len;
    out[n++] = 0;
    out[n++] = 0x40;
    out[n++] = (uint8_t)token_len;
    if (token_len != 0)
        memcpy(out + n, token, token_len);
    n += token_len;
    out[n] = (uint8_t)(0x40 | (DATAGRAM - n - 2) >> 8);
    out[n + 1] = (uint8_t)(DATAGRAM - n - 2);
    return DATAGRAM;
}

static bool was_given(quicpro_tstamp now)
{
    for (size_t i = 0; i < TOKENS && i < given_count; i++)
        if (asked.dcid_len == QP_CID_LEN && memcmp(given[i].scid, asked.dcid, QP_CID_LEN) == 0 &&
            qp_addr_equal(&given[i].to, &asked.from) && now - given[i].at <= QP_RETRY_LIFETIME)
            return true;
    return false;
}

static void drop_connections(bool all)
{
    uint32_t cursor = 0;
    quicpro_handle handle;
    struct qp_link *link;
    for (unsigned i = 0; (link = qp_slab_next(&state.loop->links, &cursor, &handle)) != NULL; i++)
        if (all || i % 2 == 0)
            qp_link_free(link);
}

/* At its exact size, so that a sanitizer sees what is read behind it. */
static void arrive(const uint8_t *data, size_t len, uint8_t from, quicpro_tstamp now)
{
    const struct qp_endpoint *e = state.loop->endpoints;
    uint8_t *copy = malloc(len + (len == 0));
    struct qp_packet packet;
    require(copy != NULL, "out of memory");
    memcpy(copy, data, len);
    memset(&asked, 0, sizeof(asked));
    asked.from = source(from);
    asked.now = now;
    asked.len = len;
    if (qp_packet_parse(&packet, data, len, QP_CID_LEN)) {
        asked.dcid = packet.dcid;
        asked.dcid_len = packet.dcid_len;
    }
    const struct qp_udp_train train = {
        .data = copy, .len = len, .segment = len, .peer = asked.from, .local = flight_address(443)};
    const uint64_t made = qp_metrics_get(state.loop->metrics, QP_METRIC_CONNECTIONS_MADE);
    if (len != 0)
        qp_port_route(state.port, &train, now);
    if (qp_metrics_get(state.loop->metrics, QP_METRIC_CONNECTIONS_MADE) != made) {
        require(asked.answers == 0, "both accepted and answered");
        require(asked.len >= DATAGRAM && asked.dcid_len >= 8, "accepts what begins nothing");
        int64_t index = qp_cid_map_get(&state.loop->cids, asked.dcid, asked.dcid_len);
        require(index >= 0, "the connection is not known by its ID");
        const struct qp_link *link = qp_slab_at(&state.loop->links, (uint32_t)index);
        if (link->odcid_len == 0)
            require(was_given(now), "takes an address for proven that is not");
        else
            require(e->options.retry != QP_RETRY_ALWAYS, "lets somebody in without a proof");
    }
    asked.len = 0;
    require(e->handshakes <= e->options.max_handshakes, "too many handshakes");
    require(e->guard.neighbours.used <= e->handshakes, "more prefixes than handshakes");
    free(copy);
}

/* One record; its length, 0: no more. */
static size_t record(const uint8_t *data, size_t size, quicpro_tstamp *now)
{
    uint8_t datagram[DATAGRAM] = {0}, id[QP_CID_LEN] = {0}, changed[QP_RETRY_TOKEN_MAX];
    if (size < 4)
        return 0;
    const unsigned kind = data[0] & 7;
    *now += (quicpro_tstamp)data[2] * data[2] * data[2] * QUICPRO_MILLISECOND;
    size_t len = data[3] < size - 4 ? data[3] : size - 4;
    const struct given *g = given_count == 0 ? NULL : &given[data[0] >> 3 & (TOKENS - 1)];
    memcpy(id, data + 4, len < sizeof(id) ? len : sizeof(id));
    if (kind == 0) {
        arrive(data + 4, len, data[1], *now);
    } else if (kind == 1) {
        initial(datagram, id, 8 + (data[0] >> 3) % 13, NULL, 0);
        arrive(datagram, sizeof(datagram), data[1], *now);
    } else if (kind <= 4 && g != NULL && g->token_len != 0) {
        memcpy(changed, g->token, g->token_len);
        if (kind == 3 && len >= 2)
            changed[data[4] % g->token_len] ^= (uint8_t)(1 << data[5] % 8);
        initial(datagram, kind == 4 ? id : g->scid, QP_CID_LEN, changed, g->token_len);
        arrive(datagram, sizeof(datagram), data[1], *now);
    } else if (kind == 5) {
        datagram[0] = 0x40;
        memcpy(datagram + 1, id, sizeof(id));
        arrive(datagram, 21 + len, data[1], *now);
    } else if (kind == 6) {
        memcpy(datagram, data + 4, len);
        arrive(datagram, sizeof(datagram), data[1], *now);
    } else if (kind == 7) {
        drop_connections(false);
    }
    return 4 + len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct qp_endpoint *e = state.loop->endpoints;
    quicpro_tstamp now = 100 * QP_GUARD_ROTATION;
    if (size < 1 || size > INPUT_MAX)
        return 0;
    e->options.retry = data[0] % 3;
    e->options.retry_handshakes = data[0] >> 2 & 7;
    e->options.max_handshakes = 4 + (data[0] >> 5);
    e->options.max_handshakes_per_prefix = 3;
    e->guard.retry_keys = (struct qp_retry_keys){.current.set = false};
    e->guard.rotate_at = 0;
    e->guard.resets.full_at = 0;
    given_count = 0;
    memset(given, 0, sizeof(given));
    size_t n = 1, used;
    while ((used = record(data + n, size - n, &now)) != 0)
        n += used;
    drop_connections(true);
    require(e->open == 0 && e->handshakes == 0, "connections are miscounted");
    require(e->guard.neighbours.used == 0, "a prefix is left");
    require(state.loop->links.used == 0 && state.loop->cids.count == 0, "something is left");
    return 0;
}
