/* Trains in and out: recvmmsg with UDP_GRO and sendmsg with UDP_SEGMENT, each with something
 * plainer behind it. Message heads and control messages are laid out once; a call only puts in what
 * differs from the last one. After each receive call the heads it used are made whole again, so
 * that all of them are always ready. */
#include "os/udp_info.h"
#include "os/udp_socket.h"

#include <assert.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#ifndef SOL_UDP
#define SOL_UDP IPPROTO_UDP
#endif

enum {
    BUFFER = 65536, /* a datagram or a GRO train never has more */
    /* Control bytes of one received message: train length and destination address. */
    CONTROL_IN = CMSG_SPACE(sizeof(int)) + QP_UDP_INFO6_SPACE,
    SEGMENT_SPACE = CMSG_SPACE(sizeof(uint16_t)),
};

/* What goes with a message: its segment length, then the source address, either may be left out. */
struct control {
    _Alignas(struct cmsghdr) uint8_t bytes[SEGMENT_SPACE + QP_UDP_INFO6_SPACE];
};

struct qp_udp_area {
    uint8_t *data; /* QP_UDP_MESSAGES * BUFFER; pages nobody wrote to cost nothing */
    struct qp_udp_counts counts;
    struct mmsghdr in[QP_UDP_MESSAGES];
    struct iovec in_iov[QP_UDP_MESSAGES];
    struct qp_addr in_peer[QP_UDP_MESSAGES];
    struct {
        _Alignas(struct cmsghdr) uint8_t bytes[CONTROL_IN];
    } in_control[QP_UDP_MESSAGES];
    struct control out_control;
    struct qp_addr out_peer; /* mapped, for a dual socket */
    struct mmsghdr out[QP_UDP_MAX_SEGMENTS];
    struct iovec out_iov[QP_UDP_MAX_SEGMENTS];
};

static void prepare_in(struct qp_udp_area *area, size_t i)
{
    struct msghdr *head = &area->in[i].msg_hdr;
    head->msg_namelen = sizeof(area->in_peer[i]);
    head->msg_controllen = sizeof(area->in_control[i].bytes);
    head->msg_flags = 0;
}

int qp_udp_area_new(struct qp_udp_area **ret)
{
    struct qp_udp_area *area = calloc(1, sizeof(*area));
    if (area == NULL)
        return QUICPRO_ENOMEM;
    area->data = mmap(NULL, (size_t)QP_UDP_MESSAGES * BUFFER, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (area->data == MAP_FAILED) {
        free(area);
        return QUICPRO_ENOMEM;
    }
    for (size_t i = 0; i < QP_UDP_MESSAGES; i++) {
        area->in_iov[i] = (struct iovec){area->data + i * BUFFER, BUFFER};
        area->in[i].msg_hdr.msg_iov = &area->in_iov[i];
        area->in[i].msg_hdr.msg_iovlen = 1;
        area->in[i].msg_hdr.msg_name = &area->in_peer[i];
        area->in[i].msg_hdr.msg_control = area->in_control[i].bytes;
        prepare_in(area, i);
    }
    for (size_t i = 0; i < QP_UDP_MAX_SEGMENTS; i++) {
        area->out[i].msg_hdr.msg_iov = &area->out_iov[i];
        area->out[i].msg_hdr.msg_iovlen = 1;
    }
    struct cmsghdr *segment = (struct cmsghdr *)area->out_control.bytes;
    segment->cmsg_level = SOL_UDP;
    segment->cmsg_type = UDP_SEGMENT;
    segment->cmsg_len = CMSG_LEN(sizeof(uint16_t));
    *ret = area;
    return 0;
}

void qp_udp_area_free(struct qp_udp_area *area)
{
    if (area == NULL)
        return;
    munmap(area->data, (size_t)QP_UDP_MESSAGES * BUFFER);
    free(area);
}

const struct qp_udp_counts *qp_udp_area_counts(const struct qp_udp_area *area)
{
    return &area->counts;
}

static void read_train(const struct qp_udp_area *area, size_t i, const struct qp_udp_socket *socket,
                       size_t len, struct qp_udp_train *train)
{
    /* The macros of the control messages want it writable; nothing is written. */
    struct msghdr *head = (struct msghdr *)&area->in[i].msg_hdr;
    train->data = area->data + i * BUFFER;
    train->len = len;
    train->segment = len; /* without UDP_GRO in the control messages it is a single one */
    train->local = socket->local;
    train->peer = socket->connected ? socket->peer : area->in_peer[i];
    for (struct cmsghdr *c = CMSG_FIRSTHDR(head); c != NULL; c = CMSG_NXTHDR(head, c)) {
        if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
            int segment;
            memcpy(&segment, CMSG_DATA(c), sizeof(segment));
            if (segment > 0 && (size_t)segment < len)
                train->segment = (size_t)segment;
        } else if (socket->wildcard) {
            qp_udp_info_read(c, socket->family, &train->local);
        }
    }
    if (socket->dual) {
        qp_addr_unmap(&train->local);
        qp_addr_unmap(&train->peer);
    }
}

