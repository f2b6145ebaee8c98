#include "authority.h"

#include "pair.h"

/* The server shows a chain signed by root; the client believes what is in its ca_file. */
static void start(struct pair *p, const struct identity *leaf, const struct identity *between,
                  const struct identity *root)
{
    pair_init(p, "localhost");
    put_text(p->cert, pem_of(leaf->cert, between == NULL ? NULL : between->cert));
    put_text(p->key, pem_of_key(leaf->key, NULL));
    put_text(p->ca, pem_of(root->cert, NULL));
    pair_start(p);
    CHECK_INT(pair_connect(p, "127.0.0.1"), ==, 0);
}

static void test_a_chain_is_followed_to_its_root(void)
{
    struct identity root = identity_new(&(struct wanted){.cn = "root", .ca = true}, NULL);
    struct identity between = identity_new(&(struct wanted){.cn = "between", .ca = true}, &root);
    struct identity leaf =
        identity_new(&(struct wanted){.cn = "leaf", .names = {"127.0.0.1"}}, &between);
    struct pair p;
    start(&p, &leaf, &between, &root);
    CHECK(pair_until(&p, &p.connected));
    pair_done(&p);
    start(&p, &leaf, NULL, &root); /* a server that forgot what is between */
    CHECK(pair_until_closed(&p));
    CHECK_INT(p.closed_error, ==, QUICPRO_EVERIFY);
    pair_done(&p);
    identity_done(&leaf), identity_done(&between), identity_done(&root);
}

static void test_authorities_that_cannot_be_read(void)
{
    struct setting s;
    struct ssl_ctx_st *ctx;
    setting_init(&s);
    put_text(s.ca, strdup("nothing\n"));
    const struct {
        const char *file, *says;
    } row[] = {
        {"/nonexistent", "ca_file: cannot read '/nonexistent'"},
        {s.ca, "holds no certificate, neither PEM nor DER"},
    };
    for (size_t i = 0; i < COUNTOF(row); i++) {
        setting_set(&s, "ca_file", row[i].file);
        CHECK_INT(qp_tls_client_new(&ctx, &s.args), ==, QUICPRO_ECERT);
        CHECK(setting_said(&s, row[i].says));
    }
    setting_done(&s);
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_a_chain_is_followed_to_its_root),
        TEST(test_authorities_that_cannot_be_read),
    };
    return RUN(tests);
}
