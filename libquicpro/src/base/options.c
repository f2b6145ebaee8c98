/* The option table at work. Rows are in the order of QP_OPTION_MAP; row i of `place` says where the
 * value of row i of `table` lives. Nothing is stored before it was checked. */
#include "base/options.h"

#include "base/log.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNTOF(array) (sizeof(array) / sizeof((array)[0]))

static const quicpro_option table[] = {
#define ROW_U(key, unit, min, max, def, help)                                                      \
    {#key, QUICPRO_OPTION_UINT, unit, min, max, #def, NULL, help},
#define ROW_B(key, def, help) {#key, QUICPRO_OPTION_BOOL, "", 0, 0, #def, NULL, help},
#define ROW_S(key, def, help) {#key, QUICPRO_OPTION_STRING, "", 0, 0, def, NULL, help},
#define ROW_C(key, choices, def, help) {#key, QUICPRO_OPTION_CHOICE, "", 0, 0, def, choices, help},
    QP_OPTION_MAP(ROW_U, ROW_B, ROW_S, ROW_C)};

static const size_t place[] = {
#define PLACE_U(key, unit, min, max, def, help) offsetof(struct qp_options, key),
#define PLACE_B(key, def, help) offsetof(struct qp_options, key),
#define PLACE_C(key, choices, def, help) offsetof(struct qp_options, key),
    QP_OPTION_MAP(PLACE_U, PLACE_B, PLACE_B, PLACE_C)};

_Static_assert(COUNTOF(table) == COUNTOF(place), "one place for each row");

const quicpro_option *quicpro_option_at(size_t index)
{
    return index < COUNTOF(table) ? &table[index] : NULL;
}

static int find(const char *key)
{
    for (size_t i = 0; i < COUNTOF(table); i++)
        if (strcmp(table[i].key, key) == 0)
            return (int)i;
    return -1;
}

static void *value_of(const struct qp_options *options, size_t row)
{
    return (char *)options + place[row];
}

/* The values of a row's type, checked. They return what to say about a bad one, or NULL. */

static const char *parse_bool(const char *text, bool *ret)
{
    if (strcmp(text, "1") == 0 || strcmp(text, "true") == 0)
        *ret = true;
    else if (strcmp(text, "0") == 0 || strcmp(text, "false") == 0)
        *ret = false;
    else
        return "not a truth value";
    return NULL;
}

static const char *parse_uint(const char *text, uint64_t min, uint64_t max, uint64_t *ret)
{
    uint64_t value = 0;
    if (*text == '\0')
        return "not a decimal number";
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9')
            return "not a decimal number";
        uint64_t digit = (uint64_t)(*text - '0');
        if (value > (UINT64_MAX - digit) / 10)
            return "out of range";
        value = value * 10 + digit;
    }
    if (value < min || value > max)
        return "out of range";
    *ret = value;
    return NULL;
}

static const char *parse_choice(const char *text, const char *choices, unsigned *ret)
{
    size_t len = strlen(text);
    unsigned word = 0;
    for (const char *at = choices;; word++) {
        size_t n = strcspn(at, "|");
        if (n == len && memcmp(at, text, n) == 0) {
            *ret = word;
            return NULL;
        }
        if (at[n] == '\0')
            return "not one of the words";
        at += n + 1;
    }
}

/* 0, with the value stored; QUICPRO_ENOMEM; QUICPRO_EVALUE and what is wrong with it. */
static int store(struct qp_options *options, size_t row, const char *text, const char **ret_why)
{
    const quicpro_option *option = &table[row];
    void *value = value_of(options, row);
    const char *why = NULL;
    char *copy;
    switch (option->type) {
    case QUICPRO_OPTION_BOOL:
        why = parse_bool(text, value);
        break;
    case QUICPRO_OPTION_UINT:
        why = parse_uint(text, option->min, option->max, value);
        break;
    case QUICPRO_OPTION_CHOICE:
        why = parse_choice(text, option->choices, value);
        break;
    case QUICPRO_OPTION_STRING:
        copy = strdup(text);
        if (copy == NULL)
            return QUICPRO_ENOMEM;
        free(*(char **)value);
        *(char **)value = copy;
        break;
    }
    if (why == NULL)
        return 0;
    *ret_why = why;
    return QUICPRO_EVALUE;
}

void qp_options_done(struct qp_options *options)
{
    for (size_t i = 0; i < COUNTOF(table); i++)
        if (table[i].type == QUICPRO_OPTION_STRING)
            free(*(char **)value_of(options, i));
    memset(options, 0, sizeof(*options));
}

int qp_options_init(struct qp_options *options)
{
    const char *why = "";
    memset(options, 0, sizeof(*options));
    for (size_t i = 0; i < COUNTOF(table); i++) {
        int r = store(options, i, table[i].default_value, &why);
        assert(r != QUICPRO_EVALUE); /* a default is within its own range */
        if (r < 0) {
            qp_options_done(options);
            return r;
        }
    }
    return 0;
}

