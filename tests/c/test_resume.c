#include "loop/resume.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "exchange.h"
#include "loop/loop.h"

/* The engine's flags and other facts of the pair's connection on the client. */
static uint32_t client_flags(struct pair *p)
{
    struct qp_link *link = qp_link_get(p->client_loop, p->conn);
    return link == NULL ? 0 : link->conn.engine->flags(link->conn.impl);
}

/* One connection from its first packet to its end, with a request on it. True: it was resumed. */
static bool talk(struct pair *p, const char *host)
{
    struct exchanges all = {.expected = 1};
    struct exchange x;
    p->connected = false;
    p->closed = 0;
    p->data = &all;
    CHECK_INT(pair_connect(p, host), ==, 0);
    CHECK_INT(exchange_get(p, &x, 1000, 7), ==, 0);
    CHECK(pair_until(p, &all.finished));
    if (!CHECK(exchange_good(&x)))
        printf("# closed: %s\n", p->closed_text);
    const bool resumed = client_flags(p) & QP_ENGINE_RESUMED;
    quicpro_conn_close(p->client_loop, p->conn, 0x100, "");
    CHECK(pair_until_closed(p));
    while (all.serving != NULL) {
        struct serving *s = all.serving;
        all.serving = s->next;
        free(s->body);
        free(s);
    }
    return resumed;
}

static void begin(struct pair *p)
{
    pair_init(p, "localhost");
    p->on_server = exchange_serve;
    p->on_client = exchange_client;
}

static struct qp_resume *server_of(struct pair *p)
{
    return &p->server_loop->endpoints->resume;
}

static struct qp_store *store_of(struct pair *p)
{
    return &p->client_loop->endpoints->resume.store;
}

static void test_second_connection_is_resumed(void)
{
    struct pair p;
    begin(&p);
    pair_start(&p);
    CHECK(!talk(&p, "127.0.0.1"));
    CHECK_U64(store_of(&p)->count, >=, 1);
    for (int i = 0; i < 3; i++)
        CHECK(talk(&p, "127.0.0.1"));
    CHECK_U64(store_of(&p)->hits, ==, 3);
    CHECK(!talk(&p, "localhost")); /* another name: another server */
    CHECK(talk(&p, "LOCALHOST"));
    pair_done(&p);
}

static void test_either_side_may_want_no_tickets(void)
{
    for (int side = 0; side < 2; side++) {
        struct pair p;
        begin(&p);
        quicpro_config_set(side == 0 ? p.server_config : p.client_config, "session_tickets", "0");
        pair_start(&p);
        CHECK(!talk(&p, "127.0.0.1"));
        CHECK(!talk(&p, "127.0.0.1"));
        CHECK_U64(store_of(&p)->count, ==, 0);
        pair_done(&p);
    }
}

/* The others may be of an older key. */
static void keep_newest(struct pair *p)
{
    struct qp_store *store = store_of(p);
    struct qp_buf newest = {0};
    uint8_t key[QP_BLOB_KEY_MAX];
    size_t len =
        qp_blob_key(key, "127.0.0.1", p->port, "h3", p->client_loop->endpoints->resume.policy);
    CHECK_INT(qp_store_take(store, key, len, 0, &newest), ==, 1);
    qp_store_done(store);
    CHECK_INT(qp_store_put(store, key, len, newest.data, newest.len, UINT64_MAX), ==, 0);
    qp_buf_done(&newest);
}

static void turn(struct pair *p, unsigned times)
{
    struct qp_ring *ring = server_of(p)->ring;
    uint8_t fresh[QP_RING_FRESH_BYTES];
    static int number;
    for (unsigned i = 0; i < times; i++) {
        memset(fresh, ++number, sizeof(fresh));
        qp_ring_turn(ring, qp_ring_due(ring), fresh);
    }
}

/* A ticket opens with the key it was sealed with for two more periods, and its client gets a new
 * one under the key of the day. */
