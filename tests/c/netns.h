/* A network of the test's own: a namespace with nothing in it but a loopback interface, of which it
 * may change the MTU and the addresses. No privilege where users may have namespaces. */
#ifndef NETNS_H
#define NETNS_H

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

/* Runs a test in a child process, in such a network; control: a socket for the functions below. */
static inline void in_namespace(void (*run)(int control))
{
    int status = 0;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        struct ifreq up = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
        int control = -1;
        if ((unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0) ||
            (control = socket(AF_INET, SOCK_DGRAM, 0)) < 0 || ioctl(control, SIOCSIFFLAGS, &up) < 0)
            _exit(77);
        run(control);
        fflush(stdout);
        _exit(check_state.failed != 0);
    }
    CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        check_skip("no network namespace to be had");
    else
        CHECK_INT(status, ==, 0);
}

static inline void netns_set_mtu(int control, int mtu)
{
    struct ifreq request = {.ifr_name = "lo", .ifr_mtu = mtu};
    CHECK_INT(ioctl(control, SIOCSIFMTU, &request), ==, 0);
}

/* Puts an IPv4 address at the interface, or takes it away; alias: "lo:1" and so on, one for each.
 * (A loopback that is down takes everything for 127.0.0.1 and drops it without a word.) */
static inline void netns_set_address(int control, const char *alias, const char *address,
                                     bool there)
{
    struct ifreq request = {0};
    struct sockaddr_in addr = {.sin_family = AF_INET};
    snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", alias);
    CHECK_INT(inet_pton(AF_INET, address, &addr.sin_addr), ==, 1);
    if (there)
        memcpy(&request.ifr_addr, &addr, sizeof(addr));
    CHECK_INT(ioctl(control, there ? SIOCSIFADDR : SIOCSIFFLAGS, &request), ==, 0);
}

/* The same for one that is there without the network around it, all of which a loopback would have,
 * too. */
static inline void netns_set_host(int control, const char *alias, const char *address)
{
    struct ifreq request = {0};
    struct sockaddr_in mask = {.sin_family = AF_INET, .sin_addr.s_addr = INADDR_BROADCAST};
    netns_set_address(control, alias, address, true);
    snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", alias);
    memcpy(&request.ifr_netmask, &mask, sizeof(mask));
    CHECK_INT(ioctl(control, SIOCSIFNETMASK, &request), ==, 0);
}

#endif
