#ifndef QP_OS_CLOCK_H
#define QP_OS_CLOCK_H

#include <quicpro/base.h>

quicpro_tstamp qp_clock_now(void);

#endif
