#include <quicpro/base.h>

#include <string.h>

#include "h3/version.h"
#include "os/udp_backend.h"
#include "quic/engine.h"

#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)

const char *quicpro_version(void)
{
    return TEXT(QUICPRO_VERSION_MAJOR) "." TEXT(QUICPRO_VERSION_MINOR) "." TEXT(
        QUICPRO_VERSION_PATCH);
}

const char *quicpro_part_version(const char *part)
{
    if (part == NULL)
        return NULL;
    if (strcmp(part, "quiche") == 0)
        return qp_engine_quiche_version();
    if (strcmp(part, "boringssl") == 0)
        return qp_engine_tls_version();
    if (strcmp(part, "nghttp3") == 0)
        return qp_h3_version();
    if (strcmp(part, "backends") == 0)
        return qp_udp_backends();
    return NULL;
}
