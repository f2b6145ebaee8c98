#include "base/prefix.h"

#include <arpa/inet.h>
#include <quicpro/base.h>
#include <stdlib.h>
#include <string.h>

enum { WORD_BYTES = INET6_ADDRSTRLEN + 4, V4_BITS = 96 /* those in front of an IPv4 address */ };

static void map_v4(uint8_t out[16], const void *v4)
{
    memset(out, 0, 10);
    memset(out + 10, 0xff, 2);
    memcpy(out + 12, v4, 4);
}

/* The digits behind the slash; -1: none, or more than max. */
static int read_bits(const char *text, int max)
{
    int bits = 0;
    if (*text == '\0')
        return -1;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9')
            return -1;
        bits = bits * 10 + (*text - '0');
        if (bits > max)
            return -1;
    }
    return bits;
}

static bool parse_one(struct qp_prefix *ret, char *word)
{
    uint8_t v4[4];
    char *slash = strchr(word, '/');
    if (slash != NULL)
        *slash++ = '\0';
    const bool is_v4 = inet_pton(AF_INET, word, v4) == 1;
    if (is_v4)
        map_v4(ret->addr, v4);
    else if (inet_pton(AF_INET6, word, ret->addr) != 1)
        return false;
    const int most = is_v4 ? 32 : 128, bits = slash == NULL ? most : read_bits(slash, most);
    if (bits < 0)
        return false;
    ret->bits = (uint8_t)(bits + (is_v4 ? V4_BITS : 0));
    return true;
}

int qp_prefixes_parse(struct qp_prefixes *ret, const char *text, const char **wrong,
                      size_t *wrong_len)
{
    *ret = (struct qp_prefixes){0};
    for (const char *at = text; *at != '\0';) {
        at += strspn(at, ", ");
        const size_t len = strcspn(at, ", ");
        char word[WORD_BYTES] = "";
        if (len == 0)
            break;
        struct qp_prefix *list = realloc(ret->list, (ret->count + 1) * sizeof(*list));
        if (list == NULL) {
            qp_prefixes_done(ret);
            return QUICPRO_ENOMEM;
        }
        ret->list = list;
        if (len < sizeof(word))
            memcpy(word, at, len);
        if (!parse_one(&list[ret->count], word)) {
            *wrong = at;
            *wrong_len = len;
            qp_prefixes_done(ret);
            return QUICPRO_EVALUE;
        }
        ret->count++;
        at += len;
    }
    return 0;
}

void qp_prefixes_done(struct qp_prefixes *prefixes)
{
    free(prefixes->list);
    *prefixes = (struct qp_prefixes){0};
}

static bool match(const struct qp_prefix *prefix, const uint8_t addr[16])
{
    const size_t whole = prefix->bits / 8;
    const unsigned rest = prefix->bits % 8;
    return memcmp(prefix->addr, addr, whole) == 0 &&
           (rest == 0 || (prefix->addr[whole] ^ addr[whole]) >> (8 - rest) == 0);
}

bool qp_prefixes_match(const struct qp_prefixes *prefixes, const struct sockaddr *addr)
{
    uint8_t bytes[16];
    if (addr->sa_family == AF_INET6)
        memcpy(bytes, &((const struct sockaddr_in6 *)(const void *)addr)->sin6_addr, 16);
    else
        map_v4(bytes, &((const struct sockaddr_in *)(const void *)addr)->sin_addr);
    for (size_t i = 0; i < prefixes->count; i++)
        if (match(&prefixes->list[i], bytes))
            return true;
    return false;
}
