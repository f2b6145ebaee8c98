#include "base/options.h"

#include "check.h"
#include "oom.h"

static void test_table_is_whole(void)
{
    size_t count = 0;
    for (const quicpro_option *a; (a = quicpro_option_at(count)) != NULL; count++) {
        CHECK(a->key[0] != '\0' && a->help[0] != '\0' && a->unit != NULL);
        CHECK((a->type == QUICPRO_OPTION_CHOICE) == (a->choices != NULL));
        CHECK(a->type != QUICPRO_OPTION_UINT || (a->min <= a->max && a->unit[0] != '\0'));
        for (size_t i = 0; i < count; i++)
            CHECK(strcmp(quicpro_option_at(i)->key, a->key) != 0);
    }
    CHECK_U64(count, >, 20);
    CHECK(quicpro_option_at(SIZE_MAX) == NULL);
}

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

static void test_copy_is_independent(void)
{
    quicpro_config *config;
    struct qp_options options, defaults;
    if (!CHECK_INT(quicpro_config_new(&config), ==, 0))
        return;
    quicpro_config_set(config, "alpn", "h3,hq");
    quicpro_config_set(config, "burst_bytes", "20000");
    CHECK_INT(qp_options_copy(&options, config), ==, 0);
    quicpro_config_set(config, "alpn", "other");
    quicpro_config_free(config);
    CHECK_STR(options.alpn, "h3,hq");
    CHECK_U64(options.burst_bytes, ==, 20000);
    CHECK_STR(options.cert_file, "");
    qp_options_done(&options);
    CHECK_INT(qp_options_copy(&defaults, NULL), ==, 0);
    CHECK_STR(defaults.alpn, "h3");
    CHECK(defaults.gso && defaults.congestion_control == 0);
    qp_options_done(&defaults);
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
    for (; r < 0 && allowed < 100; allowed++) {
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
        TEST(test_table_is_whole),
        TEST(test_get_returns_the_default_and_set_takes_it),
        TEST(test_set),
        TEST(test_wrong_arguments),
        TEST(test_copy_is_independent),
        TEST(test_out_of_memory),
    };
    return RUN(tests);
}
