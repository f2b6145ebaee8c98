#include <quicpro/base.h>

#include "check.h"

static void test_every_part_has_a_version(void)
{
    CHECK_STR(quicpro_version(), "0.1.0");
    CHECK_STR(quicpro_part_version("quiche"), "0.30.0");
    CHECK(strstr(quicpro_part_version("boringssl"), "BoringSSL") != NULL);
    CHECK(strncmp(quicpro_part_version("nghttp3"), "1.18", 4) == 0);
    CHECK(strstr(quicpro_part_version("backends"), "epoll") != NULL);
    CHECK(quicpro_part_version("perl") == NULL);
    CHECK(quicpro_part_version(NULL) == NULL);
}

int main(void)
{
    static const struct check_test tests[] = {TEST(test_every_part_has_a_version)};
    return RUN(tests);
}
