#include <unistd.h>

#include "authority.h"
#include "quic/tls_pem.h"

struct seen {
    size_t count;
    char names[256];
    int answer;
};

static int note(void *arg, CRYPTO_BUFFER *der)
{
    struct seen *seen = arg;
    X509 *cert = X509_parse_from_buffer(der);
    char cn[64] = "?";
    if (cert != NULL)
        X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, cn, sizeof(cn));
    X509_free(cert);
    strncat(seen->names, cn, 64);
    strncat(seen->names, " ", 2);
    seen->count++;
    return seen->answer;
}

static struct qp_tls_source in_memory(const void *data, size_t len)
{
    return (struct qp_tls_source){.data = data, .len = len};
}

static struct qp_bytes as_bytes(const char *text)
{
    return text == NULL ? (struct qp_bytes){0} : (struct qp_bytes){(uint8_t *)text, strlen(text)};
}

static void test_certificates_in_every_form(void)
{
    struct identity a = identity_new(&(struct wanted){.cn = "a", .ca = true}, NULL);
    struct identity b = identity_new(&(struct wanted){.cn = "b"}, &a);
    size_t len_a, len_b;
    char *der_a = der_of(a.cert, &len_a), *der_b = der_of(b.cert, &len_b);
    char *chain = pem_of(b.cert, a.cert), *key = pem_of_key(b.key, NULL);
    char mixed[8192], both[4096], cut[4096];
    snprintf(mixed, sizeof(mixed), "words before\n%s%swords behind\n", key, chain);
    memcpy(both, der_b, len_b);
    memcpy(both + len_b, der_a, len_a);
    snprintf(cut, sizeof(cut), "%.*s", (int)strlen(chain) - 40, chain);
    const struct {
        const void *data;
        size_t len;
        int want;
        const char *names;
    } row[] = {
        {chain, strlen(chain), 2, "b a "},
        {mixed, strlen(mixed), 2, "b a "},
        {der_a, len_a, 1, "a "},
        {both, len_b + len_a, 2, "b a "},
        {"", 0, -1, ""},
        {"no certificate", 14, -1, ""},
        {key, strlen(key), -1, ""},
        {cut, strlen(cut), -1, "b "},
        {der_a, len_a - 1, -1, ""},
        {both, len_b + len_a - 1, -1, "b "},
    };
    for (size_t i = 0; i < COUNTOF(row); i++) {
        struct seen seen = {0};
        struct qp_tls_source source = in_memory(row[i].data, row[i].len);
        CHECK_INT(qp_tls_each_cert(&source, note, &seen), ==, row[i].want);
        CHECK_STR(seen.names, row[i].names);
    }
    struct seen refusing = {.answer = QUICPRO_ENOMEM};
    struct qp_tls_source source = in_memory(chain, strlen(chain));
    CHECK_INT(qp_tls_each_cert(&source, note, &refusing), ==, QUICPRO_ENOMEM);
    CHECK_U64(refusing.count, ==, 1);
    free(der_a), free(der_b), free(chain), free(key);
    identity_done(&a), identity_done(&b);
}

static void test_keys_in_every_form(void)
{
    struct identity id = identity_new(&(struct wanted){.cn = "a"}, NULL);
    size_t len_plain, len_sealed;
    char *plain = pem_of_key(id.key, NULL), *sealed = pem_of_key(id.key, "right");
    char *der = der_of_key(id.key, NULL, &len_plain);
    char *der_sealed = der_of_key(id.key, "right", &len_sealed);
    BIO *bio = BIO_new(BIO_s_mem()); /* SEC1 inside of old-style encryption (RFC 1423) */
    PEM_write_bio_ECPrivateKey(bio, EVP_PKEY_get0_EC_KEY(id.key), EVP_aes_128_cbc(),
                               (const uint8_t *)"right", 5, NULL, NULL);
    char *old = authority_text(bio, NULL);
    char *cert = pem_of(id.cert, NULL);
    const struct {
        const void *data;
        size_t len;
        bool encrypted;
    } row[] = {
        {plain, strlen(plain), false},  {sealed, strlen(sealed), true}, {der, len_plain, false},
        {der_sealed, len_sealed, true}, {old, strlen(old), true},
    };
    for (size_t i = 0; i < COUNTOF(row); i++) {
        static const char *const passphrase[] = {NULL, "", "right", "wrong"};
        struct qp_tls_source source = in_memory(row[i].data, row[i].len);
        for (size_t k = 0; k < COUNTOF(passphrase); k++) {
            bool encrypted;
            const char *why;
            const struct qp_bytes bytes = as_bytes(passphrase[k]);
            EVP_PKEY *key = qp_tls_read_key(&source, &bytes, &encrypted, &why);
            CHECK_INT(encrypted, ==, row[i].encrypted);
            CHECK((key != NULL) == (!row[i].encrypted || k == 2));
            if (key != NULL)
                CHECK_INT(EVP_PKEY_cmp(key, id.key), ==, 1);
            else
                CHECK(why[0] != '\0');
            EVP_PKEY_free(key);
        }
    }
    static const char *const none[] = {"", "nothing", "\x30\x03\x02\x01"};
    for (size_t i = 0; i < COUNTOF(none) + 1; i++) {
        bool encrypted;
        const char *why, *text = i < COUNTOF(none) ? none[i] : cert;
        struct qp_tls_source source = in_memory(text, strlen(text));
        const struct qp_bytes bytes = as_bytes("right");
        CHECK(qp_tls_read_key(&source, &bytes, &encrypted, &why) == NULL);
        CHECK(!encrypted);
    }
    free(plain), free(sealed), free(der), free(der_sealed), free(old), free(cert);
    identity_done(&id);
}

static void test_sources(void)
{
    struct setting s;
    struct qp_tls_source source;
    const struct qp_bytes none = {0}, bytes = as_bytes("in memory");
    setting_init(&s);
    put_text(s.cert, strdup("contents"));
    CHECK_INT(qp_tls_source_open(&source, &s.args, "cert", s.cert, &none), ==, 1);
    CHECK_U64(source.len, ==, 8);
    CHECK_MEM(source.data, "contents", 8);
    CHECK(strstr(source.name, s.cert) != NULL);
    qp_tls_source_done(&source);
    CHECK(source.data == NULL);
    CHECK_INT(qp_tls_source_open(&source, &s.args, "cert", "", &none), ==, 0);
    qp_tls_source_done(&source);
    CHECK_INT(qp_tls_source_open(&source, &s.args, "cert", "", &bytes), ==, 1);
    CHECK(source.data == bytes.data && source.len == 9);
    CHECK_STR(source.name, "cert_data");
    qp_tls_source_done(&source);
    const struct {
        const char *file, *says;
        const struct qp_bytes *data;
    } row[] = {
        {"/nonexistent", "cert_file: cannot read '/nonexistent': No such file", NULL},
        {"/dev/zero", "cert_file: cannot read '/dev/zero': File too large", NULL},
        {s.cert, "cert_file and cert_data are both set: choose one", &bytes},
    };
    for (size_t i = 0; i < COUNTOF(row); i++) {
        CHECK_INT(qp_tls_source_open(&source, &s.args, "cert", row[i].file, row[i].data), ==,
                  QUICPRO_ECERT);
        CHECK(setting_said(&s, row[i].says));
    }
    setting_done(&s);
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_certificates_in_every_form),
        TEST(test_keys_in_every_form),
        TEST(test_sources),
    };
    return RUN(tests);
}
