#include "quic/tls_ocsp.h"

#include "check.h"
#include "ocsp.h"

static const uint8_t serial[] = {0x01, 0x02, 0x03};

static void test_what_a_response_says(void)
{
    static const struct {
        struct ocsp made;
        const char *why; /* NULL: it says something */
    } row[] = {
        {{.from = 1000000000, .until = 1000086400}, NULL},
        {{.from = 1000000000, .until = 1000086400, .cert_status = 1}, NULL},
        {{.from = 1000000000, .until = 1000086400, .cert_status = 2}, NULL},
        {{.from = 1000000000, .until = 1000086400, .other_first = true}, NULL},
        {{.from = 1000000000}, NULL},
        {{.from = 1000000000, .cert_status = 3}, "makes no sense"},
        {{.from = 1000000000, .response_status = 6}, "reports an error"},
    };
    for (size_t i = 0; i < COUNTOF(row); i++) {
        struct ocsp made = row[i].made;
        struct qp_tls_ocsp said = {0};
        size_t len;
        made.serial = serial;
        made.serial_len = sizeof(serial);
        uint8_t *der = ocsp_make(&made, &len);
        const char *why = qp_tls_ocsp_read(&said, der, len, serial, sizeof(serial));
        if (row[i].why != NULL) {
            CHECK(why != NULL && strstr(why, row[i].why) != NULL);
        } else if (CHECK(why == NULL)) {
            CHECK_INT(said.status, ==, made.cert_status);
            CHECK_INT(said.from, ==, made.from);
            CHECK_INT(said.until, ==, made.until != 0 ? made.until : made.from + 7 * 86400);
        }
        CHECK_STR(qp_tls_ocsp_read(&said, der, len, serial, 2),
                  row[i].why != NULL ? why : "is not about this certificate");
        free(der);
    }
}

/* Whatever is cut off or put behind it: an answer, not a crash. */
static void test_anything_else_says_nothing(void)
{
    struct ocsp made = {.serial = serial, .serial_len = 3, .from = 1000000000, .until = 1000086400};
    struct qp_tls_ocsp said;
    size_t len, wrong = 0;
    uint8_t *der = ocsp_make(&made, &len);
    for (size_t i = 0; i < len; i++)
        wrong += qp_tls_ocsp_read(&said, der, i, serial, 3) == NULL;
    CHECK_U64(wrong, ==, 0);
    uint8_t *longer = malloc(len + 1);
    memcpy(longer, der, len);
    longer[len] = 0;
    CHECK_STR(qp_tls_ocsp_read(&said, longer, len + 1, serial, 3), "holds no OCSP response in DER");
    CHECK_STR(qp_tls_ocsp_read(&said, (const uint8_t *)"", 0, serial, 3),
              "holds no OCSP response in DER");
    free(longer), free(der);
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_what_a_response_says),
        TEST(test_anything_else_says_nothing),
    };
    return RUN(tests);
}
