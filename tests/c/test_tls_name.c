#include "quic/tls_name.h"

#include "check.h"

static void test_names(void)
{
    static char label63[64], label64[65], longest[320];
    memset(label63, 'a', 63);
    memset(label64, 'a', 64);
    for (int i = 0; i < 4; i++)
        snprintf(longest + strlen(longest), 80, "%s%s", i == 0 ? "" : ".", label63);
    const struct {
        const char *name, *want, *why; /* want NULL: refused */
    } row[] = {
        {"example.org", "example.org", NULL},
        {"Example.ORG.", "example.org", NULL},
        {"localhost", "localhost", NULL},
        {"*.example.org", "*.example.org", NULL},
        {"xn--bcher-kva.example", "xn--bcher-kva.example", NULL},
        {"a_b.example", "a_b.example", NULL},
        {label63, label63, NULL},
        {label64, NULL, "is not a host name"},
        {longest, NULL, "is not a host name"},
        {"", NULL, "is not a host name"},
        {".", NULL, "is not a host name"},
        {"a..b", NULL, "is not a host name"},
        {".a", NULL, "is not a host name"},
        {"a b", NULL, "is not a host name"},
        {"b\xc3\xbc"
         "cher.example",
         NULL, "xn--"},
        {"*", NULL, "a star stands for one whole label"},
        {"*.", NULL, "a star stands"},
        {"a.*.example", NULL, "a star stands"},
        {"a*.example", NULL, "a star stands"},
        {"*.*.example", NULL, "a star stands"},
        {"127.0.0.1", NULL, "is an address"},
        {"::1", NULL, "is an address"},
    };
    for (size_t i = 0; i < COUNTOF(row); i++) {
        char out[QP_TLS_NAME_MAX + 1];
        const char *why = "";
        int r = qp_tls_name_read(out, row[i].name, &why);
        CHECK_INT(r, ==, row[i].want == NULL ? QUICPRO_EVALUE : 0);
        if (r == 0)
            CHECK_STR(out, row[i].want);
        else if (!CHECK(strstr(why, row[i].why) != NULL))
            printf("#   '%s' %s\n", row[i].name, why);
    }
}

int main(void)
{
    static const struct check_test tests[] = {TEST(test_names)};
    return RUN(tests);
}
