#include "ticket/psk.h"

enum { AGE = 4, MIN_BINDER = 32 };

/* Takes a run of bytes with its length in front, `width` bytes wide, from *data. */
static bool take(const uint8_t **data, size_t *len, size_t width, const uint8_t **ret,
                 size_t *ret_len)
{
    size_t n = 0;
    if (*len < width)
        return false;
    for (size_t i = 0; i < width; i++)
        n = n << 8 | (*data)[i];
    if (n > *len - width)
        return false;
    *ret = *data + width;
    *ret_len = n;
    *data += width + n;
    *len -= width + n;
    return true;
}

/* Walks the identities; their number, 0: malformed. */
static size_t count_identities(struct qp_psk *ret, const uint8_t *data, size_t len)
{
    size_t count = 0;
    for (; len != 0; count++) {
        const uint8_t *identity;
        size_t identity_len;
        if (!take(&data, &len, 2, &identity, &identity_len) || identity_len == 0 || len < AGE)
            return 0;
        data += AGE;
        len -= AGE;
        if (count == 0) {
            ret->identity = identity;
            ret->identity_len = identity_len;
        }
    }
    return count;
}

static size_t count_binders(struct qp_psk *ret, const uint8_t *data, size_t len)
{
    size_t count = 0;
    for (; len != 0; count++) {
        const uint8_t *binder;
        size_t binder_len;
        if (!take(&data, &len, 1, &binder, &binder_len) || binder_len < MIN_BINDER)
            return 0;
        if (count == 0) {
            ret->binder = binder;
            ret->binder_len = binder_len;
        }
    }
    return count;
}

bool qp_psk_parse(struct qp_psk *ret, const uint8_t *data, size_t len)
{
    const uint8_t *identities, *binders;
    size_t identities_len, binders_len;
    struct qp_psk psk;
    if (!take(&data, &len, 2, &identities, &identities_len) ||
        !take(&data, &len, 2, &binders, &binders_len) || len != 0)
        return false;
    /* "There must be as many binders as identities, in their order." */
    const size_t count = count_identities(&psk, identities, identities_len);
    if (count == 0 || count_binders(&psk, binders, binders_len) != count)
        return false;
    *ret = psk;
    return true;
}
