/* Two network namespaces of the emulator's own, each with one TUN device. */
#ifndef LINKEMU_TUN_H
#define LINKEMU_TUN_H

#include <stddef.h>

struct emu_side {
    int tun; /* packets, non-blocking */
    int net; /* the namespace, as others enter it: /proc/PID/fd/N */
};

/* The same in every run: the namespaces are nobody else's. */
#define EMU_CLIENT_IP4 "10.193.0.1"
#define EMU_SERVER_IP4 "10.193.0.2"
#define EMU_CLIENT_IP6 "fd93::1"
#define EMU_SERVER_IP6 "fd93::2"

/* Makes a namespace with lo and a device "link0" that has both addresses, and stays in it. 0, or
 * -errno with what failed in *what (a static string). */
int emu_side_open(struct emu_side *side, const char *ip4, const char *ip6, int mtu,
                  const char **what);

#endif
