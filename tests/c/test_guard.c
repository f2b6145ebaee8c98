/* Strangers at a server's door: by real clients over the loopback, and by datagrams from anywhere
 * that are handed to the port as if they had come. */
#include "exchange.h"

#include <arpa/inet.h>
#include <sys/stat.h>

#include "loop/loop.h"

/* What the server sent to a stranger last. */
static struct {
    uint8_t data[2048];
    size_t len, count;
    struct qp_addr to;
} sent;

static int64_t catch_send(struct qp_udp_poller *poller, struct qp_udp_socket *socket,
                          const struct qp_addr *local, const struct qp_addr *peer,
                          const uint8_t *data, size_t len, size_t segment)
{
    (void)poller, (void)socket, (void)local, (void)segment;
    sent.len = len < sizeof(sent.data) ? len : sizeof(sent.data);
    memcpy(sent.data, data, sent.len);
    sent.to = *peer;
    sent.count++;
    return (int64_t)len;
}

/* A server whose answers are caught, with one option. */
static void start(struct pair *p, const char *key, const char *value)
{
    static struct qp_udp_ops udp;
    pair_init(p, "localhost");
    if (key != NULL)
        CHECK_INT(quicpro_config_set(p->server_config, key, value), ==, 0);
    pair_start(p);
    udp = *p->server_loop->udp;
    udp.send = catch_send;
    p->server_loop->udp = &udp;
    memset(&sent, 0, sizeof(sent));
}

static struct qp_addr address(const char *host, uint16_t port)
{
    struct qp_addr addr = {.in = {.sin_family = AF_INET, .sin_port = htons(port)}};
    if (inet_pton(AF_INET, host, &addr.in.sin_addr) != 1)
        abort();
    return addr;
}

static void arrive(struct pair *p, uint8_t *data, size_t len, struct qp_addr from,
                   quicpro_tstamp now)
{
    const struct qp_udp_train train = {
        .data = data, .len = len, .segment = len, .peer = from, .local = address("127.0.0.1", 443)};
    qp_port_route(p->server_loop->endpoints->ports, &train, now);
}

/* An Initial packet of 1,200 bytes that carries nothing that can be opened. */
static void initial(uint8_t out[1200], const uint8_t *dcid, size_t dcid_len, const uint8_t *token,
                    size_t token_len)
{
    size_t n = 0;
    memset(out, 0x55, 1200);
    memcpy(out, "\xc0\0\0\0\1", 5);
    n = 5;
    out[n++] = (uint8_t)dcid_len;
    memcpy(out + n, dcid, dcid_len);
    n += dcid_len;
    out[n++] = 4;
    memcpy(out + n, "peer", 4);
    n += 4;
    out[n++] = 0x40;
    out[n++] = (uint8_t)token_len;
    if (token_len != 0)
        memcpy(out + n, token, token_len);
    n += token_len;
    out[n] = (uint8_t)(0x40 | (1200 - n - 2) >> 8);
    out[n + 1] = (uint8_t)(1200 - n - 2);
}

/* A whole connection through a Retry; its ID is the Retry's. */
static void test_clients_that_prove_their_address(void)
{
    static const struct {
        const char *key, *value;
        bool retry;
    } row[] = {{"retry", "always", true},
               {"retry_handshakes", "0", true},
               {"retry", "auto", false},
               {"retry", "never", false}};
    for (size_t i = 0; i < COUNTOF(row); i++) {
        struct pair p;
        struct exchanges all = {.expected = 1};
        struct exchange x;
        pair_init(&p, "localhost");
        quicpro_config_set(p.server_config, row[i].key, row[i].value);
        pair_start(&p);
        p.data = &all;
        p.on_server = exchange_serve;
        p.on_client = exchange_client;
        CHECK_INT(pair_connect(&p, "127.0.0.1"), ==, 0);
        CHECK_INT(exchange_get(&p, &x, 50000, 9), ==, 0);
        if (!CHECK(pair_until(&p, &all.finished)))
            printf("#   %s\n", p.closed_text);
        if (!CHECK(exchange_good(&x)))
            printf("#   %s\n", p.closed_text);
        /* A ClientHello with a post-quantum key share takes two datagrams: each gets a Retry. */
        CHECK((pair_metric(p.server_loop, QP_METRIC_RETRIES_SENT) != 0) == row[i].retry);
        CHECK_U64(pair_metric(p.server_loop, QP_METRIC_CONNECTIONS_MADE), ==, 1);
        exchange_close(&p);
    }
}

