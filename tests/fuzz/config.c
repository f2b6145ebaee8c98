/* Options by name and text, as files, variables and arguments hand them over.
 *
 * Oracle: whatever is accepted reads back as a text that is accepted again and reads back the same,
 * and a copy of it reads the same; whatever is refused changed nothing and says why in printable
 * characters; a locked configuration never changes.
 *
 * An input is lines of KEY=VALUE; a key "@" with one more byte is the row of that number, so that
 * mutations find all of them. At most LINES_MAX lines count: what is wrong is so in a few.
 */
#include <quicpro.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/options.h"

enum { TEXT_MAX = 4096, LINES_MAX = 128 };

static size_t rows;

static void require(bool ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "oracle: %s\n", what);
        abort();
    }
}

/* Every value, one behind the other, each with its NUL. */
struct snapshot {
    size_t len;
    char text[1 << 18];
};

static void take(struct snapshot *s, const struct qp_options *options)
{
    char text[32];
    s->len = 0;
    for (size_t i = 0; i < rows; i++) {
        const char *value = qp_options_get(options, i, text, sizeof(text));
        size_t n = strlen(value) + 1;
        require(n <= sizeof(s->text) - s->len, "a snapshot needs more room");
        memcpy(s->text + s->len, value, n);
        s->len += n;
    }
}

static void require_same(const struct qp_options *options, const struct snapshot *before,
                         const char *what)
{
    static struct snapshot now;
    take(&now, options);
    require(now.len == before->len && memcmp(now.text, before->text, now.len) == 0, what);
}

static void check_error(const quicpro_config *config)
{
    const char *error = quicpro_config_error(config);
    require(error[0] != '\0', "refuses without a word");
    for (; *error != '\0'; error++)
        require(*error >= 0x20 && *error < 0x7f, "says what is not printable");
}

static void check_accepted(quicpro_config *config, const char *key)
{
    const quicpro_option *option = quicpro_option_find(key);
    const char *got = quicpro_config_get(config, key);
    require(option != NULL && got != NULL, "accepts a key that it does not know");
    char *first = strdup(got);
    require(first != NULL, "out of memory");
    require(strcmp(quicpro_config_get(config, option->key), first) == 0,
            "an old name reads something else");
    require(quicpro_config_set(config, key, first) == 0, "does not take back what it gave");
    require(strcmp(quicpro_config_get(config, key), first) == 0, "reads back something else");
    if (option->status == QUICPRO_OPTION_REFUSED)
        require(strcmp(first, option->default_value) == 0, "took what it has to refuse");
    free(first);
}

static void set(quicpro_config *config, const char *key, const char *value)
{
    const struct qp_options *options = &config->options;
    const bool locked = !options->security_allow_config_override;
    static struct snapshot before;
    take(&before, options);
    int r = quicpro_config_set(config, key, value);
    switch (r) {
    case 0:
        if (locked)
            require_same(options, &before, "changes although it is locked");
        check_accepted(config, key);
        break;
    case QUICPRO_EPOLICY:
        require(locked, "is locked without being told");
        /* fallthrough */
    case QUICPRO_EVALUE:
    case QUICPRO_EOPTION:
        require((r == QUICPRO_EOPTION) == (quicpro_config_get(config, key) == NULL),
                "an unknown key can be read");
        require_same(options, &before, "changes although it refuses");
        check_error(config);
        break;
    default:
        require(false, "returns what its manual does not say");
    }
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    while (quicpro_option_at(rows) != NULL)
        rows++;
    return 0;
}

static void set_line(quicpro_config *config, const uint8_t *line, size_t len)
{
    char key[TEXT_MAX], *value;
    if (len >= sizeof(key))
        len = sizeof(key) - 1;
    memcpy(key, line, len);
    key[len] = '\0';
    value = memchr(key, '=', len);
    if (value == NULL)
        value = key + len;
    else
        *value++ = '\0';
    if (key[0] == '@' && key[1] != '\0')
        set(config, quicpro_option_at((uint8_t)key[1] % rows)->key, value);
    else
        set(config, key, value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    quicpro_config *config;
    struct qp_options copy;
    require(quicpro_config_new(&config) == 0, "no configuration");
    for (int lines = 0; size > 0 && lines < LINES_MAX; lines++) {
        const uint8_t *end = memchr(data, '\n', size);
        size_t len = end == NULL ? size : (size_t)(end - data);
        set_line(config, data, len);
        len += end != NULL;
        data += len;
        size -= len;
    }
    static struct snapshot all;
    take(&all, &config->options);
    require(qp_options_copy(&copy, config) == 0, "no copy");
    quicpro_config_free(config);
    require_same(&copy, &all, "a copy differs");
    qp_options_done(&copy);
    return 0;
}
