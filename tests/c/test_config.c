#include "base/options.h"

#include "check.h"
#include "oom.h"

static void test_get_returns_the_default_and_set_takes_it(void)
{
    quicpro_config *config;
    if (!CHECK_INT(quicpro_config_new(&config), ==, 0))
        return;
    const quicpro_option *option;
    for (size_t i = 0; (option = quicpro_option_at(i)) != NULL; i++) {
        CHECK_STR(quicpro_config_get(config, option->key), option->default_value);
        CHECK_INT(quicpro_config_set(config, option->key, option->default_value), ==, 0);
        CHECK_STR(quicpro_config_get(config, option->key), option->default_value);
    }
    CHECK_STR(quicpro_config_error(config), "");
    quicpro_config_free(config);
}

static void test_set(void)
{
    static const struct {
        const char *key, *value;
        int r;
        const char *got, *error;
    } row[] = {
        {"max_idle_timeout_ms", "0", 0, "0", ""},
        {"max_idle_timeout_ms", "3600000", 0, "3600000", ""},
        {"max_idle_timeout_ms", "3600001", QUICPRO_EVALUE, "30000",
         "option \"max_idle_timeout_ms\": \"3600001\" is out of range: 0 to 3600000 ms"},
        {"max_idle_timeout_ms", "99999999999999999999999", QUICPRO_EVALUE, "30000",
         "option \"max_idle_timeout_ms\": \"99999999999999999999999\" is out of range: 0 to "
         "3600000 ms"},
        {"max_idle_timeout_ms", "", QUICPRO_EVALUE, "30000",
         "option \"max_idle_timeout_ms\": \"\" is not a decimal number: 0 to 3600000 ms"},
        {"max_idle_timeout_ms", "-1", QUICPRO_EVALUE, "30000",
         "option \"max_idle_timeout_ms\": \"-1\" is not a decimal number: 0 to 3600000 ms"},
        {"max_idle_timeout_ms", "5 ", QUICPRO_EVALUE, "30000",
         "option \"max_idle_timeout_ms\": \"5 \" is not a decimal number: 0 to 3600000 ms"},
        {"max_idle_timeout_ms", "0x10", QUICPRO_EVALUE, "30000",
         "option \"max_idle_timeout_ms\": \"0x10\" is not a decimal number: 0 to 3600000 ms"},
        {"max_idle_timeout_ms", "007", 0, "7", ""},
        {"gso", "0", 0, "false", ""},
        {"gso", "1", 0, "true", ""},
        {"gso", "false", 0, "false", ""},
        {"gso", "yes", QUICPRO_EVALUE, "true",
         "option \"gso\": \"yes\" is not a truth value: 0, 1, true or false"},
        {"congestion_control", "reno", 0, "reno", ""},
        {"congestion_control", "bbr2", 0, "bbr2", ""},
        {"congestion_control", "bbr", QUICPRO_EVALUE, "cubic",
         "option \"congestion_control\": \"bbr\" is not one of the words: cubic|reno|bbr2"},
        {"congestion_control", "cubic|reno", QUICPRO_EVALUE, "cubic",
         "option \"congestion_control\": \"cubic|reno\" is not one of the words: cubic|reno|bbr2"},
        {"congestion_control", "", QUICPRO_EVALUE, "cubic",
         "option \"congestion_control\": \"\" is not one of the words: cubic|reno|bbr2"},
        {"alpn", "h3,hq", 0, "h3,hq", ""},
        {"alpn", "h3,,hq", QUICPRO_EVALUE, "h3",
         "option \"alpn\": \"h3,,hq\" is a list with an empty word: words separated by commas"},
        {"tls_enable", "1", 0, "true", ""},
        {"tls_enable", "false", QUICPRO_EVALUE, "true",
         "option \"tls_enable\": \"false\" is refused: QUIC is always encrypted (RFC 9001)"},
        {"disable_congestion_control", "true", QUICPRO_EVALUE, "false",
         "option \"disable_congestion_control\": \"true\" is refused: a sender without congestion "
         "control harms the network (RFC 9002 7)"},
        {"transport_disable_encryption", "yes", QUICPRO_EVALUE, "false",
         "option \"transport_disable_encryption\": \"yes\" is not a truth value: 0, 1, true or "
         "false"},
        {"max_pto_probes", "7", 0, "7", ""}, /* kept, without effect */
        {"cc_algorithm", "reno", 0, "reno", ""},
        {"cc_algorithm", "x", QUICPRO_EVALUE, "cubic",
         "option \"congestion_control\": \"x\" is not one of the words: cubic|reno|bbr2"},
        {"cert_file", "/a b/\xc3\xa4.pem", 0, "/a b/\xc3\xa4.pem", ""},
        {"cert_file", "", 0, "", ""},
        {"max_idle_timeout", "1", QUICPRO_EOPTION, NULL,
         "unknown option \"max_idle_timeout\"; the nearest is \"max_idle_timeout_ms\""},
        {"congestion_contrl", "1", QUICPRO_EOPTION, NULL,
         "unknown option \"congestion_contrl\"; the nearest is \"congestion_control\""},
        {"gs\n", "1", QUICPRO_EOPTION, NULL, "unknown option \"gs\\x0a\"; the nearest is \"gso\""},
    };
    for (size_t i = 0; i < COUNTOF(row); i++) {
        quicpro_config *config;
        if (!CHECK_INT(quicpro_config_new(&config), ==, 0))
            return;
        CHECK_INT(quicpro_config_set(config, row[i].key, row[i].value), ==, row[i].r);
        CHECK_STR(quicpro_config_get(config, row[i].key), row[i].got);
        CHECK_STR(quicpro_config_error(config), row[i].error);
        quicpro_config_free(config);
    }
}

