#include "quic/tls_policy.h"

#include <stdio.h>
#include <string.h>

#include "base/options.h"

enum { MAX_WORDS = 16, MAX_WORD = 32 };

/* The suites of TLS 1.3 that QUIC has a header protection for and BoringSSL has (RFC 9001
 * section 5.4.1, RFC 8446 appendix B.4). */
static const struct {
    const char *name;
    uint16_t id;
} suites[] = {
    {"AES_128_GCM_SHA256", 0x1301},
    {"AES_256_GCM_SHA384", 0x1302},
    {"CHACHA20_POLY1305_SHA256", 0x1303},
};

/* A word of a list; false: too long to be a name. */
static bool next_word(const char **text, char word[MAX_WORD])
{
    const size_t len = strcspn(*text, ",");
    const bool fits = len < MAX_WORD;
    snprintf(word, MAX_WORD, "%.*s", (int)len, *text);
    *text += len + ((*text)[len] == ',');
    return fits;
}

static int refuse_word(const struct qp_tls_args *args, const char *option, const char *word,
                       const char *known)
{
    return qp_tls_fail(args, QUICPRO_EVALUE, "%s: '%s' is not known; there are %s", option, word,
                       known);
}

static uint16_t find_suite(const char *word)
{
    if (strncmp(word, "TLS_", 4) == 0)
        word += 4;
    for (size_t i = 0; i < sizeof(suites) / sizeof(suites[0]); i++)
        if (strcmp(word, suites[i].name) == 0)
            return suites[i].id;
    return 0;
}

/* A server takes the first of its own that the client offers as well. */
static int set_ciphers(SSL_CTX *ctx, const struct qp_tls_args *args)
{
    const char *text = args->options->ciphers;
    uint16_t id[MAX_WORDS];
    size_t count = 0;
    while (*text != '\0') {
        char word[MAX_WORD];
        const bool fits = next_word(&text, word);
        const uint16_t suite = fits ? find_suite(word) : 0;
        if (suite == 0)
            return refuse_word(args, "ciphers", word,
                               "AES_128_GCM_SHA256, AES_256_GCM_SHA384, CHACHA20_POLY1305_SHA256");
        for (size_t i = 0; i < count; i++)
            if (id[i] == suite)
                return qp_tls_fail(args, QUICPRO_EVALUE, "ciphers: '%s' comes twice", word);
        id[count++] = suite; /* there are fewer suites than MAX_WORDS */
    }
    if (count == 0) /* BoringSSL's own order: AES first where the processor has it */
        return 0;
    return SSL_CTX_set1_tls13_ciphers(ctx, id, NULL, count) ? 0 : QUICPRO_ENOMEM;
}

static void known_groups(char *out, size_t size)
{
    const char *name[32];
    size_t count = SSL_get_all_group_names(name, sizeof(name) / sizeof(name[0])), len = 0;
    out[0] = '\0';
    for (size_t i = 0; i < count && i < sizeof(name) / sizeof(name[0]) && len < size; i++) {
        int n = snprintf(out + len, size - len, "%s%s", i == 0 ? "" : ", ", name[i]);
        len += n < 0 ? 0 : (size_t)n;
    }
}

/* A server takes the first of the client's that is among its own: what the client is best at, and
 * what its first flight holds a key for. */
static int set_groups(SSL_CTX *ctx, const struct qp_tls_args *args)
{
    const char *text = args->options->groups;
    char list[MAX_WORDS * (MAX_WORD + 1)] = "", known[256];
    size_t len = 0;
    while (*text != '\0') {
        char word[MAX_WORD];
        const bool fits = next_word(&text, word);
        if (!fits || !SSL_CTX_set1_groups_list(ctx, word)) {
            known_groups(known, sizeof(known));
            return refuse_word(args, "groups", word, known);
        }
        if (len + strlen(word) + 2 > sizeof(list))
            return qp_tls_fail(args, QUICPRO_EVALUE, "groups: more than %d", MAX_WORDS);
        len += (size_t)snprintf(list + len, sizeof(list) - len, "%s%s", len == 0 ? "" : ":", word);
    }
    if (len == 0)
        return qp_tls_fail(args, QUICPRO_EVALUE, "groups: none is set");
    if (!SSL_CTX_set1_groups_list(ctx, list))
        return qp_tls_fail(args, QUICPRO_EVALUE, "groups: '%s' names one twice",
                           args->options->groups);
    return 0;
}

int qp_tls_policy_init(SSL_CTX *ctx, const struct qp_tls_args *args)
{
    int r = set_groups(ctx, args);
    return r < 0 ? r : set_ciphers(ctx, args);
}
