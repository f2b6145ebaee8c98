/* quicpro_thread on both sides: a server that a thread of this program answers, and callers that
 * block. */
#include <quicpro/thread.h>

#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>

#include "pair.h"

enum { DEADLINE_S = 60, THREADS = 4, ROUNDS = 25 };

struct setup {
    struct pair pair; /* the server, run by this program's own thread */
    quicpro_thread *thread;
    quicpro_client *client;
    quicpro_conn conn;
    pthread_t server;
    atomic_bool stop;
    bool silent; /* requests are not answered */
    atomic_uint requests, resets;
};

/* Answers with the path; a path of "/large" with 3 MiB. */
static void answer(struct setup *s, const quicpro_batch *batch, const quicpro_event *event)
{
    static char large[3 << 20];
    size_t len;
    const char *path;
    if (event->type == QUICPRO_EVENT_RESET)
        s->resets++;
    if (event->type != QUICPRO_EVENT_REQUEST)
        return;
    s->requests++;
    path = quicpro_event_field(batch, event, ":path", &len);
    if (s->silent || path == NULL)
        return;
    if (len == 6 && memcmp(path, "/large", 6) == 0)
        quicpro_respond(s->pair.server_loop, event->stream, 200, NULL, 0, large, sizeof(large), 1);
    else
        quicpro_respond(s->pair.server_loop, event->stream, 200, NULL, 0, path, len, 1);
}

static void *serve(void *arg)
{
    struct setup *s = arg;
    while (!s->stop) {
        const quicpro_batch *batch;
        quicpro_loop_flush(s->pair.server_loop);
        quicpro_loop_wait(s->pair.server_loop, QUICPRO_SECOND);
        if (quicpro_loop_run(s->pair.server_loop, 0, &batch) < 0)
            break;
        for (size_t i = 0; i < batch->event_count; i++)
            answer(s, batch, &batch->events[i]);
    }
    return NULL;
}

static const char *spin_us = "0";

static void setup(struct setup *s, bool silent)
{
    quicpro_loop *loop;
    memset(s, 0, sizeof(*s));
    s->silent = silent;
    pair_init(&s->pair, "localhost");
    quicpro_config_set(s->pair.client_config, "spin_us", spin_us);
    pair_start(&s->pair);
    CHECK_INT(pthread_create(&s->server, NULL, serve, s), ==, 0);
    CHECK_INT(quicpro_thread_new(&s->thread, s->pair.client_config), ==, 0);
    CHECK_INT(quicpro_thread_enter(s->thread, &loop), ==, 0);
    CHECK_INT(quicpro_client_new(&s->client, loop, s->pair.client_config), ==, 0);
    CHECK_INT(quicpro_client_connect(s->client, "127.0.0.1", s->pair.port, NULL, &s->conn), ==, 0);
    quicpro_thread_leave(s->thread);
}

static void free_client(struct setup *s)
{
    quicpro_loop *loop;
    CHECK_INT(quicpro_thread_enter(s->thread, &loop), ==, 0);
    quicpro_client_free(s->client);
    quicpro_thread_leave(s->thread);
    quicpro_thread_free(s->thread);
    s->thread = NULL;
}

static void teardown(struct setup *s)
{
    if (s->thread != NULL)
        free_client(s);
    s->stop = true;
    quicpro_loop_wake(s->pair.server_loop);
    pthread_join(s->server, NULL);
    pair_done(&s->pair);
}

static int begin(struct setup *s, const char *path, quicpro_stream *ret)
{
    quicpro_loop *loop;
    const quicpro_nv fields[] = {
        QUICPRO_NV(":method", "GET"),
        QUICPRO_NV(":scheme", "https"),
        QUICPRO_NV(":authority", "localhost"),
        {":path", 5, path, strlen(path)},
    };
    int r = quicpro_thread_enter(s->thread, &loop);
    if (r < 0)
        return r;
    r = quicpro_request(loop, s->conn, fields, COUNTOF(fields), NULL, 0, 1, NULL, ret);
    quicpro_thread_leave(s->thread);
    return r;
}

