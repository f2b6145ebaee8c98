/* What a session file holds: a store of sessions, and each session in it.
 *
 * Oracle: a session that parses becomes the same bytes again. A store that loads saves bytes that
 * load again and become the same bytes; what is taken out of it was put into the file.
 *
 * The first byte chooses: 'b' one session, 'r' a store as it is, else the sessions of a store, to
 * which head and checksum are added, so that mutations come past them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "ticket/blob.h"
#include "ticket/store.h"

enum { HEAD = 8, CHECK = 8, NOW = 1000 };

static void require(bool ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "oracle: %s\n", what);
        abort();
    }
}

static void one_session(const uint8_t *data, size_t size)
{
    struct qp_blob blob;
    if (!qp_blob_parse(&blob, data, size))
        return;
    require(qp_blob_size(&blob) == size, "a session has another size");
    uint8_t *again = malloc(size);
    if (again == NULL)
        abort();
    qp_blob_write(again, &blob);
    require(memcmp(again, data, size) == 0, "a session becomes other bytes");
    free(again);
}

static void save(const struct qp_store *store, struct qp_buf *out)
{
    if (qp_store_save(store, out) < 0)
        abort();
}

static bool contains(const uint8_t *data, size_t size, const struct qp_buf *part)
{
    return part->len == 0 || memmem(data, size, part->data, part->len) != NULL;
}

/* Takes every session out by the keys that the saved bytes name. */
static void take_all(struct qp_store *store, const struct qp_buf *saved)
{
    const uint8_t *at = saved->data + HEAD, *end = saved->data + saved->len - CHECK;
    while (at < end) {
        size_t key_len = (size_t)at[0] << 24 | at[1] << 16 | at[2] << 8 | at[3];
        size_t value_len = (size_t)at[4] << 24 | at[5] << 16 | at[6] << 8 | at[7];
        struct qp_buf value = {0};
        int r = qp_store_take(store, at + 16, key_len, NOW, &value);
        require(r == 1, "a session that was saved is not there");
        require(contains(saved->data, saved->len, &value), "a session came from nowhere");
        qp_buf_done(&value);
        at += 16 + key_len + value_len;
    }
    require(store->count == 0 && store->bytes == 0, "something is left in the store");
}

static bool whole_store(const uint8_t *data, size_t size)
{
    struct qp_store first, second;
    struct qp_buf a = {0}, b = {0};
    qp_store_init(&first, 16, 4096);
    qp_store_init(&second, 16, 4096);
    int r = qp_store_load(&first, data, size, NOW);
    if (r == 0) {
        require(first.count <= 16 && first.bytes <= 4096, "a store holds too much");
        save(&first, &a);
        require(qp_store_load(&second, a.data, a.len, NOW) == 0, "what was saved does not load");
        save(&second, &b);
        require(a.len == b.len && memcmp(a.data, b.data, a.len) == 0, "a store changes by saving");
        take_all(&first, &a);
    } else {
        require(first.count == 0, "a store that did not load holds something");
    }
    qp_store_done(&first);
    qp_store_done(&second);
    qp_buf_done(&a);
    qp_buf_done(&b);
    return r == 0;
}

static bool dressed_store(const uint8_t *data, size_t size)
{
    static const uint8_t head[HEAD] = {'Q', 'P', 'S', 'F', 0, 0, 0, 1};
    static const uint8_t key[16] = "session store 1"; /* as in store.c */
    uint8_t *dressed = malloc(HEAD + size + CHECK);
    if (dressed == NULL)
        abort();
    memcpy(dressed, head, HEAD);
    memcpy(dressed + HEAD, data, size);
    uint64_t check = qp_siphash(key, dressed, HEAD + size);
    for (size_t i = 0; i < CHECK; i++)
        dressed[HEAD + size + i] = (uint8_t)(check >> (8 * (CHECK - 1 - i)));
    bool ok = whole_store(dressed, HEAD + size + CHECK);
    free(dressed);
    return ok;
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    require(dressed_store((const uint8_t *)"", 0), "head and checksum are not those of store.c");
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (data[0] == 'b')
        one_session(data + 1, size - 1);
    else if (data[0] == 'r')
        whole_store(data + 1, size - 1);
    else
        dressed_store(data + 1, size - 1);
    return 0;
}
