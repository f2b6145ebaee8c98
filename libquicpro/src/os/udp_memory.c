/* Sockets are found by their port, of which few have the same. What was sent is one buffer of
 * records, taken from the front, and begun anew when it is empty. */
#include "os/udp_memory.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/idmap.h"

struct node {
    struct qp_udp_socket *socket;
    struct node *next;         /* of the same port */
    struct node *next_blocked; /* waits for room as well */
    bool blocked;
};

/* In front of its bytes, which are padded so that the next one is aligned. */
struct record {
    size_t len, segment, done; /* done: bytes taken */
    struct qp_addr local, peer;
};

struct qp_udp_poller {
    quicpro_tstamp now, armed;
    struct qp_idmap ports; /* the nodes of each */
    struct node *blocked, **blocked_tail;
    struct qp_addr host[2]; /* IPv4, IPv6 */
    uint16_t next_port;
    uint8_t *queue; /* records from head to tail */
    size_t head, tail, room;
    size_t waiting, limit; /* bytes of datagrams */
    struct qp_udp_counts counts;
};

static struct node *nodes_of(const struct qp_udp_poller *poller, int port)
{
    return qp_idmap_get(&poller->ports, (uint64_t)port);
}

static struct node *node_of(const struct qp_udp_poller *poller, const struct qp_udp_socket *socket)
{
    struct node *node = nodes_of(poller, qp_addr_port(&socket->local));
    while (node != NULL && node->socket != socket)
        node = node->next;
    return node;
}

int qp_udp_memory_new(struct qp_udp_poller **ret, size_t queue_bytes, quicpro_tstamp now)
{
    struct qp_udp_poller *poller = calloc(1, sizeof(*poller));
    if (poller == NULL)
        return QUICPRO_ENOMEM;
    poller->now = now;
    poller->armed = QUICPRO_FOREVER;
    poller->blocked_tail = &poller->blocked;
    poller->host[0].in.sin_family = AF_INET;
    poller->host[0].in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    poller->host[1].in6.sin6_family = AF_INET6;
    poller->host[1].in6.sin6_addr.s6_addr[15] = 1;
    poller->next_port = QP_UDP_MEMORY_PORT;
    poller->limit = queue_bytes == 0 ? QP_UDP_MEMORY_QUEUE : queue_bytes;
    *ret = poller;
    return 0;
}

static int poller_new(struct qp_udp_poller **ret)
{
    return qp_udp_memory_new(ret, 0, 0);
}

static void poller_free(struct qp_udp_poller *poller)
{
    if (poller == NULL)
        return;
    for (uint32_t i = 0; i < poller->ports.capacity; i++) {
        struct node *node = poller->ports.slots[i].value, *next;
        for (; node != NULL; node = next) {
            next = node->next;
            free(node);
        }
    }
    qp_idmap_done(&poller->ports);
    free(poller->queue);
    free(poller);
}

void qp_udp_memory_set_now(struct qp_udp_poller *poller, quicpro_tstamp now)
{
    assert(now >= poller->now);
    poller->now = now;
}

void qp_udp_memory_set_address(struct qp_udp_poller *poller, const struct qp_addr *addr)
{
    poller->host[addr->sa.sa_family == AF_INET6] = *addr;
}

void qp_udp_memory_prompt(struct qp_udp_poller *poller)
{
    poller->armed = poller->now;
}

static int poller_fd(struct qp_udp_poller *poller)
{
    (void)poller;
    return -ENOTSUP;
}

static size_t fds(struct qp_udp_poller *poller, quicpro_watch *ret, size_t max)
{
    (void)poller, (void)ret, (void)max;
    return 0;
}

static uint64_t fds_version(const struct qp_udp_poller *poller)
{
    (void)poller;
    return 1;
}

static bool has_room(const struct qp_udp_poller *poller)
{
    return poller->waiting < poller->limit;
}

/* Never in the past, so that a caller may take it for the time of his next turn. */
static quicpro_tstamp expiry(const struct qp_udp_poller *poller)
{
    const bool now = poller->blocked != NULL && has_room(poller);
    return now || poller->armed < poller->now ? poller->now : poller->armed;
}

static int wait(struct qp_udp_poller *poller, quicpro_tstamp timeout)
{
    (void)poller, (void)timeout;
    return -ENOTSUP;
}

