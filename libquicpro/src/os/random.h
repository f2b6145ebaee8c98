#ifndef QP_OS_RANDOM_H
#define QP_OS_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* Fills out from the kernel's generator through a small per-object pool would need state: this goes
 * to getrandom(2) each time. Aborts if the kernel has none, which Linux >= 3.17 never does. */
void qp_random(uint8_t *out, size_t len);

#endif
