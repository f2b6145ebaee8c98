/* Datagrams for an idle server. The input is a list of them, each behind its length in two bytes,
 * most significant first; the last may be cut short.
 *
 * Oracle: the server survives and still answers a good first flight; datagrams that came as one
 * train do what they do one by one; when its connections are dropped nothing of them is left. */
#include <stdio.h>
#include <unistd.h>

#include <quicpro/devcert.h>

#include "flight.h"
#include "os/clock.h"

enum { DATAGRAMS_MAX = 64, INPUT_MAX = 65536 };

static struct {
    quicpro_loop *loop;
    quicpro_server *server;
    struct qp_port *port;
    struct flight good;
} state;

struct datagrams {
    uint8_t bytes[INPUT_MAX]; /* one behind the other */
    size_t len[DATAGRAMS_MAX], count;
    bool train; /* all of one size but the last, which may be smaller */
};

/* What became of some datagrams. */
struct outcome {
    uint64_t made, dropped, seen;
};

static void require(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "server_datagrams: %s\n", what);
    abort();
}

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    require(f != NULL && fputs(text, f) >= 0 && fclose(f) == 0, "cannot write a certificate");
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    const char *name[] = {"localhost"};
    char dir[] = "/tmp/quicpro-fuzz-XXXXXX", cert[64], key[64];
    quicpro_devcert made;
    quicpro_config *config;
    (void)argc, (void)argv;
    require(mkdtemp(dir) != NULL && quicpro_devcert_make(&made, name, 1, 30) == 0,
            "no certificate");
    snprintf(cert, sizeof(cert), "%s/cert.pem", dir);
    snprintf(key, sizeof(key), "%s/key.pem", dir);
    write_file(cert, made.cert_pem);
    write_file(key, made.key_pem);
    quicpro_devcert_done(&made);
    require(quicpro_config_new(&config) == 0, "no configuration");
    quicpro_config_set(config, "cert_file", cert);
    quicpro_config_set(config, "key_file", key);
    state.loop = flight_loop();
    require(quicpro_server_new(&state.server, state.loop, config) == 0, "no server");
    quicpro_config_free(config);
    unlink(cert);
    unlink(key);
    rmdir(dir);
    state.port = qp_port_new(state.loop->endpoints);
    require(state.port != NULL, "no port");
    flight_of_client(&state.good);
    return 0;
}

static bool read_datagrams(struct datagrams *ret, const uint8_t *data, size_t size)
{
    size_t used = 0;
    ret->count = 0;
    ret->train = true;
    while (size > 2 && ret->count < DATAGRAMS_MAX) {
        size_t n = (size_t)data[0] << 8 | data[1];
        data += 2;
        size -= 2;
        n = n < size ? n : size;
        memcpy(ret->bytes + used, data, n);
        ret->len[ret->count] = n;
        ret->train &= n != 0 && n <= ret->len[0] &&
                      (ret->count == 0 || ret->len[ret->count - 1] == ret->len[0]);
        ret->count++;
        used += n;
        data += n;
        size -= n;
    }
    ret->train &= ret->count > 1;
    return ret->count != 0;
}

/* At its exact size, so that a sanitizer sees what is read behind it. */
static void receive(const uint8_t *data, size_t len, size_t segment)
{
    uint8_t *copy = malloc(len + (len == 0));
    require(copy != NULL, "out of memory");
    memcpy(copy, data, len);
    const struct qp_udp_train train = {
        .data = copy,
        .len = len,
        .segment = segment,
        .peer = flight_address(4242),
        .local = flight_address(4433),
    };
    qp_port_route(state.port, &train, qp_clock_now());
    free(copy);
}

static void run(void)
{
    const quicpro_batch *batch;
    require(quicpro_loop_run(state.loop, 0, &batch) >= 0, "run failed");
    quicpro_loop_flush(state.loop);
}

static void drop_connections(void)
{
    uint32_t cursor = 0;
    quicpro_handle handle;
    struct qp_link *link;
    while ((link = qp_slab_next(&state.loop->links, &cursor, &handle)) != NULL)
        qp_link_free(link);
    const struct qp_endpoint *endpoint = state.loop->endpoints;
    require(endpoint->open == 0 && endpoint->handshakes == 0, "connections are miscounted");
    require(state.loop->links.used == 0 && state.loop->streams.used == 0, "something is left");
    require(state.loop->cids.count == 0, "a connection ID is left");
    require(state.loop->dirty == NULL && qp_heap_first(&state.loop->timers) == NULL,
            "a dead connection is to be looked at");
}

static struct outcome count(void)
{
    const quicpro_loop *loop = state.loop;
    const struct qp_metrics *m = loop->metrics;
    return (struct outcome){qp_metrics_get(m, QP_METRIC_CONNECTIONS_MADE),
                            qp_metrics_get(m, QP_METRIC_DROPPED),
                            qp_metrics_get(m, QP_METRIC_UDP_IN)};
}

static struct outcome feed(const struct datagrams *in, bool train)
{
    struct flight sent = {.count = 0};
    struct outcome before = count();
    const uint8_t *at = in->bytes;
    size_t total = 0;
    flight_caught = &sent;
    for (size_t i = 0; i < in->count; i++)
        total += in->len[i];
    if (train)
        receive(at, total, in->len[0]);
    else
        for (size_t i = 0; i < in->count; at += in->len[i++])
            receive(at, in->len[i], in->len[i]);
    run();
    run();
    struct outcome after = count();
    /* Section 8.1 of RFC 9000: "an endpoint MUST limit the amount of data it sends to the
     * unvalidated address to three times the amount of data received from that address". */
    size_t out = 0;
    for (size_t i = 0; i < sent.count && i < FLIGHT_DATAGRAMS; i++)
        out += sent.len[i];
    require(out <= 3 * total, "answered with more than three times what came");
    drop_connections();
    return (struct outcome){after.made - before.made, after.dropped - before.dropped,
                            after.seen - before.seen};
}

static void require_an_answer(void)
{
    struct flight sent = {.count = 0};
    flight_caught = &sent;
    for (size_t i = 0; i < state.good.count; i++)
        receive(state.good.data[i], state.good.len[i], state.good.len[i]);
    run();
    require(sent.count != 0, "a good first flight has no answer");
    drop_connections();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct datagrams in;
    if (size > INPUT_MAX || !read_datagrams(&in, data, size))
        return 0;
    struct outcome single = feed(&in, false);
    if (in.train) {
        struct outcome train = feed(&in, true);
        require(single.made == train.made && single.dropped == train.dropped &&
                    single.seen == train.seen,
                "a train is not the sum of its datagrams");
    }
    require_an_answer();
    return 0;
}
