#include "quic/tls_words.h"

#include "authority.h"

static void test_spans(void)
{
    static const struct {
        int64_t seconds;
        const char *text;
    } row[] = {
        {-5, "0 seconds"},         {0, "0 seconds"},          {1, "1 second"},
        {59, "59 seconds"},        {60, "1 minute"},          {3599, "59 minutes"},
        {3600, "1 hour"},          {86399, "23 hours"},       {86400, "1 day"},
        {3 * 86400 + 7, "3 days"}, {400 * 86400, "400 days"},
    };
    for (size_t i = 0; i < COUNTOF(row); i++) {
        char text[32];
        qp_tls_span_text(text, sizeof(text), row[i].seconds);
        CHECK_STR(text, row[i].text);
    }
}

static void test_names_are_escaped_and_cut(void)
{
    char text[160], tiny[8];
    struct identity id = identity_new(&(struct wanted){.cn = "a\n\x1b[31m,\xc3\xa4"}, NULL);
    qp_tls_name_text(text, sizeof(text), X509_get_subject_name(id.cert));
    CHECK_STR(text, "CN=a\\0A\\1B[31m\\,\\C3\\A4");
    qp_tls_name_text(tiny, sizeof(tiny), X509_get_subject_name(id.cert));
    CHECK_STR(tiny, "CN=a\\0A");
    qp_tls_name_text(text, sizeof(text), NULL);
    CHECK_STR(text, "");
    identity_done(&id);
}

static const char *words(const struct qp_tls_refusal *refusal)
{
    static char text[512];
    qp_tls_words(text, sizeof(text), refusal);
    return text;
}

static void check_says(const struct qp_tls_refusal *refusal, const char *what)
{
    if (!CHECK(strstr(words(refusal), what) != NULL))
        printf("#   not \"%s\": %s\n", what, words(refusal));
}

static void test_times(void)
{
    const int64_t now = time(NULL);
    struct identity id =
        identity_new(&(struct wanted){.cn = "leaf", .from = -10, .until = 10}, NULL);
    struct identity ca =
        identity_new(&(struct wanted){.cn = "between", .from = -9, .until = 9}, NULL);
    const struct {
        int error;
        int64_t offset;
        const X509 *cert;
        const char *says;
    } row[] = {
        {X509_V_ERR_CERT_HAS_EXPIRED, 3 * 86400 + 60, id.cert,
         "certificate expired 3 days ago, on "},
        {X509_V_ERR_CERT_HAS_EXPIRED, 3 * 3600 + 60, NULL, "certificate expired 3 hours ago, on "},
        {X509_V_ERR_CERT_HAS_EXPIRED, 86400 + 60, ca.cert,
         "certificate 'CN=between' of its chain expired 1 day ago, on "},
        {X509_V_ERR_CERT_NOT_YET_VALID, -86400 - 60, id.cert, "certificate is not valid until "},
        {X509_V_ERR_CERT_NOT_YET_VALID, -86400 - 60, id.cert, " GMT, in 1 day"},
    };
    for (size_t i = 0; i < COUNTOF(row); i++) {
        const struct qp_tls_refusal refusal = {.error = row[i].error,
                                               .leaf = id.cert,
                                               .cert = row[i].cert,
                                               .now = now + row[i].offset};
        check_says(&refusal, row[i].says);
    }
    identity_done(&id), identity_done(&ca);
}

static void test_hosts(void)
{
    struct identity id = identity_new(
        &(struct wanted){.cn = "x", .names = {"a.example", "*.b.example", "127.0.0.1", "::1"}},
        NULL);
    struct identity none = identity_new(&(struct wanted){.cn = "only.in.subject"}, NULL);
    struct qp_tls_refusal r = {
        .error = X509_V_ERR_HOSTNAME_MISMATCH, .leaf = id.cert, .host = "c.example"};
    CHECK_STR(words(&r), "host name 'c.example' does not match 'a.example', '*.b.example', "
                         "'127.0.0.1', '::1'");
    r.error = X509_V_ERR_IP_ADDRESS_MISMATCH;
    r.host = "::2";
    check_says(&r, "address '::2' does not match 'a.example'");
    r.leaf = none.cert;
    CHECK_STR(words(&r), "address '::2' does not match the certificate, which names no host");
    identity_done(&id), identity_done(&none);
}

