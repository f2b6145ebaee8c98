/* Many commands in one call: see quicpro_loop_submit(). */
#include "loop/loop.h"

#include <assert.h>
#include <string.h>

enum { MAX_FIELDS = 256, H3_INTERNAL_ERROR = 0x102 };

static_assert(sizeof(quicpro_record) == 32, "the record is an ABI of bindings");
static_assert(sizeof(quicpro_event) == 64, "the event is an ABI of bindings");
static_assert(sizeof(quicpro_field) == 16, "the field is an ABI of bindings");

struct reader {
    const uint8_t *at;
    size_t left;
};

static const uint8_t *take(struct reader *in, size_t n)
{
    const uint8_t *at = in->at;
    if (n > in->left)
        return NULL;
    in->at += n;
    in->left -= n;
    return at;
}

/* Fields of a record: a table of lengths, then the text. False: cut short. */
static bool read_fields(struct reader *in, uint32_t count, quicpro_nv *nv)
{
    if (count > MAX_FIELDS)
        return false;
    const uint8_t *table = take(in, (size_t)count * 8);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t len[2];
        if (table == NULL)
            return false;
        memcpy(len, table + (size_t)i * 8, 8);
        const uint8_t *name = take(in, len[0]);
        const uint8_t *value = take(in, len[1]);
        if (name == NULL || value == NULL)
            return false;
        nv[i] = (quicpro_nv){(const char *)name, len[0], (const char *)value, len[1]};
    }
    return true;
}

static int carry_out(quicpro_loop *loop, const quicpro_record *r, const quicpro_nv *nv,
                     const uint8_t *body)
{
    const int fin = (r->flags & QUICPRO_FLAG_FIN) != 0;
    int result;
    switch (r->op) {
    case QUICPRO_OP_RESPOND:
        result = quicpro_respond(loop, r->stream, r->code > 999 ? 0 : (unsigned)r->code, nv,
                                 r->field_count, body, r->body_len, fin);
        if (result == QUICPRO_EINVAL)
            quicpro_stream_reset(loop, r->stream, H3_INTERNAL_ERROR);
        return result;
    case QUICPRO_OP_WRITE:
        return quicpro_stream_write(loop, r->stream, body, r->body_len, fin);
    case QUICPRO_OP_TRAILERS:
        return quicpro_stream_trailers(loop, r->stream, nv, r->field_count);
    case QUICPRO_OP_RESET:
        return quicpro_stream_reset(loop, r->stream, r->code);
    case QUICPRO_OP_PAUSE:
        return quicpro_stream_pause(loop, r->stream, 1);
    default:
        return quicpro_stream_pause(loop, r->stream, 0);
    }
}

int quicpro_loop_submit(quicpro_loop *loop, const void *records, size_t len, size_t *refused)
{
    struct reader in = {records, len};
    quicpro_nv nv[MAX_FIELDS];
    size_t count = 0, bad = 0;
    if (loop == NULL || (records == NULL && len != 0))
        return QUICPRO_EINVAL;
    while (in.left != 0) {
        quicpro_record r;
        const uint8_t *head = take(&in, sizeof(r));
        if (head == NULL)
            return QUICPRO_EINVAL;
        memcpy(&r, head, sizeof(r));
        if (r.op < QUICPRO_OP_RESPOND || r.op > QUICPRO_OP_RESUME ||
            !read_fields(&in, r.field_count, nv))
            return QUICPRO_EINVAL;
        const uint8_t *body = take(&in, r.body_len);
        if (body == NULL)
            return QUICPRO_EINVAL;
        int result = carry_out(loop, &r, nv, body);
        if (result == QUICPRO_ENOMEM)
            return result;
        bad += result < 0;
        count++;
    }
    if (refused != NULL)
        *refused = bad;
    return (int)count;
}
