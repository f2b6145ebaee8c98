/* Real handshakes with real sockets of the loopback; only the answers of the resolver are made up.
 * 127.0.0.1 is the server, 127.0.0.2 takes datagrams and never answers, 127.0.0.3 refuses. */
#include "exchange.h"

#include <arpa/inet.h>
#include <sys/socket.h>

#include "loop/loop.h"

enum { SERVER = 1, SILENT = 2, REFUSES = 3 };

/* One look-up: what `answers` says when it is made, or once it is `released`. */
static struct answer {
    const char *addr[4]; /* texts; "!x": failed, with the reason x */
    bool hangs, no_route;
} answers[2]; /* IPv4, IPv6 */
static unsigned lookups, freed;

struct qp_resolve {
    int family;
    uint16_t port;
};

static int fake_start(struct qp_resolve **ret, const char *host, uint16_t port, int family,
                      int wake_fd)
{
    const uint64_t one = 1;
    (void)host;
    *ret = malloc(sizeof(**ret));
    if (*ret == NULL)
        return QUICPRO_ENOMEM;
    **ret = (struct qp_resolve){family, port};
    lookups++;
    return write(wake_fd, &one, sizeof(one)) == sizeof(one) ? 0 : -errno;
}

static int fake_poll(struct qp_resolve *resolve, struct qp_resolve_result *result)
{
    const struct answer *a = &answers[resolve->family == AF_INET6];
    if (a->hangs)
        return 0;
    *result = (struct qp_resolve_result){0};
    for (size_t i = 0; i < COUNTOF(a->addr) && a->addr[i] != NULL; i++) {
        if (a->addr[i][0] == '!') {
            result->error = QUICPRO_ERESOLVE;
            snprintf(result->text, sizeof(result->text), "%s", a->addr[i] + 1);
        } else if (qp_resolve_literal(&result->addr[i], a->addr[i], resolve->port)) {
            if (!a->no_route)
                result->source[i] = result->addr[i];
            result->count++;
        }
    }
    return 1;
}

static void fake_free(struct qp_resolve *resolve)
{
    freed++;
    free(resolve);
}

static const struct qp_resolver_ops fake = {fake_start, fake_poll, fake_free};

static int silent_socket(uint16_t port)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    addr.sin_addr.s_addr = htonl(0x7f000000 + SILENT);
    if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) != 0)
        abort();
    return fd;
}

/* A server, and a client for whom "localhost" has the addresses given. */
static void start(struct pair *p, const char *delay_ms, struct answer v4, struct answer v6)
{
    pair_init(p, "localhost");
    quicpro_config_set(p->client_config, "happy_eyeballs_delay_ms", delay_ms);
    pair_start(p);
    p->client_loop->resolver = &fake;
    answers[0] = v4;
    answers[1] = v6;
    lookups = freed = 0;
}

static struct qp_link *link_of(struct pair *p)
{
    return qp_slab_get(&p->client_loop->links, p->conn);
}

/* Only the connection is left: rivals, sockets, look-ups are gone, the counts are right. */
static bool until_alone(struct pair *p)
{
    quicpro_tstamp end = quicpro_now() + PAIR_DEADLINE_S * QUICPRO_SECOND;
    while (p->client_loop->links.used > 1 && quicpro_now() < end)
        pair_step(p);
    const struct qp_endpoint *e = p->client_loop->endpoints;
    return CHECK_U64(p->client_loop->links.used, ==, 1) & CHECK_U64(e->open, ==, 1) &
           CHECK_U64(e->handshakes, ==, 0) & CHECK(e->ports != NULL && e->ports->next == NULL) &
           CHECK_U64(p->client_loop->cids.count, ==, 1 + link_of(p)->cid_count) &
           CHECK_U64(lookups, ==, freed);
}

/* Which address has the connection; the requests that waited have their answers. */
static void expect_peer(struct pair *p, struct exchanges *all, struct exchange *x, const char *peer)
{
    quicpro_conn_info info = {.size = sizeof(info)};
    if (!CHECK(pair_until(p, &all->finished))) {
        printf("#   %s\n", p->closed_text);
        return;
    }
    CHECK(exchange_good(x));
    CHECK_INT(quicpro_conn_get_info(p->client_loop, p->conn, &info), ==, 0);
    CHECK(strncmp(info.peer, peer, strlen(peer)) == 0 && info.peer[strlen(peer)] == ':');
    CHECK_U64(pair_metric(p->client_loop, QP_METRIC_CONNECTIONS_MADE), ==, 1);
    CHECK_INT(p->closed, ==, 0);
}

