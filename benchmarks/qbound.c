/* What this machine could do: the cipher and the UDP sockets of a QUIC bulk transfer, and nothing
 * else of QUIC.
 *
 *     qbound --seconds 2 --size 1452 --cores 0,1
 *
 * A sender on one core seals packets of one size (a short header, a packet number, a payload copied
 * from a cold source, AES-128-GCM, header protection) and sends them in trains by UDP_SEGMENT; a
 * receiver on another takes them in by UDP_GRO, takes the protection off, opens them and copies the
 * payload out. No ACKs, streams, congestion control or timers; the sender stays at most --window
 * packets ahead of what the receiver has counted, so that hardly a packet is lost. The AES-GCM is
 * BoringSSL's, out of the library.
 *
 * One line of JSON: payload bits of opened packets per wall second, and CPU seconds of both sides.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <linux/udp.h>
#include <netinet/in.h>
#include <openssl/aead.h>
#include <openssl/aes.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef SOL_UDP
#define SOL_UDP 17
#endif

enum {
    CID_LEN = 20,
    PN_LEN = 4,
    HEADER = 1 + CID_LEN + PN_LEN,
    TAG = 16,
    SAMPLE_AT = 1 + CID_LEN + 4, /* RFC 9001 section 5.4.2 */
    TRAIN_MAX = 64,              /* the kernel's UDP_MAX_SEGMENTS */
    DATAGRAM_MAX = 65507,
    SOURCE = 64 << 20, /* bytes to send, again and again: more than the caches hold */
};

static struct {
    size_t size; /* UDP payload */
    double seconds;
    int cores[2]; /* sender, receiver */
    uint64_t window;
} args = {.size = 1452, .seconds = 2, .cores = {0, 1}, .window = 700};

/* Between the two processes. */
struct shared {
    _Atomic uint64_t opened;  /* packets, counted by the receiver */
    _Atomic uint64_t refused; /* packets that did not open */
    _Atomic bool stop;
    double cpu[2], wall;
    uint64_t sent;
};

struct keys {
    EVP_AEAD_CTX aead;
    AES_KEY header;
};

static double seconds_of(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const char *what)
{
    fprintf(stderr, "qbound: %s: %s\n", what, strerror(errno));
    _exit(3);
}

static void stay_on(int core)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(core, &set);
    if (sched_setaffinity(0, sizeof(set), &set) < 0)
        die("sched_setaffinity");
}

static void make_keys(struct keys *keys)
{
    static const uint8_t key[16] = {1, 2, 3}, header_key[16] = {4, 5, 6};
    if (!EVP_AEAD_CTX_init(&keys->aead, EVP_aead_aes_128_gcm(), key, sizeof(key), TAG, NULL) ||
        AES_set_encrypt_key(header_key, 128, &keys->header) != 0)
        die("keys");
}

static void nonce_of(uint8_t nonce[12], uint32_t number)
{
    memset(nonce, 0x5a, 12);
    for (int i = 0; i < 4; i++)
        nonce[8 + i] ^= (uint8_t)(number >> (24 - 8 * i));
}

/* Masks or unmasks first byte and packet number (RFC 9001 section 5.4.1). */
static void protect(const struct keys *keys, uint8_t *packet)
{
    uint8_t mask[16];
    AES_encrypt(packet + SAMPLE_AT, mask, &keys->header);
    packet[0] ^= mask[0] & 0x1f;
    for (int i = 0; i < PN_LEN; i++)
        packet[1 + CID_LEN + i] ^= mask[1 + i];
}

static void seal(const struct keys *keys, uint8_t *packet, uint32_t number, const uint8_t *source)
{
    const size_t len = args.size - HEADER - TAG;
    uint8_t nonce[12];
    size_t out;
    packet[0] = 0x40 | (PN_LEN - 1);
    memset(packet + 1, 0xc1, CID_LEN);
    for (int i = 0; i < PN_LEN; i++)
        packet[1 + CID_LEN + i] = (uint8_t)(number >> (24 - 8 * i));
    nonce_of(nonce, number);
    memcpy(packet + HEADER, source, len);
    if (!EVP_AEAD_CTX_seal(&keys->aead, packet + HEADER, &out, len + TAG, nonce, sizeof(nonce),
                           packet + HEADER, len, packet, HEADER))
        die("seal");
    protect(keys, packet);
}

static bool open_packet(const struct keys *keys, uint8_t *packet, size_t len, uint8_t *out)
{
    uint8_t nonce[12];
    size_t plain;
    uint32_t number = 0;
    if (len != args.size)
        return false;
    protect(keys, packet);
    for (int i = 0; i < PN_LEN; i++)
        number = number << 8 | packet[1 + CID_LEN + i];
    nonce_of(nonce, number);
    if (!EVP_AEAD_CTX_open(&keys->aead, packet + HEADER, &plain, len - HEADER, nonce, sizeof(nonce),
                           packet + HEADER, len - HEADER, packet, HEADER))
        return false;
    memcpy(out, packet + HEADER, plain);
    return true;
}