/* Only those that wait for room: what comes goes to its port at once. */
static struct qp_udp_socket *next_ready(struct qp_udp_poller *poller, bool *ret_readable,
                                        bool *ret_writable)
{
    struct node *node = poller->blocked;
    if (node == NULL || !has_room(poller))
        return NULL;
    poller->blocked = node->next_blocked;
    if (poller->blocked == NULL)
        poller->blocked_tail = &poller->blocked;
    node->blocked = false;
    *ret_readable = false;
    *ret_writable = true;
    return node->socket;
}

static void arm(struct qp_udp_poller *poller, quicpro_tstamp at)
{
    poller->armed = at;
}

static void wake(struct qp_udp_poller *poller)
{
    (void)poller; /* nobody sleeps */
}

static int wake_fd(const struct qp_udp_poller *poller)
{
    (void)poller;
    return -ENOTSUP;
}

/* Whether two sockets cannot both be bound. */
static bool collide(const struct qp_addr *a, const struct qp_addr *b)
{
    return a->sa.sa_family == b->sa.sa_family &&
           (qp_addr_is_wildcard(a) || qp_addr_is_wildcard(b) || qp_addr_equal(a, b));
}

/* A port that no socket has, or 0. */
static int free_port(struct qp_udp_poller *poller)
{
    for (int tries = 65536 - QP_UDP_MEMORY_PORT; tries > 0; tries--) {
        const int port = poller->next_port++;
        if (poller->next_port == 0)
            poller->next_port = QP_UDP_MEMORY_PORT;
        if (nodes_of(poller, port) == NULL)
            return port;
    }
    return 0;
}

static int add(struct qp_udp_poller *poller, struct qp_udp_socket *socket)
{
    const int port = qp_addr_port(&socket->local);
    struct node *others = nodes_of(poller, port), *node = calloc(1, sizeof(*node));
    if (node == NULL)
        return QUICPRO_ENOMEM;
    node->socket = socket;
    node->next = others;
    if (others != NULL)
        qp_idmap_replace(&poller->ports, (uint64_t)port, node);
    else if (qp_idmap_put(&poller->ports, (uint64_t)port, node) < 0) {
        free(node);
        return QUICPRO_ENOMEM;
    }
    return 0;
}

static int open_socket(struct qp_udp_poller *poller, struct qp_udp_socket *socket,
                       const struct qp_addr *local, const struct qp_addr *peer)
{
    struct qp_addr at;
    if (local != NULL)
        at = *local;
    else
        at = poller->host[peer->sa.sa_family == AF_INET6];
    if (local == NULL || qp_addr_port(&at) == 0) {
        const int port = free_port(poller);
        if (port == 0)
            return -EADDRNOTAVAIL;
        qp_addr_set_port(&at, (uint16_t)port);
    }
    for (const struct node *n = nodes_of(poller, qp_addr_port(&at)); n != NULL; n = n->next)
        if (collide(&n->socket->local, &at))
            return -EADDRINUSE;
    socket->fd = 0; /* none, but it is open */
    socket->family = at.sa.sa_family;
    socket->local = at;
    socket->wildcard = qp_addr_is_wildcard(&at);
    socket->connected = peer != NULL;
    socket->want_write = socket->dual = false;
    socket->features.busy_poll_us = 0;
    if (peer != NULL)
        socket->peer = *peer;
    int r = add(poller, socket);
    if (r < 0)
        socket->fd = -1;
    return r;
}

static int adopt(struct qp_udp_poller *poller, struct qp_udp_socket *socket, int fd)
{
    (void)poller, (void)socket, (void)fd;
    return -ENOTSUP;
}

static void unblock(struct qp_udp_poller *poller, struct node *node)
{
    struct node **at = &poller->blocked;
    if (!node->blocked)
        return;
    while (*at != node)
        at = &(*at)->next_blocked;
    *at = node->next_blocked;
    if (poller->blocked_tail == &node->next_blocked)
        poller->blocked_tail = at;
    node->blocked = false;
}

static void close_socket(struct qp_udp_poller *poller, struct qp_udp_socket *socket)
{
    const uint64_t port = (uint64_t)qp_addr_port(&socket->local);
    struct node *node = socket->fd < 0 ? NULL : node_of(poller, socket);
    if (node == NULL)
        return;
    unblock(poller, node);
    struct node *first = nodes_of(poller, (int)port), **at = &first;
    while (*at != node)
        at = &(*at)->next;
    *at = node->next;
    if (first == NULL)
        qp_idmap_remove(&poller->ports, port);
    else
        qp_idmap_replace(&poller->ports, port, first);
    free(node);
    socket->fd = -1;
    socket->want_write = false;
}