/* The keys are gone (a restart without a secret): the client hears so and does not wait. */
static void test_a_client_hears_of_a_bad_token(void)
{
    struct pair p;
    pair_init(&p, "localhost");
    quicpro_config_set(p.server_config, "retry", "always");
    pair_start(&p);
    CHECK_INT(pair_connect(&p, "127.0.0.1"), ==, 0);
    while (pair_metric(p.server_loop, QP_METRIC_RETRIES_SENT) == 0)
        pair_step(&p);
    memset(&p.server_loop->endpoints->guard.retry_keys, 0, sizeof(struct qp_retry_keys));
    CHECK(pair_until_closed(&p));
    CHECK_U64(p.closed_code, ==, 0x0b);
    CHECK(strstr(p.closed_text, "closed by the peer with INVALID_TOKEN") != NULL);
    CHECK_U64(pair_metric(p.server_loop, QP_METRIC_CONNECTIONS_MADE), ==, 0);
    pair_done(&p);
}

/* Takes ID and token out of the Retry that was sent. */
static size_t read_retry(uint8_t scid[20], uint8_t *token)
{
    struct qp_packet packet;
    CHECK(qp_packet_parse(&packet, sent.data, sent.len, 20));
    CHECK_INT(packet.type, ==, QP_PACKET_RETRY);
    CHECK(packet.dcid_len == 4 && memcmp(packet.dcid, "peer", 4) == 0);
    if (!CHECK_U64(packet.scid_len, ==, 20) || !CHECK_U64(sent.len, >, 7 + 24 + 16))
        return 0;
    memcpy(scid, packet.scid, 20);
    memcpy(token, sent.data + 7 + 24, sent.len - 7 - 24 - 16);
    return sent.len - 7 - 24 - 16;
}

static void test_tokens_are_for_one_client_and_one_moment(void)
{
    const quicpro_tstamp now = 5 * QP_GUARD_ROTATION + QP_GUARD_ROTATION / 2;
    const struct {
        const char *what, *host;
        uint16_t port;
        quicpro_tstamp at;
        int change; /* bit of the token; -1: none; -2: bit of the DCID */
        enum qp_metric want;
    } row[] = {
        {"as it should be", "198.51.100.7", 5000, now + QUICPRO_SECOND, -1,
         QP_METRIC_CONNECTIONS_MADE},
        {"another port", "198.51.100.7", 5001, now, -1, QP_METRIC_TOKENS_REFUSED},
        {"another address", "198.51.100.8", 5000, now, -1, QP_METRIC_TOKENS_REFUSED},
        {"too late", "198.51.100.7", 5000, now + QP_RETRY_LIFETIME + 1, -1,
         QP_METRIC_TOKENS_REFUSED},
        {"the clock went back", "198.51.100.7", 5000, now - 1, -1, QP_METRIC_TOKENS_REFUSED},
        {"keys rotated twice", "198.51.100.7", 5000, now + 2 * QP_GUARD_ROTATION, -1,
         QP_METRIC_TOKENS_REFUSED},
        {"altered", "198.51.100.7", 5000, now, 200, QP_METRIC_TOKENS_REFUSED},
        {"another key", "198.51.100.7", 5000, now, 8, QP_METRIC_TOKENS_REFUSED},
        {"another format", "198.51.100.7", 5000, now, 0, QP_METRIC_RETRIES_SENT},
        {"another ID", "198.51.100.7", 5000, now, -2, QP_METRIC_TOKENS_REFUSED},
    };
    for (size_t i = 0; i < COUNTOF(row); i++) {
        struct pair p;
        uint8_t data[1200], scid[20], token[QP_RETRY_MAX];
        start(&p, "retry", "always");
        initial(data, (const uint8_t *)"original", 8, NULL, 0);
        arrive(&p, data, sizeof(data), address("198.51.100.7", 5000), now);
        CHECK_U64(pair_metric(p.server_loop, QP_METRIC_CONNECTIONS_MADE), ==, 0);
        CHECK_U64(sent.count, ==, 1);
        CHECK_U64(sent.len, <, 3 * sizeof(data));
        size_t len = read_retry(scid, token);
        if (row[i].change >= 0)
            token[row[i].change / 8] ^= (uint8_t)(1 << row[i].change % 8);
        else if (row[i].change == -2)
            scid[19] ^= 1;
        uint64_t before = pair_metric(p.server_loop, row[i].want);
        initial(data, scid, 20, token, len);
        arrive(&p, data, sizeof(data), address(row[i].host, row[i].port), row[i].at);
        if (!CHECK_U64(pair_metric(p.server_loop, row[i].want), ==, before + 1))
            printf("#   %s\n", row[i].what);
        if (row[i].want == QP_METRIC_TOKENS_REFUSED) {
            struct qp_packet packet;
            CHECK_U64(sent.count, ==, 2);
            CHECK(qp_packet_parse(&packet, sent.data, sent.len, 20) &&
                  packet.type == QP_PACKET_INITIAL);
        }
        /* Again: what was accepted is a connection now, and no second one comes of it. */
        if (row[i].want == QP_METRIC_CONNECTIONS_MADE) {
            CHECK(qp_cid_map_get(&p.server_loop->cids, scid, 20) >= 0);
            CHECK(qp_cid_map_get(&p.server_loop->cids, (const uint8_t *)"original", 8) < 0);
            arrive(&p, data, sizeof(data), address(row[i].host, row[i].port), row[i].at);
            CHECK_U64(pair_metric(p.server_loop, QP_METRIC_CONNECTIONS_MADE), ==, 1);
        }
        pair_done(&p);
    }
}

