#include "base/options.h"

#include "check.h"
#include "oom.h"

static bool has_group(const char *group)
{
    static const char *const groups[] = {"security", "tls",    "quic",   "limits", "http3",
                                         "qlog",     "socket", "client", "server"};
    for (size_t i = 0; i < COUNTOF(groups); i++)
        if (strcmp(groups[i], group) == 0)
            return true;
    return false;
}

static void test_table_is_whole(void)
{
    size_t count = 0;
    for (const quicpro_option *a; (a = quicpro_option_at(count)) != NULL; count++) {
        CHECK(a->key[0] != '\0' && a->help[0] != '\0' && a->unit != NULL);
        CHECK((a->type == QUICPRO_OPTION_CHOICE) == (a->choices != NULL));
        CHECK(a->type != QUICPRO_OPTION_UINT || (a->min <= a->max && a->unit[0] != '\0'));
        CHECK(a->status != QUICPRO_OPTION_REFUSED || a->type == QUICPRO_OPTION_BOOL);
        CHECK(a->status == QUICPRO_OPTION_HONOURED || a->live == 0);
        CHECK((a->status == QUICPRO_OPTION_NO_EFFECT) ==
              (strncmp(a->help, "no effect: ", 11) == 0));
        if (!has_group(a->group))
            CHECK_STR(a->group, "a known group");
        for (size_t i = 0; i < count; i++)
            CHECK(strcmp(quicpro_option_at(i)->key, a->key) != 0);
    }
    CHECK_U64(count, >, 20);
    CHECK(quicpro_option_at(SIZE_MAX) == NULL);
}

static void test_old_names_lead_to_keys(void)
{
    static const struct {
        const char *old, *key;
    } row[] = {
#define ROW(old, key) {#old, #key},
        QP_OPTION_ALIAS_MAP(ROW)
#undef ROW
    };
    for (size_t i = 0; i < COUNTOF(row); i++) {
        const quicpro_option *option = quicpro_option_find(row[i].old);
        if (CHECK(option != NULL))
            CHECK_STR(option->key, row[i].key);
        CHECK(strcmp(row[i].old, row[i].key) != 0);
        for (size_t j = 0; j < i; j++)
            CHECK(strcmp(row[i].old, row[j].old) != 0);
        for (size_t j = 0; quicpro_option_at(j) != NULL; j++)
            CHECK(strcmp(quicpro_option_at(j)->key, row[i].old) != 0);
    }
    size_t names = 0;
    for (size_t i = 0; quicpro_option_at(i) != NULL; i++) {
        const char *old;
        for (size_t j = 0; (old = quicpro_option_old_name(quicpro_option_at(i), j)) != NULL; j++) {
            CHECK(quicpro_option_find(old) == quicpro_option_at(i));
            names++;
        }
    }
    CHECK_U64(names, ==, COUNTOF(row));
    CHECK(quicpro_option_old_name(NULL, 0) == NULL);
    CHECK_STR(quicpro_option_find("gso")->key, "gso");
    CHECK(quicpro_option_find("gs") == NULL);
    CHECK(quicpro_option_find("") == NULL);
    CHECK(quicpro_option_find(NULL) == NULL);
}

static void test_nearest(void)
{
    static const struct {
        const char *name, *key;
    } row[] = {
        {"max_idle_timeout", "max_idle_timeout_ms"},
        {"congestion_contrl", "congestion_control"},
        {"verify_pear", "verify_peer"},
        {"verify", "verify_peer"}, /* a beginning is nearer than "family" */
        {"gs\n", "gso"},
    };
    for (size_t i = 0; i < COUNTOF(row); i++)
        CHECK_STR(quicpro_option_nearest(row[i].name)->key, row[i].key);
    CHECK(quicpro_option_nearest("") != NULL && quicpro_option_nearest(NULL) != NULL);
}

