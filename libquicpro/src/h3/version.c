#include "h3/version.h"

#include <nghttp3/nghttp3.h>

const char *qp_h3_version(void)
{
    return nghttp3_version(0)->version_str;
}
