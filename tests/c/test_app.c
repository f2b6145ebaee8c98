#include "loop/app.h"

#include "raw_pair.h"

static void note(struct pair *p, const quicpro_batch *batch, const quicpro_event *event)
{
    (void)batch;
    if (event->type == QUICPRO_EVENT_CONNECTED)
        *(quicpro_conn *)p->data = event->conn;
}

/* The server chooses by what the client likes best, and both follow. */
static void test_the_handshake_chooses(void)
{
    static const struct {
        const char *server, *client;
        bool http3, request; /* what comes of it; whether a request may be made before */
    } row[] = {
        {"h3", "h3", true, true},          {"h3,echo", "h3", true, true},
        {"h3,echo", "echo", false, false}, {"h3,echo", "h3,echo", true, true},
        {"echo", "h3,echo", false, true},  {"echo", "echo,h3", false, true},
        {"h3-29", "h3-29", false, false},  {"xh3,h3x", "h3x", false, false},
    };
    for (size_t i = 0; i < COUNTOF(row); i++) {
        struct pair p;
        quicpro_stream stream, early = 0;
        quicpro_conn there = 0;
        pair_init(&p, "localhost");
        p.data = &there;
        p.on_server = note;
        quicpro_config_set(p.server_config, "alpn", row[i].server);
        quicpro_config_set(p.client_config, "alpn", row[i].client);
        pair_start(&p);
        CHECK_INT(pair_connect(&p, "127.0.0.1"), ==, 0);
        int r = pair_request(&p, "GET", "/", NULL, 0, 1, NULL, &early);
        bool ok = CHECK_INT(r, ==, row[i].request ? 0 : QUICPRO_ESTATE);
        ok &= CHECK(pair_until(&p, &p.connected));
        quicpro_tstamp end = quicpro_now() + PAIR_DEADLINE_S * QUICPRO_SECOND;
        while (there == 0 && quicpro_now() < end)
            pair_step(&p);
        /* A request that waited for another protocol has ended. */
        const bool lost = row[i].request && !row[i].http3;
        ok &= CHECK_INT(p.resets, ==, lost);
        ok &= CHECK_INT(p.reset_error, ==, lost ? QUICPRO_EALPN : 0);
        r = quicpro_stream_open(p.client_loop, p.conn, 1, NULL, &stream);
        ok &= CHECK_INT(r, ==, row[i].http3 ? QUICPRO_ESTATE : 0);
        r = quicpro_stream_open(p.server_loop, there, 1, NULL, &stream);
        ok &= CHECK_INT(r, ==, row[i].http3 ? QUICPRO_ESTATE : 0);
        r = pair_request(&p, "GET", "/", NULL, 0, 1, NULL, &stream);
        ok &= CHECK_INT(r, ==, row[i].http3 ? 0 : QUICPRO_ESTATE);
        if (!ok)
            printf("#   server %s, client %s\n", row[i].server, row[i].client);
        pair_done(&p);
    }
}

/* The user pointer of the connection outlives the change of protocol. */
static void test_users_of_connections(void)
{
    struct pair p;
    int mark;
    pair_init(&p, "localhost");
    quicpro_config_set(p.server_config, "alpn", "echo");
    quicpro_config_set(p.client_config, "alpn", "h3,echo");
    pair_start(&p);
    CHECK_INT(quicpro_client_connect(p.client, "127.0.0.1", p.port, &mark, &p.conn), ==, 0);
    CHECK(pair_until(&p, &p.connected));
    struct qp_link *link = qp_link_get(p.client_loop, p.conn);
    CHECK(qp_app_user(link) == &mark);
    CHECK_INT(link->app, ==, QP_APP_RAW);
    CHECK_U64(qp_app_no_error(link), ==, 0);
    qp_app_set_user(link, NULL);
    CHECK(qp_app_user(link) == NULL);
    pair_done(&p);
}

/* Keys that wear out: either side is told, once, as a peer's GOAWAY would. */
static void test_connections_that_retire(void)
{
    static struct raw_pair rp;
    raw_open(&rp, NULL, 0);
    for (int server = 0; server < 2; server++) {
        struct qp_link *link = raw_link(&rp, server);
        qp_app_retire(link);
        qp_app_retire(link);
        raw_until(&rp, server, QUICPRO_EVENT_GOAWAY, 1);
        CHECK_U64((server ? &rp.server : &rp.client)->count[QUICPRO_EVENT_GOAWAY], ==, 1);
    }
    quicpro_stream stream = raw_send(&rp, false, 1, "abc", 3, 1);
    CHECK_U64(stream, !=, 0);
    raw_until(&rp, true, QUICPRO_EVENT_READABLE, 1);
    pair_done(&rp.p);
}

static const struct check_test tests[] = {
    TEST(test_the_handshake_chooses),
    TEST(test_users_of_connections),
    TEST(test_connections_that_retire),
};

int main(void)
{
    return RUN(tests);
}
