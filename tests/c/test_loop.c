/* The loop as its users see it; what servers, clients and streams do has tests of its own. */
#include "exchange.h"

#include "loop/loop.h"

#include <sys/wait.h>

static void test_bad_arguments(void)
{
    const quicpro_batch *batch;
    quicpro_loop *loop;
    quicpro_loop_stats stats = {.size = 8};
    CHECK_INT(quicpro_loop_new(NULL, NULL), ==, QUICPRO_EINVAL);
    CHECK_INT(quicpro_loop_run(NULL, 0, &batch), ==, QUICPRO_EINVAL);
    CHECK_INT(quicpro_loop_flush(NULL), ==, QUICPRO_EINVAL);
    CHECK_INT(quicpro_loop_wait(NULL, 0), ==, QUICPRO_EINVAL);
    if (!CHECK_INT(quicpro_loop_new(&loop, NULL), ==, 0))
        return;
    CHECK_INT(quicpro_loop_run(loop, 0, NULL), ==, QUICPRO_EINVAL);
    CHECK_INT(quicpro_loop_get_stats(loop, &stats), ==, QUICPRO_EINVAL);
    quicpro_loop_free(loop);
    quicpro_loop_free(NULL);
}

static void test_an_empty_run_has_no_events(void)
{
    const quicpro_batch *batch;
    quicpro_loop *loop;
    if (!CHECK_INT(quicpro_loop_new(&loop, NULL), ==, 0))
        return;
    CHECK_INT(quicpro_loop_run(loop, 0, &batch), ==, 0);
    CHECK_U64(batch->event_count, ==, 0);
    CHECK_INT(quicpro_loop_flush(loop), ==, 0);
    CHECK_INT(quicpro_loop_wants(loop), ==, QUICPRO_WANT_READABLE);
    CHECK_U64(quicpro_loop_expiry(loop), ==, QUICPRO_FOREVER);
    CHECK_STR(quicpro_loop_error(loop), "");
    quicpro_loop_free(loop);
}

static quicpro_loop *loop_on(const char *io)
{
    quicpro_config *config;
    quicpro_loop *loop = NULL;
    CHECK_INT(quicpro_config_new(&config), ==, 0);
    CHECK_INT(quicpro_config_set(config, "io", io), ==, 0);
    CHECK_INT(quicpro_loop_new(&loop, config), ==, 0);
    quicpro_config_free(config);
    return loop;
}

static void keep_line(void *user, int level, const char *line)
{
    CHECK_INT(level, ==, QUICPRO_LOG_INFO);
    snprintf(user, 160, "%s", line);
}

/* What a foreign loop is told, by each backend. */
static void test_descriptors_of_each_backend(void)
{
    static const struct {
        const char *io;
        bool one;
    } row[] = {{"epoll", true}, {"poll", false}};
    for (size_t i = 0; i < COUNTOF(row); i++) {
        quicpro_loop *loop = loop_on(row[i].io);
        quicpro_watch list[2] = {{-1, 0}, {-1, 0}};
        uint64_t version = 0;
        char line[160] = "";
        if (loop == NULL)
            continue;
        CHECK(strstr(quicpro_loop_backend(loop), row[i].io) != NULL);
        CHECK(strstr(quicpro_loop_backend(loop), "option io") != NULL);
        quicpro_loop_set_log(loop, keep_line, line, QUICPRO_LOG_INFO);
        CHECK_STR(line, quicpro_loop_backend(loop));
        CHECK_INT(quicpro_loop_fds(NULL, list, 2, &version), ==, QUICPRO_EINVAL);
        CHECK_INT(quicpro_loop_fds(loop, NULL, 2, &version), ==, QUICPRO_EINVAL);
        CHECK_INT(quicpro_loop_fds(loop, list, 2, NULL), ==, QUICPRO_EINVAL);
        CHECK_INT(quicpro_loop_fds(loop, NULL, 0, &version), ==, 1);
        CHECK_U64(version, ==, 0); /* no list was given */
        CHECK_INT(quicpro_loop_fds(loop, list, 2, &version), ==, 1);
        CHECK(list[0].fd >= 0 && list[0].wants == QUICPRO_WANT_READABLE);
        CHECK_INT(quicpro_loop_fds(loop, list, 2, &version), ==, 0); /* as before */
        CHECK_INT(quicpro_loop_fd(loop), ==, row[i].one ? list[0].fd : -ENOTSUP);
        quicpro_loop_free(loop);
    }
}

