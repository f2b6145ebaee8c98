#include "quic/tls_policy.h"

#include "authority.h"

#include "pair.h"

static void test_names_that_are_not_known(void)
{
    struct setting s;
    SSL_CTX *ctx = SSL_CTX_new(TLS_method());
    setting_init(&s);
    const struct {
        const char *key, *value, *says; /* NULL: fine */
    } row[] = {
        {"groups", "X25519", NULL},
        {"groups", "P-256,X25519,P-384,P-521,X25519MLKEM768,MLKEM1024", NULL},
        {"groups", "x25519,prime256v1", NULL},
        {"groups", "X448", "groups: 'X448' is not known; there are P-256, "},
        {"groups", "X25519, P-256", "groups: ' P-256' is not known"},
        {"groups", "X25519:P-256:X448", "groups: 'X25519:P-256:X448' is not known"},
        {"groups", "X25519,x25519", "groups: 'X25519,x25519' names one twice"},
        {"groups", "", "groups: none is set"},
        {"groups", "a-name-that-is-longer-than-any-group-has", "groups: 'a-name-that-is-"},
        {"ciphers", "", NULL},
        {"ciphers", "CHACHA20_POLY1305_SHA256", NULL},
        {"ciphers", "TLS_AES_256_GCM_SHA384,AES_128_GCM_SHA256", NULL},
        {"ciphers", "AES_128_CCM_SHA256",
         "ciphers: 'AES_128_CCM_SHA256' is not known; there are AES_128_GCM_SHA256, "},
        {"ciphers", "aes_128_gcm_sha256", "ciphers: 'aes_128_gcm_sha256' is not known"},
        {"ciphers", "AES_128_GCM_SHA256,TLS_AES_128_GCM_SHA256", "comes twice"},
        {"ciphers", "ECDHE-RSA-AES128-GCM-SHA256", "is not known"},
    };
    for (size_t i = 0; i < COUNTOF(row); i++) {
        setting_set(&s, "groups", "X25519");
        setting_set(&s, "ciphers", "");
        setting_set(&s, row[i].key, row[i].value);
        CHECK_INT(qp_tls_policy_init(ctx, &s.args), ==, row[i].says == NULL ? 0 : QUICPRO_EVALUE);
        if (row[i].says != NULL)
            CHECK(setting_said(&s, row[i].says));
    }
    SSL_CTX_free(ctx);
    setting_done(&s);
}

/* What a handshake agrees on if both sides have these lists: the first cipher of the server's, the
 * first group of the client's. */
static void test_what_is_agreed_on(void)
{
    static const struct {
        const char *key, *server, *client, *got; /* NULL: nothing */
    } row[] = {
        {"ciphers", "", "CHACHA20_POLY1305_SHA256", "CHACHA20_POLY1305_SHA256"},
        {"ciphers", "CHACHA20_POLY1305_SHA256", "", "CHACHA20_POLY1305_SHA256"},
        {"ciphers", "AES_256_GCM_SHA384,AES_128_GCM_SHA256",
         "AES_128_GCM_SHA256,AES_256_GCM_SHA384", "AES_256_GCM_SHA384"},
        {"ciphers", "AES_256_GCM_SHA384", "AES_128_GCM_SHA256", NULL},
        {"groups", "X25519,P-256", "P-256,X25519", "P-256"},
        {"groups", "P-384", "X25519,P-384", "P-384"}, /* after a HelloRetryRequest */
        {"groups", "X25519MLKEM768", "X25519MLKEM768", "X25519MLKEM768"},
        {"groups", "P-256", "X25519", NULL},
    };
    for (size_t i = 0; i < COUNTOF(row); i++) {
        struct pair p;
        quicpro_conn_info info = {.size = sizeof(info)};
        pair_init(&p, "localhost");
        quicpro_config_set(p.server_config, row[i].key, row[i].server);
        quicpro_config_set(p.client_config, row[i].key, row[i].client);
        pair_start(&p);
        CHECK_INT(pair_connect(&p, "127.0.0.1"), ==, 0);
        if (row[i].got == NULL) {
            CHECK(pair_until_closed(&p));
            CHECK_INT(p.closed_error, ==, QUICPRO_ETLS);
            CHECK_STR(p.closed_text, "closed by the peer with CRYPTO_ERROR: handshake_failure");
        } else if (CHECK(pair_until(&p, &p.connected))) {
            CHECK_INT(quicpro_conn_get_info(p.client_loop, p.conn, &info), ==, 0);
            CHECK_STR(row[i].key[0] == 'c' ? info.cipher : info.group, row[i].got);
        }
        pair_done(&p);
    }
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_names_that_are_not_known),
        TEST(test_what_is_agreed_on),
    };
    return RUN(tests);
}
