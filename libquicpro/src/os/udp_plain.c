/* recvmsg(2) and sendmsg(2), as POSIX has them. A train is cut into its datagrams here. */
#include "os/udp_plain.h"

#include "os/udp_info.h"
#include "os/udp_socket.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

enum {
    BUFFER = 65536, /* a datagram never has more */
    CONTROL = QP_UDP_INFO6_SPACE > 0 ? QP_UDP_INFO6_SPACE : sizeof(struct cmsghdr),
};

struct qp_udp_plain {
    uint8_t *data; /* QP_UDP_MESSAGES * BUFFER */
    struct qp_udp_counts counts;
    struct {
        _Alignas(struct cmsghdr) uint8_t bytes[CONTROL];
    } control;
};

int qp_udp_plain_new(struct qp_udp_plain **ret)
{
    struct qp_udp_plain *plain = calloc(1, sizeof(*plain));
    if (plain == NULL)
        return QUICPRO_ENOMEM;
    plain->data = malloc((size_t)QP_UDP_MESSAGES * BUFFER);
    if (plain->data == NULL) {
        free(plain);
        return QUICPRO_ENOMEM;
    }
    *ret = plain;
    return 0;
}

void qp_udp_plain_free(struct qp_udp_plain *plain)
{
    if (plain == NULL)
        return;
    free(plain->data);
    free(plain);
}

const struct qp_udp_counts *qp_udp_plain_counts(const struct qp_udp_plain *plain)
{
    return &plain->counts;
}

/* One datagram into one buffer. Its length, or -errno. */
static int64_t receive_one(struct qp_udp_plain *plain, struct qp_udp_socket *socket, uint8_t *data,
                           struct qp_udp_train *train)
{
    struct iovec iov = {data, BUFFER};
    struct msghdr head = {.msg_name = &train->peer,
                          .msg_namelen = sizeof(train->peer),
                          .msg_iov = &iov,
                          .msg_iovlen = 1,
                          .msg_control = plain->control.bytes,
                          .msg_controllen = sizeof(plain->control.bytes)};
    ssize_t len;
    do {
        plain->counts.syscalls_in++;
        len = recvmsg(socket->fd, &head, 0);
    } while (len < 0 && errno == EINTR);
    if (len < 0)
        return -errno;
    train->data = data;
    train->len = train->segment = (size_t)len;
    train->local = socket->local;
    if (socket->connected)
        train->peer = socket->peer;
    if (socket->wildcard)
        for (struct cmsghdr *c = CMSG_FIRSTHDR(&head); c != NULL; c = CMSG_NXTHDR(&head, c))
            qp_udp_info_read(c, socket->family, &train->local);
    if (socket->dual) {
        qp_addr_unmap(&train->local);
        qp_addr_unmap(&train->peer);
    }
    return len;
}

int qp_udp_plain_receive(struct qp_udp_plain *plain, struct qp_udp_socket *socket,
                         struct qp_udp_train *train, size_t max)
{
    size_t count = 0;
    while (count < max && count < QP_UDP_MESSAGES) {
        uint8_t *data = plain->data + count * BUFFER;
        int64_t r = receive_one(plain, socket, data, &train[count]);
        if (r == -EAGAIN || r == -EWOULDBLOCK)
            break;
        /* Behind a first datagram an error is dropped: what it means comes again with the next one
         * sent. */
        if (r < 0)
            return count == 0 ? (int)r : (int)count;
        count++;
    }
    return (int)count;
}

/* Sends one datagram. Its length, or -errno. */
static int64_t send_one(struct qp_udp_plain *plain, const struct qp_udp_socket *socket,
                        struct msghdr *head, const uint8_t *data, size_t len)
{
    struct iovec iov = {(void *)(uintptr_t)data, len}; /* sendmsg(2) only reads it */
    unsigned refused = 0;
    ssize_t n;
    head->msg_iov = &iov;
    head->msg_iovlen = 1;
    do {
        plain->counts.syscalls_out++;
        n = sendmsg(socket->fd, head, 0);
    } while (n < 0 && (errno == EINTR || qp_udp_is_old_error(socket, errno, &refused)));
    if (n < 0)
        return -errno;
    plain->counts.messages_out++;
    return n;
}

int64_t qp_udp_plain_send(struct qp_udp_plain *plain, struct qp_udp_socket *socket,
                          const struct qp_addr *local, const struct qp_addr *peer,
                          const uint8_t *data, size_t len, size_t segment)
{
    struct msghdr head = {0};
    struct qp_addr mapped;
    size_t sent = 0;
    assert(len != 0 && segment != 0);
    if (!socket->connected) {
        if (socket->dual) {
            mapped = *peer;
            qp_addr_map(&mapped);
            peer = &mapped;
        }
        head.msg_name = (void *)(uintptr_t)peer;
        head.msg_namelen = qp_addr_len(peer);
    }
    if (socket->wildcard && local != NULL && !qp_addr_is_wildcard(local)) {
        memset(plain->control.bytes, 0, sizeof(plain->control.bytes));
        head.msg_controllen = qp_udp_info_write(plain->control.bytes, socket->family, local);
        head.msg_control = head.msg_controllen == 0 ? NULL : plain->control.bytes;
    }
    while (sent < len) {
        const size_t size = len - sent < segment ? len - sent : segment;
        int64_t r = send_one(plain, socket, &head, data + sent, size);
        if (r == -EAGAIN || r == -EWOULDBLOCK)
            break;
        if (r == -EMSGSIZE && len - sent > segment)
            r = qp_udp_too_large(&plain->counts, len - sent, segment);
        if (r < 0)
            return r;
        sent += (size_t)r;
    }
    return (int64_t)sent;
}