static void test_a_locked_configuration_stays_as_it_is(void)
{
    static const struct {
        const char *key, *value;
        int r;
        const char *error;
    } row[] = {
        {"gso", "false", 0, ""}, /* what it is already */
        {"gso", "0", 0, ""},     /* the same in other words */
        {"tls_enable", "1", 0, ""},
        {"alpn", "h3", 0, ""},
        {"cc_algorithm", "reno", 0, ""},
        {"max_idle_timeout_ms", "030000", 0, ""},
        {"gso", "true", QUICPRO_EPOLICY,
         "option \"gso\": the configuration is locked; it stays \"false\" and cannot be \"true\""},
        {"verify_peer", "0", QUICPRO_EPOLICY,
         "option \"verify_peer\": the configuration is locked; it stays \"true\" and cannot be "
         "\"0\""},
        {"max_idle_timeout_ms", "x", QUICPRO_EPOLICY,
         "option \"max_idle_timeout_ms\": the configuration is locked; it stays \"30000\" and "
         "cannot be \"x\""},
        {"alpn", "h3,", QUICPRO_EPOLICY,
         "option \"alpn\": the configuration is locked; it stays \"h3\" and cannot be \"h3,\""},
        {"security_allow_config_override", "true", QUICPRO_EPOLICY,
         "option \"security_allow_config_override\": the configuration is locked; it stays "
         "\"false\" "
         "and cannot be \"true\""},
        {"security_allow_config_override", "false", 0, ""},
        {"no_such", "1", QUICPRO_EOPTION, NULL},
    };
    for (size_t i = 0; i < COUNTOF(row); i++) {
        quicpro_config *config;
        if (!CHECK_INT(quicpro_config_new(&config), ==, 0))
            return;
        quicpro_config_set(config, "gso", "false");
        quicpro_config_set(config, "congestion_control", "reno");
        CHECK_INT(quicpro_config_set(config, "security_allow_config_override", "false"), ==, 0);
        CHECK_INT(quicpro_config_set(config, row[i].key, row[i].value), ==, row[i].r);
        if (row[i].error != NULL)
            CHECK_STR(quicpro_config_error(config), row[i].error);
        CHECK_STR(quicpro_config_get(config, "gso"), "false");
        CHECK_STR(quicpro_config_get(config, "security_allow_config_override"), "false");
        quicpro_config_free(config);
    }
}

static void no_qlog(void *user, quicpro_conn conn, const char *name, const uint8_t *data,
                    size_t len)
{
    (void)user, (void)conn, (void)name, (void)data, (void)len;
}

static void test_a_function_for_qlogs_is_copied_and_locked(void)
{
    quicpro_config *config;
    struct qp_options options;
    int user;
    CHECK_INT(quicpro_config_set_qlog(NULL, no_qlog, NULL), ==, QUICPRO_EINVAL);
    if (!CHECK_INT(quicpro_config_new(&config), ==, 0))
        return;
    CHECK_INT(quicpro_config_set_qlog(config, no_qlog, &user), ==, 0);
    quicpro_config_set(config, "security_allow_config_override", "false");
    CHECK_INT(quicpro_config_set_qlog(config, NULL, NULL), ==, QUICPRO_EPOLICY);
    CHECK_STR(quicpro_config_error(config),
              "the configuration is locked; the function for qlogs stays as it is");
    if (CHECK_INT(qp_options_copy(&options, config), ==, 0)) {
        CHECK(options.qlog_fn == no_qlog && options.qlog_user == &user);
        qp_options_done(&options);
    }
    quicpro_config_free(config);
}

