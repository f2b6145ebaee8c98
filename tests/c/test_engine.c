#include "exchange.h"

#include "oom.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "loop/loop.h"

static void test_layouts_agree(void)
{
    size_t rust[QP_ENGINE_LAYOUTS] = {0};
    qp_engine_layout(rust);
    CHECK_U64(rust[0], ==, sizeof(struct qp_engine_params));
    CHECK_U64(rust[1], ==, sizeof(struct qp_engine_error));
    CHECK_U64(rust[2], ==, sizeof(struct qp_engine_stats));
    CHECK_U64(rust[3], ==, sizeof(struct qp_engine_path));
    CHECK_U64(rust[4], ==, sizeof(struct qp_engine_peer_params));
    CHECK_U64(rust[5], ==, sizeof(struct qp_engine_ids));
}

static struct qp_link *link_at(quicpro_loop *loop, size_t nth)
{
    uint32_t cursor = 0;
    quicpro_handle handle;
    struct qp_link *link;
    do
        link = qp_slab_next(&loop->links, &cursor, &handle);
    while (nth-- != 0);
    return link;
}

/* The numbers of engine/src/error.rs, as far as they can be provoked here. */
static void test_errors_have_our_numbers(void)
{
    struct pair p;
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    qp_engine_conn *none = NULL;
    uint8_t byte[1];
    uint64_t code;
    int fin;
    pair_open(&p);
    struct qp_link *link = link_at(p.client_loop, 0);
    const struct qp_engine_ops *e = link->conn.engine;
    qp_engine_conn *c = link->conn.impl;
    const struct qp_engine_ids ids = {.scid = byte, .scid_len = 1};
    CHECK_INT(e->accept(&none, link->endpoint->factory.config, &ids, (struct sockaddr *)&local,
                        (struct sockaddr *)&local),
              ==, QUICPRO_EINVAL);
    CHECK(none == NULL);
    CHECK_INT(e->recv(c, byte, 1, 1, (struct sockaddr *)&local, (struct sockaddr *)&local), ==,
              QUICPRO_EINVAL);
    CHECK_INT(e->stream_recv(c, 400, byte, 1, &fin, &code), ==, QUICPRO_ESTALE);
    CHECK_INT(e->stream_send(c, 4000, byte, 1, 0, &code), ==, QUICPRO_ELIMIT);
    CHECK_INT(e->stream_recv(c, 0, byte, 1, &fin, &code), ==, QUICPRO_ESTALE);
    CHECK_INT(e->stream_send(c, 0, byte, 0, 0, &code), ==, 0);
    CHECK_INT(e->stream_recv(c, 0, byte, 1, &fin, &code), ==, QUICPRO_EAGAIN);
    CHECK_INT(e->stream_reset_write(c, 0, 0x10c), ==, 0);
    CHECK_INT(e->stream_reset_write(c, 0, 0x10c), ==, QUICPRO_EAGAIN);
    CHECK_U64(e->streams_left(c, 1), ==, 99);
    CHECK_INT(e->close(c, 1, 0x100, byte, 0), ==, 0);
    CHECK_INT(e->close(c, 1, 0x100, byte, 0), ==, QUICPRO_EAGAIN);
    CHECK(e->flags(c) & QP_ENGINE_LOCAL_ERROR);
    CHECK_INT(qp_engine_panic_for_test(c), ==, QUICPRO_EENGINE);
    CHECK_INT(e->close(c, 1, 0x100, byte, 0), ==, QUICPRO_EENGINE);
    CHECK_INT(e->stream_send(c, 0, byte, 1, 0, &code), ==, QUICPRO_EENGINE);
    CHECK_U64(e->expiry(c), ==, UINT64_MAX);
    CHECK_U64(e->flags(c), ==, QP_ENGINE_POISONED | QP_ENGINE_CLOSED);
    pair_done(&p);
}