/* The hour changes between Retry and answer. */
static void test_keys_rotate_under_a_token(void)
{
    struct pair p;
    uint8_t data[1200], scid[20], token[QP_RETRY_MAX];
    const quicpro_tstamp now = 7 * QP_GUARD_ROTATION - QUICPRO_SECOND;
    start(&p, "retry", "always");
    initial(data, (const uint8_t *)"original", 8, NULL, 0);
    arrive(&p, data, sizeof(data), address("198.51.100.7", 5000), now);
    size_t len = read_retry(scid, token);
    uint8_t number = p.server_loop->endpoints->guard.retry_keys.current.number;
    initial(data, scid, 20, token, len);
    arrive(&p, data, sizeof(data), address("198.51.100.7", 5000), now + 2 * QUICPRO_SECOND);
    CHECK_U64(p.server_loop->endpoints->guard.retry_keys.current.number, ==, number + 1);
    CHECK_U64(pair_metric(p.server_loop, QP_METRIC_CONNECTIONS_MADE), ==, 1);
    pair_done(&p);
}

static void knock(struct pair *p, const char *host, uint16_t port)
{
    uint8_t data[1200], dcid[8];
    static uint64_t seed = 11;
    const uint64_t id = check_random(&seed);
    memcpy(dcid, &id, 8);
    initial(data, dcid, 8, NULL, 0);
    arrive(p, data, sizeof(data), address(host, port), QUICPRO_SECOND);
}

static void test_one_network_cannot_take_all(void)
{
    struct pair p;
    uint32_t cursor = 0;
    quicpro_handle handle;
    struct qp_link *link;
    start(&p, "max_handshakes_per_prefix", "3");
    for (unsigned i = 0; i < 5; i++) {
        char host[32];
        snprintf(host, sizeof(host), "198.51.100.%u", i + 1);
        knock(&p, host, 5000);
    }
    CHECK_U64(pair_metric(p.server_loop, QP_METRIC_CONNECTIONS_MADE), ==, 3);
    CHECK_U64(pair_metric(p.server_loop, QP_METRIC_REFUSED_PREFIX), ==, 2);
    knock(&p, "198.51.101.1", 5000);
    CHECK_U64(pair_metric(p.server_loop, QP_METRIC_CONNECTIONS_MADE), ==, 4);
    for (int i = 0; i < 5; i++)
        knock(&p, "127.0.0.1", (uint16_t)(6000 + i));
    CHECK_U64(pair_metric(p.server_loop, QP_METRIC_CONNECTIONS_MADE), ==,
              9); /* the loopback is this machine */
    while ((link = qp_slab_next(&p.server_loop->links, &cursor, &handle)) != NULL)
        qp_link_free(link);
    CHECK_U64(p.server_loop->endpoints->guard.neighbours.used, ==, 0);
    knock(&p, "198.51.100.9", 5000);
    CHECK_U64(pair_metric(p.server_loop, QP_METRIC_CONNECTIONS_MADE), ==, 10);
    pair_done(&p);
}

