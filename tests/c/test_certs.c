#include "loop/certs.h"

#include "quic/tls.h"

#include "pair.h"

static void test_a_context_for_each_side(void)
{
    struct pair p;
    struct qp_endpoint endpoint = {0};
    struct ssl_ctx_st *tls;
    pair_init(&p, "localhost");
    CHECK_INT(quicpro_loop_new(&p.server_loop, NULL), ==, 0);
    endpoint.loop = p.server_loop;
    for (int server = 0; server < 2; server++) {
        endpoint.server = server != 0;
        CHECK_INT(qp_options_copy(&endpoint.options, p.server_config), ==, 0);
        CHECK_INT(qp_certs_new_tls(&tls, &endpoint), ==, 0);
        qp_tls_free(tls);
        qp_options_done(&endpoint.options);
    }
    CHECK_INT(qp_options_init(&endpoint.options), ==, 0);
    CHECK_INT(qp_certs_new_tls(&tls, &endpoint), ==, QUICPRO_ECERT);
    CHECK(strstr(quicpro_loop_error(p.server_loop), "cert_file is not set") != NULL);
    qp_options_done(&endpoint.options);
    pair_done(&p);
}

int main(void)
{
    static const struct check_test tests[] = {TEST(test_a_context_for_each_side)};
    return RUN(tests);
}
