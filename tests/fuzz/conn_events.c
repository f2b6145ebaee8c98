/* Two connections, both ours, and everything that can come between: datagrams that are lost, come
 * late, twice, in another order, by another port or with a bit changed, time that passes, and on
 * both sides an application that opens, writes, reads, stops, resets and closes as it likes.
 *
 * Oracle (talk.h): each side is told in an order that makes sense, of nothing twice and of nothing
 * that did not happen; bytes are those that were sent; nobody is blamed for a protocol error. Then
 * the network becomes good and the applications only do what events say: no event was lost, so
 * everything that was written arrives. After the end nothing is left of either connection.
 *
 * An input begins with a byte: bit 0 the network is good until both are connected, bit 1 the server
 * closes. Then steps of three bytes, see step(). */
#include "talk.h"

enum { QUEUE = 64, DATAGRAM_MAX = 1500, PAYLOAD = 1200 };

struct datagram {
    uint8_t bytes[DATAGRAM_MAX];
    quicpro_train train;
};

/* Under way to each side, in the order they were sent. */
static struct way {
    struct datagram *at[QUEUE];
    size_t count;
} way[2];

static struct duo duo;
static struct talk talk;
static uint16_t nat; /* what is added to the client's port on its way */
static size_t moved; /* datagrams and events: whether anything happened */

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static const struct duo_option option[] = {
        {true, true, "alpn", "echo"},
        {true, true, "datagrams_enable", "true"},
        {true, true, "initial_max_streams_bidi", "3"},
        {true, true, "initial_max_streams_uni", "3"},
        {true, true, "initial_max_data_bytes", "65536"},
        {true, true, "initial_max_stream_data_bidi_local_bytes", "20000"},
        {true, true, "initial_max_stream_data_bidi_remote_bytes", "20000"},
        {true, true, "initial_max_stream_data_uni_bytes", "20000"},
        {true, true, "send_queue_bytes", "16384"},
        {true, true, "max_udp_payload_bytes", "1200"},
    };
    (void)argc, (void)argv;
    duo_init(&duo, option, sizeof(option) / sizeof(option[0]));
    return 0;
}

static void drop(struct way *w, size_t index)
{
    free(w->at[index]);
    w->count--;
    memmove(&w->at[index], &w->at[index + 1], (w->count - index) * sizeof(w->at[0]));
}

/* Takes what a side has sent; the oldest gives way. */
static void collect(int side)
{
    struct way *w = &way[!side];
    quicpro_train train;
    while (quicpro_loop_send(talk.side[side].loop, 1, &train) > 0) {
        struct datagram *d = malloc(sizeof(*d));
        duo_require(d != NULL && train.len <= PAYLOAD, "a datagram of a silly size");
        memcpy(d->bytes, train.data, train.len);
        d->train = train;
        d->train.data = d->bytes;
        d->train.local = train.peer;
        d->train.peer = train.local;
        if (side == 0) /* as the server sees it */
            d->train.peer.in.sin_port = htons((uint16_t)(ntohs(train.local.in.sin_port) + nat));
        if (w->count == QUEUE)
            drop(w, 0);
        w->at[w->count++] = d;
    }
}

/* Hands one over, a copy of exactly its size. */
static void hand_over(int side, const struct datagram *d)
{
    quicpro_train train = d->train;
    if (side == 0) /* a NAT knows its latest port only */
        train.local.in.sin_port = htons((uint16_t)(ntohs(train.local.in.sin_port) - nat));
    train.data = malloc(train.len);
    duo_require(train.data != NULL, "out of memory");
    memcpy(train.data, d->bytes, train.len);
    quicpro_loop_recv(talk.side[side].loop, &train);
    free(train.data);
    moved++;
}

static void deliver(int side, size_t index)
{
    struct way *w = &way[side];
    if (w->count == 0)
        return;
    index %= w->count;
    hand_over(side, w->at[index]);
    drop(w, index);
}