static void test_limits_of_all(void)
{
    struct pair p;
    start(&p, "max_handshakes", "2");
    for (uint16_t i = 0; i < 4; i++)
        knock(&p, "127.0.0.1", (uint16_t)(6000 + i));
    CHECK_U64(pair_metric(p.server_loop, QP_METRIC_CONNECTIONS_MADE), ==, 2);
    CHECK_U64(pair_metric(p.server_loop, QP_METRIC_REFUSED_HANDSHAKES), ==, 2);
    pair_done(&p);
    start(&p, "max_connections", "2");
    for (uint16_t i = 0; i < 4; i++)
        knock(&p, "127.0.0.1", (uint16_t)(6000 + i));
    CHECK_U64(pair_metric(p.server_loop, QP_METRIC_CONNECTIONS_MADE), ==, 2);
    CHECK_U64(pair_metric(p.server_loop, QP_METRIC_REFUSED_FULL), ==, 2);
    pair_done(&p);
}

/* A half-open connection goes when its time is over, whatever the peer does not say: in virtual
 * time, up to the nanosecond. */
static void test_those_who_only_knock_are_forgotten(void)
{
    struct pair p;
    uint32_t cursor = 0;
    quicpro_handle handle;
    start(&p, "handshake_timeout_ms", "3000");
    knock(&p, "198.51.100.1", 5000); /* at the second 1 */
    struct qp_link *link = qp_slab_next(&p.server_loop->links, &cursor, &handle);
    const quicpro_tstamp end = 4 * QUICPRO_SECOND;
    if (!CHECK(link != NULL) || !CHECK_U64(link->handshake_until, ==, end))
        return;
    qp_engine_quiche.set_now(QUICPRO_SECOND);
    qp_link_flush(link, QUICPRO_SECOND);
    const struct qp_timer *first = qp_heap_first(&p.server_loop->timers);
    CHECK(first == &link->timer && first->at <= end);
    qp_engine_quiche.set_now(end - 1);
    qp_link_on_timer(link, end - 1);
    CHECK(!link->handshake_expired);
    qp_engine_quiche.set_now(end);
    qp_link_on_timer(link, end);
    CHECK(link->handshake_expired);
    qp_link_flush(link, end);
    qp_link_process(link, end);
    CHECK_INT(link->state, ==, QP_LINK_ENDED);
    CHECK_U64(p.server_loop->endpoints->handshakes, ==, 0);
    CHECK_U64(p.server_loop->endpoints->guard.neighbours.used, ==, 0);
    pair_done(&p);
}

/* Nothing goes to where nobody can have asked from, whatever the packet. */
static void test_forged_sources_get_nothing(void)
{
    struct pair p;
    uint8_t version[1200] = {0xc0, 0x1a, 0x2a, 0x3a, 0x4a, 8, 1, 2}, data[64] = {0x40, 1, 2, 3};
    start(&p, "retry", "always");
    knock(&p, "198.51.100.7", 53);
    knock(&p, "198.51.100.7", 0);
    knock(&p, "255.255.255.255", 5000);
    knock(&p, "224.0.0.251", 5000);
    arrive(&p, version, sizeof(version), address("198.51.100.7", 123), 1);
    arrive(&p, data, sizeof(data), address("198.51.100.7", 11211), 1);
    CHECK_U64(pair_metric(p.server_loop, QP_METRIC_REFUSED_SOURCE), ==, 6);
    CHECK_U64(sent.count, ==, 0);
    arrive(&p, version, sizeof(version), address("198.51.100.7", 1234), 1);
    arrive(&p, data, sizeof(data), address("198.51.100.7", 1234), 1);
    CHECK_U64(sent.count, ==, 2);
    pair_done(&p);
}

/* As many a second as the option says, smaller than what came, with the token of the ID. */
static void test_resets_are_few_and_small(void)
{
    struct pair p;
    uint8_t data[1200] = {0x40, 7, 7, 7}, token[QP_RESET_TOKEN_LEN], other[QP_CID_LEN];
    const uint8_t random[15] = {1};
    const struct qp_addr from = address("198.51.100.7", 5000);
    start(&p, "stateless_resets_per_second", "2");
    arrive(&p, data, QP_RESET_MIN, from, 1);
    CHECK_U64(sent.count, ==, 0); /* too small to be answered by something smaller */
    for (int i = 0; i < 5; i++)
        arrive(&p, data, 30, from, QUICPRO_SECOND);
    CHECK_U64(sent.count, ==, 2);
    CHECK_U64(pair_metric(p.server_loop, QP_METRIC_RESETS_SENT), ==, 2);
    CHECK_U64(sent.len, ==, 29);
    qp_reset_token(token, p.server_loop->endpoints->guard.reset_key, data + 1);
    CHECK_MEM(sent.data + sent.len - QP_RESET_TOKEN_LEN, token, QP_RESET_TOKEN_LEN);
    arrive(&p, data, 1200, from, 3 * QUICPRO_SECOND);
    CHECK_U64(sent.count, ==, 3);
    CHECK_U64(sent.len, ==, QP_RESET_MAX);
    /* An ID of a sibling: its connection lives in another process. */
    struct qp_cid_layout sibling = p.server_loop->cid_layout;
    sibling.slot++;
    qp_cid_make(other, &sibling, random);
    memcpy(data + 1, other, sizeof(other));
    arrive(&p, data, 1200, from, 4 * QUICPRO_SECOND);
    CHECK_U64(sent.count, ==, 3);
    pair_done(&p);
    start(&p, "stateless_resets_per_second", "0");
    arrive(&p, data, 1200, from, 4 * QUICPRO_SECOND);
    CHECK_U64(sent.count, ==, 0);
    pair_done(&p);
}

