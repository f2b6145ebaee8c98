/* Writes seeds into the corpus, each into the folder of its target: for server_datagrams a client's
 * first flight, and variations; for client_datagrams frames of a server; for conn_events and cid
 * what is worth beginning with. */
#include <stdio.h>
#include <sys/stat.h>

#include "flight.h"

static const char *corpus;

static FILE *create(const char *target, const char *name)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", corpus, target);
    mkdir(path, 0755);
    snprintf(path, sizeof(path), "%s/%s/%s", corpus, target, name);
    FILE *out = fopen(path, "wb");
    if (out == NULL)
        abort();
    return out;
}

static void write_seed(const char *name, const struct flight *f)
{
    FILE *out = create("server_datagrams", name);
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

/* Text in which a blank parts bytes, each in hexadecimal digits. */
static void write_hex(FILE *out, const char *hex)
{
    unsigned byte;
    for (int n; sscanf(hex, "%2x%n", &byte, &n) == 1; hex += n)
        putc((int)byte, out);
}

static size_t hex_len(const char *hex)
{
    size_t len = 0;
    unsigned byte;
    for (int n; sscanf(hex, "%2x%n", &byte, &n) == 1; hex += n)
        len++;
    return len;
}

/* Kinds of client_datagrams.c. */
enum { RAW = 0, FRAMES = 1, PHASE = 2, AGAIN = 3, TIME = 4, APP = 5, TRAIN = 6, COALESCED = 7 };

static void client_seeds(void)
{
    static const struct {
        const char *name;
        unsigned how;
        struct {
            unsigned kind;
            const char *hex;
        } record[6];
    } row[] = {
        {"ping", 1, {{FRAMES, "01"}}},
        {"acks",
         3,
         {{FRAMES, "02 00 00 00 00"},
          {FRAMES, "02 05 00 00 05"},
          {FRAMES, "03 03 00 00 01 00 00 00"}}},
        {"ack_of_what_was_not_sent", 3, {{FRAMES, "02 7f ff 00 00 00"}}},
        {"resets_and_stops",
         3,
         {{FRAMES, "04 00 07 00"}, {FRAMES, "05 00 07"}, {FRAMES, "04 01 07 40 40"}}},
        {"stop_of_what_is_ours", 2, {{FRAMES, "05 00 41 00"}, {FRAMES, "04 00 41 0c 00"}}},
        {"crypto", 1, {{FRAMES, "06 00 04 04 00 00 00"}, {FRAMES, "06 40 40 04 01 02 03 04"}}},
        {"tokens", 1, {{FRAMES, "07 04 01 02 03 04"}, {FRAMES, "07 00"}}},
        {"streams",
         3,
         {{FRAMES, "0f 00 00 03 61 62 63"},
          {FRAMES, "0a 01 02 61 62"},
          {FRAMES, "0b 03 02 61 62"},
          {APP, "03 10 03 11 03 12"}}},
        {"stream_with_a_gap",
         3,
         {{FRAMES, "0e 00 04 02 65 66"}, {FRAMES, "0a 00 04 61 62 63 64"}, {APP, "03 10"}}},
        {"stream_beyond_its_end", 3, {{FRAMES, "0f 00 00 01 61"}, {FRAMES, "0e 00 05 01 62"}}},
        {"stream_beyond_its_window", 3, {{FRAMES, "0c 00 bf ff ff ff"}}},
        {"streams_beyond_their_limit", 1, {{FRAMES, "08 41 01"}}},
        {"limits_raised", 3, {{FRAMES, "10 bf ff ff ff 11 00 bf ff ff ff 12 40 ff 13 40 ff"}}},
        {"blocked", 3, {{FRAMES, "14 05 15 00 05 16 05 17 05"}}},
        {"new_ids",
         1,
         {{FRAMES,
           "18 04 00 08 11 12 13 14 15 16 17 18 21 22 23 24 25 26 27 28 29 2a 2b 2c 2d 2e 2f 30"},
          {FRAMES,
           "18 05 05 08 31 12 13 14 15 16 17 18 41 22 23 24 25 26 27 28 29 2a 2b 2c 2d 2e 2f 30"}}},
        {"retired_ids", 1, {{FRAMES, "19 01"}, {FRAMES, "19 02"}, {FRAMES, "19 00"}}},
        {"path_challenges",
         1,
         {{FRAMES, "1a 01 02 03 04 05 06 07 08 1a 11 02 03 04 05 06 07 08"},
          {FRAMES | 16, "1a 21 02 03 04 05 06 07 08"},
          {FRAMES, "1b 01 02 03 04 05 06 07 08"}}},
        {"close_of_the_transport", 3, {{FRAMES, "1c 0a 06 05 1b 5b 33 31 6d"}, {TIME, "ff ff 10"}}},
        {"close_of_the_application", 2, {{FRAMES, "1d 41 00 03 62 79 65"}}},
        {"handshake_done_again", 5, {{FRAMES, "1e"}, {FRAMES, "1e"}}},
        {"datagrams", 1, {{FRAMES, "31 03 61 62 63 30"}, {APP, "06 20"}}},
        {"unknown_frame", 1, {{FRAMES, "40 52 00"}}},
        {"key_update", 1, {{PHASE, "01"}, {FRAMES, "01"}, {PHASE, "01"}}},
        {"number_again", 1, {{FRAMES, "01"}, {AGAIN, "01"}}},
        {"coalesced", 1, {{COALESCED, "01"}}},
        {"garbage",
         3,
         {{RAW, "00"},
          {RAW, "c0 00 00 00 01 14 00 14 00 00"},
          {TRAIN, "00 01 02 03 04 05 06 07 08 09 0a 0b"}}},
        {"silence", 3, {{TIME, "ff ff 04"}, {TIME, "ff ff 06"}, {TIME, "ff ff 08"}}},
        {"settings", 2, {{FRAMES, "0a 03 04 00 04 00 00"}, {FRAMES, "0a 07 01 02 0a 0b 01 03"}}},
        {"response",
         2,
         {{FRAMES, "0a 03 03 00 04 00"},
          {FRAMES, "0f 00 00 0d 01 03 00 00 d9 00 06 61 62 63 64 65 66"}}},
        {"response_in_pieces",
         2,
         {{FRAMES, "0a 00 04 01 03 00 00"},
          {FRAMES, "0e 00 04 03 d9 00 02"},
          {FRAMES, "0f 00 07 02 61 62"}}},
        {"informational",
         2,
         {{FRAMES, "0a 00 07 01 05 00 00 ff 00 01"}, {FRAMES, "0f 00 05 01 03 00 00 d9"}}},
        {"goaway", 2, {{FRAMES, "0a 03 03 00 04 00 07 01 00"}, {APP, "09 00 09 01"}}},
        {"critical_stream_ends", 2, {{FRAMES, "0b 03 03 00 04 00"}}},
        {"push", 2, {{FRAMES, "0a 0f 02 01 00"}, {FRAMES, "0a 00 05 05 03 00 00 00"}}},
        {"dynamic_table",
         2,
         {{FRAMES, "0a 03 03 00 04 00 0a 07 08 02 3f e1 1f 43 61 62 63"},
          {FRAMES, "0e 00 00 06 01 04 02 00 80 10"}}},
        {"the_application",
         3,
         {{APP, "00 00 01 00 02 ff 12 10 0b 02 04 00 0d 13 07 00"},
          {APP, "0f 05"},
          {TIME, "10 00 10"}}},
    };
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        FILE *out = create("client_datagrams", row[i].name);
        putc((int)row[i].how, out);
        for (size_t j = 0; j < 6 && row[i].record[j].hex != NULL; j++) {
            const size_t len = hex_len(row[i].record[j].hex);
            putc((int)row[i].record[j].kind, out);
            putc((int)(len & 255), out);
            putc((int)(len >> 8), out);
            write_hex(out, row[i].record[j].hex);
        }
        fclose(out);
    }
}