/* Addresses in an order; the server is among them. */
static void test_the_one_that_answers_wins(void)
{
    static const struct {
        const char *name, *delay_ms;
        struct answer v4, v6;
    } row[] = {
        {"the first", "60000", {.addr = {"127.0.0.1"}}, {.addr = {"!none"}}},
        {"a silent one before it", "10", {.addr = {"127.0.0.2", "127.0.0.1"}}, {.addr = {"!none"}}},
        {"a silent one beside it", "0", {.addr = {"127.0.0.2", "127.0.0.1"}}, {.addr = {"!none"}}},
        {"a silent one behind it", "0", {.addr = {"127.0.0.1", "127.0.0.2"}}, {.addr = {"!none"}}},
        {"one that refuses", "60000", {.addr = {"127.0.0.3", "127.0.0.1"}}, {.addr = {"!none"}}},
        {"refusing ones beside it",
         "0",
         {.addr = {"127.0.0.3", "127.0.0.1", "127.0.0.4", "127.0.0.2"}},
         {.addr = {"!none"}}},
        {"duplicates",
         "10",
         {.addr = {"127.0.0.2", "127.0.0.2", "127.0.0.2", "127.0.0.1"}},
         {.addr = {"!none"}}},
        {"IPv6 that cannot be sent to", "60000", {.addr = {"127.0.0.1"}}, {.addr = {"fe80::1"}}},
        {"IPv6 without a route",
         "60000",
         {.addr = {"127.0.0.1"}},
         {.addr = {"fe80::1", "fe80::2"}, .no_route = true}},
        {"a resolver that never answers for IPv6",
         "60000",
         {.addr = {"127.0.0.1"}},
         {.hangs = true}},
        {"a resolver that fails for IPv6", "10", {.addr = {"127.0.0.1"}}, {.addr = {"!broken"}}},
    };
    for (size_t i = 0; i < COUNTOF(row); i++) {
        struct pair p;
        struct exchanges all = {.expected = 1};
        struct exchange x;
        const unsigned before = check_state.failed;
        start(&p, row[i].delay_ms, row[i].v4, row[i].v6);
        p.data = &all;
        p.on_server = exchange_serve;
        p.on_client = exchange_client;
        int silent = silent_socket(p.port);
        CHECK_INT(pair_connect(&p, "localhost"), ==, 0);
        CHECK_INT(exchange_get(&p, &x, 20000, 3), ==, 0); /* before there is a connection */
        expect_peer(&p, &all, &x, "127.0.0.1");
        close(silent);
        CHECK(link_of(&p)->dial == NULL);
        until_alone(&p);
        if (check_state.failed != before)
            printf("#   %s\n", row[i].name);
        exchange_close(&p);
    }
}

/* The attempt that the link holds fails while another lives: that one takes its place. */
static void test_a_rival_takes_over(void)
{
    struct pair p;
    struct exchanges all = {.expected = 1};
    struct exchange x;
    const struct answer v4 = {.addr = {"127.0.0.2", "127.0.0.1"}}, none = {.addr = {"!none"}};
    start(&p, "0", v4, none);
    p.data = &all;
    p.on_server = exchange_serve;
    p.on_client = exchange_client;
    quicpro_loop *server = p.server_loop;
    p.server_loop = NULL; /* it is slow */
    int silent = silent_socket(p.port);
    CHECK_INT(pair_connect(&p, "localhost"), ==, 0);
    CHECK_INT(exchange_get(&p, &x, 20000, 3), ==, 0);
    while (link_of(&p)->dial->rivals == NULL)
        pair_step(&p);
    CHECK(link_of(&p)->peer.in.sin_addr.s_addr == htonl(0x7f000000 + SILENT));
    quicpro_loop_flush(p.client_loop);
    close(silent); /* what is sent again is refused now */
    while (link_of(&p)->dial->rivals != NULL)
        pair_step(&p);
    CHECK(link_of(&p)->peer.in.sin_addr.s_addr == htonl(0x7f000000 + SERVER));
    CHECK_INT(link_of(&p)->state, ==, QP_LINK_HANDSHAKE);
    p.server_loop = server;
    expect_peer(&p, &all, &x, "127.0.0.1");
    until_alone(&p);
    exchange_close(&p);
}

