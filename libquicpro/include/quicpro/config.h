/* Configuration: a bag of named options, checked when they are set. */
#ifndef QUICPRO_CONFIG_H
#define QUICPRO_CONFIG_H

#include <quicpro/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Options for loops, servers and clients. Copied into what is made from it, so it may be freed or
 *  changed at once afterwards. Not locked: one thread at a time. */
typedef struct quicpro_config quicpro_config;

enum quicpro_option_type {
    QUICPRO_OPTION_BOOL,   /* "0", "1", "true", "false" */
    QUICPRO_OPTION_UINT,   /* decimal, within [min, max] */
    QUICPRO_OPTION_STRING, /* any text; "" means not set */
    QUICPRO_OPTION_CHOICE, /* one of the words in `choices` */
};

/** One row of the option table. All pointers are static. */
typedef struct quicpro_option {
    const char *key;
    enum quicpro_option_type type;
    const char *unit;          /* "bytes", "ms", "" ... */
    uint64_t min, max;         /* UINT only */
    const char *default_value; /* as text */
    const char *choices;       /* CHOICE only: words separated by '|' */
    const char *help;          /* one line */
} quicpro_option;

/** A configuration that holds every option's default.
 *  @param ret  owned by the caller, freed by quicpro_config_free()
 *  @return 0; QUICPRO_ENOMEM
 *  @since 0.1 */
QUICPRO_API int quicpro_config_new(quicpro_config **ret);

/** @param config  may be NULL @since 0.1 */
QUICPRO_API void quicpro_config_free(quicpro_config *config);

/** Sets one option from text.
 *  @param key    a key of the table, such as "max_idle_timeout_ms"; borrowed for the call
 *  @param value  its value as text, in the option's unit; borrowed for the call (copied)
 *  @return 0; QUICPRO_EOPTION: no such key; QUICPRO_EVALUE: not of its type, or out of range. Then
 *          quicpro_config_error() tells key, value, range and the nearest known key.
 *  @since 0.1 */
QUICPRO_API int quicpro_config_set(quicpro_config *config, const char *key, const char *value);

/** Reads one option back as text.
 *  @return the value, owned by config until its next change, or NULL for an unknown key
 *  @since 0.1 */
QUICPRO_API const char *quicpro_config_get(quicpro_config *config, const char *key);

/** What the last failed quicpro_config_set() had to say; "" if none failed.
 *  @return owned by config until its next call
 *  @since 0.1 */
QUICPRO_API const char *quicpro_config_error(const quicpro_config *config);

/** The option table, row by row.
 *  @param index  from 0
 *  @return a static row, or NULL past the end
 *  @since 0.1 */
QUICPRO_API const quicpro_option *quicpro_option_at(size_t index);

#ifdef __cplusplus
}
#endif
#endif
