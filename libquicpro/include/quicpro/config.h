/* Configuration: a bag of named options, checked when they are set. */
#ifndef QUICPRO_CONFIG_H
#define QUICPRO_CONFIG_H

#include <quicpro/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Options for loops, servers and clients. Copied into what is made from it, so it may be freed or
 *  changed at once afterwards. One thread at a time; may cross fork(). */
typedef struct quicpro_config quicpro_config;

enum quicpro_option_type {
    QUICPRO_OPTION_BOOL,   /* "0", "1", "true", "false" */
    QUICPRO_OPTION_UINT,   /* decimal, within [min, max] */
    QUICPRO_OPTION_STRING, /* any text; "" means not set */
    QUICPRO_OPTION_CHOICE, /* one of the words in `choices` */
    QUICPRO_OPTION_LIST,   /* words separated by commas, none of them empty; "" means none */
    QUICPRO_OPTION_BYTES,  /* any bytes, such as a key; read back only as "(N bytes)" */
};

enum quicpro_option_status {
    QUICPRO_OPTION_HONOURED,
    QUICPRO_OPTION_NO_EFFECT, /* checked and kept, but nothing listens to it: `help` says why */
    QUICPRO_OPTION_REFUSED,   /* BOOL: only its default is accepted: `help` says why */
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
    const char *group;         /* "tls", "quic" ...: what it belongs to */
    int live;                  /* 1: may be set on what is running; 0: copied when that is made */
    enum quicpro_option_status status;
} quicpro_option;

/** A configuration that holds every option's default.
 *  @param ret  owned by the caller, freed by quicpro_config_free()
 *  @return 0; QUICPRO_ENOMEM
 *  @since 0.1 */
QUICPRO_API int quicpro_config_new(quicpro_config **ret);

/** @param config  may be NULL @since 0.1 */
QUICPRO_API void quicpro_config_free(quicpro_config *config);

/** Sets one option from text.
 *  Once "security_allow_config_override" is false, nothing can be changed any more, not even that.
 *  @param key    a key of the table, such as "max_idle_timeout_ms", or an old name of one; borrowed
 *                for the call
 *  @param value  its value as text, in the option's unit; borrowed for the call (copied)
 *  @return 0; QUICPRO_EOPTION: no such key; QUICPRO_EVALUE: not of its type, out of range, or
 *          refused; QUICPRO_EPOLICY: config is locked and has another value; QUICPRO_EINVAL: an
 *          argument is NULL; QUICPRO_ENOMEM. After the first three quicpro_config_error() tells
 * key, value, range and the nearest known key. Whatever failed changed nothing.
 *  @since 0.1 */
QUICPRO_API int quicpro_config_set(quicpro_config *config, const char *key, const char *value);

/** Sets an option of bytes, such as "cert_data" or "key_passphrase".
 *  @param key   a key of the table whose type is QUICPRO_OPTION_BYTES; borrowed for the call
 *  @param data  borrowed for the call (copied; the copies are zeroed before they are freed); may be
 *               NULL with len 0
 *  @param len   bytes; 0: not set
 *  @return 0; QUICPRO_EOPTION, QUICPRO_EPOLICY, QUICPRO_EINVAL, QUICPRO_ENOMEM as
 *          quicpro_config_set(); QUICPRO_EVALUE: the option is not one of bytes
 *  @since 0.1 */
QUICPRO_API int quicpro_config_set_bytes(quicpro_config *config, const char *key, const void *data,
                                         size_t len);

/** Takes the qlogs of connections, as they come: whole records (JSON text sequences, RFC 7464),
 *  handed over at the end of each flush that made some. Of each connection the first record is the
 *  one about the file. Must not call back into the library.
 *  @param user  as set with the function
 *  @param conn  whose they are; of an attempt that nobody was told of, a handle not seen elsewhere
 *  @param name  what a file of them would be called, without ".sqlog", such as
 *               "8394c8f03e515708_server"; borrowed for the call, the same for the connection's
 * life
 *  @param data  borrowed for the call; len in bytes. NULL with len 0: the connection is gone, and
 *               this is the last call for it */
typedef void quicpro_qlog_fn(void *user, quicpro_conn conn, const char *name, const uint8_t *data,
                             size_t len);

/** Sends the qlogs of connections to a function, too ("qlog_dir" writes files): those of servers
 * and clients made from this configuration afterwards. All other options of the chapter "qlog" hold
 * for both.
 *  @param fn    NULL: none (the default)
 *  @param user  handed to it; borrowed as long as there is a server or client made from config
 *  @return 0; QUICPRO_EPOLICY: config is locked; QUICPRO_EINVAL
 *  @since 0.1 */
QUICPRO_API int quicpro_config_set_qlog(quicpro_config *config, quicpro_qlog_fn *fn, void *user);

/** Reads one option back as text, which quicpro_config_set() takes again; of bytes only "(N bytes)"
 *  is told, which may be set again where they are set already.
 *  @param key  a key of the table, or an old name of one; borrowed for the call
 *  @return the value, owned by config until its next get or change, or NULL for an unknown key
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

/** The row of a name.
 *  @param name  a key, or an old name of one (then the row's key differs from it); may be NULL
 *  @return a static row, or NULL: there is none
 *  @since 0.1 */
QUICPRO_API const quicpro_option *quicpro_option_find(const char *name);

/** The names that an option had in quicpro_async and its successor.
 *  @param option  a row; may be NULL
 *  @param index   from 0
 *  @return a static string, or NULL past the end
 *  @since 0.1 */
QUICPRO_API const char *quicpro_option_old_name(const quicpro_option *option, size_t index);

/** The row whose key is most like a name (by edit distance), for messages.
 *  @param name  any text; only its first 48 bytes count
 *  @return a static row
 *  @since 0.1 */
QUICPRO_API const quicpro_option *quicpro_option_nearest(const char *name);

#ifdef __cplusplus
}
#endif
#endif