/* Waits for the whole response; bytes of its body, or an error. */
static int64_t collect(struct setup *s, quicpro_stream stream, char *out, size_t size)
{
    int64_t total = 0;
    for (;;) {
        quicpro_batch *batch;
        bool end = false;
        int r = quicpro_thread_wait(s->thread, stream, DEADLINE_S * QUICPRO_SECOND, &batch);
        if (r < 0)
            return r;
        for (size_t i = 0; i < batch->event_count; i++) {
            const quicpro_event *e = &batch->events[i];
            if (e->type == QUICPRO_EVENT_DATA) {
                if ((size_t)total + e->len <= size)
                    memcpy(out + total, e->data, e->len);
                total += (int64_t)e->len;
            }
            end |= e->type == QUICPRO_EVENT_RESET || (e->flags & QUICPRO_FLAG_FIN) != 0;
        }
        quicpro_thread_batch_free(batch);
        if (end)
            return total;
    }
}

struct caller {
    struct setup *s;
    unsigned number, good;
};

static void *call(void *arg)
{
    struct caller *c = arg;
    for (unsigned i = 0; i < ROUNDS; i++) {
        char path[32], body[32];
        quicpro_stream stream;
        snprintf(path, sizeof(path), "/%u/%u", c->number, i);
        if (begin(c->s, path, &stream) < 0)
            continue;
        int64_t n = collect(c->s, stream, body, sizeof(body));
        c->good += n == (int64_t)strlen(path) && memcmp(body, path, (size_t)n) == 0;
    }
    return NULL;
}

