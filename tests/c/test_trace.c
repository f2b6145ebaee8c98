/* Which connections of a real pair write a qlog, and what becomes of it. What records hold is
 * judged by tests/interop/test_qlog.py. */
#include "loop/trace.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "exchange.h"
#include "loop/loop.h"

struct logged {
    struct pair p;
    struct exchanges all;
    char dir[64];
    int warnings;
    char warning[512];
};

static void count_warnings(void *user, int level, const char *line)
{
    struct logged *l = user;
    if (level == QUICPRO_LOG_WARNING) {
        l->warnings++;
        snprintf(l->warning, sizeof(l->warning), "%s", line);
    }
}

static void init(struct logged *l)
{
    *l = (struct logged){.dir = "/tmp/quicpro-qlog-XXXXXX"};
    if (mkdtemp(l->dir) == NULL)
        abort();
    pair_init(&l->p, "localhost");
}

/* To the server. */
static void set(struct logged *l, const char *key, const char *value)
{
    CHECK_INT(quicpro_config_set(l->p.server_config, key, value), ==, 0);
}

static void start(struct logged *l)
{
    pair_start(&l->p);
    quicpro_loop_set_log(l->p.server_loop, count_warnings, l, QUICPRO_LOG_WARNING);
}

/* One connection with one response of so many bytes, closed by the client. */
static void talk(struct logged *l, size_t bytes)
{
    struct exchange x;
    struct pair *p = &l->p;
    p->connected = false;
    p->closed = 0;
    l->all = (struct exchanges){.expected = 1};
    p->data = &l->all;
    p->on_server = exchange_serve;
    p->on_client = exchange_client;
    CHECK_INT(pair_connect(p, "127.0.0.1"), ==, 0);
    CHECK(pair_until(p, &p->connected));
    CHECK_INT(exchange_get(p, &x, bytes, 7), ==, 0);
    CHECK(pair_until(p, &l->all.finished));
    CHECK(exchange_good(&x));
    quicpro_conn_close(p->client_loop, p->conn, 0x100, "");
    CHECK(pair_until_closed(p));
    while (l->all.serving != NULL) {
        struct serving *s = l->all.serving;
        l->all.serving = s->next;
        free(s->body);
        free(s);
    }
}

/* Every connection is forgotten, and its file complete: draining takes a while (RFC 9000 section
 * 10.2). */
static void settle(struct logged *l)
{
    while (quicpro_loop_flush(l->p.server_loop) == 0 && l->p.server_loop->links.used != 0)
        pair_step(&l->p);
}

/* Files of the folder whose name has a part; the size of the last one goes to *size. */
static int files(const struct logged *l, const char *part, off_t *size)
{
    int n = 0;
    DIR *dir = opendir(l->dir);
    struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        char path[512];
        struct stat facts;
        snprintf(path, sizeof(path), "%s/%s", l->dir, entry->d_name);
        if (strstr(entry->d_name, part) == NULL || stat(path, &facts) < 0)
            continue;
        CHECK_INT(facts.st_mode & 0777, ==, 0600);
        if (size != NULL)
            *size = facts.st_size;
        n++;
    }
    closedir(dir);
    return n;
}

/* Whether a file of the folder says something. */
static bool file_says(const struct logged *l, const char *text)
{
    bool found = false;
    DIR *dir = opendir(l->dir);
    struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        char path[512], buf[65536];
        snprintf(path, sizeof(path), "%s/%s", l->dir, entry->d_name);
        FILE *f = strstr(entry->d_name, ".sqlog") == NULL ? NULL : fopen(path, "r");
        if (f == NULL)
            continue;
        const size_t n = fread(buf, 1, sizeof(buf), f);
        found |= memmem(buf, n, text, strlen(text)) != NULL;
        fclose(f);
    }
    closedir(dir);
    return found;
}

static quicpro_loop_stats stats_of(const struct logged *l)
{
    quicpro_loop_stats stats = {.size = sizeof(stats)};
    CHECK_INT(quicpro_loop_get_stats(l->p.server_loop, &stats), ==, 0);
    return stats;
}