/* What was sent early to an address that does not answer goes to the one that does, once. */
static void test_early_data_follows_the_winner(void)
{
    struct pair p;
    struct exchanges all = {.expected = 1};
    struct exchange x;
    pair_init(&p, "localhost");
    quicpro_config_set(p.server_config, "early_data", "1");
    quicpro_config_set(p.client_config, "early_data", "1");
    quicpro_config_set(p.client_config, "happy_eyeballs_delay_ms", "10");
    pair_start(&p);
    p.data = &all;
    p.on_server = exchange_serve;
    p.on_client = exchange_client;
    p.client_loop->resolver = &fake;
    lookups = freed = 0;
    answers[0] = (struct answer){.addr = {"127.0.0.1"}};
    answers[1] = (struct answer){.addr = {"!none"}};
    int silent = silent_socket(p.port);
    for (int round = 0; round < 2; round++) {
        all.done = p.closed = 0;
        all.finished = false;
        CHECK_INT(pair_connect(&p, "localhost"), ==, 0);
        CHECK_INT(exchange_get(&p, &x, 20000, 3), ==, 0);
        CHECK(pair_until(&p, &all.finished));
        CHECK(exchange_good(&x));
        CHECK_INT(link_of(&p)->h3.early, ==, 0);
        quicpro_conn_close(p.client_loop, p.conn, 0x100, "");
        CHECK(pair_until_closed(&p));
        answers[0] = (struct answer){.addr = {"127.0.0.2", "127.0.0.1"}};
    }
    uint8_t datagram[2048];
    bool early = false;
    ssize_t n;
    while ((n = recv(silent, datagram, sizeof(datagram), MSG_DONTWAIT)) > 0)
        early |= (datagram[0] & 0xf0) == 0xd0; /* a 0-RTT packet */
    CHECK(early);
    size_t requests = 0;
    for (const struct serving *s = all.serving; s != NULL; s = s->next)
        requests++;
    CHECK_U64(requests, ==, 2); /* one a round */
    close(silent);
    exchange_close(&p);
}

struct early_stream {
    int early, resets, reset_error, connected;
    bool done;
};

static void open_early(struct pair *p, const quicpro_batch *batch, const quicpro_event *event)
{
    struct early_stream *seen = p->data;
    quicpro_stream stream;
    (void)batch;
    if (event->type == QUICPRO_EVENT_EARLY) {
        seen->early++;
        CHECK_INT(quicpro_stream_open(p->client_loop, event->conn, 1, NULL, &stream), ==, 0);
        CHECK_INT(quicpro_stream_write(p->client_loop, stream, "x", 1, 1), ==, 0);
    } else if (event->type == QUICPRO_EVENT_RESET) {
        seen->resets++;
        seen->reset_error = event->error;
    } else if (event->type == QUICPRO_EVENT_CONNECTED) {
        seen->done = true;
    }
}

/* A stream that was opened for an address that does not answer is given back. */
static void test_early_streams_stay_with_the_loser(void)
{
    struct pair p;
    struct early_stream seen;
    pair_init(&p, "localhost");
    for (int side = 0; side < 2; side++) {
        quicpro_config *config = side == 0 ? p.server_config : p.client_config;
        quicpro_config_set(config, "alpn", "echo");
        quicpro_config_set(config, "early_data", "1");
    }
    quicpro_config_set(p.client_config, "happy_eyeballs_delay_ms", "10");
    pair_start(&p);
    p.data = &seen;
    p.on_client = open_early;
    p.client_loop->resolver = &fake;
    answers[0] = (struct answer){.addr = {"127.0.0.1"}};
    answers[1] = (struct answer){.addr = {"!none"}};
    int silent = silent_socket(p.port);
    for (int round = 0; round < 2; round++) {
        seen = (struct early_stream){0};
        p.closed = 0;
        CHECK_INT(pair_connect(&p, "localhost"), ==, 0);
        CHECK(pair_until(&p, &seen.done));
        CHECK_INT(seen.early, ==, round);
        CHECK_INT(seen.resets, ==, round);
        CHECK_INT(seen.reset_error, ==, round == 0 ? 0 : QUICPRO_EEARLY);
        quicpro_conn_finish(p.client_loop, p.conn, 0, ""); /* the ticket comes meanwhile */
        CHECK(pair_until_closed(&p));
        answers[0] = (struct answer){.addr = {"127.0.0.2", "127.0.0.1"}};
    }
    close(silent);
    pair_done(&p);
}

