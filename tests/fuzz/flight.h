/* Loops without sockets: what they send is caught or dropped, what they receive is made up. */
#ifndef FLIGHT_H
#define FLIGHT_H

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "loop/loop.h"

enum { FLIGHT_DATAGRAMS = 8, FLIGHT_BYTES = 1500 };

/* Datagrams a loop sent, the first few of them. */
struct flight {
    uint8_t data[FLIGHT_DATAGRAMS][FLIGHT_BYTES];
    size_t len[FLIGHT_DATAGRAMS], count;
};

/* Where sends go; one at a time. */
static struct flight *flight_caught;

static inline int64_t flight_send(struct qp_udp_poller *poller, struct qp_udp_socket *socket,
                                  const struct qp_addr *local, const struct qp_addr *peer,
                                  const uint8_t *data, size_t len, size_t segment)
{
    struct flight *f = flight_caught;
    (void)poller, (void)socket, (void)local, (void)peer;
    for (size_t off = 0; off < len; off += segment) {
        size_t n = len - off < segment ? len - off : segment;
        if (n > FLIGHT_BYTES)
            abort();
        if (f->count < FLIGHT_DATAGRAMS) {
            memcpy(f->data[f->count], data + off, n);
            f->len[f->count] = n;
        }
        f->count++;
    }
    return (int64_t)len;
}

static inline struct qp_addr flight_address(uint16_t port)
{
    struct qp_addr addr = {.in = {.sin_family = AF_INET, .sin_port = htons(port)}};
    addr.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return addr;
}

static inline int flight_open(struct qp_udp_poller *poller, struct qp_udp_socket *socket,
                              const struct qp_addr *local, const struct qp_addr *peer)
{
    (void)poller, (void)local;
    socket->fd = -1;
    socket->local = flight_address(4242);
    if (peer != NULL)
        socket->peer = *peer;
    return 0;
}

static inline struct qp_udp_socket *flight_ready(struct qp_udp_poller *poller, bool *ret_readable,
                                                 bool *ret_writable)
{
    (void)poller, (void)ret_readable, (void)ret_writable;
    return NULL;
}

static inline void flight_disarm(struct qp_udp_poller *poller, struct qp_udp_socket *socket)
{
    (void)poller, (void)socket;
}

/* A loop whose sockets are none. */
static inline quicpro_loop *flight_loop(void)
{
    static struct qp_udp_ops udp;
    quicpro_loop *loop;
    if (quicpro_loop_new(&loop, NULL) < 0)
        abort();
    udp = *loop->udp;
    udp.open = flight_open;
    udp.send = flight_send;
    udp.next_ready = flight_ready;
    udp.disarm_write = flight_disarm;
    loop->udp = &udp;
    return loop;
}

/* The first flight of a client: Initial packets with its ClientHello. */
static inline void flight_of_client(struct flight *ret)
{
    quicpro_loop *loop = flight_loop();
    quicpro_client *client;
    quicpro_conn conn;
    *ret = (struct flight){.count = 0};
    flight_caught = ret;
    if (quicpro_client_new(&client, loop, NULL) < 0 ||
        quicpro_client_connect(client, "127.0.0.1", 4433, NULL, &conn) < 0)
        abort();
    quicpro_loop_flush(loop);
    struct flight nowhere = {.count = 0};
    flight_caught = &nowhere;
    quicpro_client_free(client);
    quicpro_loop_free(loop);
    if (ret->count == 0 || ret->count > FLIGHT_DATAGRAMS)
        abort();
}

#endif
