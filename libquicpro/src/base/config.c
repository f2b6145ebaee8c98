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

/* What a refusal is about, and where its sentence goes. */
struct refusal {
    const quicpro_option *option;
    const char *value;
    char *error;
    size_t size;
};

static int refuse_key(const struct refusal *refusal, const char *key)
{
    char shown[KEY_SHOWN];
    qp_escape(shown, sizeof(shown), key, strlen(key));
    snprintf(refusal->error, refusal->size, "unknown option \"%s\"; the nearest is \"%s\"", shown,
             quicpro_option_nearest(key)->key);
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
    case QUICPRO_OPTION_BYTES:
        snprintf(out, size, "the bytes themselves");
        break;
    default:
        snprintf(out, size, "0, 1, true or false");
        break;
    }
}

static int refuse_value(const struct refusal *refusal, const char *why)
{
    const quicpro_option *option = refusal->option;
    char shown[VALUE_SHOWN], range[RANGE_SHOWN];
    qp_escape(shown, sizeof(shown), refusal->value, strlen(refusal->value));
    if (why == option->help) {
        snprintf(refusal->error, refusal->size, "option \"%s\": \"%s\" is refused: %s", option->key,
                 shown, why);
        return QUICPRO_EVALUE;
    }
    write_range(range, sizeof(range), option);
    snprintf(refusal->error, refusal->size, "option \"%s\": \"%s\" is %s: %s", option->key, shown,
             why, range);
    return QUICPRO_EVALUE;
}

static int refuse_change(const struct refusal *refusal, const char *now)
{
    char shown[VALUE_SHOWN], kept[VALUE_SHOWN];
    if (refusal->option->type == QUICPRO_OPTION_BYTES) {
        snprintf(refusal->error, refusal->size,
                 "option \"%s\": the configuration is locked; it stays as it is",
                 refusal->option->key);
        return QUICPRO_EPOLICY;
    }
    qp_escape(shown, sizeof(shown), refusal->value, strlen(refusal->value));
    qp_escape(kept, sizeof(kept), now, strlen(now));
    snprintf(refusal->error, refusal->size,
             "option \"%s\": the configuration is locked; it stays \"%s\" and cannot be \"%s\"",
             refusal->option->key, kept, shown);
    return QUICPRO_EPOLICY;
}

static int refuse_frozen(const struct refusal *refusal)
{
    snprintf(refusal->error, refusal->size,
             "option \"%s\" is fixed when a loop, server or client is made", refusal->option->key);
    return QUICPRO_ESTATE;
}

int qp_options_change(struct qp_options *options, const char *key, const char *value, bool running,
                      char *error, size_t size)
{
    struct refusal refusal = {.value = value, .error = error, .size = size};
    const char *why = "";
    char text[32];
    int row = qp_option_row(key);
    if (row < 0)
        return refuse_key(&refusal, key);
    refusal.option = quicpro_option_at((size_t)row);
    if (running && !refusal.option->live)
        return refuse_frozen(&refusal);
    if (!options->security_allow_config_override) {
        if (qp_options_same(options, (size_t)row, value))
            return 0;
        return refuse_change(&refusal, qp_options_get(options, (size_t)row, text, sizeof(text)));
    }
    int r = qp_options_set(options, (size_t)row, value, &why);
    return r == QUICPRO_EVALUE ? refuse_value(&refusal, why) : r;
}

int quicpro_config_set(quicpro_config *config, const char *key, const char *value)
{
    if (config == NULL || key == NULL || value == NULL)
        return QUICPRO_EINVAL;
    return qp_options_change(&config->options, key, value, false, config->error,
                             sizeof(config->error));
}

int quicpro_config_set_bytes(quicpro_config *config, const char *key, const void *data, size_t len)
{
    if (config == NULL || key == NULL || (data == NULL && len != 0))
        return QUICPRO_EINVAL;
    struct refusal refusal = {.value = "", .error = config->error, .size = sizeof(config->error)};
    int row = qp_option_row(key);
    if (row < 0)
        return refuse_key(&refusal, key);
    refusal.option = quicpro_option_at((size_t)row);
    if (refusal.option->type != QUICPRO_OPTION_BYTES) {
        snprintf(refusal.error, refusal.size, "option \"%s\" is not one of bytes",
                 refusal.option->key);
        return QUICPRO_EVALUE;
    }
    if (config->options.security_allow_config_override)
        return qp_options_set_bytes(&config->options, (size_t)row, data, len);
    if (qp_options_same_bytes(&config->options, (size_t)row, data, len))
        return 0;
    return refuse_change(&refusal, "");
}

int quicpro_config_set_qlog(quicpro_config *config, quicpro_qlog_fn *fn, void *user)
{
    if (config == NULL)
        return QUICPRO_EINVAL;
    if (!config->options.security_allow_config_override) {
        snprintf(config->error, sizeof(config->error),
                 "the configuration is locked; the function for qlogs stays as it is");
        return QUICPRO_EPOLICY;
    }
    config->options.qlog_fn = fn;
    config->options.qlog_user = user;
    return 0;
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