/* What an application does that only follows events. */
static void react(int side)
{
    for (size_t i = 0; i < talk.streams; i++) {
        struct talk_stream *s = &talk.stream[i];
        while (s->half[!side].told && !talk_receiving_over(&s->half[!side]) &&
               talk_read(&talk, s, side, 1000))
            ;
        if (!talk_sending_over(&s->half[side]) && !s->half[side].blocked)
            talk_write(&talk, s, side, 10, true);
    }
}

static void run(int side)
{
    quicpro_loop *loop = talk.side[side].loop;
    const quicpro_batch *batch;
    duo_require(quicpro_loop_run(loop, 0, &batch) >= 0, "cannot run");
    moved += batch->event_count;
    for (size_t i = 0; i < batch->event_count; i++)
        talk_event(&talk, side, &batch->events[i]);
    if (talk.by_events)
        react(side);
    duo_require(quicpro_loop_flush(loop) == 0, "cannot flush");
    collect(side);
}

/* All that is under way arrives, in order. */
static void good_round(void)
{
    for (int side = 0; side < 2; side++) {
        while (way[side].count != 0)
            deliver(side, 0);
        run(side);
    }
}

static void close_side(int side, bool finish)
{
    (finish ? quicpro_conn_finish : quicpro_conn_close)(talk.side[side].loop, talk.side[side].conn,
                                                        7, "enough");
    talk.side[side].closing = true;
}

/* Before it is, the client only repeats what is of the handshake (RFC 9002 section 6.2.1), and the
 * server has no keys for that any more: if its NAT moves then, the two lose each other for good. */
static bool is_confirmed(void)
{
    const struct qp_link *link = qp_link_get(talk.side[0].loop, talk.side[0].conn);
    return link != NULL && link->conn.impl != NULL &&
           (link->conn.engine->flags(link->conn.impl) & QP_ENGINE_CONFIRMED);
}

/* Things that happen less often. */
static void rare(uint8_t what, uint8_t which)
{
    const int side = which & 1;
    struct way *w = &way[side];
    quicpro_conn_info info = {.size = sizeof(info)};
    switch (what & 7) {
    case 0:
        close_side(side, which & 2);
        break;
    case 1:
        if (is_confirmed()) {
            nat += 1 + (which >> 1);
            talk.nat_moves++;
        }
        break;
    case 2: /* a bit of what nobody can forge any more */
        if (w->count != 0 && talk.side[0].connected && talk.side[1].connected) {
            struct datagram *d = w->at[w->count - 1];
            d->bytes[which * 7 % d->train.len] ^= (uint8_t)(1 << (what >> 5));
        }
        break;
    case 3:
        if (quicpro_conn_get_info(talk.side[side].loop, talk.side[side].conn, &info) == 0)
            duo_require(info.streams <= TALK_STREAMS, "more streams than there are");
        break;
    case 4: /* everything that is under way is lost */
        while (w->count != 0)
            drop(w, 0);
        break;
    default:
        for (int i = 0; i < (which >> 1) % 16; i++)
            talk_send_datagram(&talk, side);
        break;
    }
}

