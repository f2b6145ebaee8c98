#include "quic/pacer.h"

/* Round trips, windows and debts beyond these make no difference, and no number overflow. */
static const uint64_t MAX_RTT = 10 * QUICPRO_SECOND, MAX_CWND = UINT64_C(1) << 32,
                      MAX_NEED = UINT64_C(10000000000);

enum {
    /* "A value for N that is small, but at least 1 (for example, 1.25) ensures that variations in
     * RTT do not result in underutilization of the congestion window" (RFC 9002 section 7.7); in
     * slow start the window doubles each round trip, and the rate has to be ahead of it. */
    GAIN_PERCENT = 125,
    STARTUP_PERCENT = 200,
};

/* What a timer may be late without costing throughput, and what a system call is spent on. */
static const uint64_t BURST_TIME = 2 * QUICPRO_MILLISECOND;
static const uint64_t MIN_INTERVAL = QUICPRO_MILLISECOND / 2;

/* What we tell peers that we keep (RFC 9000 section 18.2). */
static const uint64_t MAX_ACK_DELAY = 25 * QUICPRO_MILLISECOND;

static uint64_t most(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* bytes of a rate in a span, both up to 2^40 and more without overflow. */
static uint64_t bytes_in(uint64_t rate, uint64_t span)
{
    return rate / QUICPRO_SECOND * span + rate % QUICPRO_SECOND * span / QUICPRO_SECOND;
}

/* What a path that is empty may get at once. */
static uint64_t first_flight(const struct qp_pacer *pacer)
{
    if (pacer->capped)
        return pacer->burst;
    return pacer->window < pacer->cwnd ? pacer->window : pacer->cwnd;
}

bool qp_pacer_is_due(const struct qp_pacer *pacer, quicpro_tstamp now)
{
    return pacer->window == 0 || now >= pacer->told + most(pacer->rtt / 8, MIN_INTERVAL);
}

void qp_pacer_update(struct qp_pacer *pacer, uint64_t cwnd, uint64_t rtt, uint64_t payload,
                     uint64_t max_burst, uint64_t max_rate, quicpro_tstamp now)
{
    qp_pacer_allowance(pacer, now); /* time up to here counts by the old rate */
    rtt = rtt < MAX_RTT ? rtt : MAX_RTT;
    cwnd = cwnd < MAX_CWND ? cwnd : MAX_CWND;
    pacer->told = now;
    pacer->rtt = rtt;
    if (cwnd < pacer->cwnd)
        pacer->fell = true;
    pacer->cwnd = cwnd;
    if (rtt == 0) /* the handshake is bounded by the initial window and by amplification */
        return;
    if (pacer->window == 0) {
        /* "Senders SHOULD limit bursts to the initial congestion window" (section 7.7): the first
         * one may have it. */
        pacer->window = most(cwnd, 1);
        pacer->tokens = (int64_t)pacer->window;
        pacer->filled = now;
    }
    const uint64_t percent = pacer->fell ? GAIN_PERCENT : STARTUP_PERCENT;
    const uint64_t wanted = cwnd * percent / 100;
    pacer->rate = wanted / rtt * QUICPRO_SECOND + wanted % rtt * QUICPRO_SECOND / rtt;
    pacer->capped = max_rate != 0 && pacer->rate > max_rate;
    if (pacer->capped)
        pacer->rate = max_rate;
    pacer->burst = most(max_burst * payload, bytes_in(pacer->rate, BURST_TIME));
    if (pacer->tokens > (int64_t)most(pacer->burst, first_flight(pacer)))
        pacer->tokens = (int64_t)most(pacer->burst, first_flight(pacer));
    /* A whole window fits into the bucket: there is nothing to pace, as on a LAN or on loopback. */
    if (pacer->burst >= cwnd && !pacer->capped)
        pacer->rate = 0;
    else
        pacer->rate = most(pacer->rate, 1);
}

static void fill(struct qp_pacer *pacer, quicpro_tstamp now)
{
    const uint64_t span = now - pacer->filled;
    /* Longer than a second makes no difference to a bucket. */
    const uint64_t more = bytes_in(pacer->rate, span < QUICPRO_SECOND ? span : QUICPRO_SECOND);
    pacer->tokens += (int64_t)more;
    if (pacer->tokens < (int64_t)pacer->burst) {
        /* Time goes on as far as it was paid out, so that parts of a byte are not lost. */
        pacer->filled += more * QUICPRO_SECOND / pacer->rate;
        return;
    }
    pacer->tokens = (int64_t)pacer->burst;
    pacer->filled = now;
}

uint64_t qp_pacer_allowance(struct qp_pacer *pacer, quicpro_tstamp now)
{
    if (pacer->rate == 0) {
        pacer->filled = now > pacer->filled ? now : pacer->filled;
        return UINT64_MAX;
    }
    if (now > pacer->filled && now >= pacer->sent + pacer->rtt && !pacer->capped &&
        pacer->tokens < (int64_t)first_flight(pacer)) {
        pacer->tokens = (int64_t)first_flight(pacer);
        pacer->filled = now;
    } else if (now > pacer->filled && pacer->tokens < (int64_t)pacer->burst) {
        fill(pacer, now);
    } else if (now > pacer->filled) {
        pacer->filled = now;
    }
    return pacer->tokens > 0 ? (uint64_t)pacer->tokens : 0;
}

void qp_pacer_sent(struct qp_pacer *pacer, uint64_t bytes, quicpro_tstamp now)
{
    if (now > pacer->sent)
        pacer->sent = now;
    if (pacer->rate == 0)
        return;
    pacer->tokens -= (int64_t)bytes;
    /* What could not wait must not keep the rest waiting for ever. */
    if (pacer->tokens < -(int64_t)pacer->burst)
        pacer->tokens = -(int64_t)pacer->burst;
}

bool qp_pacer_may_owe(const struct qp_pacer *pacer, quicpro_tstamp now)
{
    return pacer->tokens > -(int64_t)(pacer->burst / 2) || now >= pacer->sent + MAX_ACK_DELAY;
}

static quicpro_tstamp half_full(const struct qp_pacer *pacer)
{
    const int64_t missing = (int64_t)(pacer->burst / 2) - pacer->tokens;
    if (pacer->rate == 0 || missing <= 0)
        return pacer->filled;
    const uint64_t need = (uint64_t)missing < MAX_NEED ? (uint64_t)missing : MAX_NEED;
    return pacer->filled + need / pacer->rate * QUICPRO_SECOND +
           need % pacer->rate * QUICPRO_SECOND / pacer->rate + 1;
}

quicpro_tstamp qp_pacer_release(const struct qp_pacer *pacer, bool owes)
{
    const quicpro_tstamp at = half_full(pacer), late = pacer->sent + MAX_ACK_DELAY;
    return owes && late < at ? late : at;
}
