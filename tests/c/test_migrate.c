#include "loop/migrate.h"

#include "exchange.h"
#include "netns.h"

#include "loop/loop.h"

/* What events of paths said. */
static struct seen {
    unsigned count[5]; /* by enum quicpro_path_change */
    char last[64];
} client_saw, server_saw;

static void note(struct seen *seen, const quicpro_event *event)
{
    if (event->type != QUICPRO_EVENT_PATH || !CHECK_U64(event->code, <, 5))
        return;
    seen->count[event->code]++;
    snprintf(seen->last, sizeof(seen->last), "%.*s", (int)event->len, (const char *)event->data);
}

static void on_server(struct pair *p, const quicpro_batch *batch, const quicpro_event *event)
{
    note(&server_saw, event);
    exchange_serve(p, batch, event);
}

static void on_client(struct pair *p, const quicpro_batch *batch, const quicpro_event *event)
{
    note(&client_saw, event);
    exchange_client(p, batch, event);
}

static struct qp_link *link_of(quicpro_loop *loop)
{
    return qp_slab_at(&loop->links, 0);
}

static void listen_at(struct pair *p, struct exchanges *all, struct net *net, const char *address)
{
    client_saw = server_saw = (struct seen){{0}, ""};
    *all = (struct exchanges){.expected = 1};
    p->net = net;
    quicpro_config_set(p->client_config, "verify_peer", "false");
    pair_start(p);
    p->data = all;
    p->on_server = on_server;
    p->on_client = on_client;
    if (net == NULL)
        p->port = (uint16_t)quicpro_server_listen(p->server, address, 0);
    CHECK_INT(pair_connect(p, address), ==, 0);
    CHECK(pair_until(p, &p->connected));
    exchange_once(p, all, 1000); /* what confirms the handshake has come, too */
}

static void open_at(struct pair *p, struct exchanges *all, struct net *net, const char *address)
{
    pair_init(p, "localhost");
    listen_at(p, all, net, address);
}

static bool until(struct pair *p, const struct seen *seen, enum quicpro_path_change what,
                  unsigned times)
{
    const quicpro_tstamp end = pair_now(p) + PAIR_DEADLINE_S * QUICPRO_SECOND;
    while (seen->count[what] < times && pair_now(p) < end && pair_step(p))
        ;
    return CHECK_INT(seen->count[what], ==, times);
}

static void test_a_client_moves_when_told(void)
{
    struct pair p;
    struct exchanges all;
    open_at(&p, &all, NULL, "127.0.0.1");
    for (unsigned i = 1; i <= 12; i++) {
        const int before = qp_addr_port(&link_of(p.client_loop)->local);
        int r;
        char want[64];
        while ((r = quicpro_conn_migrate(p.client_loop, p.conn)) == QUICPRO_EAGAIN)
            exchange_once(&p, &all, 1000); /* until the server has given another ID */
        CHECK_INT(r, ==, 0);
        CHECK(until(&p, &client_saw, QUICPRO_PATH_MOVED, i));
        exchange_once(&p, &all, 200000);
        qp_addr_text(&link_of(p.client_loop)->local, want, sizeof(want));
        CHECK_STR(client_saw.last, want);
        CHECK_INT(qp_addr_port(&link_of(p.client_loop)->local), !=, before);
        CHECK(until(&p, &server_saw, QUICPRO_PATH_PEER_MOVED, i));
        CHECK_STR(server_saw.last, want);
        CHECK(qp_addr_equal(&link_of(p.server_loop)->peer, &link_of(p.client_loop)->local));
    }
    CHECK_INT(client_saw.count[QUICPRO_PATH_USABLE], ==, 12);
    CHECK_INT(p.closed, ==, 0);
    exchange_close(&p);
}

static void test_a_probe_only_tells(void)
{
    struct pair p;
    struct exchanges all;
    open_at(&p, &all, NULL, "127.0.0.1");
    const struct qp_addr before = link_of(p.client_loop)->local;
    CHECK_INT(quicpro_conn_probe(p.client_loop, p.conn, "127.0.0.1", 0), ==, 0);
    CHECK(until(&p, &client_saw, QUICPRO_PATH_USABLE, 1));
    exchange_once(&p, &all, 10000);
    CHECK(qp_addr_equal(&link_of(p.client_loop)->local, &before));
    CHECK(qp_addr_equal(&link_of(p.server_loop)->peer, &before));
    CHECK_INT(quicpro_conn_migrate(p.client_loop, p.conn), ==, 0); /* at once */
    CHECK(!qp_addr_equal(&link_of(p.client_loop)->local, &before));
    exchange_once(&p, &all, 10000);
    CHECK(until(&p, &server_saw, QUICPRO_PATH_PEER_MOVED, 1));
    exchange_close(&p);
}