static void done(struct logged *l)
{
    DIR *dir = opendir(l->dir);
    struct dirent *entry;
    pair_done(&l->p);
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        char path[512];
        snprintf(path, sizeof(path), "%s/%s", l->dir, entry->d_name);
        unlink(path);
    }
    if (dir != NULL)
        closedir(dir);
    rmdir(l->dir);
}

static void test_a_file_for_each_connection(void)
{
    struct logged l;
    init(&l);
    set(&l, "qlog_dir", l.dir);
    quicpro_config_set(l.p.client_config, "qlog_dir", l.dir);
    start(&l);
    talk(&l, 10000);
    talk(&l, 10000);
    settle(&l);
    CHECK_INT(files(&l, "_server.sqlog", NULL), ==, 2);
    CHECK_INT(files(&l, "_client.sqlog", NULL), ==, 2); /* a pair has one name */
    CHECK(file_says(&l, "\"application_error\":\"http_no_error\""));
    CHECK_U64(stats_of(&l).qlog_files, ==, 2);
    CHECK_U64(stats_of(&l).qlog_failed, ==, 0);
    CHECK_U64(l.p.server_loop->qlogs_open, ==, 0);
    CHECK_INT(l.warnings, ==, 0);
    done(&l);
}

static void test_the_variable_names_the_folder(void)
{
    static const struct {
        const char *key, *value;
        int want;
    } row[] = {
        {"qlog_env", "true", 1},
        {"qlog_env", "false", 0},
        {"security_allow_config_override", "false", 0},
    };
    for (size_t i = 0; i < COUNTOF(row); i++) {
        struct logged l;
        init(&l);
        set(&l, row[i].key, row[i].value);
        quicpro_config_set(l.p.client_config, "qlog_env", "false");
        setenv("QLOGDIR", l.dir, 1);
        start(&l);
        unsetenv("QLOGDIR");
        talk(&l, 100);
        settle(&l);
        CHECK_INT(files(&l, ".sqlog", NULL), ==, row[i].want);
        done(&l);
    }
}

static void test_peers(void)
{
    static const struct {
        const char *peers;
        int want;
    } row[] = {{"127.0.0.0/8", 1}, {"192.0.2.0/24,::1", 0}};
    for (size_t i = 0; i < COUNTOF(row); i++) {
        struct logged l;
        init(&l);
        set(&l, "qlog_dir", l.dir);
        set(&l, "qlog_peers", row[i].peers);
        start(&l);
        talk(&l, 100);
        settle(&l);
        CHECK_INT(files(&l, "_server", NULL), ==, row[i].want);
        done(&l);
    }
}

static void test_a_wrong_peer_is_named(void)
{
    struct logged l;
    quicpro_server *server;
    init(&l);
    start(&l);
    set(&l, "qlog_peers", "127.0.0.1,example.org");
    CHECK_INT(quicpro_server_new(&server, l.p.server_loop, l.p.server_config), ==, QUICPRO_EVALUE);
    CHECK_STR(quicpro_loop_error(l.p.server_loop),
              "qlog_peers: \"example.org\" is no address or prefix");
    done(&l);
}

/* One in four: of 64 connections all, or none, once in 10^8 runs. */
static void test_a_sample(void)
{
    struct logged l;
    init(&l);
    set(&l, "qlog_dir", l.dir);
    set(&l, "qlog_sample", "4");
    start(&l);
    for (int i = 0; i < 64; i++)
        CHECK_INT(pair_connect(&l.p, "127.0.0.1"), ==, 0);
    while (pair_metric(l.p.server_loop, QP_METRIC_CONNECTIONS_MADE) < 64)
        pair_step(&l.p);
    quicpro_loop_flush(l.p.server_loop);
    const int n = files(&l, "_server", NULL);
    CHECK_INT(n, >, 0);
    CHECK_INT(n, <, 64);
    done(&l);
}

