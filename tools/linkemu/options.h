/* The command line. */
#ifndef LINKEMU_OPTIONS_H
#define LINKEMU_OPTIONS_H

#include "link.h"

struct emu_options {
    struct emu_settings settings;
    int mtu;
    double seconds; /* after which the emulator ends by itself */
    const char *trace;
    bool help;
};

extern const char emu_usage[];

/* 0, or -1 with one line in error. */
int emu_options_parse(struct emu_options *options, int argc, char **argv, char *error, size_t size);

#endif
