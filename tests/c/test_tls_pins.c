#include "quic/tls_pins.h"

#include <quicpro/devcert.h>

#include "authority.h"

static void test_what_is_a_pin(void)
{
    struct setting s;
    struct qp_tls_pins pins;
    char many[33 * 60] = "";
    setting_init(&s);
    for (int i = 0; i < 33; i++)
        strcat(many, i == 0 ? "" : ","),
            strcat(many, "sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    const struct {
        const char *text;
        size_t count;
        const char *says; /* NULL: it is one */
    } row[] = {
        {"", 0, NULL},
        {"sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", 1, NULL},
        {"sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", 1, NULL},  /* of base64 */
        {"sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", 1, NULL}, /* curl's */
        {"sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=,"
         "sha256/BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA=",
         2, NULL},
        {"sha1/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", 0, "is not sha256/"},
        {"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", 0, "is not sha256/"},
        {"sha256/AAAA", 0, "'sha256/AAAA' is not sha256/"},
        {"sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", 0, "is not sha256/"},
        {"sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAA*AAAAAAAAAAAAAAA=", 0, "is not sha256/"},
        {"sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==", 0, "is not sha256/"},
        {"sha256/", 0, "is not sha256/"},
        {many, 0, "more than 32"},
    };
    for (size_t i = 0; i < COUNTOF(row); i++) {
        setting_set(&s, "pins", row[i].text);
        CHECK_INT(qp_tls_pins_init(&pins, &s.args), ==, row[i].says == NULL ? 0 : QUICPRO_EVALUE);
        if (row[i].says == NULL)
            CHECK_U64(pins.count, ==, row[i].count);
        else
            CHECK(setting_said(&s, row[i].says));
    }
    setting_done(&s);
}

static void test_a_key_and_its_pin(void)
{
    struct setting s;
    struct qp_tls_pins pins;
    char pin[QP_TLS_PIN_TEXT];
    struct identity a = identity_new(&(struct wanted){.cn = "a"}, NULL);
    struct identity b = identity_new(&(struct wanted){.cn = "b"}, NULL);
    setting_init(&s);
    qp_tls_pin_text(pin, a.cert);
    CHECK_U64(strlen(pin), ==, QP_TLS_PIN_TEXT - 1);
    setting_set(&s, "pins", pin);
    CHECK_INT(qp_tls_pins_init(&pins, &s.args), ==, 0);
    CHECK(qp_tls_pins_match(&pins, a.cert));
    CHECK(!qp_tls_pins_match(&pins, b.cert));
    setting_done(&s);
    identity_done(&a), identity_done(&b);
}

/* The library's own devcert names the pin of what it makes. */
static void test_as_others_compute_it(void)
{
    const char *name[] = {"localhost"};
    char pin[QP_TLS_PIN_TEXT];
    quicpro_devcert made;
    CHECK_INT(quicpro_devcert_make(&made, name, 1, 1), ==, 0);
    BIO *bio = BIO_new_mem_buf(made.cert_pem, -1);
    X509 *cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    qp_tls_pin_text(pin, cert);
    CHECK_STR(pin + 7, made.spki_sha256);
    X509_free(cert);
    BIO_free(bio);
    quicpro_devcert_done(&made);
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_what_is_a_pin),
        TEST(test_a_key_and_its_pin),
        TEST(test_as_others_compute_it),
    };
    return RUN(tests);
}