static void test_max_bytes(void)
{
    struct logged l;
    off_t size = 0;
    init(&l);
    set(&l, "qlog_dir", l.dir);
    set(&l, "qlog_max_bytes", "8192");
    start(&l);
    talk(&l, 300000);
    settle(&l);
    CHECK_INT(files(&l, "_server", &size), ==, 1);
    CHECK_U64((uint64_t)size, <=, 8192);
    CHECK(file_says(&l, "qlog_max_bytes are written"));
    done(&l);
}

static void test_a_ring_is_written_after_an_error_only(void)
{
    struct logged l;
    init(&l);
    set(&l, "qlog_dir", l.dir);
    set(&l, "qlog_ring_bytes", "4096");
    set(&l, "max_idle_timeout_ms", "200");
    start(&l);
    talk(&l, 100000);
    settle(&l);
    CHECK_INT(files(&l, ".sqlog", NULL), ==, 0);
    l.p.connected = false; /* and now a client that is not heard of again */
    CHECK_INT(pair_connect(&l.p, "127.0.0.1"), ==, 0);
    CHECK(pair_until(&l.p, &l.p.connected));
    quicpro_loop *client_loop = l.p.client_loop;
    l.p.client_loop = NULL;
    settle(&l);
    l.p.client_loop = client_loop;
    off_t size = 0;
    CHECK_INT(files(&l, "_server.sqlog", &size), ==, 1);
    CHECK_U64((uint64_t)size, <, 4096 + 2048);
    CHECK(file_says(&l, "\"trigger\":\"idle_timeout\""));
    CHECK(file_says(&l, "qlog_ring_bytes: what came before this is left out"));
    done(&l);
}

static void test_max_files(void)
{
    struct logged l;
    init(&l);
    set(&l, "qlog_dir", l.dir);
    set(&l, "qlog_max_files", "2");
    start(&l);
    for (int i = 0; i < 4; i++)
        talk(&l, 10);
    settle(&l);
    CHECK_INT(files(&l, "_server", NULL), ==, 2);
    CHECK_U64(stats_of(&l).qlog_failed, ==, 2);
    CHECK_INT(l.warnings, ==, 1);
    done(&l);
}

/* Connections go on, one warning, a count. */
static void test_a_folder_that_is_not_there(void)
{
    struct logged l;
    init(&l);
    set(&l, "qlog_dir", "/nonexistent/folder");
    start(&l);
    talk(&l, 1000);
    talk(&l, 1000);
    settle(&l);
    CHECK_INT(l.warnings, ==, 1);
    CHECK(strncmp(l.warning, "qlog: cannot make /nonexistent/folder/", 38) == 0);
    CHECK(strstr(l.warning, "No such file or directory") != NULL);
    CHECK_U64(stats_of(&l).qlog_failed, ==, 2);
    CHECK_U64(stats_of(&l).qlog_files, ==, 0);
    done(&l);
}

/* A disk that is full in the middle: a limit of the process stands for it. */
static void test_a_disk_that_is_full(void)
{
    struct logged l;
    struct rlimit before, small = {2000, RLIM_INFINITY};
    off_t size = 0;
    init(&l);
    set(&l, "qlog_dir", l.dir);
    start(&l);
    getrlimit(RLIMIT_FSIZE, &before);
    signal(SIGXFSZ, SIG_IGN);
    small.rlim_max = before.rlim_max;
    setrlimit(RLIMIT_FSIZE, &small);
    talk(&l, 100000);
    settle(&l);
    setrlimit(RLIMIT_FSIZE, &before);
    CHECK_INT(files(&l, "_server", &size), ==, 1);
    CHECK_U64((uint64_t)size, ==, 2000);
    CHECK_INT(l.warnings, ==, 1);
    CHECK(strstr(l.warning, "File too large") != NULL);
    CHECK_U64(stats_of(&l).qlog_failed, ==, 1);
    CHECK_U64(l.p.server_loop->qlogs_open, ==, 0);
    done(&l);
}

