/* The bytes of a saved store, numbers big-endian:
 *   "QPSF" | version 4 | for each session, oldest first: key length 4, value length 4, expires 8,
 *   key, value | SipHash of all before it 8 */
#include "ticket/store.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "ticket/be.h"

struct qp_session {
    struct qp_session *older, *newer;
    uint64_t expires;
    size_t key_len, value_len;
    uint8_t data[]; /* key, value */
};

enum { HEAD = 8, RECORD = 16, CHECK = 8, VERSION = 1 };
static const uint8_t magic[4] = {'Q', 'P', 'S', 'F'};
/* Not a secret: the checksum finds accidents, the file's mode keeps others out. */
static const uint8_t check_key[16] = "session store 1";

void qp_store_init(struct qp_store *store, size_t max_count, size_t max_bytes)
{
    *store = (struct qp_store){
        .max_count = max_count < QP_STORE_MAX ? max_count : QP_STORE_MAX,
        .max_bytes = max_bytes < QP_STORE_BYTES ? max_bytes : QP_STORE_BYTES,
    };
}

static size_t size_of(const struct qp_session *session)
{
    return session->key_len + session->value_len;
}

static void drop(struct qp_store *store, struct qp_session *session)
{
    *(session->older == NULL ? &store->oldest : &session->older->newer) = session->newer;
    *(session->newer == NULL ? &store->newest : &session->newer->older) = session->older;
    store->count--;
    store->bytes -= size_of(session);
    qp_wipe(session->data, size_of(session));
    free(session);
}

void qp_store_done(struct qp_store *store)
{
    while (store->oldest != NULL)
        drop(store, store->oldest);
}

static bool has_key(const struct qp_session *session, const uint8_t *key, size_t key_len)
{
    return session->key_len == key_len && memcmp(session->data, key, key_len) == 0;
}

/* Keeps the newest of a key, so that one busy server does not push out all others. */
static void limit_key(struct qp_store *store, const uint8_t *key, size_t key_len)
{
    size_t same = 0;
    for (struct qp_session *s = store->newest, *older; s != NULL; s = older) {
        older = s->older;
        if (has_key(s, key, key_len) && ++same >= QP_STORE_EACH) {
            drop(store, s);
            store->evicted++;
        }
    }
}

int qp_store_put(struct qp_store *store, const uint8_t *key, size_t key_len, const uint8_t *value,
                 size_t value_len, uint64_t expires)
{
    const size_t size = key_len + value_len;
    if (store->max_count == 0 || size > store->max_bytes)
        return QUICPRO_E2BIG;
    struct qp_session *session = malloc(sizeof(*session) + size);
    if (session == NULL)
        return QUICPRO_ENOMEM;
    limit_key(store, key, key_len);
    while (store->count >= store->max_count || store->bytes + size > store->max_bytes) {
        drop(store, store->oldest);
        store->evicted++;
    }
    *session = (struct qp_session){
        .older = store->newest, .expires = expires, .key_len = key_len, .value_len = value_len};
    memcpy(session->data, key, key_len);
    memcpy(session->data + key_len, value, value_len);
    *(store->newest == NULL ? &store->oldest : &store->newest->newer) = session;
    store->newest = session;
    store->count++;
    store->bytes += size;
    return 0;
}

int qp_store_take(struct qp_store *store, const uint8_t *key, size_t key_len, uint64_t now,
                  struct qp_buf *ret)
{
    for (struct qp_session *s = store->newest, *older; s != NULL; s = older) {
        older = s->older;
        if (s->expires <= now) {
            drop(store, s);
            store->expired++;
        } else if (has_key(s, key, key_len)) {
            if (qp_buf_append(ret, s->data + s->key_len, s->value_len) < 0)
                return QUICPRO_ENOMEM;
            drop(store, s);
            store->hits++;
            return 1;
        }
    }
    store->misses++;
    return 0;
}

int qp_store_save(const struct qp_store *store, struct qp_buf *out)
{
    const size_t size = HEAD + store->count * RECORD + store->bytes + CHECK;
    uint8_t *begin = qp_buf_reserve(out, size), *at = begin;
    if (begin == NULL)
        return QUICPRO_ENOMEM;
    memcpy(at, magic, sizeof(magic));
    at = qp_be_put(at + sizeof(magic), VERSION, 4);
    for (const struct qp_session *s = store->oldest; s != NULL; s = s->newer) {
        at = qp_be_put(at, s->key_len, 4);
        at = qp_be_put(at, s->value_len, 4);
        at = qp_be_put(at, s->expires, 8);
        memcpy(at, s->data, size_of(s));
        at += size_of(s);
    }
    qp_be_put(at, qp_siphash(check_key, begin, (size_t)(at - begin)), CHECK);
    out->len += size;
    return 0;
}

/* One session from data; its bytes, or 0: damaged. */
static size_t load_one(struct qp_store *store, const uint8_t *data, size_t len, uint64_t now,
                       int *ret_error)
{
    if (len < RECORD)
        return 0;
    const uint64_t key_len = qp_be_get(data, 4), value_len = qp_be_get(data + 4, 4);
    const uint64_t expires = qp_be_get(data + 8, 8);
    if (key_len == 0 || key_len + value_len > len - RECORD)
        return 0;
    const uint8_t *key = data + RECORD;
    if (expires <= now)
        store->expired++;
    else
        *ret_error =
            qp_store_put(store, key, (size_t)key_len, key + key_len, (size_t)value_len, expires);
    return RECORD + (size_t)(key_len + value_len);
}

int qp_store_load(struct qp_store *store, const uint8_t *data, size_t len, uint64_t now)
{
    int error = 0;
    if (len < HEAD + CHECK || memcmp(data, magic, sizeof(magic)) != 0 ||
        qp_be_get(data + 4, 4) != VERSION ||
        qp_be_get(data + len - CHECK, CHECK) != qp_siphash(check_key, data, len - CHECK))
        return QUICPRO_EPROTO;
    for (size_t at = HEAD, n; at < len - CHECK && error != QUICPRO_ENOMEM; at += n) {
        n = load_one(store, data + at, len - CHECK - at, now, &error);
        if (n == 0) {
            qp_store_done(store);
            return QUICPRO_EPROTO;
        }
    }
    if (error == QUICPRO_ENOMEM) {
        qp_store_done(store);
        return error;
    }
    return 0;
}
