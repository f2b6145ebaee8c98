/* One clock for everything: points in time can be compared whoever took them. */
#include "os/clock.h"

#include <time.h>

quicpro_tstamp qp_clock_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (quicpro_tstamp)now.tv_sec * QUICPRO_SECOND + (quicpro_tstamp)now.tv_nsec;
}

int64_t qp_clock_wall(void)
{
    return (int64_t)time(NULL);
}