static void test_a_backend_that_does_not_exist(void)
{
    quicpro_loop *loop = NULL;
    const char *before = getenv("QUICPRO_IO");
    char kept[16] = "";
    if (before != NULL)
        snprintf(kept, sizeof(kept), "%s", before);
    setenv("QUICPRO_IO", "abacus", 1);
    CHECK_INT(quicpro_loop_new(&loop, NULL), ==, QUICPRO_EVALUE);
    CHECK(loop == NULL);
    if (before != NULL)
        setenv("QUICPRO_IO", kept, 1);
    else
        unsetenv("QUICPRO_IO");
}

static void test_an_idle_server_never_wakes_up(void)
{
    struct pair p;
    quicpro_loop_stats stats = {.size = sizeof(stats)};
    pair_init(&p, "localhost");
    pair_start(&p);
    quicpro_loop_flush(p.server_loop);
    CHECK_INT(quicpro_loop_wait(p.server_loop, 5 * QUICPRO_SECOND), ==, 0);
    CHECK_INT(quicpro_loop_get_stats(p.server_loop, &stats), ==, 0);
    CHECK_U64(stats.wakeups, ==, 0);
    pair_done(&p);
}

/* A transfer that could fill every turn, and a request beside it on another connection: whichever
 * way the bytes go, the other one is answered while little of it has moved. */
static void test_a_bulk_connection_does_not_starve_others(void)
{
    enum { BULK = 64 << 20, BURST = 65536 };
    for (int upload = 0; upload < 2; upload++) {
        struct pair p;
        struct exchanges all = {.expected = SIZE_MAX};
        struct exchange bulk, small;
        char burst[16];
        pair_init(&p, "localhost");
        snprintf(burst, sizeof(burst), "%d", BURST);
        quicpro_config_set(p.server_config, "burst_bytes", burst);
        quicpro_config_set(p.client_config, "burst_bytes", burst);
        pair_start(&p);
        p.data = &all;
        p.on_server = exchange_serve;
        p.on_client = exchange_client;
        CHECK_INT(pair_connect(&p, "127.0.0.1"), ==, 0);
        const quicpro_conn first = p.conn;
        CHECK_INT(pair_connect(&p, "127.0.0.1"), ==, 0);
        const quicpro_conn second = p.conn;
        p.conn = first;
        CHECK_INT(upload ? exchange_post(&p, &bulk, BULK, 1) : exchange_get(&p, &bulk, BULK, 1), ==,
                  0);
        while ((upload ? bulk.sent : bulk.got) < (1 << 20))
            pair_step(&p);
        p.conn = second;
        CHECK_INT(exchange_get(&p, &small, 1000, 2), ==, 0);
        const size_t before = upload ? bulk.sent : bulk.got;
        unsigned steps = 0;
        while (!small.fin && steps++ < 1000)
            pair_step(&p);
        CHECK(exchange_good(&small));
        /* What is in flight is answered first; after that a burst for each turn there and back. */
        CHECK_U64((upload ? bulk.sent : bulk.got) - before, <, BULK / 8);
        CHECK_U64(steps, <, 100);
        exchange_close(&p);
    }
}

static uint64_t spins(const quicpro_loop *loop)
{
    quicpro_loop_stats stats = {.size = sizeof(stats)};
    CHECK_INT(quicpro_loop_get_stats(loop, &stats), ==, 0);
    return stats.spins;
}

/* Spinning finds what is there, keeps to the timeout, and sleeps after it. */
static void test_spinning(void)
{
    static const char *const io[] = {"epoll", "poll"};
    for (size_t i = 0; i < COUNTOF(io); i++) {
        quicpro_config *config;
        quicpro_loop *loop;
        const quicpro_batch *batch;
        CHECK_INT(quicpro_config_new(&config), ==, 0);
        CHECK_INT(quicpro_config_set(config, "io", io[i]), ==, 0);
        CHECK_INT(quicpro_config_set(config, "spin_us", "1000"), ==, 0);
        CHECK_INT(quicpro_config_set(config, "spin_us", "1001"), ==, QUICPRO_EVALUE);
        CHECK_INT(quicpro_loop_new(&loop, config), ==, 0);
        quicpro_config_free(config);
        quicpro_loop_wake(loop);
        CHECK_INT(quicpro_loop_wait(loop, QUICPRO_FOREVER), ==, 1);
        CHECK_U64(spins(loop), ==, 1);
        CHECK_INT(quicpro_loop_run(loop, 0, &batch), ==, 0);
        CHECK_INT(quicpro_loop_wait(loop, 0), ==, 0);
        const quicpro_tstamp start = quicpro_now();
        CHECK_INT(quicpro_loop_wait(loop, 3 * QUICPRO_MILLISECOND), ==, 0);
        CHECK_U64(quicpro_now() - start, >=, 3 * QUICPRO_MILLISECOND);
        CHECK_U64(spins(loop), ==, 1);
        quicpro_loop_free(loop);
    }
}