/* What something runs with changes only where a row says so. */
static void test_each_row_of_what_runs(void)
{
    struct qp_options options;
    char error[200], text[32];
    const quicpro_option *option;
    unsigned live = 0;
    if (!CHECK_INT(qp_options_init(&options), ==, 0))
        return;
    for (size_t i = 0; (option = quicpro_option_at(i)) != NULL; i++) {
        char edge[32];
        snprintf(edge, sizeof(edge), "%" PRIu64, option->min);
        const char *value = option->type == QUICPRO_OPTION_UINT ? edge : option->default_value;
        int r = qp_options_change(&options, option->key, value, true, error, sizeof(error));
        CHECK_INT(r, ==, option->live ? 0 : QUICPRO_ESTATE);
        CHECK_STR(qp_options_get(&options, i, text, sizeof(text)),
                  option->live ? value : option->default_value);
        CHECK(option->live || strstr(error, "is fixed when") != NULL);
        live += option->live;
    }
    CHECK_U64(live, >=, 6);
    CHECK_INT(qp_options_change(&options, "max_sessions", "0", true, error, sizeof(error)), ==,
              QUICPRO_EVALUE);
    CHECK_INT(qp_options_change(&options, "no", "0", true, error, sizeof(error)), ==,
              QUICPRO_EOPTION);
    options.security_allow_config_override = false;
    CHECK_INT(qp_options_change(&options, "max_sessions", "5", true, error, sizeof(error)), ==,
              QUICPRO_EPOLICY);
    qp_options_done(&options);
}

static void test_wrong_arguments(void)
{
    static char key[2000], value[2000];
    quicpro_config *config;
    if (!CHECK_INT(quicpro_config_new(&config), ==, 0))
        return;
    CHECK_INT(quicpro_config_new(NULL), ==, QUICPRO_EINVAL);
    CHECK_INT(quicpro_config_set(NULL, "gso", "1"), ==, QUICPRO_EINVAL);
    CHECK_INT(quicpro_config_set(config, NULL, "1"), ==, QUICPRO_EINVAL);
    CHECK_INT(quicpro_config_set(config, "gso", NULL), ==, QUICPRO_EINVAL);
    CHECK(quicpro_config_get(NULL, "gso") == NULL);
    CHECK(quicpro_config_get(config, NULL) == NULL);
    CHECK_STR(quicpro_config_error(NULL), "");
    quicpro_config_free(NULL);
    /* Texts of any length are cut in the message, not in the check. */
    memset(key, '\n', sizeof(key) - 1);
    memset(value, '9', sizeof(value) - 1);
    CHECK_INT(quicpro_config_set(config, key, "1"), ==, QUICPRO_EOPTION);
    CHECK_U64(strlen(quicpro_config_error(config)), <, sizeof(config->error));
    CHECK_INT(quicpro_config_set(config, "initial_max_stream_data_bytes", value), ==,
              QUICPRO_EVALUE);
    CHECK(strstr(quicpro_config_error(config), "16384 to 268435456 bytes") != NULL);
    quicpro_config_free(config);
}

static void test_out_of_memory(void)
{
    quicpro_config *config = NULL, *good;
    struct qp_options options;
    if (!OOM_POSSIBLE) {
        check_skip("the allocator cannot be replaced here");
        return;
    }
    int r = QUICPRO_ENOMEM;
    long allowed = 0;
    for (; r < 0 && allowed < 1000; allowed++) {
        oom_after(allowed);
        r = quicpro_config_new(&config);
        oom_off();
        CHECK(r == 0 || (r == QUICPRO_ENOMEM && config == NULL));
    }
    CHECK(r == 0 && allowed > 2);
    good = config;
    oom_after(0);
    r = quicpro_config_set(good, "alpn", "x");
    oom_off();
    CHECK_INT(r, ==, QUICPRO_ENOMEM);
    CHECK_STR(quicpro_config_get(good, "alpn"), "h3");
    for (long i = 0; i < 3; i++) {
        oom_after(i);
        r = qp_options_copy(&options, good);
        oom_off();
        CHECK_INT(r, ==, QUICPRO_ENOMEM);
    }
    quicpro_config_free(good);
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_get_returns_the_default_and_set_takes_it),
        TEST(test_set),
        TEST(test_a_locked_configuration_stays_as_it_is),
        TEST(test_a_function_for_qlogs_is_copied_and_locked),
        TEST(test_each_row_of_what_runs),
        TEST(test_wrong_arguments),
        TEST(test_out_of_memory),
    };
    return RUN(tests);
}