/* The resolver is slow, the only address so far has failed: nothing is under way for a while. */
static void test_waiting_for_a_second_answer(void)
{
    struct pair p;
    struct exchanges all = {.expected = 1};
    struct exchange x;
    const struct answer v4 = {.hangs = true}, v6 = {.addr = {"fe80::1"}};
    start(&p, "0", v4, v6);
    p.data = &all;
    p.on_server = exchange_serve;
    p.on_client = exchange_client;
    CHECK_INT(pair_connect(&p, "localhost"), ==, 0);
    CHECK_INT(exchange_get(&p, &x, 100, 3), ==, 0);
    while (link_of(&p)->dial->attempts == 0)
        pair_step(&p);
    CHECK_INT(link_of(&p)->state, ==, QP_LINK_RESOLVING);
    answers[0] = (struct answer){.addr = {"127.0.0.1"}};
    quicpro_loop_wake(p.client_loop);
    expect_peer(&p, &all, &x, "127.0.0.1");
    exchange_close(&p);
}

/* Every way to fail names what was tried, and why it did not work. */
static void test_failures_name_every_address(void)
{
    static const struct {
        const char *key, *value;
        struct answer v4, v6;
        int error;
        const char *says[4];
    } row[] = {
        {"family",
         "any",
         {.addr = {"127.0.0.3", "127.0.0.4"}},
         {.addr = {"!none"}},
         QUICPRO_ECONNREFUSED,
         {"cannot connect to localhost port", "127.0.0.3:", "listens there; 127.0.0.4:"}},
        {"family",
         "any",
         {.addr = {"127.0.0.3"}},
         {.addr = {"fe80::1"}},
         QUICPRO_ECONNREFUSED,
         {"[fe80::1]:", "; 127.0.0.3:"}},
        {"family",
         "ipv6",
         {.addr = {"127.0.0.1"}}, /* not asked for */
         {.addr = {"fe80::1"}},
         -EINVAL,
         {"cannot connect to localhost port", "[fe80::1]:"}},
        {"handshake_timeout_ms",
         "200",
         {.addr = {"127.0.0.2", "127.0.0.3"}},
         {.addr = {"!none"}},
         QUICPRO_EHANDSHAKE,
         {"127.0.0.2:", "handshake timeout", "127.0.0.3:", "refused"}},
        {"family",
         "any",
         {.addr = {"!weather"}},
         {.addr = {"!weather"}},
         QUICPRO_ERESOLVE,
         {"cannot resolve host 'localhost': weather"}},
        {"family",
         "any",
         {.addr = {"!rain"}},
         {.addr = {"!snow"}},
         QUICPRO_ERESOLVE,
         {"IPv6: snow; IPv4: rain"}},
        {"family", "any", {.addr = {NULL}}, {.addr = {NULL}}, QUICPRO_ERESOLVE, {"localhost"}},
        {"resolve_timeout_ms",
         "50",
         {.hangs = true},
         {.hangs = true},
         QUICPRO_ERESOLVE,
         {"cannot resolve host 'localhost': no answer within 50 ms"}},
        {"resolve_timeout_ms",
         "50",
         {.addr = {"127.0.0.3"}},
         {.hangs = true},
         QUICPRO_ECONNREFUSED,
         {"127.0.0.3:", "no answer from the resolver for IPv6"}},
        {"handshake_timeout_ms",
         "100",
         {.hangs = true},
         {.hangs = true},
         QUICPRO_EHANDSHAKE,
         {"no answer from the resolver for IPv4", "no answer from the resolver for IPv6"}},
    };
    for (size_t i = 0; i < COUNTOF(row); i++) {
        struct pair p;
        quicpro_stream stream;
        const unsigned before = check_state.failed;
        start(&p, "0", row[i].v4, row[i].v6);
        quicpro_client_free(p.client);
        CHECK_INT(quicpro_config_set(p.client_config, row[i].key, row[i].value), ==, 0);
        CHECK_INT(quicpro_client_new(&p.client, p.client_loop, p.client_config), ==, 0);
        int silent = silent_socket(p.port);
        CHECK_INT(pair_connect(&p, "localhost"), ==, 0);
        CHECK_INT(pair_request(&p, "GET", "/", NULL, 0, 1, NULL, &stream), ==, 0);
        CHECK(pair_until_closed(&p));
        CHECK_INT(p.closed_error, ==, row[i].error);
        for (size_t j = 0; j < COUNTOF(row[i].says) && row[i].says[j] != NULL; j++)
            CHECK(strstr(p.closed_text, row[i].says[j]) != NULL);
        CHECK_INT(p.resets, ==, 1);
        CHECK_U64(lookups, ==, freed);
        if (check_state.failed != before)
            printf("#   %s\n", p.closed_text);
        close(silent);
        pair_done(&p);
    }
}

