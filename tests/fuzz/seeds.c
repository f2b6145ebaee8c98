/* Writes the seeds of server_datagrams into a folder: a client's first flight, and variations. */
#include <stdio.h>

#include "flight.h"

static const char *folder;

static void write_seed(const char *name, const struct flight *f)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *out = fopen(path, "wb");
    if (out == NULL)
        abort();
    for (size_t i = 0; i < f->count; i++) {
        putc((int)(f->len[i] >> 8), out);
        putc((int)(f->len[i] & 255), out);
        fwrite(f->data[i], 1, f->len[i], out);
    }
    fclose(out);
}

static struct flight one(const void *data, size_t len, size_t padded)
{
    struct flight f = {.len = {padded}, .count = 1};
    memcpy(f.data[0], data, len);
    return f;
}

int main(int argc, char **argv)
{
    struct flight whole, f;
    if (argc != 2)
        return 2;
    folder = argv[1];
    flight_of_client(&whole);
    write_seed("first_flight", &whole);
    f = whole;
    f.count = 1;
    write_seed("first_datagram", &f);
    f.len[0] = 1199;
    write_seed("initial_too_short", &f);
    f.len[0] = 30;
    write_seed("initial_cut_short", &f);
    f = whole;
    f.data[0][600] ^= 1;
    write_seed("initial_not_authentic", &f);
    f = whole;
    f.data[f.count][0] = 0x40;
    memcpy(&f.data[f.count][1], &f.data[0][6], 20);
    f.len[f.count++] = 50;
    write_seed("short_header_for_the_new_connection", &f);
    for (size_t i = 0; i < 3; i++) {
        memcpy(f.data[i], whole.data[0], whole.len[0]);
        f.len[i] = whole.len[0];
    }
    f.count = 3;
    write_seed("three_times_the_same", &f);
    f = one("\xc0\x1a\x2a\x3a\x4a\x04\1\2\3\4\x03\7\x8\x9", 14, 1200);
    write_seed("unknown_version", &f);
    f = one("\xc0\x1a\x2a\x3a\x4a\xff", 6, 1200);
    write_seed("unknown_version_long_id", &f);
    f = one("\xc0\0\0\0\0\x04\1\2\3\4\x03\7\x8\x9\0\0\0\1", 18, 18);
    write_seed("version_negotiation", &f);
    f = one("\xc0\0\0\0\1\x08\1\2\3\4\5\6\7\x8\0\xff\xff\xff\xff\xff\xff\xff\xff", 23, 1200);
    write_seed("token_too_long", &f);
    f = one("\x40\1\2\3", 4, 100);
    write_seed("short_header_for_nobody", &f);
    f = one("\x00", 1, 1);
    write_seed("one_byte", &f);
    f.len[0] = 0;
    f.len[1] = 1;
    f.count = 2;
    write_seed("nothing", &f);
    return 0;
}
