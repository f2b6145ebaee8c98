#include "quic/tls.h"

#include <openssl/pem.h>

#include "pair.h"

static void test_protocol_names(void)
{
    static char longest[300];
    memset(longest, 'a', sizeof(longest) - 1);
    const struct {
        const char *alpn;
        int want;
    } row[] = {
        {"h3", 0},
        {"h3,h3-29,x", 0},
        {"", QUICPRO_EVALUE},
        {longest, QUICPRO_EVALUE},
    };
    for (size_t i = 0; i < COUNTOF(row); i++) {
        struct pair p;
        pair_init(&p, "localhost");
        CHECK_INT(quicpro_loop_new(&p.client_loop, NULL), ==, 0);
        CHECK_INT(quicpro_config_set(p.client_config, "alpn", row[i].alpn), ==, 0);
        CHECK_INT(quicpro_client_new(&p.client, p.client_loop, p.client_config), ==, row[i].want);
        if (row[i].want < 0)
            CHECK(strstr(quicpro_loop_error(p.client_loop), "alpn") != NULL);
        pair_done(&p);
    }
}

static size_t lines_with(const char *path, const char *word)
{
    char line[512];
    size_t count = 0;
    FILE *f = fopen(path, "r");
    while (f != NULL && fgets(line, sizeof(line), f) != NULL)
        count += strncmp(line, word, strlen(word)) == 0;
    if (f != NULL)
        fclose(f);
    return count;
}

static void test_secrets_for_packet_analysers(void)
{
    struct pair p;
    char path[128];
    pair_init(&p, "localhost");
    snprintf(path, sizeof(path), "%s/keys.txt", p.dir);
    quicpro_config_set(p.server_config, "keylog_file", path);
    quicpro_config_set(p.client_config, "keylog_file", path);
    pair_start(&p);
    CHECK_INT(pair_connect(&p, "127.0.0.1"), ==, 0);
    CHECK(pair_until(&p, &p.connected));
    CHECK_U64(lines_with(path, "CLIENT_HANDSHAKE_TRAFFIC_SECRET "), ==, 2); /* both sides' */
    CHECK_U64(lines_with(path, "SERVER_TRAFFIC_SECRET_0 "), ==, 2);
    unlink(path);
    pair_done(&p);

    pair_init(&p, "localhost");
    CHECK_INT(quicpro_loop_new(&p.client_loop, NULL), ==, 0);
    quicpro_config_set(p.client_config, "keylog_file", "/nonexistent/keys.txt");
    CHECK_INT(quicpro_client_new(&p.client, p.client_loop, p.client_config), ==, QUICPRO_EVALUE);
    CHECK(strstr(quicpro_loop_error(p.client_loop), "/nonexistent/keys.txt") != NULL);
    pair_done(&p);
}

/* A daemon has no terminal to ask for a password: the key is refused at once. */
static void test_an_encrypted_key_is_refused(void)
{
    struct pair p;
    pair_init(&p, "localhost");
    FILE *f = fopen(p.key, "r");
    EVP_PKEY *key = PEM_read_PrivateKey(f, NULL, NULL, NULL);
    fclose(f);
    f = fopen(p.key, "w");
    CHECK(PEM_write_PKCS8PrivateKey(f, key, EVP_aes_256_cbc(), "secret", 6, NULL, NULL));
    fclose(f);
    EVP_PKEY_free(key);
    CHECK_INT(quicpro_loop_new(&p.server_loop, NULL), ==, 0);
    CHECK_INT(quicpro_server_new(&p.server, p.server_loop, p.server_config), ==, QUICPRO_ECERT);
    CHECK(strstr(quicpro_loop_error(p.server_loop), p.key) != NULL);
    CHECK(strstr(quicpro_loop_error(p.server_loop), "set key_passphrase") != NULL);
    pair_done(&p);
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_protocol_names),
        TEST(test_secrets_for_packet_analysers),
        TEST(test_an_encrypted_key_is_refused),
    };
    return RUN(tests);
}
