#include "loop/zero_rtt.h"

#include <fcntl.h>
#include <sys/mman.h>

#include "exchange.h"
#include "loop/loop.h"

enum { FLIGHT_MAX = 16, DATAGRAM_MAX = 2048, REPLAYS = 1000 };

/* Between client and server, so that the first flight of a connection can be kept. */
struct relay {
    int front, back; /* sockets: to the client, to the server */
    struct sockaddr_in client, server;
    uint16_t port;
    bool answered; /* the server has spoken since the flight began */
    size_t count;
    size_t len[FLIGHT_MAX];
    uint8_t data[FLIGHT_MAX][DATAGRAM_MAX];
};

/* What the test looks at. */
struct seen {
    struct exchanges all;
    size_t requests, early, early_posts, posts;
    bool connected_first; /* CONNECTED came before the first REQUEST */
    bool connected;
};

static struct seen seen;

static int udp_socket(uint16_t *ret_port)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(addr);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&addr, len) < 0 ||
        getsockname(fd, (struct sockaddr *)&addr, &len) < 0)
        abort();
    *ret_port = ntohs(addr.sin_port);
    return fd;
}

static void relay_init(struct relay *r, uint16_t server_port)
{
    uint16_t ignored;
    *r = (struct relay){.server = {.sin_family = AF_INET,
                                   .sin_port = htons(server_port),
                                   .sin_addr = {htonl(INADDR_LOOPBACK)}}};
    r->front = udp_socket(&r->port);
    r->back = udp_socket(&ignored);
}

static void relay_done(struct relay *r)
{
    close(r->front);
    close(r->back);
}

static void relay_pump(struct relay *r)
{
    uint8_t buf[65536];
    socklen_t len = sizeof(r->client);
    ssize_t n;
    while ((n = recvfrom(r->front, buf, sizeof(buf), 0, (struct sockaddr *)&r->client, &len)) > 0) {
        if (!r->answered && r->count < FLIGHT_MAX && n <= DATAGRAM_MAX) {
            memcpy(r->data[r->count], buf, (size_t)n);
            r->len[r->count++] = (size_t)n;
        }
        sendto(r->back, buf, (size_t)n, 0, (struct sockaddr *)&r->server, sizeof(r->server));
    }
    while ((n = recv(r->back, buf, sizeof(buf), 0)) > 0) {
        r->answered = true;
        sendto(r->front, buf, (size_t)n, 0, (struct sockaddr *)&r->client, len);
    }
}

static void step(struct pair *p, struct relay *r)
{
    quicpro_loop_flush(p->server_loop);
    quicpro_loop_flush(p->client_loop);
    struct pollfd fd[] = {{quicpro_loop_fd(p->server_loop), POLLIN, 0},
                          {quicpro_loop_fd(p->client_loop), POLLIN, 0},
                          {r == NULL ? -1 : r->front, POLLIN, 0},
                          {r == NULL ? -1 : r->back, POLLIN, 0}};
    poll(fd, COUNTOF(fd), 1000);
    if (r != NULL)
        relay_pump(r);
    pair_run(p, true);
    pair_run(p, false);
}

static bool until(struct pair *p, struct relay *r, const bool *done)
{
    quicpro_tstamp end = quicpro_now() + PAIR_DEADLINE_S * QUICPRO_SECOND;
    while (!*done && quicpro_now() < end)
        step(p, r);
    return *done;
}

static void serve(struct pair *p, const quicpro_batch *batch, const quicpro_event *event)
{
    if (event->type == QUICPRO_EVENT_CONNECTED)
        seen.connected = true;
    if (event->type == QUICPRO_EVENT_REQUEST) {
        size_t len;
        const char *method = quicpro_event_field(batch, event, ":method", &len);
        const bool post = len == 4 && memcmp(method, "POST", 4) == 0;
        if (seen.requests++ == 0)
            seen.connected_first = seen.connected;
        seen.posts += post;
        seen.early += (event->flags & QUICPRO_FLAG_EARLY) != 0;
        seen.early_posts += post && (event->flags & QUICPRO_FLAG_EARLY);
    }
    exchange_serve(p, batch, event);
}