static void write_secret(const struct pair *p, char path[128])
{
    snprintf(path, 128, "%s/secret", p->dir);
    pair_write(path, "thirty-two bytes that nobody else knows");
    CHECK_INT(chmod(path, 0600), ==, 0);
}

/* The server dies and comes back: with the same secret its clients learn at once, with another they
 * would have to wait for their idle timeout. */
static void test_a_restart_is_heard_of(void)
{
    struct pair p;
    char secret[128];
    quicpro_stream stream;
    pair_init(&p, "localhost");
    write_secret(&p, secret);
    quicpro_config_set(p.server_config, "secret_file", secret);
    pair_start(&p);
    CHECK_INT(pair_connect(&p, "127.0.0.1"), ==, 0);
    CHECK(pair_until(&p, &p.connected));
    while (p.server_loop->endpoints->handshakes != 0)
        pair_step(&p);
    /* As a crash is: without a word. */
    uint32_t cursor = 0;
    quicpro_handle handle;
    struct qp_link *link;
    while ((link = qp_slab_next(&p.server_loop->links, &cursor, &handle)) != NULL)
        qp_link_free(link);
    quicpro_server_free(p.server);
    quicpro_loop_free(p.server_loop);
    if (quicpro_loop_new(&p.server_loop, p.server_config) < 0 ||
        quicpro_server_new(&p.server, p.server_loop, p.server_config) < 0)
        abort();
    CHECK_INT(quicpro_server_listen(p.server, "127.0.0.1", p.port), ==, p.port);
    CHECK_INT(pair_request(&p, "GET", "/", NULL, 0, 1, NULL, &stream), ==, 0);
    CHECK(pair_until_closed(&p));
    CHECK_INT(p.closed_error, ==, QUICPRO_ECLOSED);
    CHECK(strstr(p.closed_text, "stateless reset") != NULL);
    CHECK_U64(pair_metric(p.server_loop, QP_METRIC_RESETS_SENT), >=, 1);
    CHECK_INT(p.resets, ==, 1);
    unlink(secret);
    pair_done(&p);
}

static void test_a_secret_file_that_cannot_be_used(void)
{
    struct pair p;
    char secret[128];
    pair_init(&p, "localhost");
    write_secret(&p, secret);
    const struct {
        const char *path, *says;
        mode_t mode;
    } row[] = {{"/nonexistent/secret", "/nonexistent/secret", 0600},
               {"/tmp", "no plain file", 0600},
               {secret, "chmod 600", 0644}};
    CHECK_INT(quicpro_loop_new(&p.server_loop, NULL), ==, 0);
    for (size_t i = 0; i < COUNTOF(row); i++) {
        CHECK_INT(chmod(secret, row[i].mode), ==, 0);
        quicpro_config_set(p.server_config, "secret_file", row[i].path);
        CHECK_INT(quicpro_server_new(&p.server, p.server_loop, p.server_config), ==,
                  QUICPRO_EVALUE);
        if (!CHECK(strstr(quicpro_loop_error(p.server_loop), row[i].says) != NULL))
            printf("#   said: %s\n", quicpro_loop_error(p.server_loop));
    }
    unlink(secret);
    pair_done(&p);
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_clients_that_prove_their_address),
        TEST(test_a_client_hears_of_a_bad_token),
        TEST(test_tokens_are_for_one_client_and_one_moment),
        TEST(test_keys_rotate_under_a_token),
        TEST(test_one_network_cannot_take_all),
        TEST(test_limits_of_all),
        TEST(test_those_who_only_knock_are_forgotten),
        TEST(test_forged_sources_get_nothing),
        TEST(test_resets_are_few_and_small),
        TEST(test_a_restart_is_heard_of),
        TEST(test_a_secret_file_that_cannot_be_used),
    };
    return RUN(tests);
}
