#include "quic/tls_staple.h"

#include "authority.h"
#include "ocsp.h"

enum { DAY = AUTHORITY_DAY };

/* Who may sign, and who would like to. */
enum { ISSUER, DELEGATE, WITHOUT_USAGE, EXPIRED, OF_ANOTHER, ANOTHER, LEAF, SIGNERS };

struct people {
    struct identity leaf, by[SIGNERS];
    uint8_t *serial;
    size_t serial_len;
};

static void people_init(struct people *p)
{
    struct identity *by = p->by;
    by[ISSUER] = identity_new(&(struct wanted){.cn = "issuer", .ca = true}, NULL);
    by[ANOTHER] = identity_new(&(struct wanted){.cn = "issuer", .ca = true}, NULL); /* same name */
    by[DELEGATE] =
        identity_new(&(struct wanted){.cn = "responder", .usage = "OCSPSigning"}, &by[ISSUER]);
    by[WITHOUT_USAGE] =
        identity_new(&(struct wanted){.cn = "server", .usage = "serverAuth"}, &by[ISSUER]);
    by[EXPIRED] = identity_new(
        &(struct wanted){
            .cn = "responder", .usage = "OCSPSigning", .from = -9 * DAY, .until = -DAY},
        &by[ISSUER]);
    by[OF_ANOTHER] =
        identity_new(&(struct wanted){.cn = "responder", .usage = "OCSPSigning"}, &by[ANOTHER]);
    p->leaf = identity_new(&(struct wanted){.cn = "leaf"}, &by[ISSUER]);
    by[LEAF] = p->leaf;
    p->serial = NULL;
    p->serial_len = (size_t)i2d_ASN1_INTEGER(X509_get0_serialNumber(p->leaf.cert), &p->serial);
}

static void people_done(struct people *p)
{
    for (size_t i = 0; i < SIGNERS; i++)
        identity_done(&p->by[i]);
    OPENSSL_free(p->serial);
}

/* A response about the leaf that somebody signs. */
static uint8_t *response(const struct people *p, int by, struct ocsp made, size_t *len)
{
    made.serial = p->serial + 2; /* contents of the INTEGER */
    made.serial_len = p->serial_len - 2;
    made.key = p->by[by].key;
    made.brought = by == ISSUER ? NULL : p->by[by].cert;
    if (made.issuer == NULL)
        made.issuer = p->by[ISSUER].cert;
    made.from += time(NULL);
    made.until += made.until == 0 ? 0 : time(NULL);
    return ocsp_make(&made, len);
}

static void expect(const struct people *p, const uint8_t *der, size_t len, const char *says,
                   bool revoked)
{
    char words[256] = "";
    bool was = !revoked;
    const bool good = qp_tls_staple_good(der, len, p->leaf.cert, p->by[ISSUER].cert, time(NULL),
                                         &was, words, sizeof(words));
    CHECK(was == revoked);
    if (!CHECK(good == (says == NULL)) || (says != NULL && !CHECK(strstr(words, says) != NULL)))
        printf("#   not \"%s\": %s\n", says == NULL ? "" : says, words);
    ERR_clear_error();
}

static void test_who_may_sign(void)
{
    static const char *const says[SIGNERS] = {
        [WITHOUT_USAGE] = "is not signed by who may", [EXPIRED] = "is not signed by who may",
        [OF_ANOTHER] = "is not signed by who may",    [ANOTHER] = "is not signed by who may",
        [LEAF] = "is not signed by who may",
    };
    struct people p;
    people_init(&p);
    for (int by = 0; by < SIGNERS; by++) {
        size_t len;
        uint8_t *der = response(&p, by, (struct ocsp){.from = -60, .until = DAY}, &len);
        expect(&p, der, len, says[by], false);
        free(der);
    }
    people_done(&p);
}

static void test_what_it_says(void)
{
    static const struct {
        struct ocsp made;
        const char *says;
        bool revoked;
    } row[] = {
        {{.from = -60, .until = DAY}, NULL, false},
        {{.from = -60, .until = DAY, .other_first = true}, NULL, false},
        {{.from = -6 * DAY}, NULL, false}, /* a week, where no end is given */
        {{.from = 200, .until = DAY}, NULL, false},
        {{.from = -8 * DAY}, "its OCSP staple has been stale for 1 day", false},
        {{.from = -6 * DAY, .until = -3 * DAY - 60}, "has been stale for 3 days", false},
        {{.from = 7300, .until = DAY}, "is not valid for another 2 hours", false},
        {{.from = -60, .until = DAY, .cert_status = 1}, "calls it revoked", true},
        {{.from = -60, .until = DAY, .cert_status = 2}, "calls it unknown", false},
        {{.from = -60, .until = DAY, .cert_status = 3}, "makes no sense", false},
        {{.from = -60, .until = DAY, .response_status = 3}, "reports an error", false},
        {{.from = -60, .until = DAY, .damaged = true}, "is not signed by who may", false},
    };
    struct people p;
    people_init(&p);
    for (size_t i = 0; i < COUNTOF(row); i++) {
        size_t len;
        uint8_t *der = response(&p, ISSUER, row[i].made, &len);
        expect(&p, der, len, row[i].says, row[i].revoked);
        free(der);
    }
    expect(&p, NULL, 0, "it came without an OCSP staple", false);
    people_done(&p);
}

/* An authority's response about another's certificate with the same number is none about ours. */
static void test_numbers_alone_are_not_enough(void)
{
    struct people p;
    size_t len;
    people_init(&p);
    uint8_t *der = response(
        &p, ISSUER, (struct ocsp){.from = -60, .until = DAY, .issuer = p.by[ANOTHER].cert}, &len);
    expect(&p, der, len, "is not about this certificate", false);
    free(der);
    people_done(&p);
}

/* Cut anywhere, or with any bit changed, it is good for nothing; never a crash. */
static void test_damage(void)
{
    struct people p;
    char words[256];
    bool revoked;
    size_t len, taken = 0, changed = 0;
    people_init(&p);
    uint8_t *der = response(&p, DELEGATE, (struct ocsp){.from = -60, .until = DAY}, &len);
    for (size_t i = 0; i < len; i++) {
        uint8_t *cut = malloc(i == 0 ? 1 : i);
        memcpy(cut, der, i);
        taken += qp_tls_staple_good(cut, i, p.leaf.cert, p.by[ISSUER].cert, time(NULL), &revoked,
                                    words, sizeof(words));
        free(cut);
        der[i] ^= 0x10;
        changed += qp_tls_staple_good(der, len, p.leaf.cert, p.by[ISSUER].cert, time(NULL),
                                      &revoked, words, sizeof(words));
        der[i] ^= 0x10;
    }
    CHECK_U64(taken, ==, 0);
    CHECK_U64(changed, ==, 0);
    free(der);
    people_done(&p);
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_who_may_sign),
        TEST(test_what_it_says),
        TEST(test_numbers_alone_are_not_enough),
        TEST(test_damage),
    };
    return RUN(tests);
}