/* Message by message. An error behind the first message is dropped: whatever it means comes again
 * with the next datagram sent. */
static int receive_singly(struct qp_udp_area *area, struct qp_udp_socket *socket, unsigned max)
{
    unsigned count = 0;
    while (count < max) {
        area->counts.syscalls_in++;
        ssize_t len = recvmsg(socket->fd, &area->in[count].msg_hdr, MSG_DONTWAIT);
        if (len < 0 && errno == EINTR)
            continue;
        if (len < 0)
            return count == 0 ? -errno : (int)count;
        area->in[count++].msg_len = (unsigned)len;
    }
    return (int)count;
}

/* Fills the first of the area's messages: how many, or -errno. */
static int receive_messages(struct qp_udp_area *area, struct qp_udp_socket *socket, unsigned max)
{
    int n;
    if (!socket->features.mmsg)
        return receive_singly(area, socket, max);
    do {
        area->counts.syscalls_in++;
        n = recvmmsg(socket->fd, area->in, max, MSG_DONTWAIT, NULL);
    } while (n < 0 && errno == EINTR);
    if (n >= 0 || errno != ENOSYS)
        return n < 0 ? -errno : n;
    socket->features.mmsg = false;
    return receive_singly(area, socket, max);
}

int qp_udp_area_receive(struct qp_udp_area *area, struct qp_udp_socket *socket,
                        struct qp_udp_train *train, size_t max)
{
    int count = 0;
    unsigned most = max < QP_UDP_MESSAGES ? (unsigned)max : QP_UDP_MESSAGES;
    int n = most == 0 ? 0 : receive_messages(area, socket, most);
    if (n < 0)
        return n == -EAGAIN || n == -EWOULDBLOCK ? 0 : n;
    for (size_t i = 0; i < (size_t)n; i++) {
        read_train(area, i, socket, area->in[i].msg_len, &train[count++]);
        prepare_in(area, i);
    }
    return count;
}

/* Lays out name and control messages for one destination; segment 0: a single datagram. */
static void address(struct qp_udp_area *area, struct msghdr *head,
                    const struct qp_udp_socket *socket, const struct qp_addr *local,
                    const struct qp_addr *peer, size_t segment)
{
    uint8_t *control = area->out_control.bytes;
    size_t start = SEGMENT_SPACE, end = SEGMENT_SPACE;
    head->msg_flags = 0;
    head->msg_name = NULL;
    head->msg_namelen = 0;
    if (!socket->connected) {
        if (socket->dual) {
            area->out_peer = *peer;
            qp_addr_map(&area->out_peer);
            peer = &area->out_peer;
        }
        head->msg_name = (void *)(uintptr_t)peer; /* sendmsg(2) only reads it */
        head->msg_namelen = qp_addr_len(peer);
    }
    if (socket->wildcard && local != NULL && !qp_addr_is_wildcard(local))
        end += qp_udp_info_write(control + end, socket->family, local);
    if (segment != 0) {
        uint16_t value = (uint16_t)segment;
        memcpy(CMSG_DATA((struct cmsghdr *)control), &value, sizeof(value));
        start = 0;
    }
    head->msg_control = end == start ? NULL : control + start;
    head->msg_controllen = end - start;
}