static void begin(struct pair *p, bool server_early, bool client_early)
{
    pair_init(p, "localhost");
    quicpro_config_set(p->server_config, "early_data", server_early ? "1" : "0");
    quicpro_config_set(p->client_config, "early_data", client_early ? "1" : "0");
    p->on_server = serve;
    p->on_client = exchange_client;
    pair_start(p);
}

/* A connection with a GET, and a POST if one is asked for. What the client says of its early data.
 */
static unsigned talk(struct pair *p, struct relay *r, bool post)
{
    struct exchange get, echo;
    seen = (struct seen){.all = {.expected = post ? 2 : 1}};
    p->data = &seen.all;
    p->closed = 0;
    if (r != NULL) {
        r->count = 0;
        r->answered = false;
    }
    CHECK_INT(quicpro_client_connect(p->client, "127.0.0.1", r == NULL ? p->port : r->port, NULL,
                                     &p->conn),
              ==, 0);
    if (post)
        CHECK_INT(exchange_post(p, &echo, 3000, 9), ==, 0);
    CHECK_INT(exchange_get(p, &get, 1000, 7), ==, 0);
    CHECK(until(p, r, &seen.all.finished));
    if (!CHECK(exchange_good(&get)) || !CHECK(!post || exchange_good(&echo)))
        printf("# %s\n", p->closed_text);
    quicpro_conn_info info = {.size = sizeof(info)};
    CHECK_INT(quicpro_conn_get_info(p->client_loop, p->conn, &info), ==, 0);
    quicpro_conn_close(p->client_loop, p->conn, 0x100, "");
    while (p->closed == 0)
        step(p, r);
    CHECK_INT(p->closed_error, ==, 0);
    while (seen.all.serving != NULL) {
        struct serving *s = seen.all.serving;
        seen.all.serving = s->next;
        free(s->body);
        free(s);
    }
    return info.early_data;
}

static void test_safe_request_travels_with_the_first_flight(void)
{
    struct pair p;
    begin(&p, true, true);
    CHECK_INT(talk(&p, NULL, false), ==, QUICPRO_EARLY_NONE);
    CHECK_U64(seen.early, ==, 0);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(talk(&p, NULL, false), ==, QUICPRO_EARLY_ACCEPTED);
        CHECK_U64(seen.requests, ==, 1);
        CHECK_U64(seen.early, ==, 1);
        CHECK(!seen.connected_first); /* it was answered before the handshake was done */
    }
    pair_done(&p);
}

static void test_unsafe_request_waits(void)
{
    struct pair p;
    begin(&p, true, true);
    talk(&p, NULL, false);
    CHECK_INT(talk(&p, NULL, true), ==, QUICPRO_EARLY_ACCEPTED);
    CHECK_U64(seen.requests, ==, 2);
    CHECK_U64(seen.posts, ==, 1);
    CHECK_U64(seen.early, ==, 1); /* the GET overtook it */
    CHECK_U64(seen.early_posts, ==, 0);
    pair_done(&p);
}

static void test_off_unless_both_want_it(void)
{
    for (int side = 0; side < 2; side++) {
        struct pair p;
        begin(&p, side == 0, side == 1);
        for (int i = 0; i < 2; i++) {
            CHECK_INT(talk(&p, NULL, false), ==, QUICPRO_EARLY_NONE);
            CHECK_U64(seen.early, ==, 0);
            CHECK(seen.connected_first);
        }
        pair_done(&p);
    }
}

/* A server in place of the old, with its keys and register. */
static void replace_server(struct pair *p)
{
    struct qp_resume resume = p->server_loop->endpoints->resume;
    p->server_loop->endpoints->resume = (struct qp_resume){0};
    quicpro_server_free(p->server);
    CHECK_INT(quicpro_server_new(&p->server, p->server_loop, p->server_config), ==, 0);
    CHECK_INT(quicpro_server_listen(p->server, "127.0.0.1", p->port), ==, p->port);
    struct qp_resume *now = &p->server_loop->endpoints->resume;
    memcpy(now->vault, resume.vault, now->vault_bytes);
    munmap(resume.vault, resume.vault_bytes);
}

