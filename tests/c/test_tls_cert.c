#include <unistd.h>

#include "authority.h"
#include "ocsp.h"
#include "quic/tls_cert.h"

/* A setting with a certificate and its key in files. */
static void with_pair(struct setting *s, struct identity *root, struct identity *leaf)
{
    *root = identity_new(&(struct wanted){.cn = "root", .ca = true}, NULL);
    *leaf = identity_new(&(struct wanted){.cn = "leaf", .names = {"localhost"}}, root);
    setting_init(s);
    put_text(s->cert, pem_of(leaf->cert, root->cert));
    put_text(s->key, pem_of_key(leaf->key, NULL));
    setting_set(s, "cert_file", s->cert);
    setting_set(s, "key_file", s->key);
}

static void done(struct setting *s, struct identity *root, struct identity *leaf)
{
    identity_done(root);
    identity_done(leaf);
    setting_done(s);
}

static void test_a_pair_is_complete(void)
{
    struct setting s;
    struct identity root, leaf;
    struct qp_tls_cert cert = {0};
    with_pair(&s, &root, &leaf);
    CHECK_INT(qp_tls_cert_load(&cert, &s.args), ==, 1);
    CHECK(SSL_CREDENTIAL_is_complete(cert.plain));
    qp_tls_cert_done(&cert);
    qp_tls_cert_done(&cert);
    setting_set(&s, "cert_file", "");
    setting_set(&s, "key_file", "");
    CHECK_INT(qp_tls_cert_load(&cert, &s.args), ==, 0);
    done(&s, &root, &leaf);
}

static void test_der_is_as_good(void)
{
    struct setting s;
    struct identity root, leaf;
    struct qp_tls_cert cert = {0};
    size_t len;
    with_pair(&s, &root, &leaf);
    char *der = der_of(leaf.cert, &len);
    put_file(s.cert, der, len);
    der = der_of_key(leaf.key, NULL, &len);
    put_file(s.key, der, len);
    CHECK_INT(qp_tls_cert_load(&cert, &s.args), ==, 1);
    qp_tls_cert_done(&cert);
    done(&s, &root, &leaf);
}

static void test_memory_is_as_good(void)
{
    struct setting s;
    struct identity root, leaf;
    struct qp_tls_cert cert = {0};
    size_t len;
    with_pair(&s, &root, &leaf);
    setting_set(&s, "cert_file", "");
    setting_set(&s, "key_file", "");
    char *pem = pem_of(leaf.cert, root.cert), *der = der_of_key(leaf.key, NULL, &len);
    setting_set(&s, "cert_data", pem);
    CHECK_INT(qp_tls_cert_load(&cert, &s.args), ==, QUICPRO_ECERT);
    CHECK(setting_said(&s, "key_file is not set"));
    CHECK_INT(quicpro_config_set_bytes(s.config, "key_data", der, len), ==, 0);
    CHECK_INT(qp_tls_cert_load(&cert, &s.args), ==, 1);
    qp_tls_cert_done(&cert);
    setting_set(&s, "key_file", s.key);
    CHECK_INT(qp_tls_cert_load(&cert, &s.args), ==, QUICPRO_ECERT);
    CHECK(setting_said(&s, "key_file and key_data are both set"));
    free(pem), free(der);
    done(&s, &root, &leaf);
}

static void test_encrypted_keys(void)
{
    struct setting s;
    struct identity root, leaf;
    size_t len;
    with_pair(&s, &root, &leaf);
    for (int form = 0; form < 2; form++) {
        static const struct {
            const char *passphrase;
            int want;
            const char *says;
        } row[] = {
            {"", QUICPRO_ECERT, "is encrypted: set key_passphrase"},
            {"wrong", QUICPRO_ECERT, "cannot be decrypted: key_passphrase is wrong"},
            {"right", 1, ""},
        };
        if (form == 0) {
            put_text(s.key, pem_of_key(leaf.key, "right"));
        } else {
            char *der = der_of_key(leaf.key, "right", &len);
            put_file(s.key, der, len);
        }
        for (size_t i = 0; i < COUNTOF(row); i++) {
            struct qp_tls_cert cert = {0};
            setting_set(&s, "key_passphrase", row[i].passphrase);
            CHECK_INT(qp_tls_cert_load(&cert, &s.args), ==, row[i].want);
            if (row[i].want < 0)
                CHECK(setting_said(&s, row[i].says) && setting_said(&s, s.key));
            qp_tls_cert_done(&cert);
        }
    }
    done(&s, &root, &leaf);
}