static void test_keys_turn_under_the_tickets(void)
{
    static const struct {
        unsigned turns;
        bool resumed;
    } row[] = {{0, true}, {1, true}, {2, true}, {3, false}, {9, false}};
    struct pair p;
    begin(&p);
    pair_start(&p);
    talk(&p, "127.0.0.1");
    for (size_t i = 0; i < COUNTOF(row); i++) {
        keep_newest(&p);
        turn(&p, row[i].turns);
        CHECK(talk(&p, "127.0.0.1") == row[i].resumed);
    }
    pair_done(&p);
}

static void test_keys_turn_by_the_clock(void)
{
    struct pair p;
    struct qp_ring_key before, after;
    begin(&p);
    pair_start(&p);
    struct qp_endpoint *server = p.server_loop->endpoints;
    struct qp_ring *ring = server->resume.ring;
    const quicpro_tstamp due = qp_ring_due(ring);
    CHECK_U64(due - quicpro_now(), <=, 3600 * QUICPRO_SECOND); /* half of ticket_lifetime_sec */
    CHECK_U64(due - quicpro_now(), >, 3500 * QUICPRO_SECOND);
    qp_resume_tick(server, due - 1);
    CHECK(qp_ring_current(ring, due - 1, &before));
    qp_resume_tick(server, due);
    CHECK_U64(qp_ring_due(ring), ==, due + 3600 * QUICPRO_SECOND);
    CHECK(qp_ring_current(ring, due, &after));
    CHECK(memcmp(before.name, after.name, sizeof(before.name)) != 0);
    pair_done(&p);
}

/* Another server under the same name and port: its keys are others. */
static void test_new_server_knows_no_old_tickets(void)
{
    struct pair p;
    begin(&p);
    pair_start(&p);
    talk(&p, "127.0.0.1");
    quicpro_server_free(p.server);
    CHECK_INT(quicpro_server_new(&p.server, p.server_loop, p.server_config), ==, 0);
    CHECK_INT(quicpro_server_listen(p.server, "127.0.0.1", p.port), ==, p.port);
    CHECK(!talk(&p, "127.0.0.1"));
    CHECK(talk(&p, "127.0.0.1"));
    pair_done(&p);
}

/* A session that was begun without looking at the certificate is no way around it. */
static void test_session_of_another_policy_is_not_used(void)
{
    struct pair p;
    char path[96];
    begin(&p);
    snprintf(path, sizeof(path), "%s/sessions", p.dir);
    quicpro_config_set(p.client_config, "session_file", path);
    quicpro_config_set(p.client_config, "verify_peer", "0");
    pair_start(&p);
    talk(&p, "127.0.0.1");
    CHECK(talk(&p, "127.0.0.1"));
    quicpro_config_set(p.client_config, "verify_peer", "1");
    quicpro_client_free(p.client);
    CHECK_INT(quicpro_client_new(&p.client, p.client_loop, p.client_config), ==, 0);
    CHECK(!talk(&p, "127.0.0.1"));
    CHECK(talk(&p, "127.0.0.1"));
    unlink(path);
    pair_done(&p);
}

static char logged[512];

static void keep_line(void *user, int level, const char *line)
{
    (void)user;
    if (level <= QUICPRO_LOG_WARNING)
        snprintf(logged, sizeof(logged), "%s", line);
}

static void renew_client(struct pair *p)
{
    quicpro_client_free(p->client);
    CHECK_INT(quicpro_client_new(&p->client, p->client_loop, p->client_config), ==, 0);
}