/* Every request arrives once, whatever becomes of the early data. */
static void test_rejected_early_data_is_sent_again(void)
{
    static const char *const change[][2] = {
        {"initial_max_streams_bidi", "50"},
        {"initial_max_data_bytes", "100000"},
        {"max_field_section_bytes", "9999"},
        {"early_data", "0"},
    };
    struct pair p;
    begin(&p, true, true);
    talk(&p, NULL, false);
    replace_server(&p); /* nothing changed */
    CHECK_INT(talk(&p, NULL, false), ==, QUICPRO_EARLY_ACCEPTED);
    for (size_t i = 0; i < COUNTOF(change); i++) {
        quicpro_config_set(p.server_config, change[i][0], change[i][1]);
        replace_server(&p);
        CHECK_INT(talk(&p, NULL, true), ==, QUICPRO_EARLY_REJECTED);
        CHECK_U64(seen.requests, ==, 2);
        CHECK_U64(seen.posts, ==, 1);
        CHECK_U64(seen.early, ==, 0);
        if (i + 1 < COUNTOF(change)) /* the tickets since then are of the new promises */
            CHECK_INT(talk(&p, NULL, false), ==, QUICPRO_EARLY_ACCEPTED);
    }
    pair_done(&p);
}

static void test_unknown_keys_reject(void)
{
    struct pair p;
    begin(&p, true, true);
    talk(&p, NULL, false);
    quicpro_server_free(p.server);
    CHECK_INT(quicpro_server_new(&p.server, p.server_loop, p.server_config), ==, 0);
    CHECK_INT(quicpro_server_listen(p.server, "127.0.0.1", p.port), ==, p.port);
    CHECK_INT(talk(&p, NULL, true), ==, QUICPRO_EARLY_REJECTED);
    CHECK_U64(seen.requests, ==, 2);
    CHECK_U64(seen.posts, ==, 1);
    pair_done(&p);
}

/* The links of replays, whose handshakes nobody will finish: as their timeout would. */
static size_t drop_handshakes(struct pair *p)
{
    uint32_t cursor = 0;
    quicpro_handle handle;
    struct qp_link *link;
    size_t dropped = 0;
    while ((link = qp_slab_next(&p->server_loop->links, &cursor, &handle)) != NULL)
        if (link->state == QP_LINK_HANDSHAKE) {
            qp_link_free(link);
            dropped++;
        }
    return dropped;
}

/* Sends the kept flight to the server as somebody else; what the server made of it is in `seen`. */
static size_t replay(struct pair *p, const struct relay *r)
{
    uint16_t port;
    int fd = udp_socket(&port);
    const quicpro_batch *batch;
    struct pollfd wait = {fd, POLLIN, 0};
    for (size_t i = 0; i < r->count; i++)
        CHECK(sendto(fd, r->data[i], r->len[i], 0, (const struct sockaddr *)&r->server,
                     sizeof(r->server)) == (ssize_t)r->len[i]);
    /* Until the server has answered: the flight has been read whole then. */
    for (int i = 0; i < 1000 && poll(&wait, 1, 0) == 0; i++) {
        int n = quicpro_loop_run(p->server_loop, 0, &batch);
        for (int j = 0; j < n; j++)
            p->on_server(p, batch, &batch->events[j]);
        quicpro_loop_flush(p->server_loop);
    }
    CHECK(poll(&wait, 1, 0) == 1);
    close(fd);
    return drop_handshakes(p);
}