/* Whatever the machine's clock does, time does not run backwards for the connections. */
static void test_a_clock_that_jumps_back(void)
{
    struct pair p;
    struct exchanges all;
    struct exchange x;
    exchange_open(&p, &all, 1);
    const quicpro_tstamp ahead = quicpro_now() + QUICPRO_SECOND; /* as if it had been that late */
    p.server_loop->now = p.client_loop->now = ahead;
    CHECK_U64(qp_loop_now(p.server_loop), ==, ahead);
    CHECK_INT(exchange_get(&p, &x, 300000, 3), ==, 0);
    CHECK(pair_until(&p, &all.finished));
    CHECK(exchange_good(&x));
    CHECK_U64(p.server_loop->now, >=, ahead);
    exchange_close(&p);
}

static void test_wake_ends_a_wait(void)
{
    quicpro_loop *loop;
    if (!CHECK_INT(quicpro_loop_new(&loop, NULL), ==, 0))
        return;
    quicpro_loop_wake(loop);
    CHECK_INT(quicpro_loop_wait(loop, QUICPRO_FOREVER), ==, 1);
    const quicpro_batch *batch;
    CHECK_INT(quicpro_loop_run(loop, 0, &batch), ==, 0);
    CHECK_INT(quicpro_loop_wait(loop, 0), ==, 0); /* once is once */
    quicpro_loop_free(loop);
}

static void test_a_child_may_not_use_it(void)
{
    quicpro_loop *loop;
    int status = -1;
    if (!CHECK_INT(quicpro_loop_new(&loop, NULL), ==, 0))
        return;
    pid_t pid = fork();
    if (pid == 0) {
        const quicpro_batch *batch;
        bool refused = quicpro_loop_run(loop, 0, &batch) == QUICPRO_EFORK &&
                       quicpro_loop_flush(loop) == QUICPRO_EFORK &&
                       quicpro_loop_wait(loop, 0) == QUICPRO_EFORK;
        _exit(refused ? 0 : 1);
    }
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    quicpro_loop_free(loop);
}

static void count_lines(void *user, int level, const char *line)
{
    unsigned *count = user;
    CHECK(level >= QUICPRO_LOG_ERROR && level <= QUICPRO_LOG_DEBUG);
    CHECK(strchr(line, '\n') == NULL);
    ++*count;
}

static void test_stats_and_log(void)
{
    struct pair p;
    unsigned lines = 0;
    quicpro_loop_stats stats = {.size = sizeof(stats)};
    pair_open(&p);
    quicpro_loop_set_log(p.client_loop, count_lines, &lines, QUICPRO_LOG_DEBUG);
    CHECK_INT(quicpro_loop_get_stats(p.server_loop, &stats), ==, 0);
    CHECK_U64(stats.connections, ==, 1);
    CHECK_U64(stats.connections_made, ==, 1);
    CHECK_U64(stats.datagrams_in, >, 0);
    CHECK_U64(stats.datagrams_out, >, 0);
    CHECK_U64(stats.syscalls_out, >, 0);
    CHECK_INT(quicpro_conn_close(p.client_loop, p.conn, 0x100, "bye"), ==, 0);
    CHECK(pair_until_closed(&p));
    CHECK_U64(lines, >, 0);
    pair_done(&p);
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_bad_arguments),
        TEST(test_an_empty_run_has_no_events),
        TEST(test_descriptors_of_each_backend),
        TEST(test_a_backend_that_does_not_exist),
        TEST(test_an_idle_server_never_wakes_up),
        TEST(test_a_bulk_connection_does_not_starve_others),
        TEST(test_spinning),
        TEST(test_a_clock_that_jumps_back),
        TEST(test_wake_ends_a_wait),
        TEST(test_a_child_may_not_use_it),
        TEST(test_stats_and_log),
    };
    return RUN(tests);
}
