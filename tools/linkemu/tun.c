#include "tun.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/ipv6.h>
#include <net/if.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { QUEUE = 2000 }; /* packets the kernel keeps for us; the emulated queue is the shorter one */

#define DEVICE "link0"

static void name_request(struct ifreq *request, const char *name)
{
    memset(request, 0, sizeof(*request));
    memcpy(request->ifr_name, name, strlen(name) + 1);
}

static int bring_up(int s, const char *name)
{
    struct ifreq request;
    name_request(&request, name);
    if (ioctl(s, SIOCGIFFLAGS, &request) < 0)
        return -errno;
    request.ifr_flags |= IFF_UP | IFF_RUNNING;
    return ioctl(s, SIOCSIFFLAGS, &request) < 0 ? -errno : 0;
}

static int set_ip4(int s, const char *ip4)
{
    struct ifreq request;
    struct sockaddr_in *address = (struct sockaddr_in *)(void *)&request.ifr_addr;
    name_request(&request, DEVICE);
    address->sin_family = AF_INET;
    inet_pton(AF_INET, ip4, &address->sin_addr);
    if (ioctl(s, SIOCSIFADDR, &request) < 0)
        return -errno;
    inet_pton(AF_INET, "255.255.255.0", &address->sin_addr);
    return ioctl(s, SIOCSIFNETMASK, &request) < 0 ? -errno : 0;
}

static int set_ip6(const char *ip6)
{
    struct in6_ifreq request = {.ifr6_prefixlen = 64, .ifr6_ifindex = (int)if_nametoindex(DEVICE)};
    int s = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0), r = 0;
    if (s < 0)
        return -errno;
    inet_pton(AF_INET6, ip6, &request.ifr6_addr);
    if (ioctl(s, SIOCSIFADDR, &request) < 0)
        r = -errno;
    close(s);
    return r;
}

/* Whether an IPv6 address of the device is still "tentative": the kernel takes an address into use
 * in a worker of its own, and until then nothing can be bound to it. */
static bool tentative(void)
{
    enum { TENTATIVE = 0x40 }; /* IFA_F_TENTATIVE */
    char line[160], device[32];
    unsigned flags;
    bool is = false;
    FILE *file = fopen("/proc/net/if_inet6", "re");
    if (file == NULL)
        return false;
    while (fgets(line, sizeof(line), file) != NULL)
        if (sscanf(line, "%*s %*x %*x %*x %x %31s", &flags, device) == 2 &&
            strcmp(device, DEVICE) == 0 && (flags & TENTATIVE) != 0)
            is = true;
    fclose(file);
    return is;
}

static int wait_for_ip6(void)
{
    enum { TRIES = 5000 };
    const struct timespec millisecond = {0, 1000000};
    for (int i = 0; i < TRIES; i++) {
        if (!tentative())
            return 0;
        nanosleep(&millisecond, NULL);
    }
    return -ETIMEDOUT;
}

static int configure(const char *ip4, const char *ip6, int mtu, const char **what)
{
    struct ifreq request;
    int r, s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (s < 0) {
        *what = "socket";
        return -errno;
    }
    *what = "setting the MTU";
    name_request(&request, DEVICE);
    request.ifr_mtu = mtu;
    r = ioctl(s, SIOCSIFMTU, &request) < 0 ? -errno : 0;
    if (r == 0) {
        *what = "setting the queue length";
        request.ifr_qlen = QUEUE;
        r = ioctl(s, SIOCSIFTXQLEN, &request) < 0 ? -errno : 0;
    }
    if (r == 0) {
        *what = "setting the IPv4 address";
        r = set_ip4(s, ip4);
    }
    if (r == 0) {
        *what = "bringing the devices up";
        r = bring_up(s, DEVICE);
        r = r == 0 ? bring_up(s, "lo") : r;
    }
    if (r == 0) {
        *what = "setting the IPv6 address";
        r = set_ip6(ip6);
    }
    if (r == 0) {
        *what = "waiting for the IPv6 address";
        r = wait_for_ip6();
    }
    close(s);
    return r;
}

int emu_side_open(struct emu_side *side, const char *ip4, const char *ip6, int mtu,
                  const char **what)
{
    struct ifreq request;
    *what = "making a network namespace";
    if (unshare(CLONE_NEWNET) < 0)
        return -errno;
    *what = "opening the namespace";
    side->net = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if (side->net < 0)
        return -errno;
    *what = "opening /dev/net/tun";
    side->tun = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (side->tun < 0)
        return -errno;
    *what = "making a TUN device";
    name_request(&request, DEVICE);
    request.ifr_flags = IFF_TUN | IFF_NO_PI;
    if (ioctl(side->tun, TUNSETIFF, &request) < 0)
        return -errno;
    return configure(ip4, ip6, mtu, what);
}