static void test_replayed_flight_is_early_data_once(void)
{
    struct pair p;
    struct relay r;
    size_t early = 0, requests = 0, links = 0;
    uint64_t counts[4];
    begin(&p, true, true);
    relay_init(&r, p.port);
    talk(&p, &r, false);
    CHECK_INT(talk(&p, &r, false), ==, QUICPRO_EARLY_ACCEPTED);
    CHECK_U64(seen.early, ==, 1);
    CHECK_U64(r.count, >=, 2);
    for (int i = 0; i < REPLAYS; i++) {
        seen = (struct seen){0};
        links += replay(&p, &r);
        early += seen.early;
        requests += seen.requests;
    }
    CHECK_U64(links, ==, REPLAYS); /* each was taken for a connection */
    CHECK_U64(early, ==, 0);
    CHECK_U64(requests, ==, 0);
    qp_register_counts(p.server_loop->endpoints->resume.tickets.reg, counts);
    CHECK_U64(counts[QP_REGISTER_FRESH], ==, 1);
    CHECK_U64(counts[QP_REGISTER_SEEN], ==, REPLAYS);
    CHECK_INT(talk(&p, &r, false), ==, QUICPRO_EARLY_ACCEPTED); /* others are not hurt */
    relay_done(&r);
    pair_done(&p);
}

/* The server answered a flight with a Retry, and its client came again with a token and under
 * another connection ID, the same ClientHello in its hands. The flight as it was first, sent again
 * once the server asks nobody for a token, is known by that ClientHello. */
static void test_flight_that_met_a_retry_is_the_same_flight(void)
{
    struct pair p;
    struct relay r;
    uint64_t counts[4];
    size_t early = 0, links = 0;
    begin(&p, true, true);
    relay_init(&r, p.port);
    talk(&p, &r, false);
    CHECK_INT(quicpro_server_set_option(p.server, "retry", "always"), ==, 0);
    CHECK_INT(talk(&p, &r, false), ==, QUICPRO_EARLY_ACCEPTED);
    CHECK_U64(seen.requests, ==, 1); /* early or not: the engine may wait with what got lost */
    CHECK_INT(quicpro_server_set_option(p.server, "retry", "never"), ==, 0);
    for (int i = 0; i < REPLAYS; i++) {
        seen = (struct seen){0};
        links += replay(&p, &r);
        early += seen.early;
    }
    CHECK_U64(links, ==, REPLAYS);
    CHECK_U64(early, ==, 0);
    qp_register_counts(p.server_loop->endpoints->resume.tickets.reg, counts);
    CHECK_U64(counts[QP_REGISTER_FRESH], ==, 1);
    CHECK_U64(counts[QP_REGISTER_SEEN], ==, REPLAYS);
    relay_done(&r);
    pair_done(&p);
}

/* The first of the replays is as good as the flight itself where that never arrived. */
static void test_flight_that_was_held_up_counts_once(void)
{
    struct pair p;
    struct relay r;
    begin(&p, true, true);
    relay_init(&r, p.port);
    talk(&p, &r, false);
    talk(&p, &r, false);
    /* The server forgets that it saw it, as if it had not. */
    struct qp_resume *resume = &p.server_loop->endpoints->resume;
    uint8_t *reg = (uint8_t *)resume->tickets.reg;
    memset(reg + QP_REGISTER_HEAD_BYTES, 0,
           resume->vault_bytes - (size_t)(reg - (uint8_t *)resume->vault) - QP_REGISTER_HEAD_BYTES);
    size_t early = 0;
    for (int i = 0; i < 10; i++) {
        seen = (struct seen){0};
        p.data = &seen.all;
        replay(&p, &r);
        early += seen.early;
        while (seen.all.serving != NULL) {
            struct serving *s = seen.all.serving;
            seen.all.serving = s->next;
            free(s);
        }
    }
    CHECK_U64(early, ==, 1);
    relay_done(&r);
    pair_done(&p);
}

/* A register that is lost while the keys live on. */
static void test_no_early_data_in_the_registers_youth(void)
{
    static const uint8_t key[16] = "another";
    struct pair p;
    struct relay r;
    uint64_t counts[4];
    begin(&p, true, true);
    relay_init(&r, p.port);
    talk(&p, &r, false);
    CHECK_INT(talk(&p, &r, false), ==, QUICPRO_EARLY_ACCEPTED);
    struct qp_resume *resume = &p.server_loop->endpoints->resume;
    uint8_t *reg = (uint8_t *)resume->tickets.reg;
    qp_register_init(reg, resume->vault_bytes - (size_t)(reg - (uint8_t *)resume->vault), key,
                     quicpro_now(), resume->tickets.wall);
    seen = (struct seen){0};
    replay(&p, &r);
    CHECK_U64(seen.requests, ==, 0);
    CHECK_INT(talk(&p, &r, false), ==, QUICPRO_EARLY_REJECTED);
    CHECK_U64(seen.early, ==, 0);
    qp_register_counts(resume->tickets.reg, counts);
    CHECK_U64(counts[QP_REGISTER_TOO_YOUNG], ==, 2);
    relay_done(&r);
    pair_done(&p);
}