static void test_too_many_open_files(void)
{
    struct logged l;
    init(&l);
    set(&l, "qlog_dir", l.dir);
    start(&l);
    l.p.server_loop->qlogs_open = QP_TRACE_OPEN_MAX;
    talk(&l, 10);
    settle(&l);
    CHECK_INT(files(&l, "_server", NULL), ==, 0);
    CHECK_U64(stats_of(&l).qlog_failed, ==, 1);
    l.p.server_loop->qlogs_open = 0;
    done(&l);
}

/* Whoever repeats a name gets another file. */
static void test_a_name_that_is_taken(void)
{
    struct logged l;
    char path[512];
    init(&l);
    set(&l, "qlog_dir", l.dir);
    start(&l);
    CHECK_INT(pair_connect(&l.p, "127.0.0.1"), ==, 0);
    uint32_t cursor = 0;
    quicpro_handle handle;
    const struct qp_link *link = qp_slab_next(&l.p.client_loop->links, &cursor, &handle);
    uint8_t dcid[20];
    const size_t len = link->conn.engine->dcid(link->conn.impl, dcid);
    int n = snprintf(path, sizeof(path), "%s/", l.dir);
    for (size_t i = 0; i < len; i++)
        n += snprintf(path + n, sizeof(path) - (size_t)n, "%02x", dcid[i]);
    snprintf(path + n, sizeof(path) - (size_t)n, "_server.sqlog");
    close(open(path, O_CREAT | O_WRONLY, 0600));
    CHECK(pair_until(&l.p, &l.p.connected));
    struct stat facts;
    CHECK(stat(path, &facts) == 0 && facts.st_size == 0);
    CHECK_INT(files(&l, "_server-", NULL), ==, 1);
    done(&l);
}

struct taken {
    quicpro_conn conn;
    size_t bytes, calls, ends;
    bool whole;
    char name[80];
};

static void take(void *user, quicpro_conn conn, const char *name, const uint8_t *data, size_t len)
{
    struct taken *taken = user;
    CHECK(taken->calls == 0 || strcmp(taken->name, name) == 0);
    snprintf(taken->name, sizeof(taken->name), "%s", name);
    if (len == 0) {
        CHECK(data == NULL);
        taken->ends++;
        return;
    }
    taken->whole = (taken->calls == 0 || taken->whole) && data[0] == 0x1e && data[len - 1] == '\n';
    taken->calls++;
    taken->bytes += len;
    taken->conn = conn;
}

static void test_a_function_gets_them(void)
{
    struct logged l;
    struct taken taken = {0};
    init(&l);
    quicpro_config_set(l.p.client_config, "qlog_dir", l.dir);
    CHECK_INT(quicpro_config_set_qlog(l.p.client_config, take, &taken), ==, 0);
    start(&l);
    talk(&l, 100000);
    while (l.p.client_loop->links.used != 0)
        pair_step(&l.p);
    CHECK_U64(taken.ends, ==, 1);
    CHECK_INT(files(&l, taken.name, NULL), ==, 1); /* both have it */
    CHECK(taken.whole);
    CHECK_U64(taken.calls, >, 2);
    CHECK_U64(taken.bytes, >, 5000);
    CHECK_U64(taken.conn, ==, l.p.conn);
    done(&l);
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_a_file_for_each_connection),
        TEST(test_the_variable_names_the_folder),
        TEST(test_peers),
        TEST(test_a_wrong_peer_is_named),
        TEST(test_a_sample),
        TEST(test_max_bytes),
        TEST(test_a_ring_is_written_after_an_error_only),
        TEST(test_max_files),
        TEST(test_a_folder_that_is_not_there),
        TEST(test_a_disk_that_is_full),
        TEST(test_too_many_open_files),
        TEST(test_a_name_that_is_taken),
        TEST(test_a_function_gets_them),
    };
    unsetenv("QLOGDIR");
    return RUN(tests);
}
