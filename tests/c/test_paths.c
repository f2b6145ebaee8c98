#include "exchange.h"
#include "netns.h"

#include <quicpro/conn.h>

#include "loop/loop.h"

enum { SPARE = 3 }; /* connection IDs that the limits of both sides allow besides the one in use */

static struct qp_link *only_link(quicpro_loop *loop)
{
    uint32_t cursor = 0;
    quicpro_handle handle;
    return qp_slab_next(&loop->links, &cursor, &handle);
}

static void test_peers_are_supplied_with_ids(void)
{
    struct pair p;
    struct exchanges all;
    exchange_open(&p, &all, 1);
    exchange_once(&p, &all, 1000);
    quicpro_loop *loop[] = {p.server_loop, p.client_loop};
    for (size_t i = 0; i < COUNTOF(loop); i++) {
        const struct qp_link *link = only_link(loop[i]);
        const struct qp_engine_ops *engine = link->conn.engine;
        CHECK_U64(link->cid_count, ==, SPARE);
        CHECK_U64(engine->scids_left(link->conn.impl), ==, 0);
        CHECK_U64(engine->dcids_left(link->conn.impl), ==, SPARE);
        /* All lead here, and belong to the socket by their layout. */
        CHECK_U64(loop[i]->cids.count, ==, 1 + SPARE);
        for (size_t n = 0; n < link->cid_count; n++) {
            uint8_t slot;
            CHECK_INT(qp_cid_map_get(&loop[i]->cids, link->cids[n], QP_CID_LEN), ==,
                      (uint32_t)link->handle);
            CHECK(qp_cid_slot(link->cids[n], QP_CID_LEN, loop[i]->cid_layout.k, &slot) &&
                  slot == loop[i]->cid_layout.slot);
        }
    }
    exchange_close(&p);
}

static void test_ids_go_with_their_connection(void)
{
    struct pair p;
    struct exchanges all;
    exchange_open(&p, &all, 1);
    exchange_once(&p, &all, 1000);
    CHECK_INT(quicpro_conn_close(p.client_loop, p.conn, 0x100, NULL), ==, 0);
    CHECK(pair_until_closed(&p));
    quicpro_tstamp end = quicpro_now() + PAIR_DEADLINE_S * QUICPRO_SECOND;
    while (p.server_loop->cids.count + p.client_loop->cids.count != 0 && quicpro_now() < end)
        pair_step(&p);
    CHECK_U64(p.server_loop->cids.count, ==, 0);
    CHECK_U64(p.client_loop->cids.count, ==, 0);
    exchange_close(&p);
}

/* A NAT gives the client another port; the client knows nothing of it. The server answers there
 * once it has validated the new path (RFC 9000 section 9.3). */
static void test_a_rebinding_is_followed(void)
{
    struct pair p;
    struct exchanges all;
    exchange_open(&p, &all, 1);
    exchange_once(&p, &all, 1000);
    struct qp_link *client = only_link(p.client_loop), *server = only_link(p.server_loop);
    const struct qp_addr before = client->local, seen = server->peer;
    CHECK_INT(qp_addr_port(&seen), ==, qp_addr_port(&before));
    for (int i = 0; i < 10; i++) {
        struct qp_udp_socket *socket = &client->port->socket;
        p.client_loop->udp->close(p.client_loop->poller, socket);
        CHECK_INT(p.client_loop->udp->open(p.client_loop->poller, socket, NULL, &client->peer), ==,
                  0);
        const int port = qp_addr_port(&socket->local);
        CHECK_INT(port, !=, qp_addr_port(&before));
        socket->local = before; /* what the client believes */
        exchange_once(&p, &all, 200000);
        CHECK_INT(qp_addr_port(&server->peer), ==, port);
    }
    CHECK_INT(p.closed, ==, 0);
    exchange_close(&p);
}

/* Gives the client another port, as often as a test says; datagrams to older ones are lost. */
static bool through_nat(struct net *net, bool to_server, quicpro_train *train,
                        quicpro_tstamp *delay)
{
    const uint16_t *added = net->data;
    in_port_t *port = to_server ? &train->peer.in.sin_port : &train->local.in.sin_port;
    (void)delay;
    if (to_server)
        *port = htons((uint16_t)(ntohs(*port) + *added));
    else if (ntohs(*port) == 49152 + *added)
        *port = htons(49152);
    else
        return false;
    return true;
}

/* After a rebinding both sides have their say, and then there is silence: the connection ID of the
 * path that was left is retired, once, and the one that comes for it is nobody's yet. */