/* scrypt, which OpenSSL offers and this library lacks (openssl pkcs8 -topk8 -scrypt). */
static void test_encryption_of_another_kind_is_named(void)
{
    static const char pem[] = "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
                              "MIHkME8GCSqGSIb3DQEFDTBCMCEGCSsGAQQB2kcECzAUBAiKicch5EtQOQICQAAC\n"
                              "AQgCAQEwHQYJYIZIAWUDBAEqBBAE1Y1d8KSAE/LufroKvvgfBIGQqAsBwWtxgmtz\n"
                              "9jaXjpx9OE+J49bfEV8ahmjNjx1IG+vLNzW1lzftwU+iEB2DYc/Mtp668dUm29ha\n"
                              "fvjm+SUMh8Dq7X0Ze5ThOzaS4UZoq1bvKI13nFJ/rSwhfkSuyErL9BRoeP602MhV\n"
                              "zWKigViiK7h3zYVq2nZntheOxBUSsUdlRNm/LP95UxzRIJcQh9oW\n"
                              "-----END ENCRYPTED PRIVATE KEY-----\n";
    struct setting s;
    struct identity root, leaf;
    struct qp_tls_cert cert = {0};
    with_pair(&s, &root, &leaf);
    put_text(s.key, strdup(pem));
    setting_set(&s, "key_passphrase", "right");
    CHECK_INT(qp_tls_cert_load(&cert, &s.args), ==, QUICPRO_ECERT);
    CHECK(setting_said(&s, "is encrypted by a method that is not supported: "));
    done(&s, &root, &leaf);
}

/* Lines of log, one behind the other. */
static char said[1024];

static void note(void *user, int level, const char *line)
{
    (void)user, (void)level;
    snprintf(said + strlen(said), sizeof(said) - strlen(said), "%s\n", line);
}

static void check_log(const char *what)
{
    if (!CHECK(what == NULL ? said[0] == '\0' : strstr(said, what) != NULL))
        printf("#   said: %s\n", said);
    said[0] = '\0';
}

static void put_ocsp(const char *path, const X509 *cert, struct ocsp ocsp)
{
    uint8_t *serial = NULL;
    size_t len;
    int n = i2d_ASN1_INTEGER(X509_get0_serialNumber(cert), &serial);
    ocsp.serial = serial + 2;
    ocsp.serial_len = (size_t)n - 2;
    char *der = (char *)ocsp_make(&ocsp, &len);
    put_file(path, der, len);
    OPENSSL_free(serial);
}

static void test_ocsp_responses(void)
{
    const int64_t now = time(NULL);
    const struct {
        struct ocsp ocsp;
        const char *says; /* NULL: it is sent */
    } row[] = {
        {{.from = now - 100, .until = now + 100}, NULL},
        {{.from = now - 100}, NULL},
        {{.from = now - 100, .until = now + 100, .cert_status = 1},
         "calls the certificate revoked"},
        {{.from = now - 100, .until = now + 100, .cert_status = 2},
         "calls the certificate unknown"},
        {{.from = now - 300, .until = now - 130}, "it has been stale for 2 minutes"},
        {{.from = now - 8 * AUTHORITY_DAY - 60}, "it has been stale for 1 day"},
        {{.from = now + 130, .until = now + 500}, "it is not valid for another 2 minutes"},
    };
    struct setting s;
    struct identity root, leaf;
    with_pair(&s, &root, &leaf);
    s.log = (struct qp_log){note, NULL, QUICPRO_LOG_WARNING};
    setting_set(&s, "ocsp_file", s.ca);
    for (size_t i = 0; i < COUNTOF(row); i++) {
        struct qp_tls_cert cert = {0};
        put_ocsp(s.ca, leaf.cert, row[i].ocsp);
        CHECK_INT(qp_tls_cert_load(&cert, &s.args), ==, 1);
        check_log(row[i].says);
        CHECK((cert.stapled != NULL) == (row[i].says == NULL));
        CHECK(qp_tls_cert_now(&cert, now, &s.log) ==
              (row[i].says == NULL ? cert.stapled : cert.plain));
        check_log(NULL);
        if (i == 0) { /* time goes by: the log hears of it once */
            CHECK(qp_tls_cert_now(&cert, now + 99, &s.log) == cert.stapled);
            check_log(NULL);
            CHECK(qp_tls_cert_now(&cert, now + 100, &s.log) == cert.plain);
            check_log("has become stale");
            CHECK(qp_tls_cert_now(&cert, now + 101, &s.log) == cert.plain);
            check_log(NULL);
        }
        qp_tls_cert_done(&cert);
    }
    done(&s, &root, &leaf);
}

