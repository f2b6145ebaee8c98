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

static void test_the_environment_may_name_the_key_log(void)
{
    static const struct {
        const char *key, *value;
        size_t lines; /* of the server; the client's configuration stays as it is */
    } row[] = {
        {"keylog_env", "true", 1},
        {"keylog_env", "false", 0},
        {"security_allow_config_override", "false", 0},
        {"keylog_file", "/dev/null", 0},
    };
    for (size_t i = 0; i < COUNTOF(row); i++) {
        struct pair p;
        char path[128];
        pair_init(&p, "localhost");
        snprintf(path, sizeof(path), "%s/keys.txt", p.dir);
        quicpro_config_set(p.client_config, "keylog_env", "false");
        quicpro_config_set(p.server_config, row[i].key, row[i].value);
        setenv("SSLKEYLOGFILE", path, 1);
        pair_start(&p);
        unsetenv("SSLKEYLOGFILE");
        CHECK_INT(pair_connect(&p, "127.0.0.1"), ==, 0);
        CHECK(pair_until(&p, &p.connected));
        CHECK_U64(lines_with(path, "SERVER_TRAFFIC_SECRET_0 "), ==, row[i].lines);
        unlink(path);
        pair_done(&p);
    }
}

static void test_a_key_log_that_cannot_be_opened(void)
{
    struct pair p;
    pair_init(&p, "localhost");
    CHECK_INT(quicpro_loop_new(&p.client_loop, NULL), ==, 0);
    setenv("SSLKEYLOGFILE", "/nonexistent/keys.txt", 1);
    CHECK_INT(quicpro_client_new(&p.client, p.client_loop, p.client_config), ==, QUICPRO_EVALUE);
    unsetenv("SSLKEYLOGFILE");
    CHECK_STR(quicpro_loop_error(p.client_loop),
              "SSLKEYLOGFILE: cannot write '/nonexistent/keys.txt': No such file or directory");
    pair_done(&p);
}

static void test_a_full_disk_ends_no_connection(void)
{
    struct pair p;
    pair_init(&p, "localhost");
    quicpro_config_set(p.server_config, "keylog_file", "/dev/full");
    quicpro_config_set(p.client_config, "keylog_file", "/dev/full");
    pair_start(&p);
    CHECK_INT(pair_connect(&p, "127.0.0.1"), ==, 0);
    CHECK(pair_until(&p, &p.connected));
    CHECK_INT(p.closed, ==, 0);
    pair_done(&p);
}

/* The server's order decides (RFC 7301 section 3.2). */
static void test_one_of_several_protocols(void)
{
    static const struct {
        const char *server, *client, *got; /* NULL: none */
    } row[] = {
        {"h3", "x,h3", "h3"},
        {"h3,hq-interop", "hq-interop,h3", "h3"},
        {"hq-interop,h3", "h3,hq-interop", "hq-interop"},
        {"h3", "hq-interop", NULL},
    };
    for (size_t i = 0; i < COUNTOF(row); i++) {
        struct pair p;
        quicpro_conn_info info = {.size = sizeof(info)};
        pair_init(&p, "localhost");
        quicpro_config_set(p.server_config, "alpn", row[i].server);
        quicpro_config_set(p.client_config, "alpn", row[i].client);
        pair_start(&p);
        CHECK_INT(pair_connect(&p, "127.0.0.1"), ==, 0);
        if (row[i].got == NULL) {
            CHECK(pair_until_closed(&p));
            CHECK_INT(p.closed_error, ==, QUICPRO_EALPN);
        } else if (CHECK(pair_until(&p, &p.connected))) {
            CHECK_INT(quicpro_conn_get_info(p.client_loop, p.conn, &info), ==, 0);
            CHECK_STR(info.alpn, row[i].got);
        }
        pair_done(&p);
    }
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
        TEST(test_the_environment_may_name_the_key_log),
        TEST(test_a_key_log_that_cannot_be_opened),
        TEST(test_a_full_disk_ends_no_connection),
        TEST(test_one_of_several_protocols),
        TEST(test_an_encrypted_key_is_refused),
    };
    return RUN(tests);
}