static void test_callers_get_their_own_answers(void)
{
    struct setup s;
    struct caller caller[THREADS];
    pthread_t thread[THREADS];
    setup(&s, false);
    for (unsigned i = 0; i < THREADS; i++) {
        caller[i] = (struct caller){&s, i, 0};
        CHECK_INT(pthread_create(&thread[i], NULL, call, &caller[i]), ==, 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(thread[i], NULL);
        CHECK_U64(caller[i].good, ==, ROUNDS);
    }
    teardown(&s);
}

/* A thread that spins lets its callers in as well. */
static void test_spinning(void)
{
    spin_us = "1000";
    test_callers_get_their_own_answers();
    spin_us = "0";
}

static void test_events_of_the_connection(void)
{
    struct setup s;
    quicpro_batch *batch;
    setup(&s, false);
    if (CHECK_INT(quicpro_thread_wait(s.thread, s.conn, DEADLINE_S * QUICPRO_SECOND, &batch), ==,
                  1)) {
        CHECK_INT(batch->events[0].type, ==, QUICPRO_EVENT_CONNECTED);
        quicpro_thread_batch_free(batch);
    }
    quicpro_thread_batch_free(NULL);
    teardown(&s);
}

/* A caller that keeps its own state gets all events from one place. */
static void test_events_of_all_handles_together(void)
{
    struct setup s;
    quicpro_stream stream;
    quicpro_batch *batch;
    unsigned seen = 0;
    setup(&s, false);
    CHECK_INT(quicpro_thread_collect(s.thread), ==, 0);
    CHECK_INT(begin(&s, "/", &stream), ==, 0);
    for (bool end = false; !end;) {
        int r = quicpro_thread_wait(s.thread, 0, DEADLINE_S * QUICPRO_SECOND, &batch);
        if (!CHECK_INT(r, >, 0))
            break;
        for (int i = 0; i < r; i++) {
            const quicpro_event *e = &batch->events[i];
            seen |= 1u << e->type;
            end |= e->stream == stream && (e->flags & QUICPRO_FLAG_FIN) != 0;
        }
        quicpro_thread_batch_free(batch);
    }
    CHECK(seen & 1u << QUICPRO_EVENT_RESPONSE && seen & 1u << QUICPRO_EVENT_DATA);
    CHECK_INT(quicpro_thread_wait(s.thread, 0, 0, &batch), ==, QUICPRO_ETIMEDOUT);
    CHECK_INT(quicpro_thread_collect(NULL), ==, QUICPRO_EINVAL);
    teardown(&s);
}

/* More than is kept of a stream that nobody reads: it is paused, and goes on when it is taken. */
static void test_a_large_answer_waits_to_be_taken(void)
{
    struct setup s;
    quicpro_stream large, small;
    char body[8];
    setup(&s, false);
    CHECK_INT(begin(&s, "/large", &large), ==, 0);
    CHECK_INT(begin(&s, "/small", &small), ==, 0);
    CHECK_INT(collect(&s, small, body, sizeof(body)), ==, 6);
    CHECK_INT(collect(&s, large, NULL, 0), ==, 3 << 20);
    teardown(&s);
}

static void test_timeouts_and_stale_handles(void)
{
    struct setup s;
    quicpro_stream stream;
    quicpro_batch *batch;
    quicpro_loop *loop;
    setup(&s, true);
    CHECK_INT(begin(&s, "/", &stream), ==, 0);
    CHECK_INT(quicpro_thread_wait(s.thread, stream, 0, &batch), ==, QUICPRO_ETIMEDOUT);
    CHECK_INT(quicpro_thread_wait(s.thread, stream, QUICPRO_MILLISECOND, &batch), ==,
              QUICPRO_ETIMEDOUT);
    CHECK_INT(quicpro_thread_wait(s.thread, 0, QUICPRO_FOREVER, &batch), ==, QUICPRO_ESTALE);
    CHECK_INT(quicpro_thread_wait(s.thread, UINT64_MAX, QUICPRO_FOREVER, &batch), ==,
              QUICPRO_ESTALE);
    CHECK_INT(quicpro_thread_enter(s.thread, &loop), ==, 0);
    CHECK_INT(quicpro_stream_reset(loop, stream, 0x10c), ==, 0);
    quicpro_thread_leave(s.thread);
    CHECK_INT(quicpro_thread_wait(s.thread, stream, QUICPRO_FOREVER, &batch), ==, QUICPRO_ESTALE);
    CHECK_INT(quicpro_thread_wait(NULL, stream, 0, &batch), ==, QUICPRO_EINVAL);
    CHECK_INT(quicpro_thread_wait(s.thread, stream, 0, NULL), ==, QUICPRO_EINVAL);
    CHECK_INT(quicpro_thread_enter(NULL, &loop), ==, QUICPRO_EINVAL);
    CHECK_INT(quicpro_thread_enter(s.thread, NULL), ==, QUICPRO_EINVAL);
    CHECK_INT(quicpro_thread_new(NULL, NULL), ==, QUICPRO_EINVAL);
    quicpro_thread_free(NULL);
    teardown(&s);
}

struct waiter {
    struct setup *s;
    quicpro_handle handle;
    atomic_int tid;
    int result;
};

static void *wait_long(void *arg)
{
    struct waiter *w = arg;
    quicpro_batch *batch;
    w->tid = gettid();
    w->result = quicpro_thread_wait(w->s->thread, w->handle, QUICPRO_FOREVER, &batch);
    if (w->result >= 0)
        quicpro_thread_batch_free(batch);
    return NULL;
}

/* Whether a thread sleeps: nothing else than its wait makes it. */
static bool sleeps(int tid)
{
    char path[64], text[256] = "";
    snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
    FILE *f = fopen(path, "r");
    size_t n = f == NULL ? 0 : fread(text, 1, sizeof(text) - 1, f);
    if (f != NULL)
        fclose(f);
    text[n] = '\0';
    const char *state = strrchr(text, ')');
    return state != NULL && state[1] == ' ' && state[2] == 'S';
}

static void start_waiters(struct setup *s, struct waiter *w, pthread_t *thread, quicpro_handle h)
{
    for (size_t i = 0; i < THREADS; i++) {
        w[i] = (struct waiter){.s = s, .handle = h};
        CHECK_INT(pthread_create(&thread[i], NULL, wait_long, &w[i]), ==, 0);
    }
    for (size_t i = 0; i < THREADS; i++)
        for (int turn = 0; turn < 100000 && (w[i].tid == 0 || !sleeps(w[i].tid)); turn++)
            sched_yield();
}

static void test_a_reset_ends_waiting(void)
{
    struct setup s;
    struct waiter w[THREADS];
    pthread_t thread[THREADS];
    quicpro_stream stream;
    quicpro_loop *loop;
    setup(&s, true);
    CHECK_INT(begin(&s, "/", &stream), ==, 0);
    start_waiters(&s, w, thread, stream);
    CHECK_INT(quicpro_thread_enter(s.thread, &loop), ==, 0);
    CHECK_INT(quicpro_stream_reset(loop, stream, 0x10c), ==, 0);
    quicpro_thread_leave(s.thread);
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(thread[i], NULL);
        CHECK_INT(w[i].result, ==, QUICPRO_ESTALE);
    }
    teardown(&s);
}

