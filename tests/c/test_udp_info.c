#include "os/udp_info.h"

#include "check.h"

#include <arpa/inet.h>

static struct qp_addr address(const char *text)
{
    struct qp_addr addr;
    memset(&addr, 0, sizeof(addr));
    if (inet_pton(AF_INET, text, &addr.in.sin_addr) == 1)
        addr.sa.sa_family = AF_INET;
    else if (inet_pton(AF_INET6, text, &addr.in6.sin6_addr) == 1)
        addr.sa.sa_family = AF_INET6;
    return addr;
}

static void test_what_is_written_is_read(void)
{
    static const char *const row[] = {"192.0.2.7", "2001:db8::7", "fe80::1"};
    for (size_t i = 0; i < COUNTOF(row); i++) {
        _Alignas(struct cmsghdr) uint8_t bytes[QP_UDP_INFO6_SPACE];
        struct qp_addr from = address(row[i]), to = from;
        const int family = from.sa.sa_family;
        memset(bytes, 0, sizeof(bytes));
        if (family == AF_INET6) {
            memset(&to.in6.sin6_addr, 0, sizeof(to.in6.sin6_addr));
            to.in6.sin6_port = htons(4433);
        } else {
            to.in.sin_addr.s_addr = 0;
            to.in.sin_port = htons(4433);
        }
        CHECK_U64(qp_udp_info_write(bytes, family, &from), ==,
                  family == AF_INET6 ? QP_UDP_INFO6_SPACE : QP_UDP_INFO4_SPACE);
        CHECK(qp_udp_info_read((struct cmsghdr *)bytes, family, &to) || family == AF_INET);
        if (family == AF_INET6)
            CHECK_MEM(&to.in6.sin6_addr, &from.in6.sin6_addr, sizeof(from.in6.sin6_addr));
        CHECK_INT(qp_addr_port(&to), ==, 4433); /* of the socket, as before */
    }
}

static void test_other_messages_change_nothing(void)
{
    _Alignas(struct cmsghdr) uint8_t bytes[CMSG_SPACE(64)] = {0};
    struct cmsghdr *head = (struct cmsghdr *)bytes;
    struct qp_addr local = address("192.0.2.7"), before = local;
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(4);
    CHECK(!qp_udp_info_read(head, AF_INET, &local));
    head->cmsg_level = IPPROTO_IPV6; /* another family's */
    head->cmsg_type = IPV6_PKTINFO;
    CHECK(!qp_udp_info_read(head, AF_INET, &local));
    CHECK(qp_addr_equal(&local, &before));
}

static void test_asking(void)
{
    int fd = socket(AF_INET, SOCK_DGRAM, 0), value = 0;
    socklen_t len = sizeof(value);
    CHECK_INT(qp_udp_info_ask(fd, AF_INET), ==, 0);
    CHECK(getsockopt(fd, IPPROTO_IP, IP_PKTINFO, &value, &len) == 0 && value == 1);
    CHECK_INT(qp_udp_info_ask(-1, AF_INET), ==, -EBADF);
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_what_is_written_is_read),
        TEST(test_other_messages_change_nothing),
        TEST(test_asking),
    };
    return RUN(tests);
}