/* What was lent has its users counted, on every way out. */
static void test_lent_blocks_come_back(void)
{
    struct {
        struct qp_engine_block head;
        uint8_t data[40000];
    } *lent = malloc(sizeof(*lent));
    struct pair p;
    uint64_t code;
    if (lent == NULL)
        return;
    memset(lent, 0, sizeof(*lent));
    struct qp_engine_block *const block = &lent->head;
    block->users = 1;
    pair_open(&p);
    const struct qp_link *link = link_at(p.client_loop, 0);
    const struct qp_engine_ops *e = link->conn.engine;
    qp_engine_conn *c = link->conn.impl;
    CHECK_INT(e->stream_lend(c, 4000, block, lent->data, 1, 0, &code), ==, QUICPRO_ELIMIT);
    CHECK_U64(block->users, ==, 1);
    CHECK_INT(e->stream_lend(c, 0, block, lent->data, 5000, 0, &code), ==, 5000);
    CHECK_INT(e->stream_lend(c, 0, block, lent->data + 5000, 1, 1, &code), ==, 1);
    CHECK_U64(block->users, ==, 3);
    CHECK_INT(e->stream_reset_write(c, 0, 0x10c), ==, 0);
    CHECK_U64(block->users, ==, 1);
    /* More than the window takes: what is not taken is not kept. */
    size_t taken = 0;
    int64_t n;
    while ((n = e->stream_lend(c, 4, block, lent->data, sizeof(lent->data), 0, &code)) > 0)
        taken += (size_t)n;
    CHECK_INT(n, ==, QUICPRO_EAGAIN);
    CHECK_U64(taken % sizeof(lent->data), !=, 0);
    CHECK_U64(block->users, ==, 2 + taken / sizeof(lent->data));
    pair_done(&p); /* all of it is acknowledged, or forgotten */
    CHECK_U64(block->users, ==, 1);
    free(lent);
}

static void test_lent_to_a_connection_that_fails(void)
{
    struct qp_engine_block *block = calloc(1, sizeof(*block) + 1);
    struct pair p;
    uint64_t code;
    if (block == NULL)
        return;
    block->users = 1;
    pair_open(&p);
    const struct qp_link *link = link_at(p.client_loop, 0);
    CHECK_INT(qp_engine_panic_for_test(link->conn.impl), ==, QUICPRO_EENGINE);
    CHECK_INT(link->conn.engine->stream_lend(link->conn.impl, 0, block, (uint8_t *)(block + 1), 1,
                                             0, &code),
              ==, QUICPRO_EENGINE);
    CHECK_U64(block->users, ==, 1);
    pair_done(&p);
    free(block);
}

/* Datagrams that mean nothing: an error at most, and the connection lives. */
static void test_garbage_for_a_connection(void)
{
    struct pair p;
    struct exchanges all;
    struct exchange x;
    uint64_t random = 1;
    exchange_open(&p, &all, 1);
    struct qp_link *link = link_at(p.client_loop, 0);
    for (size_t i = 0; i < 200; i++) {
        uint8_t data[300];
        for (size_t j = 0; j < sizeof(data); j++)
            data[j] = (uint8_t)check_random(&random);
        memcpy(data + 1, link->conn.scid, QP_CID_LEN);
        if (i % 2 == 0)
            data[0] = (uint8_t)(0x40 | (data[0] & 0x3f));
        link->conn.engine->recv(link->conn.impl, data, sizeof(data), 1 + i % sizeof(data),
                                &link->local.sa, &link->peer.sa);
    }
    CHECK_INT(exchange_get(&p, &x, 50000, 1), ==, 0);
    CHECK(pair_until(&p, &all.finished));
    CHECK(exchange_good(&x));
    exchange_close(&p);
}

static void note_end(struct pair *p, const quicpro_batch *batch, const quicpro_event *event)
{
    struct exchanges *all = p->data;
    if (event->type != QUICPRO_EVENT_CLOSED) {
        exchange_serve(p, batch, event);
        return;
    }
    CHECK_INT(event->error, ==, QUICPRO_EENGINE);
    CHECK(strstr(event->data, "provoked by a test") != NULL);
    all->again++;
}

