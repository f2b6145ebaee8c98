/* The kernel is the only source of randomness; there is no fallback that could be guessed. */
#include "os/random.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/types.h>

void qp_random(uint8_t *out, size_t len)
{
    while (len != 0) {
        ssize_t n = getrandom(out, len, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            abort(); /* a guess instead of a secret would be worse */
        out += n;
        len -= (size_t)n;
    }
}
