/* The option table at work. Rows are in the order of QP_OPTION_MAP; row i of `place` says where the
 * value of row i of `table` lives. Nothing is stored before it was checked. */
#include "base/options.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNTOF(array) (sizeof(array) / sizeof((array)[0]))

enum { FROZEN, LIVE };

#define TAIL(group, change, status) #group, change, QUICPRO_OPTION_##status

static const quicpro_option table[] = {
#define ROW_U(key, group, unit, min, max, def, change, help)                                       \
    {#key, QUICPRO_OPTION_UINT, unit, min, max, #def, NULL, help, TAIL(group, change, HONOURED)},
#define ROW_B(key, group, def, change, help)                                                       \
    {#key, QUICPRO_OPTION_BOOL, "", 0, 0, #def, NULL, help, TAIL(group, change, HONOURED)},
#define ROW_S(key, group, def, change, help)                                                       \
    {#key, QUICPRO_OPTION_STRING, "", 0, 0, def, NULL, help, TAIL(group, change, HONOURED)},
#define ROW_L(key, group, def, change, help)                                                       \
    {#key, QUICPRO_OPTION_LIST, "", 0, 0, def, NULL, help, TAIL(group, change, HONOURED)},
#define ROW_C(key, group, choices, def, change, help)                                              \
    {#key, QUICPRO_OPTION_CHOICE, "", 0, 0, def, choices, help, TAIL(group, change, HONOURED)},
#define ROW_N(key, group, unit, min, max, def, help)                                               \
    {#key, QUICPRO_OPTION_UINT, unit, min, max, #def, NULL, help, TAIL(group, FROZEN, NO_EFFECT)},
#define ROW_R(key, group, only, why)                                                               \
    {#key, QUICPRO_OPTION_BOOL, "", 0, 0, #only, NULL, why, TAIL(group, FROZEN, REFUSED)},
#define ROW_D(key, group, help)                                                                    \
    {#key, QUICPRO_OPTION_BYTES, "", 0, 0, "", NULL, help, TAIL(group, FROZEN, HONOURED)},
    QP_OPTION_MAP(ROW_U, ROW_B, ROW_S, ROW_L, ROW_C, ROW_N, ROW_R, ROW_D)};

static const size_t place[] = {
#define PLACE_U(key, group, unit, min, max, def, change, help) offsetof(struct qp_options, key),
#define PLACE_B(key, group, def, change, help) offsetof(struct qp_options, key),
#define PLACE_C(key, group, choices, def, change, help) offsetof(struct qp_options, key),
#define PLACE_N(key, group, unit, min, max, def, help) offsetof(struct qp_options, key),
#define PLACE_R(key, group, only, why) SIZE_MAX,
#define PLACE_D(key, group, help) offsetof(struct qp_options, key),
    QP_OPTION_MAP(PLACE_U, PLACE_B, PLACE_B, PLACE_B, PLACE_C, PLACE_N, PLACE_R, PLACE_D)};

_Static_assert(COUNTOF(table) == COUNTOF(place), "one place for each row");

static const struct {
    const char *old, *key;
} aliases[] = {
#define ROW_ALIAS(old, key) {#old, #key},
    QP_OPTION_ALIAS_MAP(ROW_ALIAS)};

const quicpro_option *quicpro_option_at(size_t index)
{
    return index < COUNTOF(table) ? &table[index] : NULL;
}

static int row_of_key(const char *key)
{
    for (size_t i = 0; i < COUNTOF(table); i++)
        if (strcmp(table[i].key, key) == 0)
            return (int)i;
    return -1;
}

int qp_option_row(const char *name)
{
    int row = row_of_key(name);
    for (size_t i = 0; row < 0 && i < COUNTOF(aliases); i++)
        if (strcmp(aliases[i].old, name) == 0)
            row = row_of_key(aliases[i].key);
    return row;
}

const quicpro_option *quicpro_option_find(const char *name)
{
    int row = name == NULL ? -1 : qp_option_row(name);
    return row < 0 ? NULL : &table[row];
}

const char *quicpro_option_old_name(const quicpro_option *option, size_t index)
{
    for (size_t i = 0; option != NULL && i < COUNTOF(aliases); i++)
        if (strcmp(aliases[i].key, option->key) == 0 && index-- == 0)
            return aliases[i].old;
    return NULL;
}

enum { KEY_MAX = 48 };

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

/* How far a name is from a key: what was left out at its end is a single slip. */
static size_t slips(const char *name, const char *key)
{
    size_t len = strlen(name);
    return len >= 3 && strncmp(name, key, len) == 0 && key[len] != '\0' ? 1 : distance(name, key);
}

const quicpro_option *quicpro_option_nearest(const char *name)
{
    size_t best = 0, best_distance = SIZE_MAX;
    for (size_t i = 0; name != NULL && i < COUNTOF(table); i++) {
        size_t d = slips(name, table[i].key);
        if (d < best_distance) {
            best = i;
            best_distance = d;
        }
    }
    return &table[best];
}

/* A text, understood: the value of a row's type. */
union value {
    bool b;
    uint64_t u;
    unsigned word;
    const char *text;
};

static bool is_text(enum quicpro_option_type type)
{
    return type == QUICPRO_OPTION_STRING || type == QUICPRO_OPTION_LIST;
}

static void *value_of(const struct qp_options *options, size_t row)
{
    return (char *)options + place[row];
}

/* These check a text and return what to say about a bad one, or NULL. */

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

static const char *parse_list(const char *text)
{
    if (*text == '\0')
        return NULL;
    for (;; text++) {
        size_t n = strcspn(text, ",");
        if (n == 0)
            return "a list with an empty word";
        text += n;
        if (*text == '\0')
            return NULL;
    }
}

/* What qp_options_get() says of bytes. */
static void describe(char *out, size_t size, const struct qp_bytes *bytes)
{
    if (bytes->len == 0)
        out[0] = '\0';
    else
        snprintf(out, size, "(%zu bytes)", bytes->len);
}

/* It is no value itself: what was meant would be lost without a word. */
static const char *parse_bytes(const char *text)
{
    size_t digits = text[0] != '(' ? 0 : strspn(text + 1, "0123456789");
    return digits != 0 && strcmp(text + 1 + digits, " bytes)") == 0
               ? "only what is said of bytes, not these"
               : NULL;
}

static const char *parse(size_t row, const char *text, union value *ret)
{
    const quicpro_option *option = &table[row];
    const char *why = NULL;
    switch (option->type) {
    case QUICPRO_OPTION_BOOL:
        why = parse_bool(text, &ret->b);
        if (why == NULL && option->status == QUICPRO_OPTION_REFUSED &&
            ret->b != (option->default_value[0] == 't'))
            why = option->help;
        break;
    case QUICPRO_OPTION_UINT:
        why = parse_uint(text, option->min, option->max, &ret->u);
        break;
    case QUICPRO_OPTION_CHOICE:
        why = parse_choice(text, option->choices, &ret->word);
        break;
    case QUICPRO_OPTION_LIST:
        why = parse_list(text);
        ret->text = text;
        break;
    case QUICPRO_OPTION_BYTES:
        why = parse_bytes(text);
        ret->text = text;
        break;
    case QUICPRO_OPTION_STRING:
        ret->text = text;
        break;
    }
    return why;
}

static void forget(struct qp_bytes *bytes)
{
    if (bytes->data != NULL)
        explicit_bzero(bytes->data, bytes->len);
    free(bytes->data);
    *bytes = (struct qp_bytes){0};
}

static int copy_bytes(struct qp_bytes *ret, const void *data, size_t len)
{
    struct qp_bytes made = {len == 0 ? NULL : malloc(len + 1), len};
    if (len != 0) {
        if (made.data == NULL)
            return QUICPRO_ENOMEM;
        memcpy(made.data, data, len);
        made.data[len] = '\0';
    }
    *ret = made;
    return 0;
}

int qp_options_set_bytes(struct qp_options *options, size_t row, const void *data, size_t len)
{
    struct qp_bytes made, *at = value_of(options, row);
    int r = copy_bytes(&made, data, len);
    if (r < 0)
        return r;
    forget(at);
    *at = made;
    return 0;
}

bool qp_options_same_bytes(const struct qp_options *options, size_t row, const void *data,
                           size_t len)
{
    const struct qp_bytes *at = value_of(options, row);
    return at->len == len && (len == 0 || memcmp(at->data, data, len) == 0);
}

int qp_options_set(struct qp_options *options, size_t row, const char *text, const char **ret_why)
{
    union value value;
    const char *why = parse(row, text, &value);
    char *copy;
    if (why != NULL && qp_options_same(options, row, text))
        return 0; /* bytes, and that there are so many */
    if (why != NULL) {
        *ret_why = why;
        return QUICPRO_EVALUE;
    }
    if (table[row].status == QUICPRO_OPTION_REFUSED)
        return 0; /* the only value it can have */
    void *at = value_of(options, row);
    switch (table[row].type) {
    case QUICPRO_OPTION_BOOL:
        *(bool *)at = value.b;
        break;
    case QUICPRO_OPTION_UINT:
        *(uint64_t *)at = value.u;
        break;
    case QUICPRO_OPTION_CHOICE:
        *(unsigned *)at = value.word;
        break;
    case QUICPRO_OPTION_LIST:
    case QUICPRO_OPTION_STRING:
        copy = strdup(text);
        if (copy == NULL)
            return QUICPRO_ENOMEM;
        free(*(char **)at);
        *(char **)at = copy;
        break;
    case QUICPRO_OPTION_BYTES:
        return qp_options_set_bytes(options, row, text, strlen(text));
    }
    return 0;
}

bool qp_options_same(const struct qp_options *options, size_t row, const char *text)
{
    union value value;
    char said[32];
    if (table[row].type == QUICPRO_OPTION_BYTES) {
        describe(said, sizeof(said), value_of(options, row));
        return strcmp(said, text) == 0 || qp_options_same_bytes(options, row, text, strlen(text));
    }
    if (parse(row, text, &value) != NULL)
        return false;
    if (table[row].status == QUICPRO_OPTION_REFUSED)
        return true;
    const void *at = value_of(options, row);
    switch (table[row].type) {
    case QUICPRO_OPTION_BOOL:
        return *(const bool *)at == value.b;
    case QUICPRO_OPTION_UINT:
        return *(const uint64_t *)at == value.u;
    case QUICPRO_OPTION_CHOICE:
        return *(const unsigned *)at == value.word;
    default:
        return strcmp(*(char *const *)at, value.text) == 0;
    }
}

const char *qp_options_get(const struct qp_options *options, size_t row, char *text, size_t size)
{
    const quicpro_option *option = &table[row];
    const char *word = option->choices;
    if (option->status == QUICPRO_OPTION_REFUSED)
        return option->default_value;
    const void *at = value_of(options, row);
    switch (option->type) {
    case QUICPRO_OPTION_BOOL:
        return *(const bool *)at ? "true" : "false";
    case QUICPRO_OPTION_UINT:
        snprintf(text, size, "%llu", (unsigned long long)*(const uint64_t *)at);
        return text;
    case QUICPRO_OPTION_CHOICE:
        for (unsigned i = *(const unsigned *)at; i > 0; i--)
            word += strcspn(word, "|") + 1;
        snprintf(text, size, "%.*s", (int)strcspn(word, "|"), word);
        return text;
    case QUICPRO_OPTION_BYTES:
        describe(text, size, at);
        return text;
    default:
        return *(char *const *)at;
    }
}

void qp_options_done(struct qp_options *options)
{
    for (size_t i = 0; i < COUNTOF(table); i++)
        if (is_text(table[i].type))
            free(*(char **)value_of(options, i));
        else if (table[i].type == QUICPRO_OPTION_BYTES)
            forget(value_of(options, i));
    memset(options, 0, sizeof(*options));
}

int qp_options_init(struct qp_options *options)
{
    const char *why = "";
    memset(options, 0, sizeof(*options));
    for (size_t i = 0; i < COUNTOF(table); i++) {
        int r = qp_options_set(options, i, table[i].default_value, &why);
        assert(r != QUICPRO_EVALUE); /* a default is within its own range */
        if (r < 0) {
            qp_options_done(options);
            return r;
        }
    }
    return 0;
}

/* A copy of its own of what a row points to. */
static int own(struct qp_options *options, const struct qp_options *from, size_t row)
{
    const struct qp_bytes *bytes = value_of(from, row);
    if (table[row].type == QUICPRO_OPTION_BYTES)
        return copy_bytes(value_of(options, row), bytes->data, bytes->len);
    char *copy = strdup(*(char **)value_of(from, row));
    if (copy == NULL)
        return QUICPRO_ENOMEM;
    *(char **)value_of(options, row) = copy;
    return 0;
}

static bool is_pointer(enum quicpro_option_type type)
{
    return is_text(type) || type == QUICPRO_OPTION_BYTES;
}

int qp_options_copy(struct qp_options *options, const struct quicpro_config *config)
{
    return config == NULL ? qp_options_init(options) : qp_options_clone(options, &config->options);
}

int qp_options_clone(struct qp_options *options, const struct qp_options *from)
{
    *options = *from;
    /* First nothing is shared, so that all can be freed when one does not fit. */
    for (size_t i = 0; i < COUNTOF(table); i++)
        if (table[i].type == QUICPRO_OPTION_BYTES)
            *(struct qp_bytes *)value_of(options, i) = (struct qp_bytes){0};
        else if (is_text(table[i].type))
            *(char **)value_of(options, i) = NULL;
    for (size_t i = 0; i < COUNTOF(table); i++)
        if (is_pointer(table[i].type) && own(options, from, i) < 0) {
            qp_options_done(options);
            return QUICPRO_ENOMEM;
        }
    return 0;
}