/* Steps of conn_events.c in groups of three bytes: what, which, how much. The side is 10 of what.
 */
static void event_seeds(void)
{
    static const char transfer[] = "07 01 00 89 00 ff 02 00 00 02 00 00 1a 00 ff 02 00 00 1a 00 ff"
                                   "99 00 ff 02 00 00 0a 00 ff 02 00 00 0a 00 ff";
    static const struct {
        const char *name, *how, *steps;
    } row[] = {
        {"nothing", "01", ""},
        {"transfer", "01", transfer},
        {"handshake_from_the_first_step", "00",
         "00 00 00 11 00 00 10 00 00 01 00 00 00 00 00 11 00 00 10 00 00"},
        {"first_flight_lost", "00", "00 00 00 13 00 00 06 00 00 06 00 00 13 00 00 02 00 00"},
        {"handshake_twice", "00", "00 00 00 14 00 00 14 00 00 10 00 00 04 00 00 02 00 00 02 00 00"},
        {"two_for_the_first_packet", "00",
         "00 00 00 14 00 00 10 00 00 02 00 00 02 00 00 02 00 00 00 00 00 11 00 00 10 00 00"},
        {"out_of_order", "01",
         "07 01 00 09 00 ff 00 00 00 11 05 00 11 03 00 11 01 00 10 00 00 1a 00 ff 11 00 00 10 00 "
         "00 1a 00 ff"},
        {"twice", "01",
         "07 01 00 09 00 80 00 00 00 14 00 00 14 01 00 14 00 00 10 00 00 02 00 00 1a 00 ff"},
        {"lost", "01",
         "07 01 00 89 00 ff 00 00 00 13 00 00 13 00 00 10 00 00 06 00 00 02 00 00 06 00 00 02 00 "
         "00 1a 00 ff"},
        {"stopped", "03", "07 01 00 09 00 ff 02 00 00 1b 00 00 02 00 00 09 00 10 02 00 00"},
        {"reset", "01", "07 01 00 09 00 ff 02 00 00 0c 00 00 02 00 00 1a 00 ff 1a 00 ff"},
        {"reset_before_a_byte", "01", "07 01 00 0c 00 00 07 00 00 0c 01 00 02 00 00"},
        {"shut_both_ways", "01", "07 01 00 0b 00 02 02 00 00 0b 00 02 1b 00 01 02 00 00"},
        {"too_many_streams", "01",
         "07 01 00 07 01 00 07 01 00 07 01 00 07 00 00 07 00 00 07 00 00 07 00 00 17 01 00 17 00 "
         "00 02 00 00"},
        {"windows_full", "01",
         "07 01 00 09 00 ff 09 00 ff 09 00 ff 02 00 00 02 00 00 09 00 ff 02 00 00 1a 00 ff 02 00 "
         "00"},
        {"priorities", "01",
         "07 01 00 07 01 00 07 00 00 09 00 ff 09 01 ff 09 02 ff 0d 00 00 0d 01 07 0d 02 0b 02 00 "
         "00 02 00 00"},
        {"datagrams", "01",
         "0e 00 00 1e 00 00 02 00 00 0f 05 1f 02 00 00 0f 05 1e 0f 05 1e 02 00 00"},
        {"rebinding", "01",
         "07 01 00 09 00 ff 02 00 00 0f 01 00 1a 00 ff 02 00 00 0f 01 02 02 00 00 1a 00 ff 02 00 "
         "00"},
        {"rebinding_of_silence", "01", "05 11 12 02 00 00 0f 01 00"},
        {"changed_bits", "01",
         "07 01 00 09 00 80 00 00 00 0f 02 01 0f 22 03 02 00 00 06 00 00 02 00 00"},
        {"closed_in_the_middle", "03", "07 01 00 09 00 ff 02 00 00 0f 00 00 02 00 00"},
        {"closed_by_both", "01", "07 01 00 89 00 ff 02 00 00 0f 00 00 0f 00 01 02 00 00 02 00 00"},
        {"closed_unread", "01", "07 01 00 89 00 40 02 00 00 02 00 00 0f 00 00 02 00 00"},
        {"closed_before_it_began", "00", "0f 00 00 00 00 00 02 00 00"},
        {"blackhole", "01",
         "07 01 00 09 00 ff 00 00 00 0f 04 01 06 00 00 0f 04 01 06 00 00 0f 04 01 06 00 00 0f 04 "
         "01"},
        {"idle", "01", "05 11 ff 00 00 00 10 00 00"},
        {"the_clock_jumps", "01", "07 01 00 89 00 ff 00 00 00 05 11 80 02 00 00 05 11 80 02 00 00"},
        {"both_ways", "01",
         "07 01 00 17 01 00 07 00 00 17 00 00 02 00 00 89 00 ff 99 01 ff 89 02 20 99 03 20 02 00 "
         "00 1a 00 ff 0a 01 ff"},
    };
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        FILE *out = create("conn_events", row[i].name);
        write_hex(out, row[i].how);
        write_hex(out, row[i].steps);
        fclose(out);
    }
}

static void cid_seeds(void)
{
    static const struct {
        const char *name, *hex;
    } row[] = {
        {"nothing", ""},
        {"zeros", "00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00"},
        {"made", "39 12 34 05 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f"},
        {"ours", "07 33 12 34 07 15 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f"},
        {"of_another_length", "07 33 12 34 07 15 01 02 03 04 05"},
        {"of_another_check", "08 33 12 34 07 15 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f"},
    };
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        FILE *out = create("cid", row[i].name);
        write_hex(out, row[i].hex);
        fclose(out);
    }
}

int main(int argc, char **argv)
{
    struct flight whole, f;
    if (argc != 2)
        return 2;
    corpus = argv[1];
    client_seeds();
    event_seeds();
    cid_seeds();
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