static void step(uint8_t what, uint8_t a, uint8_t b)
{
    const int side = what >> 4 & 1;
    struct talk_stream *s = talk.streams == 0 ? NULL : &talk.stream[a % talk.streams];
    struct way *w = &way[side];
    switch (what & 15) {
    case 0:
        run(side);
        break;
    case 1:
        deliver(side, a);
        break;
    case 2:
        good_round();
        break;
    case 3:
        if (w->count != 0)
            drop(w, a % w->count);
        break;
    case 4:
        if (w->count != 0)
            hand_over(side, w->at[a % w->count]); /* and it stays */
        break;
    case 5:
        duo_set_now(&duo, duo.now + (((quicpro_tstamp)b + 1) * QUICPRO_MICROSECOND << a % 18));
        break;
    case 6:
        if (duo_expiry(&duo) != QUICPRO_FOREVER)
            duo_set_now(&duo, duo_expiry(&duo));
        run(side);
        break;
    case 7:
        talk_open(&talk, side, a & 1);
        break;
    case 8:
    case 9:
        if (s != NULL)
            talk_write(&talk, s, side, (size_t)b * (what & 1 ? 100 : 1), what & 128);
        break;
    case 10:
        if (s != NULL)
            talk_read(&talk, s, side, 1 + (size_t)b * 64);
        break;
    case 11:
        if (s != NULL)
            talk_shutdown(&talk, s, side, 1 + b % 3u);
        break;
    case 12:
        if (s != NULL)
            talk_reset(&talk, s, side);
        break;
    case 13:
        if (s != NULL && s->handle[side] != 0)
            quicpro_stream_set_priority(talk.side[side].loop, s->handle[side], b & 7, b & 8);
        break;
    case 14:
        talk_send_datagram(&talk, side);
        break;
    default:
        rare(a, b);
        break;
    }
}

static bool both_live(void)
{
    for (int side = 0; side < 2; side++)
        if (!talk.side[side].connected || talk.side[side].closed || talk.side[side].closing)
            return false;
    return true;
}

static bool all_arrived(void)
{
    for (size_t i = 0; i < talk.streams; i++)
        for (int sender = 0; sender < 2; sender++) {
            const struct talk_half *h = &talk.stream[i].half[sender];
            if (!talk_sending_over(h) || !talk_receiving_over(h))
                return false;
        }
    for (int side = 0; side < 2; side++)
        if (talk.side[side].want[0] || talk.side[side].want[1])
            return false;
    return true;
}

/* The network is good; time passes when nothing else happens. Until `done` says so, or there is
 * nothing to wait for. */
static void go_on(bool (*done)(void))
{
    for (int idle = 0, rounds = 0; !done(); rounds++) {
        duo_require(rounds < 20000, "turns in circles");
        moved = 0;
        good_round();
        if (moved != 0 || duo_expiry(&duo) <= duo.now)
            continue;
        if (duo_expiry(&duo) == QUICPRO_FOREVER)
            return;
        duo_require(idle++ < 5000, "waits for nothing, again and again");
        duo_set_now(&duo, duo_expiry(&duo));
    }
}

static bool is_connected(void)
{
    return talk.side[0].closed || (talk.side[0].connected && talk.side[1].connected);
}

static bool never(void)
{
    return false;
}

static bool arrived_or_dead(void)
{
    return !both_live() || all_arrived();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const unsigned how = size == 0 ? 0 : *data;
    memset(&talk, 0, sizeof(talk));
    nat = 0;
    talk.side[0].loop = duo.client_loop;
    talk.side[1].loop = duo.server_loop;
    duo_require(quicpro_client_connect(duo.client, "192.0.2.1", 443, NULL, &talk.side[0].conn) == 0,
                "cannot connect");
    if (how & 1)
        go_on(is_connected);
    for (size_t i = 1; i + 2 < size; i += 3)
        step(data[i], data[i + 1], data[i + 2]);
    /* From here on the network is good. Those who gave up do so now. */
    run(0);
    run(1);
    const bool live = both_live();
    talk.by_events = true;
    for (int side = 0; live && side < 2; side++) {
        for (int uni = 0; uni < 2; uni++)
            talk.side[side].want[uni] &= talk.streams < TALK_STREAMS;
        talk_send_datagram(&talk, side); /* so that nobody waits for a timer that has grown */
    }
    go_on(arrived_or_dead);
    if (live) {
        duo_require(both_live(), "a good network, and the connection ends");
        duo_require(all_arrived(), "something does not arrive");
    }
    close_side(how >> 1 & 1, false);
    go_on(never);
    for (int side = 0; side < 2; side++) {
        duo_require(talk.side[side].closed || !talk.side[side].connected, "no end");
        duo_require_nothing_left(talk.side[side].loop);
        while (way[side].count != 0)
            drop(&way[side], 0);
    }
    return 0;
}