static void send_all(int fd, struct shared *shared)
{
    const size_t train =
        DATAGRAM_MAX / args.size < TRAIN_MAX ? DATAGRAM_MAX / args.size : TRAIN_MAX;
    uint8_t *out = malloc(DATAGRAM_MAX), *source = malloc(SOURCE);
    struct keys keys;
    int segment = (int)args.size;
    uint64_t number = 0, written_off = 0, seen = 0;
    if (out == NULL || source == NULL ||
        setsockopt(fd, SOL_UDP, UDP_SEGMENT, &segment, sizeof(segment)) < 0)
        die("UDP_SEGMENT");
    memset(source, 3, SOURCE);
    make_keys(&keys);
    const double cpu = seconds_of(CLOCK_PROCESS_CPUTIME_ID), begin = seconds_of(CLOCK_MONOTONIC);
    double now, moved = begin;
    while ((now = seconds_of(CLOCK_MONOTONIC)) - begin < args.seconds) {
        uint64_t done = atomic_load(&shared->opened) + atomic_load(&shared->refused);
        if (done != seen) {
            seen = done;
            moved = now;
        }
        if (number - written_off - done > args.window) {
            if (now - moved > 0.02) { /* they were lost: do not wait for them */
                written_off = number - done;
                moved = now;
            }
            continue;
        }
        for (size_t i = 0; i < train; i++, number++)
            seal(&keys, out + i * args.size, (uint32_t)number,
                 source + number * args.size % (SOURCE - args.size));
        if (send(fd, out, train * args.size, 0) < 0 && errno != ENOBUFS)
            die("send");
    }
    shared->wall = now - begin;
    shared->cpu[0] = seconds_of(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    shared->sent = number;
}

static void receive_all(int fd, struct shared *shared)
{
    uint8_t *in = malloc(65536), *out = malloc(SOURCE);
    struct keys keys;
    size_t at = 0;
    if (in == NULL || out == NULL)
        die("malloc");
    make_keys(&keys);
    const double cpu = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
    while (!atomic_load(&shared->stop)) {
        char control[CMSG_SPACE(sizeof(int))];
        struct iovec iov = {.iov_base = in, .iov_len = 65536};
        struct msghdr msg = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof(control)};
        ssize_t n = recvmsg(fd, &msg, 0);
        uint64_t good = 0, bad = 0;
        for (ssize_t from = 0; from < n; from += (ssize_t)args.size) {
            size_t len = (size_t)(n - from) < args.size ? (size_t)(n - from) : args.size;
            if (open_packet(&keys, in + from, len, out + at))
                good++;
            else
                bad++;
            at = (at + args.size) % (SOURCE - args.size);
        }
        atomic_fetch_add(&shared->opened, good);
        atomic_fetch_add(&shared->refused, bad);
    }
    shared->cpu[1] = seconds_of(CLOCK_PROCESS_CPUTIME_ID) - cpu;
}

static int receiver_socket(struct sockaddr_in *address)
{
    const int one = 1, room = 8 << 20;
    const struct timeval patience = {.tv_usec = 20000};
    socklen_t len = sizeof(*address);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    if (fd < 0 || bind(fd, (struct sockaddr *)address, len) < 0 ||
        getsockname(fd, (struct sockaddr *)address, &len) < 0 ||
        setsockopt(fd, SOL_UDP, UDP_GRO, &one, sizeof(one)) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0)
        die("socket");
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) < 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room)); /* as much as it gives */
    return fd;
}

static int usage(void)
{
    fputs(
        "usage: qbound [--size BYTES] [--seconds S] [--cores SENDER,RECEIVER] [--window PACKETS]\n"
        "example: qbound --size 1452 --seconds 2 --cores 0,1\n",
        stderr);
    return 2;
}

static int parse(int argc, char **argv)
{
    enum { SIZE = 1, SECONDS, CORES, WINDOW };
    static const struct option options[] = {{"size", 1, NULL, SIZE},
                                            {"seconds", 1, NULL, SECONDS},
                                            {"cores", 1, NULL, CORES},
                                            {"window", 1, NULL, WINDOW},
                                            {NULL, 0, NULL, 0}};
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        bool good = c != '?';
        if (c == SIZE)
            good = (args.size = strtoul(optarg, NULL, 10)) >= 64 && args.size <= 9000;
        else if (c == SECONDS)
            good = (args.seconds = atof(optarg)) > 0 && args.seconds <= 60;
        else if (c == CORES)
            good = sscanf(optarg, "%d,%d", &args.cores[0], &args.cores[1]) == 2;
        else if (c == WINDOW)
            good = (args.window = strtoul(optarg, NULL, 10)) >= TRAIN_MAX;
        if (!good)
            return usage();
    }
    return optind == argc ? 0 : usage();
}

int main(int argc, char **argv)
{
    struct sockaddr_in address;
    int r = parse(argc, argv), status = 0;
    if (r != 0)
        return r;
    struct shared *shared =
        mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        die("mmap");
    const int in = receiver_socket(&address);
    const pid_t receiver = fork();
    if (receiver < 0)
        die("fork");
    if (receiver == 0) {
        stay_on(args.cores[1]);
        receive_all(in, shared);
        _exit(0);
    }
    close(in);
    stay_on(args.cores[0]);
    const int out = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (out < 0 || connect(out, (struct sockaddr *)&address, sizeof(address)) < 0)
        die("connect");
    send_all(out, shared);
    const uint64_t opened = atomic_load(&shared->opened);
    atomic_store(&shared->stop, true);
    if (waitpid(receiver, &status, 0) < 0 || status != 0)
        return 1;
    const double bits = (double)opened * (double)(args.size - HEADER - TAG) * 8;
    printf("{\"gbit_per_second\": %.3f, \"packets\": %llu, \"refused\": %llu, \"sent\": %llu, "
           "\"wall_seconds\": %.6f, \"sender_cpu_seconds\": %.6f, \"receiver_cpu_seconds\": "
           "%.6f}\n",
           bits / shared->wall / 1e9, (unsigned long long)opened,
           (unsigned long long)atomic_load(&shared->refused), (unsigned long long)shared->sent,
           shared->wall, shared->cpu[0], shared->cpu[1]);
    return atomic_load(&shared->refused) == 0 ? 0 : 1;
}