/* A peer's own words count more than silence and refusals, and the other addresses are tried. */
static void test_the_peer_is_heard(void)
{
    struct pair p;
    const struct answer v4 = {.addr = {"127.0.0.1", "127.0.0.3"}}, none = {.addr = {"!none"}};
    start(&p, "0", v4, none);
    quicpro_client_free(p.client);
    quicpro_config_set(p.client_config, "alpn", "h4");
    CHECK_INT(quicpro_client_new(&p.client, p.client_loop, p.client_config), ==, 0);
    CHECK_INT(pair_connect(&p, "localhost"), ==, 0);
    CHECK(pair_until_closed(&p));
    CHECK_INT(p.closed_error, ==, QUICPRO_EALPN);
    CHECK(strstr(p.closed_text, "no_application_protocol") != NULL);
    CHECK(strstr(p.closed_text, "127.0.0.3:") != NULL);
    pair_done(&p);
}

static void test_the_family_is_remembered(void)
{
    struct pair p;
    const struct answer v4 = {.addr = {"127.0.0.1"}}, v6 = {.addr = {"fe80::1"}};
    start(&p, "0", v4, v6);
    CHECK_INT(pair_connect(&p, "localhost"), ==, 0);
    CHECK_INT(link_of(&p)->dial->race.first, ==, QP_FAMILY_V6);
    CHECK(pair_until(&p, &p.connected));
    CHECK_INT(pair_connect(&p, "localhost"), ==, 0);
    CHECK_INT(link_of(&p)->dial->race.first, ==, QP_FAMILY_V4);
    p.connected = false;
    CHECK(pair_until(&p, &p.connected));
    answers[0] = (struct answer){.addr = {"127.0.0.3"}};
    CHECK_INT(pair_connect(&p, "localhost"), ==, 0);
    CHECK(pair_until_closed(&p));
    CHECK_INT(pair_connect(&p, "localhost"), ==, 0);
    CHECK_INT(link_of(&p)->dial->race.first, ==, QP_FAMILY_V6); /* it led nowhere: forgotten */
    pair_done(&p);
}

static void test_a_literal_of_the_other_family(void)
{
    static const struct {
        const char *family, *host;
        int want;
    } row[] = {{"ipv4", "::1", QUICPRO_EVALUE},
               {"ipv6", "127.0.0.1", QUICPRO_EVALUE},
               {"ipv4", "127.0.0.1", 0},
               {"ipv6", "[::1]", 0}};
    for (size_t i = 0; i < COUNTOF(row); i++) {
        struct pair p;
        pair_init(&p, "localhost");
        quicpro_config_set(p.client_config, "family", row[i].family);
        pair_start(&p);
        CHECK_INT(pair_connect(&p, row[i].host), ==, row[i].want);
        if (row[i].want != 0)
            CHECK(strstr(quicpro_loop_error(p.client_loop), "option \"family\"") != NULL);
        pair_done(&p);
    }
}

/* The kernel has no way there and says so at once; who has put a request on the connection
 * meanwhile gets to know it, too. */
static void test_a_literal_without_a_way_there(void)
{
    static const char *const host[] = {"255.255.255.255", "fe80::1"};
    for (size_t i = 0; i < COUNTOF(host); i++) {
        struct pair p;
        quicpro_stream stream;
        pair_init(&p, "localhost");
        pair_start(&p);
        p.port = 1;
        CHECK_INT(pair_connect(&p, host[i]), ==, 0);
        CHECK_INT(pair_request(&p, "GET", "/", NULL, 0, 1, NULL, &stream), ==, 0);
        CHECK(pair_until_closed(&p));
        CHECK(p.closed_error == -EACCES || p.closed_error == -EINVAL);
        CHECK(strstr(p.closed_text, "cannot connect to") != NULL);
        CHECK_INT(p.resets, ==, 1);
        pair_step(&p);
        CHECK_U64(p.client_loop->links.used, ==, 0);
        pair_done(&p);
    }
}