static void add_many_names(X509 *cert, size_t count)
{
    GENERAL_NAMES *list = GENERAL_NAMES_new();
    for (size_t i = 0; i < count; i++) {
        char host[32];
        GENERAL_NAME *name = GENERAL_NAME_new();
        ASN1_STRING *text = ASN1_STRING_type_new(V_ASN1_IA5STRING);
        snprintf(host, sizeof(host), "h%zu\n.example", i);
        if (!ASN1_STRING_set(text, host, (ossl_ssize_t)strlen(host)))
            abort();
        GENERAL_NAME_set0_value(name, GEN_DNS, text);
        if (!sk_GENERAL_NAME_push(list, name))
            abort();
    }
    if (X509_add1_ext_i2d(cert, NID_subject_alt_name, list, 0, X509V3_ADD_DEFAULT) != 1)
        abort();
    GENERAL_NAMES_free(list);
}

static void test_many_hosts_are_counted_and_escaped(void)
{
    struct identity id = identity_new(&(struct wanted){.cn = "x"}, NULL);
    add_many_names(id.cert, 1000);
    const struct qp_tls_refusal r = {
        .error = X509_V_ERR_HOSTNAME_MISMATCH, .leaf = id.cert, .host = "c"};
    CHECK_STR(words(&r), "host name 'c' does not match 'h0\\x0a.example', 'h1\\x0a.example', "
                         "'h2\\x0a.example', 'h3\\x0a.example', 'h4\\x0a.example' and 995 more");
    char tiny[20];
    qp_tls_words(tiny, sizeof(tiny), &r);
    CHECK_STR(tiny, "host name 'c' does ");
    identity_done(&id);
}

static void test_authorities(void)
{
    struct identity root = identity_new(&(struct wanted){.cn = "root", .ca = true}, NULL);
    struct identity leaf = identity_new(&(struct wanted){.cn = "leaf"}, &root);
    const struct {
        int error;
        const X509 *leaf, *cert;
        bool client;
        const char *says;
    } row[] = {
        {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, leaf.cert, leaf.cert, false,
         "issued by unknown authority 'CN=root'"},
        {X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, leaf.cert, root.cert, false,
         "issued by unknown authority 'CN=root'"},
        {X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, root.cert, root.cert, false,
         "self-signed certificate 'CN=root' is not among the trusted ones"},
        {X509_V_ERR_CERT_SIGNATURE_FAILURE, leaf.cert, leaf.cert, false,
         "certificate was not signed by the trusted authority 'CN=root', only by one of that name"},
        {X509_V_ERR_CERT_CHAIN_TOO_LONG, leaf.cert, leaf.cert, false,
         "more than verify_depth (3) certificates between it and an authority"},
        {X509_V_ERR_INVALID_PURPOSE, leaf.cert, leaf.cert, false,
         "certificate is not meant for servers"},
        {X509_V_ERR_INVALID_PURPOSE, leaf.cert, leaf.cert, true,
         "certificate is not meant for clients"},
        {X509_V_ERR_INVALID_PURPOSE, leaf.cert, root.cert, true,
         "certificate 'CN=root' of its chain is not meant for signing others"},
        {X509_V_ERR_CERT_REVOKED, leaf.cert, leaf.cert, false, "certificate revoked"},
    };
    for (size_t i = 0; i < COUNTOF(row); i++) {
        const struct qp_tls_refusal r = {.error = row[i].error,
                                         .leaf = row[i].leaf,
                                         .cert = row[i].cert,
                                         .client = row[i].client,
                                         .depth = 3};
        CHECK_STR(words(&r), row[i].says);
    }
    identity_done(&leaf), identity_done(&root);
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_spans), TEST(test_names_are_escaped_and_cut),          TEST(test_times),
        TEST(test_hosts), TEST(test_many_hosts_are_counted_and_escaped), TEST(test_authorities),
    };
    return RUN(tests);
}