/* What qp_options_set() must say of each row, from the row itself. */
static void check_row(struct qp_options *options, size_t i)
{
    const quicpro_option *o = quicpro_option_at(i);
    char text[32], got[32], low[32], high[32];
    const char *why = NULL;
    const char *const words[] = {
        "yes", "TRUE", "1.5", "-1", "+1", " 1", "1 ", "0x1", "1e3", "18446744073709551616", "\xff"};
    /* The default is accepted and comes back. */
    CHECK_INT(qp_options_set(options, i, o->default_value, &why), ==, 0);
    CHECK_STR(qp_options_get(options, i, got, sizeof(got)), o->default_value);
    CHECK(qp_options_same(options, i, o->default_value));
    switch (o->type) {
    case QUICPRO_OPTION_UINT:
        for (int end = 0; end < 2; end++) {
            snprintf(text, sizeof(text), "%" PRIu64, end == 0 ? o->min : o->max);
            CHECK_INT(qp_options_set(options, i, text, &why), ==, 0);
            CHECK_STR(qp_options_get(options, i, got, sizeof(got)), text);
            CHECK(qp_options_same(options, i, text));
        }
        snprintf(high, sizeof(high), "%" PRIu64, o->max + 1);
        snprintf(low, sizeof(low), "%" PRIu64, o->min - 1);
        CHECK_INT(qp_options_set(options, i, high, &why), ==, QUICPRO_EVALUE);
        CHECK_STR(why, "out of range");
        CHECK(!qp_options_same(options, i, high));
        if (o->min != 0)
            CHECK_INT(qp_options_set(options, i, low, &why), ==, QUICPRO_EVALUE);
        CHECK_STR(qp_options_get(options, i, got, sizeof(got)), text); /* as it was */
        CHECK_INT(qp_options_set(options, i, "true", &why), ==, QUICPRO_EVALUE);
        break;
    case QUICPRO_OPTION_BOOL:
        CHECK_INT(qp_options_set(options, i, "2", &why), ==, QUICPRO_EVALUE);
        CHECK_STR(why, "not a truth value");
        for (int value = 0; value < 2; value++) {
            const char *name = value != 0 ? "true" : "false";
            if (o->status == QUICPRO_OPTION_REFUSED && strcmp(name, o->default_value) != 0) {
                CHECK_INT(qp_options_set(options, i, name, &why), ==, QUICPRO_EVALUE);
                CHECK(why == o->help);
                CHECK_INT(qp_options_set(options, i, value != 0 ? "1" : "0", &why), ==,
                          QUICPRO_EVALUE);
                CHECK_STR(qp_options_get(options, i, got, sizeof(got)), o->default_value);
                continue;
            }
            CHECK_INT(qp_options_set(options, i, value != 0 ? "1" : "0", &why), ==, 0);
            CHECK_STR(qp_options_get(options, i, got, sizeof(got)), name);
        }
        break;
    case QUICPRO_OPTION_CHOICE:
        CHECK_INT(qp_options_set(options, i, o->choices, &why), ==, QUICPRO_EVALUE);
        CHECK_STR(why, "not one of the words");
        CHECK_INT(qp_options_set(options, i, "|", &why), ==, QUICPRO_EVALUE);
        for (const char *word = o->choices; word != NULL;) {
            snprintf(text, sizeof(text), "%.*s", (int)strcspn(word, "|"), word);
            CHECK_INT(qp_options_set(options, i, text, &why), ==, 0);
            CHECK_STR(qp_options_get(options, i, got, sizeof(got)), text);
            word = strchr(word, '|');
            word += word != NULL;
        }
        break;
    case QUICPRO_OPTION_LIST:
        CHECK_INT(qp_options_set(options, i, ",", &why), ==, QUICPRO_EVALUE);
        CHECK_STR(why, "a list with an empty word");
        CHECK_INT(qp_options_set(options, i, "a,,b", &why), ==, QUICPRO_EVALUE);
        CHECK_INT(qp_options_set(options, i, "a,", &why), ==, QUICPRO_EVALUE);
        CHECK_INT(qp_options_set(options, i, ",a", &why), ==, QUICPRO_EVALUE);
        CHECK_INT(qp_options_set(options, i, "a,b c", &why), ==, 0);
        CHECK_STR(qp_options_get(options, i, got, sizeof(got)), "a,b c");
        CHECK_INT(qp_options_set(options, i, "", &why), ==, 0);
        return;
    case QUICPRO_OPTION_BYTES:
        CHECK_INT(qp_options_set(options, i, "se\xff", &why), ==, 0);
        CHECK_STR(qp_options_get(options, i, got, sizeof(got)), "(3 bytes)");
        CHECK(qp_options_same(options, i, "se\xff") && qp_options_same(options, i, "(3 bytes)"));
        CHECK(!qp_options_same(options, i, "se") && !qp_options_same(options, i, "(2 bytes)"));
        CHECK_INT(qp_options_set(options, i, "(3 bytes)", &why), ==, 0); /* as they are */
        CHECK(qp_options_same_bytes(options, i, "se\xff", 3));
        CHECK_INT(qp_options_set(options, i, "(2 bytes)", &why), ==, QUICPRO_EVALUE);
        CHECK_INT(qp_options_set_bytes(options, i, "\0\0", 2), ==, 0);
        CHECK_STR(qp_options_get(options, i, got, sizeof(got)), "(2 bytes)");
        CHECK(qp_options_same_bytes(options, i, "\0\0", 2));
        CHECK(!qp_options_same_bytes(options, i, "\0\1", 2));
        CHECK_INT(qp_options_set_bytes(options, i, NULL, 0), ==, 0);
        CHECK(qp_options_same(options, i, ""));
        return;
    case QUICPRO_OPTION_STRING:
        CHECK_INT(qp_options_set(options, i, "/a b/\xc3\xa4.pem", &why), ==, 0);
        CHECK_STR(qp_options_get(options, i, got, sizeof(got)), "/a b/\xc3\xa4.pem");
        CHECK(!qp_options_same(options, i, "/a"));
        return;
    }
    for (size_t j = 0; j < COUNTOF(words); j++)
        CHECK_INT(qp_options_set(options, i, words[j], &why), ==, QUICPRO_EVALUE);
    CHECK_INT(qp_options_set(options, i, "", &why), ==, QUICPRO_EVALUE);
}