static void test_freeing_ends_waiting(void)
{
    struct setup s;
    struct waiter w[THREADS];
    pthread_t thread[THREADS];
    quicpro_stream stream;
    quicpro_batch *batch;
    setup(&s, true);
    CHECK_INT(quicpro_thread_wait(s.thread, s.conn, DEADLINE_S * QUICPRO_SECOND, &batch), ==, 1);
    quicpro_thread_batch_free(batch);
    CHECK_INT(begin(&s, "/", &stream), ==, 0);
    start_waiters(&s, w, thread, stream);
    free_client(&s);
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(thread[i], NULL);
        CHECK(w[i].result == QUICPRO_ECLOSED || w[i].result == QUICPRO_ESTALE);
    }
    teardown(&s);
}

static void test_ignored_handles(void)
{
    struct setup s;
    struct waiter w[THREADS];
    pthread_t thread[THREADS];
    quicpro_stream stream[50], last;
    char body[8];
    setup(&s, false);
    for (size_t i = 0; i < COUNTOF(stream); i++) {
        CHECK_INT(begin(&s, "/ignored", &stream[i]), ==, 0);
        if (i == 0)
            start_waiters(&s, w, thread, stream[0]);
        quicpro_thread_ignore(s.thread, stream[i]);
    }
    CHECK_INT(begin(&s, "/last", &last), ==, 0);
    CHECK_INT(collect(&s, last, body, sizeof(body)), ==, 5);
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(thread[i], NULL);
        CHECK(w[i].result > 0 || w[i].result == QUICPRO_ESTALE);
    }
    quicpro_thread_ignore(s.thread, stream[1]);
    quicpro_thread_ignore(s.thread, 0);
    quicpro_thread_ignore(NULL, 0);
    teardown(&s);
}

/* A server that vanishes: everything that waits hears of it. */
static void test_closing_ends_streams(void)
{
    struct setup s;
    quicpro_stream stream;
    quicpro_batch *batch;
    quicpro_loop *loop;
    setup(&s, true);
    CHECK_INT(begin(&s, "/", &stream), ==, 0);
    CHECK_INT(quicpro_thread_enter(s.thread, &loop), ==, 0);
    CHECK_INT(quicpro_conn_close(loop, s.conn, 0x100, "bye"), ==, 0);
    quicpro_thread_leave(s.thread);
    if (CHECK_INT(quicpro_thread_wait(s.thread, stream, DEADLINE_S * QUICPRO_SECOND, &batch), ==,
                  1)) {
        CHECK_INT(batch->events[0].type, ==, QUICPRO_EVENT_RESET);
        CHECK_U64(strlen(batch->events[0].data), ==, batch->events[0].len);
        quicpro_thread_batch_free(batch);
    }
    CHECK_INT(quicpro_thread_wait(s.thread, stream, QUICPRO_FOREVER, &batch), ==, QUICPRO_ESTALE);
    teardown(&s);
}

static void test_a_child_may_not_use_it(void)
{
    struct setup s;
    int status = -1;
    setup(&s, true);
    pid_t pid = fork();
    if (pid == 0) {
        quicpro_loop *loop;
        quicpro_batch *batch;
        bool refused = quicpro_thread_enter(s.thread, &loop) == QUICPRO_EFORK &&
                       quicpro_thread_wait(s.thread, 1, 0, &batch) == QUICPRO_EFORK;
        quicpro_thread_ignore(s.thread, 1);
        quicpro_thread_free(s.thread);
        _exit(refused ? 0 : 1);
    }
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    teardown(&s);
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_events_of_all_handles_together),
        TEST(test_callers_get_their_own_answers),
        TEST(test_spinning),
        TEST(test_events_of_the_connection),
        TEST(test_a_large_answer_waits_to_be_taken),
        TEST(test_timeouts_and_stale_handles),
        TEST(test_a_reset_ends_waiting),
        TEST(test_freeing_ends_waiting),
        TEST(test_ignored_handles),
        TEST(test_closing_ends_streams),
        TEST(test_a_child_may_not_use_it),
    };
    return RUN(tests);
}