static void test_what_is_refused(void)
{
    static const struct {
        const char *client_key, *client_value, *server_key, *server_value, *local, *says;
        int want;
    } row[] = {
        {"migration", "off", NULL, NULL, NULL, "migration is off", QUICPRO_ESTATE},
        {"migration", "manual", NULL, NULL, "::1", "of the peer's family", QUICPRO_EINVAL},
        {"migration", "manual", NULL, NULL, "localhost", "is not an address", QUICPRO_EINVAL},
        {"migration", "manual", NULL, NULL, "192.0.2.77", "192.0.2.77:0", -EADDRNOTAVAIL},
        {NULL, NULL, "disable_active_migration", "true", NULL, "does not want", QUICPRO_ESTATE},
    };
    for (size_t i = 0; i < COUNTOF(row); i++) {
        struct pair p;
        struct exchanges all;
        pair_init(&p, "localhost");
        if (row[i].client_key != NULL)
            quicpro_config_set(p.client_config, row[i].client_key, row[i].client_value);
        if (row[i].server_key != NULL)
            quicpro_config_set(p.server_config, row[i].server_key, row[i].server_value);
        listen_at(&p, &all, NULL, "127.0.0.1");
        CHECK_INT(quicpro_conn_probe(p.client_loop, p.conn, row[i].local, 0), ==, row[i].want);
        CHECK(strstr(quicpro_loop_error(p.client_loop), row[i].says) != NULL);
        CHECK(link_of(p.client_loop)->other == NULL);
        exchange_once(&p, &all, 1000); /* and goes on */
        CHECK_INT(quicpro_conn_probe(p.server_loop, link_of(p.server_loop)->handle, NULL, 0), ==,
                  QUICPRO_ESTATE);
        CHECK_INT(quicpro_conn_probe(p.client_loop, p.conn, NULL, 65536), ==, QUICPRO_EINVAL);
        CHECK_INT(quicpro_conn_probe(p.client_loop, p.conn + 1, NULL, 0), ==, QUICPRO_ESTALE);
        CHECK_INT(quicpro_conn_migrate(p.client_loop, p.conn + 1), ==, QUICPRO_ESTALE);
        CHECK_INT(quicpro_conn_migrate(NULL, p.conn), ==, QUICPRO_EINVAL);
        exchange_close(&p);
    }
}

static void test_not_before_the_handshake_is_confirmed(void)
{
    struct pair p;
    struct exchanges all;
    exchange_open(&p, &all, 1);
    CHECK_INT(pair_connect(&p, "127.0.0.1"), ==, 0);
    CHECK_INT(quicpro_conn_migrate(p.client_loop, p.conn), ==, QUICPRO_ESTATE);
    CHECK(strstr(quicpro_loop_error(p.client_loop), "not confirmed") != NULL);
    CHECK(pair_until(&p, &p.connected));
    exchange_close(&p);
}

/* Only one port of the client gets through. */
static bool one_port(struct net *net, bool to_server, quicpro_train *train, quicpro_tstamp *delay)
{
    const in_port_t port = to_server ? train->peer.in.sin_port : train->local.in.sin_port;
    in_port_t *only = net->data;
    (void)delay;
    if (*only == 0)
        *only = port;
    return port == *only;
}

static void test_a_path_that_does_not_work(void)
{
    in_port_t only = 0;
    struct net net = {
        .now = 1, .delay = 10 * QUICPRO_MILLISECOND, .on_datagram = one_port, .data = &only};
    struct pair p;
    struct exchanges all;
    open_at(&p, &all, &net, "127.0.0.1");
    for (unsigned i = 1; i <= 6; i++) {
        CHECK_INT(quicpro_conn_migrate(p.client_loop, p.conn), ==, 0);
        exchange_once(&p, &all, 10000); /* goes on meanwhile */
        CHECK(until(&p, &client_saw, QUICPRO_PATH_UNUSABLE, i));
        CHECK(link_of(p.client_loop)->other == NULL);
        exchange_once(&p, &all, 10000);
    }
    CHECK_INT(client_saw.count[QUICPRO_PATH_MOVED], ==, 0);
    CHECK_INT(server_saw.count[QUICPRO_PATH_PEER_MOVED], ==, 0);
    CHECK_INT(p.closed, ==, 0);
    exchange_close(&p);
}