static int receive(struct qp_udp_poller *poller, struct qp_udp_socket *socket,
                   struct qp_udp_train *train, size_t max)
{
    (void)poller, (void)socket, (void)train, (void)max;
    return 0;
}

static size_t padded(size_t len)
{
    return (len + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
}

static struct record *record_at(const struct qp_udp_poller *poller, size_t offset)
{
    return (struct record *)(void *)(poller->queue + offset);
}

static bool make_room(struct qp_udp_poller *poller, size_t need)
{
    if (poller->head == poller->tail)
        poller->head = poller->tail = 0;
    if (poller->room - poller->tail >= need)
        return true;
    if (poller->head >= poller->room / 2 && poller->head >= need) {
        memmove(poller->queue, poller->queue + poller->head, poller->tail - poller->head);
        poller->tail -= poller->head;
        poller->head = 0;
        return true;
    }
    const size_t room = 2 * (poller->tail + need);
    uint8_t *queue = realloc(poller->queue, room);
    if (queue == NULL)
        return false;
    poller->queue = queue;
    poller->room = room;
    return true;
}

static int64_t send_train(struct qp_udp_poller *poller, struct qp_udp_socket *socket,
                          const struct qp_addr *local, const struct qp_addr *peer,
                          const uint8_t *data, size_t len, size_t segment)
{
    const size_t head = padded(sizeof(struct record));
    if (!has_room(poller)) {
        struct node *node = node_of(poller, socket);
        socket->want_write = true;
        if (!node->blocked) {
            node->blocked = true;
            node->next_blocked = NULL;
            *poller->blocked_tail = node;
            poller->blocked_tail = &node->next_blocked;
        }
        return 0;
    }
    if (!make_room(poller, head + padded(len)))
        return QUICPRO_ENOMEM;
    *record_at(poller, poller->tail) = (struct record){
        .len = len,
        .segment = segment,
        .local = socket->wildcard ? *local : socket->local,
        .peer = socket->connected ? socket->peer : *peer,
    };
    memcpy(poller->queue + poller->tail + head, data, len);
    poller->tail += head + padded(len);
    poller->waiting += len;
    poller->counts.messages_out++;
    return (int64_t)len;
}

size_t qp_udp_memory_take(struct qp_udp_poller *poller, size_t max, struct qp_udp_train *ret)
{
    if (poller->head == poller->tail)
        return 0;
    struct record *record = record_at(poller, poller->head);
    const size_t left = record->len - record->done;
    const size_t count = (left + record->segment - 1) / record->segment;
    const size_t len = max < count ? max * record->segment : left;
    *ret = (struct qp_udp_train){
        .data = poller->queue + poller->head + padded(sizeof(*record)) + record->done,
        .len = len,
        .segment = len < record->segment ? len : record->segment,
        .local = record->local,
        .peer = record->peer,
    };
    record->done += len;
    poller->waiting -= len;
    if (record->done == record->len)
        poller->head += padded(sizeof(*record)) + padded(record->len);
    return max < count ? max : count;
}

static void disarm_write(struct qp_udp_poller *poller, struct qp_udp_socket *socket)
{
    struct node *node = node_of(poller, socket);
    socket->want_write = false;
    if (node != NULL)
        unblock(poller, node);
}

static const struct qp_udp_counts *counts(const struct qp_udp_poller *poller)
{
    return &poller->counts;
}

struct qp_udp_socket *qp_udp_memory_find(const struct qp_udp_poller *poller,
                                         const struct qp_addr *local, const struct qp_addr *peer)
{
    struct qp_udp_socket *found = NULL;
    for (const struct node *n = nodes_of(poller, qp_addr_port(local)); n != NULL; n = n->next) {
        struct qp_udp_socket *socket = n->socket;
        if (socket->connected ? qp_addr_equal(&socket->peer, peer)
                              : qp_addr_equal(&socket->local, local))
            return socket;
        if (!socket->connected && socket->wildcard && socket->family == local->sa.sa_family)
            found = socket;
    }
    return found;
}

const struct qp_udp_ops qp_udp_memory = {
    .name = "memory",
    .poller_new = poller_new,
    .poller_free = poller_free,
    .poller_fd = poller_fd,
    .fds = fds,
    .fds_version = fds_version,
    .expiry = expiry,
    .wait = wait,
    .next_ready = next_ready,
    .arm = arm,
    .wake = wake,
    .wake_fd = wake_fd,
    .open = open_socket,
    .adopt = adopt,
    .close = close_socket,
    .receive = receive,
    .send = send_train,
    .disarm_write = disarm_write,
    .counts = counts,
};
