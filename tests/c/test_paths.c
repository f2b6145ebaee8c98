#include "exchange.h"

#include "loop/loop.h"

enum { SPARE = 3 }; /* connection IDs that the limits of both sides allow besides the one in use */

static struct qp_link *only_link(quicpro_loop *loop)
{
    uint32_t cursor = 0;
    quicpro_handle handle;
    return qp_slab_next(&loop->links, &cursor, &handle);
}

/* Exchanges bytes once, so that both sides have heard all the other has to say. */
static void exchange_once(struct pair *p, struct exchanges *all, size_t len)
{
    struct exchange x;
    *all = (struct exchanges){.expected = 1, .serving = all->serving};
    CHECK_INT(exchange_post(p, &x, len, 7), ==, 0);
    CHECK(pair_until(p, &all->finished));
    CHECK(x.fin && !x.wrong && x.got == len);
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

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_peers_are_supplied_with_ids),
        TEST(test_ids_go_with_their_connection),
        TEST(test_a_rebinding_is_followed),
    };
    return check_run(tests, COUNTOF(tests));
}