int qp_options_copy(struct qp_options *options, const struct quicpro_config *config)
{
    if (config == NULL)
        return qp_options_init(options);
    *options = config->options;
    /* First no string is shared, so that all can be freed when one does not fit. */
    for (size_t i = 0; i < COUNTOF(table); i++)
        if (table[i].type == QUICPRO_OPTION_STRING)
            *(char **)value_of(options, i) = NULL;
    for (size_t i = 0; i < COUNTOF(table); i++) {
        if (table[i].type != QUICPRO_OPTION_STRING)
            continue;
        char *copy = strdup(*(char **)value_of(&config->options, i));
        if (copy == NULL) {
            qp_options_done(options);
            return QUICPRO_ENOMEM;
        }
        *(char **)value_of(options, i) = copy;
    }
    return 0;
}

int quicpro_config_new(quicpro_config **ret)
{
    if (ret == NULL)
        return QUICPRO_EINVAL;
    quicpro_config *config = calloc(1, sizeof(*config));
    int r = config == NULL ? QUICPRO_ENOMEM : qp_options_init(&config->options);
    if (r < 0) {
        free(config);
        return r;
    }
    *ret = config;
    return 0;
}

void quicpro_config_free(quicpro_config *config)
{
    if (config == NULL)
        return;
    qp_options_done(&config->options);
    free(config);
}

enum { KEY_MAX = 48, KEY_SHOWN = 64, VALUE_SHOWN = 96 };

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Edit distance (Levenshtein) of the first KEY_MAX bytes. */
static size_t distance(const char *a, const char *b)
{
    size_t row[KEY_MAX + 1];
    size_t a_len = least(strlen(a), KEY_MAX), b_len = least(strlen(b), KEY_MAX);
    for (size_t j = 0; j <= b_len; j++)
        row[j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t above = row[j];
            size_t change = diagonal + (a[i - 1] != b[j - 1]);
            row[j] = least(change, 1 + least(above, row[j - 1]));
            diagonal = above;
        }
    }
    return row[b_len];
}

static const char *nearest(const char *key)
{
    size_t best = 0, best_distance = SIZE_MAX;
    for (size_t i = 0; i < COUNTOF(table); i++) {
        size_t d = distance(key, table[i].key);
        if (d < best_distance) {
            best = i;
            best_distance = d;
        }
    }
    return table[best].key;
}

static int refuse_key(quicpro_config *config, const char *key)
{
    char shown[KEY_SHOWN];
    qp_escape(shown, sizeof(shown), key, strlen(key));
    snprintf(config->error, sizeof(config->error), "unknown option \"%s\"; the nearest is \"%s\"",
             shown, nearest(key));
    return QUICPRO_EOPTION;
}

static int refuse_value(quicpro_config *config, const quicpro_option *option, const char *value,
                        const char *why)
{
    char shown[VALUE_SHOWN], range[96];
    qp_escape(shown, sizeof(shown), value, strlen(value));
    switch (option->type) {
    case QUICPRO_OPTION_UINT:
        snprintf(range, sizeof(range), "%llu to %llu %s", (unsigned long long)option->min,
                 (unsigned long long)option->max, option->unit);
        break;
    case QUICPRO_OPTION_CHOICE:
        snprintf(range, sizeof(range), "%s", option->choices);
        break;
    default:
        snprintf(range, sizeof(range), "0, 1, true or false");
        break;
    }
    snprintf(config->error, sizeof(config->error), "option \"%s\": \"%s\" is %s: %s", option->key,
             shown, why, range);
    return QUICPRO_EVALUE;
}

int quicpro_config_set(quicpro_config *config, const char *key, const char *value)
{
    const char *why = "";
    if (config == NULL || key == NULL || value == NULL)
        return QUICPRO_EINVAL;
    int row = find(key);
    if (row < 0)
        return refuse_key(config, key);
    int r = store(&config->options, (size_t)row, value, &why);
    if (r == QUICPRO_EVALUE)
        return refuse_value(config, &table[row], value, why);
    return r;
}

const char *quicpro_config_get(quicpro_config *config, const char *key)
{
    int row = config == NULL || key == NULL ? -1 : find(key);
    if (row < 0)
        return NULL;
    const void *value = value_of(&config->options, (size_t)row);
    const char *word;
    switch (table[row].type) {
    case QUICPRO_OPTION_BOOL:
        return *(const bool *)value ? "true" : "false";
    case QUICPRO_OPTION_STRING:
        return *(char *const *)value;
    case QUICPRO_OPTION_CHOICE:
        word = table[row].choices;
        for (unsigned i = *(const unsigned *)value; i > 0; i--)
            word += strcspn(word, "|") + 1;
        snprintf(config->text, sizeof(config->text), "%.*s", (int)strcspn(word, "|"), word);
        return config->text;
    case QUICPRO_OPTION_UINT:
        break;
    }
    snprintf(config->text, sizeof(config->text), "%llu",
             (unsigned long long)*(const uint64_t *)value);
    return config->text;
}

const char *quicpro_config_error(const quicpro_config *config)
{
    return config == NULL ? "" : config->error;
}
