#include "base/rate.h"

bool qp_rate_take(struct qp_rate *rate, quicpro_tstamp now)
{
    if (rate->per_second == 0)
        return false;
    const quicpro_tstamp each = QUICPRO_SECOND / rate->per_second;
    const quicpro_tstamp full_at = rate->full_at > now ? rate->full_at : now;
    if (full_at - now > QUICPRO_SECOND - each)
        return false;
    rate->full_at = full_at + each;
    return true;
}