struct deafness {
    in_port_t first;
    unsigned lost;
};

/* What the client gets on another port at first is lost, although what it sends there arrives. */
static bool deaf(struct net *net, bool to_server, quicpro_train *train, quicpro_tstamp *delay)
{
    struct deafness *state = net->data;
    const in_port_t port = to_server ? train->peer.in.sin_port : train->local.in.sin_port;
    (void)delay;
    if (state->first == 0)
        state->first = port;
    return to_server || port == state->first || state->lost++ != 0;
}

static void test_an_answer_to_a_probe_that_is_lost(void)
{
    struct deafness state = {0};
    struct net net = {
        .now = 1, .delay = 10 * QUICPRO_MILLISECOND, .on_datagram = deaf, .data = &state};
    struct pair p;
    struct exchanges all;
    open_at(&p, &all, &net, "127.0.0.1");
    CHECK_INT(quicpro_conn_migrate(p.client_loop, p.conn), ==, 0);
    const quicpro_tstamp begin_at = net.now;
    CHECK(until(&p, &client_saw, QUICPRO_PATH_MOVED, 1));
    CHECK_U64(state.lost, >, 1);
    CHECK_U64(net.now - begin_at, <, 2 * QUICPRO_SECOND);
    exchange_once(&p, &all, 10000);
    exchange_close(&p);
}

/* The first quarter of a download. */
static void begin(struct pair *p, struct exchange *x, size_t bytes)
{
    struct exchanges *all = p->data;
    *all = (struct exchanges){.expected = 1, .serving = all->serving};
    CHECK_INT(exchange_get(p, x, bytes, 7), ==, 0);
    while (x->got < bytes / 4 && pair_step(p))
        ;
}

/* In the middle of a transfer the client's address goes; there is another one. */
static void address_goes(int control, const char *migration)
{
    enum { BYTES = 20000000 };
    struct pair p;
    struct exchanges all;
    struct exchange x;
    const bool automatic = strcmp(migration, "auto") == 0;
    netns_set_host(control, "lo:1", "10.0.0.9");
    netns_set_host(control, "lo:2", "10.0.0.1");
    pair_init(&p, "localhost");
    if (!automatic)
        quicpro_config_set(p.client_config, "max_idle_timeout_ms", "500");
    listen_at(&p, &all, NULL, "10.0.0.9");
    CHECK_INT(quicpro_conn_probe(p.client_loop, p.conn, "10.0.0.1", 0), ==, 0);
    CHECK_INT(quicpro_conn_migrate(p.client_loop, p.conn), ==, 0);
    CHECK(until(&p, &client_saw, QUICPRO_PATH_MOVED, 1));
    CHECK(until(&p, &server_saw, QUICPRO_PATH_PEER_MOVED, 1));
    CHECK(strncmp(server_saw.last, "10.0.0.1:", 9) == 0);
    CHECK_INT(quicpro_client_set_option(p.client, "migration", migration), ==, 0);
    begin(&p, &x, BYTES);
    netns_set_address(control, "lo:2", "10.0.0.1", false);
    if (automatic) {
        CHECK(pair_until(&p, &all.finished));
        CHECK_U64(x.got, ==, BYTES);
        CHECK(exchange_good(&x));
        CHECK_INT(client_saw.count[QUICPRO_PATH_MOVED], ==, 2);
        CHECK(strncmp(client_saw.last, "10.0.0.9:", 9) == 0);
        CHECK(until(&p, &server_saw, QUICPRO_PATH_PEER_MOVED, 2));
    } else {
        CHECK(pair_until_closed(&p));
        CHECK_INT(p.closed_error, ==, QUICPRO_EIDLE);
    }
    exchange_close(&p);
}

static void in_a_network(int control)
{
    address_goes(control, "auto");
    address_goes(control, "manual");
    address_goes(control, "off");
}

static void test_an_address_that_goes(void)
{
    in_namespace(in_a_network);
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_a_client_moves_when_told),  TEST(test_a_probe_only_tells),
        TEST(test_what_is_refused),           TEST(test_not_before_the_handshake_is_confirmed),
        TEST(test_a_path_that_does_not_work), TEST(test_an_answer_to_a_probe_that_is_lost),
        TEST(test_an_address_that_goes),
    };
    return RUN(tests);
}
