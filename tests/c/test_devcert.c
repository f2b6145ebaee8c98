#include <quicpro/devcert.h>

#include "check.h"

static void test_bad_arguments(void)
{
    static const char *const good[] = {"localhost"}, *const empty[] = {""}, *const null[] = {NULL};
    static const char *const endless[] = {
        "a234567890123456789012345678901234567890123456789012345678901234.example"};
    quicpro_devcert made;
    CHECK_INT(quicpro_devcert_make(NULL, good, 1, 1), ==, QUICPRO_EINVAL);
    CHECK_INT(quicpro_devcert_make(&made, NULL, 1, 1), ==, QUICPRO_EINVAL);
    CHECK_INT(quicpro_devcert_make(&made, good, 0, 1), ==, QUICPRO_EINVAL);
    CHECK_INT(quicpro_devcert_make(&made, good, 65, 1), ==, QUICPRO_EINVAL);
    CHECK_INT(quicpro_devcert_make(&made, good, 1, 0), ==, QUICPRO_EINVAL);
    CHECK_INT(quicpro_devcert_make(&made, good, 1, 398), ==, QUICPRO_EINVAL);
    CHECK_INT(quicpro_devcert_make(&made, empty, 1, 1), ==, QUICPRO_EINVAL);
    CHECK_INT(quicpro_devcert_make(&made, null, 1, 1), ==, QUICPRO_EINVAL);
    CHECK_INT(quicpro_devcert_make(&made, endless, 1, 1), ==, QUICPRO_EINVAL);
}

/* That others accept what is made is the business of every test with a handshake. */
static void test_makes_pem(void)
{
    static const char *const names[] = {"localhost", "127.0.0.1", "::1"};
    quicpro_devcert a, b;
    CHECK_INT(quicpro_devcert_make(&a, names, 3, 30), ==, 0);
    CHECK_INT(quicpro_devcert_make(&b, names, 3, 30), ==, 0);
    CHECK(strncmp(a.ca_pem, "-----BEGIN CERTIFICATE-----\n", 28) == 0);
    CHECK(strncmp(a.key_pem, "-----BEGIN PRIVATE KEY-----\n", 28) == 0);
    CHECK(strstr(a.cert_pem, a.ca_pem) != NULL); /* the chain is whole */
    CHECK_U64(strlen(a.spki_sha256), ==, 44);
    CHECK(strcmp(a.key_pem, b.key_pem) != 0);
    quicpro_devcert_done(&a);
    quicpro_devcert_done(&b);
    CHECK(a.key_pem == NULL);
    quicpro_devcert_done(NULL);
}

int main(void)
{
    static const struct check_test tests[] = {TEST(test_bad_arguments), TEST(test_makes_pem)};
    return RUN(tests);
}