static void test_after_a_rebinding_there_is_silence(void)
{
    uint16_t added = 0;
    struct net net = {
        .now = 1, .delay = 10 * QUICPRO_MILLISECOND, .on_datagram = through_nat, .data = &added};
    struct pair p;
    struct exchanges all = {.expected = 1};
    pair_init(&p, "localhost");
    quicpro_config_set(p.client_config, "max_idle_timeout_ms", "60000");
    p.net = &net;
    pair_start(&p);
    p.data = &all;
    p.on_server = exchange_serve;
    p.on_client = exchange_client;
    CHECK_INT(pair_connect(&p, "127.0.0.1"), ==, 0);
    CHECK(pair_until(&p, &p.connected));
    for (int i = 0; i < 12; i++) {
        exchange_once(&p, &all, 5000);
        pair_pass(&p, 2 * QUICPRO_SECOND);
        const uint64_t sent = net.sent[0] + net.sent[1];
        pair_pass(&p, 5 * QUICPRO_SECOND);
        CHECK_U64(net.sent[0] + net.sent[1], ==, sent);
        added++;
    }
    CHECK_INT(qp_addr_port(&only_link(p.server_loop)->peer), ==, 49152 + 11);
    CHECK_INT(p.closed, ==, 0);
    exchange_close(&p);
}

/* A way between the two on which larger datagrams are lost, and nobody is told. */
static const struct qp_udp_ops *kernel;
static size_t narrow;

static int64_t narrow_send(struct qp_udp_poller *poller, struct qp_udp_socket *socket,
                           const struct qp_addr *local, const struct qp_addr *peer,
                           const uint8_t *data, size_t len, size_t segment)
{
    const size_t lost = segment <= narrow ? 0 : len % segment <= narrow ? len - len % segment : len;
    if (lost == len)
        return (int64_t)len;
    int64_t n = kernel->send(poller, socket, local, peer, data + lost, len - lost, segment);
    return n < 0 ? n : n + (int64_t)lost;
}

static void go_through(struct pair *p, struct qp_udp_ops *ops, size_t bytes)
{
    kernel = p->server_loop->udp;
    *ops = *kernel;
    ops->send = narrow_send;
    narrow = bytes;
    p->server_loop->udp = p->client_loop->udp = ops;
}

static void open_pmtud(struct pair *p, struct exchanges *all, const char *max, const char *server)
{
    pair_init(p, "localhost");
    quicpro_config *const config[] = {p->server_config, p->client_config};
    for (size_t i = 0; i < COUNTOF(config); i++) {
        CHECK_INT(quicpro_config_set(config[i], "pmtud", "true"), ==, 0);
        CHECK_INT(quicpro_config_set(config[i], "max_udp_payload_bytes", max), ==, 0);
    }
    quicpro_config_set(p->client_config, "verify_peer", "false");
    pair_start(p);
    *all = (struct exchanges){.expected = 1};
    p->data = all;
    p->on_server = exchange_serve;
    p->on_client = exchange_client;
    p->port = (uint16_t)quicpro_server_listen(p->server, server, 0);
    CHECK_INT(pair_connect(p, server), ==, 0);
}

/* Of the path in use. */
static uint64_t mtu_of(quicpro_loop *loop)
{
    const struct qp_link *link = only_link(loop);
    if (!CHECK(link != NULL))
        return 0;
    quicpro_path_stats path = {.size = sizeof(path)};
    for (size_t i = 0; quicpro_conn_get_path(loop, link->handle, i, &path) == 1; i++)
        if (path.active)
            return path.mtu_bytes;
    return 0;
}

/* Until both sides have found it. */
static bool until_mtu(struct pair *p, uint64_t want)
{
    quicpro_tstamp end = quicpro_now() + PAIR_DEADLINE_S * QUICPRO_SECOND;
    while ((mtu_of(p->client_loop) != want || mtu_of(p->server_loop) != want) &&
           quicpro_now() < end)
        pair_step(p);
    return CHECK_U64(mtu_of(p->client_loop), ==, want) &&
           CHECK_U64(mtu_of(p->server_loop), ==, want);
}

static void test_the_largest_datagram_is_found(void)
{
    static const struct {
        const char *max;
        size_t narrow, want;
    } row[] = {
        {"9000", 65535, 9000}, {"1350", 65535, 1350},   {"1472", 1400, 1400},
        {"1472", 1200, 1200},  {"65527", 65535, 16383}, /* the engine's own limit */
    };
    for (size_t i = 0; i < COUNTOF(row); i++) {
        struct pair p;
        struct exchanges all;
        struct qp_udp_ops ops;
        open_pmtud(&p, &all, row[i].max, "127.0.0.1");
        go_through(&p, &ops, row[i].narrow);
        CHECK(pair_until(&p, &p.connected));
        exchange_once(&p, &all, 300000);
        if (!CHECK(until_mtu(&p, row[i].want)))
            printf("# row %zu\n", i);
        exchange_once(&p, &all, 300000);
        p.server_loop->udp = p.client_loop->udp = kernel;
        exchange_close(&p);
    }
}

