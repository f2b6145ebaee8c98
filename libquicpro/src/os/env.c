#include "os/env.h"

#include <stdlib.h>

const char *qp_env_get(const char *name)
{
    return secure_getenv(name);
}