/* A panic costs its connection and nothing else, and leaves no trace on the terminal. */
static void test_a_panic_ends_one_connection(void)
{
    struct pair p;
    struct exchanges all;
    struct exchange before, lost, after;
    quicpro_loop_stats stats = {.size = sizeof(stats)};
    char path[] = "/tmp/quicpro-test-XXXXXX", said[256];
    int file = mkstemp(path), terminal = dup(STDERR_FILENO);
    dup2(file, STDERR_FILENO);
    exchange_open(&p, &all, 1);
    p.on_server = note_end;
    const quicpro_conn first = p.conn;
    p.connected = false;
    CHECK_INT(pair_connect(&p, "127.0.0.1"), ==, 0);
    CHECK(pair_until(&p, &p.connected));
    CHECK_INT(exchange_get(&p, &before, 1000, 1), ==, 0);
    CHECK(pair_until(&p, &all.finished));
    struct qp_link *link = link_at(p.server_loop, 0);
    CHECK_INT(qp_engine_panic_for_test(link->conn.impl), ==, QUICPRO_EENGINE);
    const quicpro_conn second = p.conn;
    p.conn = first;
    CHECK_INT(exchange_get(&p, &lost, 1000, 2), ==, 0); /* wakes the poisoned connection up */
    p.conn = second;
    CHECK_INT(exchange_get(&p, &after, 1000, 3), ==, 0);
    all.finished = false;
    all.expected = 2;
    CHECK(pair_until(&p, &all.finished));
    quicpro_tstamp end = quicpro_now() + PAIR_DEADLINE_S * QUICPRO_SECOND;
    while (all.again == 0 && quicpro_now() < end)
        pair_step(&p);
    CHECK_U64(all.again, ==, 1);
    CHECK(exchange_good(&before));
    CHECK(exchange_good(&after));
    CHECK(!lost.fin);
    CHECK_INT(quicpro_loop_get_stats(p.server_loop, &stats), ==, 0);
    CHECK_U64(stats.panics, ==, 1);
    CHECK_U64(stats.connections, ==, 1);
    exchange_close(&p);
    dup2(terminal, STDERR_FILENO);
    close(terminal);
    ssize_t n = pread(file, said, sizeof(said) - 1, 0);
    if (!CHECK_INT(n, ==, 0))
        printf("# %.*s\n", (int)n, said);
    close(file);
    unlink(path);
}

#if OOM_POSSIBLE
static rlim_t address_space(void)
{
    unsigned long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f == NULL || fscanf(f, "%lu", &pages) != 1)
        abort();
    fclose(f);
    return pages * (rlim_t)sysconf(_SC_PAGESIZE);
}

/* In a child: exchanges with `room` bytes of memory left. 0: all was well; 1: it said that memory
 * ran out; 2: anything else. */
static int exchange_with_little_memory(rlim_t room)
{
    struct pair p;
    struct exchanges all;
    struct exchange x[80];
    exchange_open(&p, &all, COUNTOF(x));
    const struct rlimit limit = {address_space() + room, address_space() + room};
    if (setrlimit(RLIMIT_AS, &limit) < 0)
        return 2;
    quicpro_tstamp end = quicpro_now() + PAIR_DEADLINE_S * QUICPRO_SECOND;
    for (size_t i = 0; i < COUNTOF(x); i++)
        if (exchange_get(&p, &x[i], 300000, (uint8_t)i) == QUICPRO_ENOMEM)
            return 1;
    while (!all.finished && p.closed == 0 && quicpro_server_connections(p.server) != 0) {
        pair_step(&p);
        if (quicpro_now() > end)
            return 2;
    }
    const bool ended = p.closed != 0 || quicpro_server_connections(p.server) == 0;
    for (size_t i = 0; i < COUNTOF(x); i++)
        if (!ended && !exchange_good(&x[i]))
            return 2;
    return ended;
}
#endif

/* Rust's way to treat a failed allocation is to end the process; ours is to end the connection. */
static void test_running_out_of_memory_ends_no_process(void)
{
#if !OOM_POSSIBLE
    check_skip("a sanitizer needs the address space");
#else
    unsigned count[4] = {0};
    for (rlim_t room = 0; room < 24 << 20; room += 600000) {
        int status = 0;
        fflush(stdout);
        pid_t child = fork();
        if (child == 0)
            _exit(exchange_with_little_memory(room));
        CHECK_INT(waitpid(child, &status, 0), ==, child);
        if (!CHECK(WIFEXITED(status) && WEXITSTATUS(status) != 2))
            printf("#   with %lu bytes left: status 0x%x\n", (unsigned long)room, status);
        else
            count[WEXITSTATUS(status) & 3]++;
    }
    CHECK(count[0] != 0 && count[1] + count[EXCHANGE_NO_MEMORY] != 0);
#endif
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_layouts_agree),
        TEST(test_errors_have_our_numbers),
        TEST(test_lent_blocks_come_back),
        TEST(test_lent_to_a_connection_that_fails),
        TEST(test_garbage_for_a_connection),
        TEST(test_a_panic_ends_one_connection),
        TEST(test_running_out_of_memory_ends_no_process),
    };
    return RUN(tests);
}