/* What one stream of another protocol went through, and what both sides saw of it. */
struct raw_seen {
    char echo[64];
    size_t echoed;
    int early_events, streams, early_streams, resets, reset_error;
    size_t datagrams;
    bool server_connected, stream_first, datagram, done;
};

static struct raw_seen raw;

static void raw_ask(struct pair *p)
{
    quicpro_stream stream;
    CHECK_INT(quicpro_stream_open(p->client_loop, p->conn, 1, NULL, &stream), ==, 0);
    CHECK_INT(quicpro_stream_write(p->client_loop, stream, "a question", 10, 1), ==, 0);
}

static void raw_client(struct pair *p, const quicpro_batch *batch, const quicpro_event *event)
{
    int fin = 0;
    (void)batch;
    if (event->type == QUICPRO_EVENT_EARLY) {
        raw.early_events++;
        raw_ask(p);
        if (raw.datagram)
            CHECK_INT(quicpro_datagram_send(p->client_loop, p->conn, "hint", 4), ==, 0);
    } else if (event->type == QUICPRO_EVENT_RESET) {
        raw.resets++;
        raw.reset_error = event->error;
    } else if (event->type == QUICPRO_EVENT_CONNECTED && raw.early_events == raw.resets) {
        raw_ask(p);
    } else if (event->type == QUICPRO_EVENT_READABLE) {
        int64_t n = quicpro_stream_read(p->client_loop, event->stream, raw.echo + raw.echoed,
                                        sizeof(raw.echo) - raw.echoed, &fin, NULL);
        raw.echoed += n > 0 ? (size_t)n : 0;
        raw.done = fin;
    }
}

static void raw_serve(struct pair *p, const quicpro_batch *batch, const quicpro_event *event)
{
    char buf[64];
    int fin = 0;
    (void)batch;
    if (event->type == QUICPRO_EVENT_CONNECTED)
        raw.server_connected = true;
    if (event->type == QUICPRO_EVENT_DATAGRAM)
        raw.datagrams++;
    if (event->type == QUICPRO_EVENT_STREAM) {
        raw.streams++;
        raw.early_streams += (event->flags & QUICPRO_FLAG_EARLY) != 0;
        raw.stream_first = !raw.server_connected;
    }
    if (event->type == QUICPRO_EVENT_READABLE) {
        int64_t n =
            quicpro_stream_read(p->server_loop, event->stream, buf, sizeof(buf), &fin, NULL);
        if (CHECK_INT(n, >=, 0))
            quicpro_stream_write(p->server_loop, event->stream, buf, (size_t)n, fin);
    }
}

static void raw_begin(struct pair *p, const char *server_alpn, const char *unsafe)
{
    pair_init(p, "localhost");
    quicpro_config_set(p->server_config, "alpn", server_alpn);
    quicpro_config_set(p->client_config, "alpn", "echo");
    quicpro_config_set(p->server_config, "early_data_unsafe", unsafe);
    quicpro_config *both[] = {p->server_config, p->client_config};
    for (size_t i = 0; i < 2; i++) {
        quicpro_config_set(both[i], "early_data", "1");
        quicpro_config_set(both[i], "datagrams_enable", "1");
    }
    p->on_server = raw_serve;
    p->on_client = raw_client;
    pair_start(p);
}

