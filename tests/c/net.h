/* A network in virtual time: what loops without I/O send goes over with a delay, or is lost.
 * Nothing here waits; the same seed loses the same datagrams. */
#ifndef NET_H
#define NET_H

#include <quicpro.h>
#include <stdlib.h>

#include "check.h"

struct net_datagram {
    struct net_datagram *next;
    quicpro_tstamp at;
    bool to_server;
    quicpro_train train; /* as its receiver sees it */
    uint8_t bytes[];
};

struct net {
    quicpro_tstamp now, delay; /* delay: one way; 0 until a test says otherwise */
    unsigned loss;             /* of a thousand datagrams */
    uint64_t seed;
    /* What a test does with each datagram before it travels: may change its addresses (a NAT), its
     * bytes, the time it takes (*delay); false: it is lost. NULL: nothing. */
    bool (*on_datagram)(struct net *net, bool to_server, quicpro_train *train,
                        quicpro_tstamp *delay);
    void *data;
    struct net_datagram *queue;                   /* by time */
    uint64_t sent[2], lost[2], bytes[2], refused; /* by direction: to the client, to the server */
};

/* Takes what a loop has sent. */
static inline void net_collect(struct net *net, quicpro_loop *loop, bool to_server)
{
    quicpro_train train;
    while (quicpro_loop_send(loop, 1, &train) > 0) {
        quicpro_tstamp delay = net->delay;
        const quicpro_address from = train.local;
        train.local = train.peer;
        train.peer = from;
        net->sent[to_server]++;
        net->bytes[to_server] += train.len;
        if ((net->on_datagram != NULL && !net->on_datagram(net, to_server, &train, &delay)) ||
            (net->loss != 0 && check_random(&net->seed) % 1000 < net->loss)) {
            net->lost[to_server]++;
            continue;
        }
        struct net_datagram *d = malloc(sizeof(*d) + train.len), **at = &net->queue;
        if (d == NULL)
            abort();
        *d = (struct net_datagram){.at = net->now + delay, .to_server = to_server, .train = train};
        memcpy(d->bytes, train.data, train.len);
        d->train.data = d->bytes;
        while (*at != NULL && (*at)->at <= d->at)
            at = &(*at)->next;
        d->next = *at;
        *at = d;
    }
}

/* Hands over what is there by now. */
static inline void net_deliver(struct net *net, quicpro_loop *client, quicpro_loop *server)
{
    while (net->queue != NULL && net->queue->at <= net->now) {
        struct net_datagram *d = net->queue;
        net->queue = d->next;
        int r = quicpro_loop_recv(d->to_server ? server : client, &d->train);
        net->refused += r == QUICPRO_ECONNREFUSED;
        free(d);
    }
}

static inline void net_done(struct net *net)
{
    while (net->queue != NULL) {
        struct net_datagram *d = net->queue;
        net->queue = d->next;
        free(d);
    }
}

#endif