/* One message. Bytes, or -errno. */
static int64_t send_one(struct qp_udp_area *area, struct qp_udp_socket *socket,
                        const struct qp_addr *local, const struct qp_addr *peer,
                        const uint8_t *data, size_t len, size_t segment)
{
    struct msghdr *head = &area->out[0].msg_hdr;
    unsigned refused = 0;
    ssize_t n;
    address(area, head, socket, local, peer, segment);
    area->out_iov[0] = (struct iovec){(void *)(uintptr_t)data, len};
    do {
        area->counts.syscalls_out++;
        n = sendmsg(socket->fd, head, MSG_DONTWAIT);
    } while (n < 0 && (errno == EINTR || qp_udp_is_old_error(socket, errno, &refused)));
    if (n < 0)
        return -errno;
    area->counts.messages_out++;
    return n;
}

/* Datagram by datagram in one call. Bytes of those sent, or -errno of the first. */
static int64_t send_many(struct qp_udp_area *area, struct qp_udp_socket *socket,
                         const struct qp_addr *local, const struct qp_addr *peer,
                         const uint8_t *data, size_t len, size_t segment)
{
    unsigned count = 0, refused = 0;
    int n;
    address(area, &area->out[0].msg_hdr, socket, local, peer, 0);
    for (size_t at = 0; at < len && count < QP_UDP_MAX_SEGMENTS; at += segment, count++) {
        struct msghdr *head = &area->out[count].msg_hdr;
        size_t size = len - at < segment ? len - at : segment;
        area->out_iov[count] = (struct iovec){(void *)(uintptr_t)(data + at), size};
        head->msg_name = area->out[0].msg_hdr.msg_name;
        head->msg_namelen = area->out[0].msg_hdr.msg_namelen;
        head->msg_control = area->out[0].msg_hdr.msg_control;
        head->msg_controllen = area->out[0].msg_hdr.msg_controllen;
    }
    do {
        area->counts.syscalls_out++;
        n = sendmmsg(socket->fd, area->out, count, MSG_DONTWAIT);
    } while (n < 0 && (errno == EINTR || qp_udp_is_old_error(socket, errno, &refused)));
    if (n < 0)
        return -errno;
    area->counts.messages_out += (unsigned)n;
    size_t sent = (size_t)n * segment;
    return (int64_t)(sent < len ? sent : len);
}

/* The kernel has refused segmentation for this message; what it says to plain datagrams decides
 * whether it meant segmentation. */
static bool refuses_gso(int64_t r)
{
    return r == -EIO || r == -EINVAL || r == -EOPNOTSUPP;
}

/* The next message or messages of what is left. Bytes, 0 if the kernel takes no more, or -errno. */
static int64_t send_some(struct qp_udp_area *area, struct qp_udp_socket *socket,
                         const struct qp_addr *local, const struct qp_addr *peer,
                         const uint8_t *data, size_t len, size_t segment)
{
    bool single = segment >= len, refused = false;
    if (!single && socket->features.gso && segment <= QP_UDP_MAX_TRAIN / 2) {
        size_t count = QP_UDP_MAX_TRAIN / segment;
        size_t most = (count < QP_UDP_MAX_SEGMENTS ? count : QP_UDP_MAX_SEGMENTS) * segment;
        size_t size = len < most ? len : most;
        int64_t r = send_one(area, socket, local, peer, data, size, size > segment ? segment : 0);
        if (!refuses_gso(r))
            return r;
        refused = true;
    }
    int64_t r = -ENOSYS;
    if (!single && socket->features.mmsg) {
        r = send_many(area, socket, local, peer, data, len, segment);
        if (r == -ENOSYS)
            socket->features.mmsg = false;
    }
    if (r == -ENOSYS)
        r = send_one(area, socket, local, peer, data, single ? len : segment, 0);
    if (refused && r > 0)
        socket->features.gso = false;
    return r;
}

int64_t qp_udp_area_send(struct qp_udp_area *area, struct qp_udp_socket *socket,
                         const struct qp_addr *local, const struct qp_addr *peer,
                         const uint8_t *data, size_t len, size_t segment)
{
    size_t sent = 0;
    assert(len != 0 && segment != 0);
    while (sent < len) {
        int64_t r = send_some(area, socket, local, peer, data + sent, len - sent, segment);
        if (r == -EAGAIN || r == -EWOULDBLOCK)
            break;
        if (r == -EMSGSIZE && len - sent > segment)
            r = qp_udp_too_large(&area->counts, len - sent, segment);
        if (r < 0)
            return r;
        sent += (size_t)r;
    }
    return (int64_t)sent;
}