static void test_file_outlives_the_client(void)
{
    struct pair p;
    char path[96];
    struct stat st;
    begin(&p);
    snprintf(path, sizeof(path), "%s/sessions", p.dir);
    quicpro_config_set(p.client_config, "session_file", path);
    pair_start(&p);
    CHECK(!talk(&p, "127.0.0.1"));
    CHECK(stat(path, &st) == 0 && st.st_size > 100);
    CHECK_INT(st.st_mode & 0777, ==, 0600);
    renew_client(&p);
    CHECK(talk(&p, "127.0.0.1"));
    CHECK_U64(store_of(&p)->count, ==, 0); /* nothing in memory */
    /* Damaged: one line, and it is begun anew. */
    quicpro_loop_set_log(p.client_loop, keep_line, NULL, QUICPRO_LOG_WARNING);
    FILE *f = fopen(path, "r+");
    CHECK(f != NULL && fputs("damage", f) >= 0 && fclose(f) == 0);
    logged[0] = '\0';
    CHECK(!talk(&p, "127.0.0.1"));
    CHECK(strstr(logged, "is damaged or of another version") != NULL);
    logged[0] = '\0';
    CHECK(talk(&p, "127.0.0.1"));
    CHECK_STR(logged, "");
    /* In use by another process: without. */
    int fd = open(path, O_RDWR);
    CHECK(fd >= 0 && flock(fd, LOCK_EX) == 0);
    CHECK(!talk(&p, "127.0.0.1"));
    CHECK_STR(logged, "");
    close(fd);
    CHECK(talk(&p, "127.0.0.1"));
    unlink(path);
    pair_done(&p);
}

static void test_file_that_is_refused(void)
{
    struct pair p;
    char path[96];
    quicpro_client *client = NULL;
    begin(&p);
    snprintf(path, sizeof(path), "%s/sessions", p.dir);
    pair_write(path, "");
    CHECK(chmod(path, 0644) == 0);
    pair_start(&p);
    quicpro_config_set(p.client_config, "session_file", path);
    CHECK_INT(quicpro_client_new(&client, p.client_loop, p.client_config), ==, QUICPRO_EVALUE);
    CHECK(strstr(quicpro_loop_error(p.client_loop), "others may read or write it") != NULL);
    /* Opened to others later: said once, and it goes without. */
    CHECK(chmod(path, 0600) == 0);
    renew_client(&p);
    quicpro_loop_set_log(p.client_loop, keep_line, NULL, QUICPRO_LOG_WARNING);
    CHECK(!talk(&p, "127.0.0.1"));
    CHECK(chmod(path, 0644) == 0);
    logged[0] = '\0';
    CHECK(!talk(&p, "127.0.0.1"));
    CHECK(strstr(logged, "others may read or write it") != NULL);
    logged[0] = '\0';
    CHECK(!talk(&p, "127.0.0.1"));
    CHECK_STR(logged, "");
    unlink(path);
    pair_done(&p);
}

/* What is kept is not believed: damaged bytes give a full handshake and a line. */
static void test_damaged_session_is_not_used(void)
{
    struct pair p;
    begin(&p);
    pair_start(&p);
    talk(&p, "127.0.0.1");
    quicpro_loop_set_log(p.client_loop, keep_line, NULL, QUICPRO_LOG_WARNING);
    uint8_t key[QP_BLOB_KEY_MAX];
    size_t len =
        qp_blob_key(key, "127.0.0.1", p.port, "h3", p.client_loop->endpoints->resume.policy);
    const struct qp_blob blob = {.engine = (const uint8_t *)"damaged", .engine_len = 7};
    uint8_t out[64];
    qp_blob_write(out, &blob);
    for (size_t bytes = 5; bytes <= qp_blob_size(&blob); bytes += qp_blob_size(&blob) - 5) {
        logged[0] = '\0';
        CHECK_INT(qp_store_put(store_of(&p), key, len, out, bytes, UINT64_MAX), ==, 0);
        CHECK(!talk(&p, "127.0.0.1"));
        CHECK(strstr(logged, "the session kept for 127.0.0.1 port") != NULL);
    }
    pair_done(&p);
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_second_connection_is_resumed),
        TEST(test_either_side_may_want_no_tickets),
        TEST(test_keys_turn_under_the_tickets),
        TEST(test_keys_turn_by_the_clock),
        TEST(test_new_server_knows_no_old_tickets),
        TEST(test_session_of_another_policy_is_not_used),
        TEST(test_file_outlives_the_client),
        TEST(test_file_that_is_refused),
        TEST(test_damaged_session_is_not_used),
    };
    return RUN(tests);
}