static void test_each_row_checks_its_values(void)
{
    struct qp_options options;
    if (!CHECK_INT(qp_options_init(&options), ==, 0))
        return;
    for (size_t i = 0; quicpro_option_at(i) != NULL; i++)
        check_row(&options, i);
    qp_options_done(&options);
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
    quicpro_config_set_bytes(config, "key_data", "a\0b", 3);
    CHECK_INT(qp_options_clone(&defaults, &options), ==, 0);
    CHECK_STR(defaults.alpn, "h3,hq");
    CHECK(defaults.key_data.data == NULL);
    qp_options_done(&defaults);
    qp_options_done(&options);
    CHECK_INT(qp_options_copy(&options, config), ==, 0);
    quicpro_config_set(config, "alpn", "other");
    quicpro_config_set_bytes(config, "key_data", NULL, 0);
    quicpro_config_free(config);
    if (CHECK_U64(options.key_data.len, ==, 3))
        CHECK_MEM(options.key_data.data, "a\0b", 4); /* and a NUL behind them */
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
    struct qp_options options = {0};
    const char *why;
    if (!OOM_POSSIBLE) {
        check_skip("the allocator cannot be replaced here");
        return;
    }
    int r = QUICPRO_ENOMEM;
    long allowed = 0;
    for (; r < 0 && allowed < 1000; allowed++) {
        oom_after(allowed);
        r = qp_options_init(&options);
        oom_off();
        CHECK(r == 0 || r == QUICPRO_ENOMEM);
    }
    CHECK(r == 0 && allowed > 2);
    oom_after(0);
    r = qp_options_set(&options, (size_t)qp_option_row("alpn"), "x", &why);
    oom_off();
    CHECK_INT(r, ==, QUICPRO_ENOMEM);
    CHECK_STR(options.alpn, "h3");
    qp_options_done(&options);
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_table_is_whole),
        TEST(test_old_names_lead_to_keys),
        TEST(test_nearest),
        TEST(test_each_row_checks_its_values),
        TEST(test_copy_is_independent),
        TEST(test_out_of_memory),
    };
    return RUN(tests);
}