/* A peer that takes no more than so much is not tried with more. */
static void test_the_peers_limit_counts(void)
{
    struct pair p;
    struct exchanges all = {.expected = 1};
    pair_init(&p, "localhost");
    quicpro_config_set(p.server_config, "pmtud", "true");
    quicpro_config_set(p.server_config, "max_udp_payload_bytes", "9000");
    quicpro_config_set(p.client_config, "max_recv_udp_payload_bytes", "1300");
    pair_start(&p);
    p.data = &all;
    p.on_server = exchange_serve;
    p.on_client = exchange_client;
    CHECK_INT(pair_connect(&p, "127.0.0.1"), ==, 0);
    CHECK(pair_until(&p, &p.connected));
    quicpro_tstamp end = quicpro_now() + PAIR_DEADLINE_S * QUICPRO_SECOND;
    while (mtu_of(p.server_loop) != 1300 && quicpro_now() < end)
        pair_step(&p);
    exchange_once(&p, &all, 300000);
    CHECK_U64(mtu_of(p.server_loop), ==, 1300);
    exchange_close(&p);
}

/* The way gets narrower in the middle of a transfer: what was found is lost from then on. */
static void test_a_path_that_shrinks(void)
{
    struct pair p;
    struct exchanges all;
    struct exchange x;
    struct qp_udp_ops ops;
    open_pmtud(&p, &all, "9000", "127.0.0.1");
    go_through(&p, &ops, 65535);
    CHECK(pair_until(&p, &p.connected));
    CHECK(until_mtu(&p, 9000));
    CHECK_INT(exchange_get(&p, &x, 20 << 20, 7), ==, 0);
    while (x.got < 1 << 20)
        pair_step(&p);
    narrow = 1300;
    CHECK(pair_until(&p, &all.finished) && exchange_good(&x));
    CHECK_U64(mtu_of(p.server_loop), <=, 1300);
    CHECK_U64(mtu_of(p.server_loop), >=, 1200);
    p.server_loop->udp = p.client_loop->udp = kernel;
    exchange_close(&p);
}

/* A peer that a NAT moved is on another path: nothing is known of it, so its datagrams are small
 * until they were tried. */
static void test_each_path_has_its_own(void)
{
    struct pair p;
    struct exchanges all;
    struct qp_udp_ops ops;
    open_pmtud(&p, &all, "9000", "127.0.0.1");
    go_through(&p, &ops, 65535);
    CHECK(pair_until(&p, &p.connected));
    exchange_once(&p, &all, 1000);
    CHECK(until_mtu(&p, 9000));
    struct qp_link *client = only_link(p.client_loop), *server = only_link(p.server_loop);
    const struct qp_addr before = client->local;
    struct qp_udp_socket *socket = &client->port->socket;
    p.client_loop->udp->close(p.client_loop->poller, socket);
    CHECK_INT(p.client_loop->udp->open(p.client_loop->poller, socket, NULL, &client->peer), ==, 0);
    const int port = qp_addr_port(&socket->local);
    socket->local = before;
    narrow = 1300;
    exchange_once(&p, &all, 300000);
    CHECK_INT(qp_addr_port(&server->peer), ==, port);
    CHECK_U64(mtu_of(p.server_loop), <=, 1300);
    p.server_loop->udp = p.client_loop->udp = kernel;
    exchange_close(&p);
}

/* The kernel refuses what the interface does not take, and IPv4 and UDP need 28 bytes. */
static void interfaces_of_many_sizes(int control)
{
    static const struct {
        int mtu;
        const char *max;
    } row[] = {{1280, "1300"}, {9000, "9000"}};
    for (size_t i = 0; i < COUNTOF(row); i++) {
        struct pair p;
        struct exchanges all;
        netns_set_mtu(control, row[i].mtu);
        open_pmtud(&p, &all, row[i].max, "127.0.0.1");
        CHECK(pair_until(&p, &p.connected));
        exchange_once(&p, &all, 300000);
        if (!until_mtu(&p, (uint64_t)row[i].mtu - 28))
            printf("# mtu %d\n", row[i].mtu);
        exchange_once(&p, &all, 300000);
        exchange_close(&p);
    }
}

static void test_interfaces_of_many_sizes(void)
{
    in_namespace(interfaces_of_many_sizes);
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_peers_are_supplied_with_ids),   TEST(test_ids_go_with_their_connection),
        TEST(test_a_rebinding_is_followed),       TEST(test_after_a_rebinding_there_is_silence),
        TEST(test_the_largest_datagram_is_found), TEST(test_the_peers_limit_counts),
        TEST(test_a_path_that_shrinks),           TEST(test_each_path_has_its_own),
        TEST(test_interfaces_of_many_sizes),
    };
    return check_run(tests, COUNTOF(tests));
}