/* In the middle of everything the user, or the client's end, puts a stop to it. */
static void test_stopped_in_the_middle(void)
{
    for (int how = 0; how < 3; how++)
        for (int steps = 0; steps < 4; steps++) {
            struct pair p;
            quicpro_stream stream;
            const struct answer v4 = {.addr = {"127.0.0.2", "127.0.0.5", "127.0.0.2"}},
                                v6 = {.hangs = true};
            start(&p, "0", v4, v6);
            int silent = silent_socket(p.port);
            CHECK_INT(pair_connect(&p, "localhost"), ==, 0);
            CHECK_INT(pair_request(&p, "GET", "/", NULL, 0, 1, NULL, &stream), ==, 0);
            for (int i = 0; i < steps; i++) {
                quicpro_loop_wake(p.client_loop);
                pair_step(&p);
            }
            if (how == 0) {
                CHECK_INT(quicpro_conn_close(p.client_loop, p.conn, 0x100, "enough"), ==, 0);
                CHECK(pair_until_closed(&p));
                CHECK_INT(p.closed_error, ==, 0);
                CHECK_INT(p.resets, ==, 1);
            } else if (how == 1) {
                quicpro_client_free(p.client);
                p.client = NULL;
                CHECK_U64(p.client_loop->links.used, ==, 0);
                CHECK_U64(p.client_loop->cids.count, ==, 0);
            }
            close(silent);
            pair_done(&p);
            CHECK_U64(lookups, ==, freed);
        }
}

/* Its timers, in virtual time and up to the nanosecond: the next attempt, the resolver's end, the
 * end of all. */
static void test_timers(void)
{
    struct pair p;
    const struct answer v4 = {.addr = {"127.0.0.2", "127.0.0.5"}}, v6 = {.hangs = true};
    start(&p, "250", v4, v6);
    int silent = silent_socket(p.port);
    CHECK_INT(pair_connect(&p, "localhost"), ==, 0);
    struct qp_link *link = link_of(&p);
    struct qp_dial *dial = link->dial;
    const quicpro_tstamp began = link->handshake_until - 10 * QUICPRO_SECOND;
    CHECK_U64(dial->resolve_until, ==, began + 5 * QUICPRO_SECOND);
    qp_dial_poll(link, began);
    CHECK_U64(qp_dial_due(link), ==, began + QP_RACE_RESOLUTION_DELAY);
    CHECK(!qp_dial_on_timer(link, began + QP_RACE_RESOLUTION_DELAY - 1));
    CHECK_U64(dial->attempts, ==, 0);
    quicpro_tstamp now = began + QP_RACE_RESOLUTION_DELAY;
    CHECK(qp_dial_on_timer(link, now));
    CHECK_U64(dial->attempts, ==, 1);
    CHECK_U64(qp_dial_due(link), ==, now + 250 * QUICPRO_MILLISECOND);
    qp_dial_on_timer(link, now + 250 * QUICPRO_MILLISECOND - 1);
    CHECK_U64(dial->attempts, ==, 1);
    qp_dial_on_timer(link, now + 250 * QUICPRO_MILLISECOND);
    CHECK_U64(dial->attempts, ==, 2);
    CHECK_U64(qp_dial_due(link), ==, dial->resolve_until);
    qp_dial_on_timer(link, dial->resolve_until - 1);
    CHECK(!dial->lookup[1].expired);
    qp_dial_on_timer(link, dial->resolve_until);
    CHECK(dial->lookup[1].expired);
    CHECK_U64(qp_dial_due(link), ==, link->handshake_until);
    qp_link_on_timer(link, link->handshake_until - 1);
    CHECK(!link->handshake_expired);
    qp_link_on_timer(link, link->handshake_until);
    CHECK(link->handshake_expired);
    CHECK(pair_until_closed(&p));
    CHECK_INT(p.closed_error, ==, QUICPRO_EHANDSHAKE);
    close(silent);
    pair_done(&p);
    CHECK_U64(lookups, ==, freed);
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_the_one_that_answers_wins),
        TEST(test_a_rival_takes_over),
        TEST(test_early_data_follows_the_winner),
        TEST(test_early_streams_stay_with_the_loser),
        TEST(test_waiting_for_a_second_answer),
        TEST(test_failures_name_every_address),
        TEST(test_the_peer_is_heard),
        TEST(test_the_family_is_remembered),
        TEST(test_a_literal_of_the_other_family),
        TEST(test_timers),
        TEST(test_a_literal_without_a_way_there),
        TEST(test_stopped_in_the_middle),
    };
    return RUN(tests);
}
