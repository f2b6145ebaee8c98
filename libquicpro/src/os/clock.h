#ifndef QP_OS_CLOCK_H
#define QP_OS_CLOCK_H

#include <quicpro/base.h>

quicpro_tstamp qp_clock_now(void);
/* Seconds since 1970, for what is dated: certificates. Administrators set it; nothing may wait on
 * it. */
int64_t qp_clock_wall(void);

#endif
