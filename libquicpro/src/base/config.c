/* The configuration that users hold: options set by name, and a sentence about what was wrong. */
#include "base/options.h"

#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

enum { KEY_SHOWN = 64, VALUE_SHOWN = 96, RANGE_SHOWN = 192 };

static int refuse_key(quicpro_config *config, const char *key)
{
    char shown[KEY_SHOWN];
    qp_escape(shown, sizeof(shown), key, strlen(key));
    snprintf(config->error, sizeof(config->error), "unknown option \"%s\"; the nearest is \"%s\"",
             shown, quicpro_option_nearest(key)->key);
    return QUICPRO_EOPTION;
}

static void write_range(char *out, size_t size, const quicpro_option *option)
{
    switch (option->type) {
    case QUICPRO_OPTION_UINT:
        snprintf(out, size, "%llu to %llu %s", (unsigned long long)option->min,
                 (unsigned long long)option->max, option->unit);
        break;
    case QUICPRO_OPTION_CHOICE:
        snprintf(out, size, "%s", option->choices);
        break;
    case QUICPRO_OPTION_LIST:
        snprintf(out, size, "words separated by commas");
        break;
    default:
        snprintf(out, size, "0, 1, true or false");
        break;
    }
}

static int refuse_value(quicpro_config *config, const quicpro_option *option, const char *value,
                        const char *why)
{
    char shown[VALUE_SHOWN], range[RANGE_SHOWN];
    qp_escape(shown, sizeof(shown), value, strlen(value));
    if (why == option->help) {
        snprintf(config->error, sizeof(config->error), "option \"%s\": \"%s\" is refused: %s",
                 option->key, shown, why);
        return QUICPRO_EVALUE;
    }
    write_range(range, sizeof(range), option);
    snprintf(config->error, sizeof(config->error), "option \"%s\": \"%s\" is %s: %s", option->key,
             shown, why, range);
    return QUICPRO_EVALUE;
}

static int refuse_change(quicpro_config *config, const quicpro_option *option, const char *value)
{
    char shown[VALUE_SHOWN], text[sizeof(config->text)], kept[VALUE_SHOWN];
    const char *now =
        qp_options_get(&config->options, (size_t)qp_option_row(option->key), text, sizeof(text));
    qp_escape(shown, sizeof(shown), value, strlen(value));
    qp_escape(kept, sizeof(kept), now, strlen(now));
    snprintf(config->error, sizeof(config->error),
             "option \"%s\": the configuration is locked; it stays \"%s\" and cannot be \"%s\"",
             option->key, kept, shown);
    return QUICPRO_EPOLICY;
}

int quicpro_config_set(quicpro_config *config, const char *key, const char *value)
{
    const char *why = "";
    if (config == NULL || key == NULL || value == NULL)
        return QUICPRO_EINVAL;
    int row = qp_option_row(key);
    if (row < 0)
        return refuse_key(config, key);
    const quicpro_option *option = quicpro_option_at((size_t)row);
    const bool locked = !config->options.security_allow_config_override;
    if (locked && qp_options_same(&config->options, (size_t)row, value))
        return 0;
    if (locked)
        return refuse_change(config, option, value);
    int r = qp_options_set(&config->options, (size_t)row, value, &why);
    if (r == QUICPRO_EVALUE)
        return refuse_value(config, option, value, why);
    return r;
}

const char *quicpro_config_get(quicpro_config *config, const char *key)
{
    int row = config == NULL || key == NULL ? -1 : qp_option_row(key);
    if (row < 0)
        return NULL;
    return qp_options_get(&config->options, (size_t)row, config->text, sizeof(config->text));
}

const char *quicpro_config_error(const quicpro_config *config)
{
    return config == NULL ? "" : config->error;
}