/* A connection with a question, early if that can be. What the client says of its early data. */
static unsigned raw_talk(struct pair *p, bool datagram)
{
    raw = (struct raw_seen){.datagram = datagram};
    p->closed = 0;
    CHECK_INT(pair_connect(p, "127.0.0.1"), ==, 0);
    CHECK(until(p, NULL, &raw.done));
    CHECK_INT(raw.echoed, ==, 10);
    CHECK_MEM(raw.echo, "a question", 10);
    quicpro_conn_info info = {.size = sizeof(info)};
    CHECK_INT(quicpro_conn_get_info(p->client_loop, p->conn, &info), ==, 0);
    quicpro_conn_close(p->client_loop, p->conn, 0, "");
    while (p->closed == 0)
        step(p, NULL);
    CHECK_INT(p->closed_error, ==, 0);
    return info.early_data;
}

static void test_streams_of_another_protocol(void)
{
    static const struct {
        const char *alpn, *unsafe;
        bool shown;
    } row[] = {
        {"echo", "show", true},
        {"h3,echo", "show", true},
        {"echo", "wait", false}, /* until the handshake is done */
        {"h3,echo", "refuse", false},
    };
    for (size_t i = 0; i < COUNTOF(row); i++) {
        struct pair p;
        raw_begin(&p, row[i].alpn, row[i].unsafe);
        CHECK_INT(raw_talk(&p, false), ==, QUICPRO_EARLY_NONE);
        CHECK_INT(raw.early_events, ==, 0);
        CHECK_INT(raw.early_streams, ==, 0);
        for (int again = 0; again < 2; again++) {
            CHECK_INT(raw_talk(&p, again == 1), ==, QUICPRO_EARLY_ACCEPTED);
            CHECK_INT(raw.early_events, ==, 1);
            CHECK_INT(raw.streams, ==, 1);
            CHECK_INT(raw.resets, ==, 0);
            CHECK_INT(raw.early_streams, ==, row[i].shown);
            CHECK_INT(raw.stream_first, ==, row[i].shown);
            CHECK_U64(raw.datagrams, ==, again == 1);
        }
        pair_done(&p);
    }
}

/* The server has seen nothing of it, and the application knows. */
static void test_streams_that_are_rejected(void)
{
    struct pair p;
    raw_begin(&p, "echo", "show");
    raw_talk(&p, false);
    quicpro_config_set(p.server_config, "initial_max_data_bytes", "100000");
    replace_server(&p);
    CHECK_INT(raw_talk(&p, true), ==, QUICPRO_EARLY_REJECTED);
    CHECK_INT(raw.early_events, ==, 1);
    CHECK_INT(raw.resets, ==, 1);
    CHECK_INT(raw.reset_error, ==, QUICPRO_EEARLY);
    CHECK_INT(raw.streams, ==, 1);
    CHECK_INT(raw.early_streams, ==, 0);
    CHECK_U64(raw.datagrams, ==, 0);
    CHECK_INT(raw_talk(&p, false), ==, QUICPRO_EARLY_ACCEPTED);
    pair_done(&p);
}

/* Closed as soon as all has arrived, which takes the handshake. */
static void test_finish_before_the_handshake(void)
{
    struct pair p;
    raw_begin(&p, "echo", "show");
    raw_talk(&p, false);
    raw = (struct raw_seen){0};
    p.closed = 0;
    CHECK_INT(pair_connect(&p, "127.0.0.1"), ==, 0);
    while (raw.early_events == 0)
        step(&p, NULL);
    CHECK_INT(quicpro_conn_finish(p.client_loop, p.conn, 7, "enough"), ==, 0);
    while (p.closed == 0)
        step(&p, NULL);
    CHECK_INT(raw.streams, ==, 1);
    CHECK_U64(p.closed_code, ==, 7);
    pair_done(&p);
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_safe_request_travels_with_the_first_flight),
        TEST(test_unsafe_request_waits),
        TEST(test_off_unless_both_want_it),
        TEST(test_rejected_early_data_is_sent_again),
        TEST(test_unknown_keys_reject),
        TEST(test_replayed_flight_is_early_data_once),
        TEST(test_flight_that_met_a_retry_is_the_same_flight),
        TEST(test_flight_that_was_held_up_counts_once),
        TEST(test_no_early_data_in_the_registers_youth),
        TEST(test_streams_of_another_protocol),
        TEST(test_streams_that_are_rejected),
        TEST(test_finish_before_the_handshake),
    };
    return RUN(tests);
}