static void test_ocsp_files_that_are_none(void)
{
    struct setting s;
    struct identity root, leaf;
    struct qp_tls_cert cert = {0};
    with_pair(&s, &root, &leaf);
    setting_set(&s, "ocsp_file", "/nonexistent");
    CHECK_INT(qp_tls_cert_load(&cert, &s.args), ==, QUICPRO_ECERT);
    CHECK(setting_said(&s, "ocsp_file: cannot read '/nonexistent'"));
    setting_set(&s, "ocsp_file", s.ca);
    put_text(s.ca, strdup("nothing"));
    CHECK_INT(qp_tls_cert_load(&cert, &s.args), ==, QUICPRO_ECERT);
    CHECK(setting_said(&s, "holds no OCSP response in DER"));
    put_ocsp(s.ca, root.cert, (struct ocsp){.from = time(NULL)});
    CHECK_INT(qp_tls_cert_load(&cert, &s.args), ==, QUICPRO_ECERT);
    CHECK(setting_said(&s, "is not about this certificate"));
    done(&s, &root, &leaf);
}

static void test_a_certificate_out_of_date_is_told(void)
{
    static const struct {
        struct wanted wanted;
        const char *says;
    } row[] = {
        {{.cn = "leaf"}, NULL},
        {{.cn = "leaf", .from = -90000, .until = -7300}, "certificate expired 2 hours ago"},
        {{.cn = "leaf", .from = 7300, .until = 90000}, "certificate is not valid until "},
    };
    for (size_t i = 0; i < COUNTOF(row); i++) {
        struct setting s;
        struct identity root, leaf, other;
        struct qp_tls_cert cert = {0};
        with_pair(&s, &root, &leaf);
        s.log = (struct qp_log){note, NULL, QUICPRO_LOG_WARNING};
        other = identity_new(&row[i].wanted, &root);
        put_text(s.cert, pem_of(other.cert, NULL));
        put_text(s.key, pem_of_key(other.key, NULL));
        CHECK_INT(qp_tls_cert_load(&cert, &s.args), ==, 1);
        check_log(row[i].says);
        qp_tls_cert_done(&cert);
        identity_done(&other);
        done(&s, &root, &leaf);
    }
}

static void test_pairs_that_are_none(void)
{
    struct setting s;
    struct identity root, leaf;
    with_pair(&s, &root, &leaf);
    char garbage[64], other[64], turned[64], many[64];
    snprintf(garbage, sizeof(garbage), "%s/garbage", s.dir);
    snprintf(other, sizeof(other), "%s/other", s.dir);
    snprintf(turned, sizeof(turned), "%s/turned", s.dir);
    snprintf(many, sizeof(many), "%s/many", s.dir);
    put_text(garbage, strdup("nothing\n"));
    EVP_PKEY *stranger = authority_key();
    put_text(other, pem_of_key(stranger, NULL));
    EVP_PKEY_free(stranger);
    put_text(turned, pem_of(root.cert, leaf.cert));
    FILE *f = fopen(many, "w");
    for (int i = 0; i < 17; i++)
        PEM_write_X509(f, leaf.cert);
    fclose(f);
    const struct {
        const char *cert, *key, *says;
    } row[] = {
        {s.cert, "", "key_file is not set"},
        {"", s.key, "cert_file is not set"},
        {"/nonexistent", s.key, "cert_file: cannot read '/nonexistent'"},
        {s.cert, "/nonexistent", "key_file: cannot read '/nonexistent'"},
        {garbage, s.key, "holds no usable certificate, neither PEM nor DER"},
        {s.cert, garbage, "holds no usable private key"},
        {s.cert, other, "is not the key of the certificate in cert_file '"},
        {turned, s.key, "the first certificate must be that of the key"},
        {many, s.key, "holds more than 16 certificates"},
    };
    for (size_t i = 0; i < COUNTOF(row); i++) {
        struct qp_tls_cert cert = {0};
        setting_set(&s, "cert_file", row[i].cert);
        setting_set(&s, "key_file", row[i].key);
        CHECK_INT(qp_tls_cert_load(&cert, &s.args), ==, QUICPRO_ECERT);
        CHECK(setting_said(&s, row[i].says));
        CHECK(cert.plain == NULL);
    }
    unlink(garbage), unlink(other), unlink(turned), unlink(many);
    done(&s, &root, &leaf);
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_a_pair_is_complete),
        TEST(test_der_is_as_good),
        TEST(test_memory_is_as_good),
        TEST(test_encrypted_keys),
        TEST(test_encryption_of_another_kind_is_named),
        TEST(test_ocsp_responses),
        TEST(test_ocsp_files_that_are_none),
        TEST(test_a_certificate_out_of_date_is_told),
        TEST(test_pairs_that_are_none),
    };
    return RUN(tests);
}
