/* Events under construction. Until the batch is sealed, `data` of a field section holds the index
 * of its first field plus one (0: none), because the fields still move. */
#include "base/batch.h"

#include <assert.h>
#include <string.h>

/* What stays allocated between two runs: enough for 256 requests of a browser, and for their
 * bodies at the pace of one receive buffer. */
enum { KEEP_TABLE_BYTES = 1 << 20, KEEP_DATA_BYTES = 2 << 20, KEEP_NOTES_BYTES = 1 << 16 };

void qp_batch_init(struct qp_batch *batch)
{
    *batch = (struct qp_batch){0};
    qp_arena_init(&batch->data, KEEP_DATA_BYTES);
    qp_arena_init(&batch->notes, KEEP_NOTES_BYTES);
}

void qp_batch_done(struct qp_batch *batch)
{
    qp_buf_done(&batch->events);
    qp_buf_done(&batch->fields);
    qp_buf_done(&batch->text);
    qp_arena_done(&batch->data);
    qp_arena_done(&batch->notes);
}

static void reset_table(struct qp_buf *buf)
{
    if (buf->cap > KEEP_TABLE_BYTES)
        qp_buf_done(buf);
    buf->len = 0;
}

void qp_batch_reset(struct qp_batch *batch)
{
    reset_table(&batch->events);
    reset_table(&batch->fields);
    reset_table(&batch->text);
    qp_arena_reset(&batch->data);
    qp_arena_reset(&batch->notes);
    batch->view = (quicpro_batch){0};
    batch->failed = false;
}

size_t qp_batch_count(const struct qp_batch *batch)
{
    return batch->events.len / sizeof(quicpro_event);
}

quicpro_event *qp_batch_add(struct qp_batch *batch, unsigned type)
{
    assert(batch->view.events == NULL);
    quicpro_event *event = (quicpro_event *)qp_buf_reserve(&batch->events, sizeof(*event));
    if (event == NULL) {
        batch->failed = true;
        return NULL;
    }
    *event = (quicpro_event){.type = (uint16_t)type};
    batch->events.len += sizeof(*event);
    return event;
}

quicpro_event *qp_batch_add_at(struct qp_batch *batch, unsigned type,
                               struct qp_batch_places *places)
{
    quicpro_event *event = qp_batch_add(batch, type);
    if (event == NULL)
        return NULL;
    places->last = (uint32_t)qp_batch_count(batch) - 1;
    if (places->serial != batch->serial)
        places->first = places->last;
    places->serial = batch->serial;
    return event;
}

void qp_batch_set_user(const struct qp_batch *handed, const struct qp_batch_places *places,
                       quicpro_stream stream, void *user)
{
    if (places->serial != handed->serial)
        return;
    quicpro_event *event = (quicpro_event *)(void *)handed->events.data;
    for (uint32_t i = places->first; i <= places->last; i++)
        if (event[i].stream == stream)
            event[i].user = user;
}

quicpro_event *qp_batch_last(struct qp_batch *batch)
{
    size_t count = qp_batch_count(batch);
    return count == 0 ? NULL : (quicpro_event *)batch->events.data + count - 1;
}

int qp_batch_field(struct qp_batch *batch, const void *name, size_t name_len, uint32_t name_id,
                   const void *value, size_t value_len)
{
    size_t known = name == NULL ? 0 : name_len, start = batch->text.len;
    if (name != NULL && name_len == 0) /* would read as a known name (RFC 9110 section 5.1) */
        return QUICPRO_EPROTO;
    quicpro_field *field = (quicpro_field *)qp_buf_reserve(&batch->fields, sizeof(*field));
    /* Offsets are 32 bits wide; the sum cannot wrap, all of it is in memory. */
    if (field == NULL || known + value_len >= UINT32_MAX - start ||
        qp_buf_append(&batch->text, name, known) < 0)
        goto failed;
    if (qp_buf_append(&batch->text, value, value_len) < 0 ||
        qp_buf_append(&batch->text, "", 1) < 0) {
        batch->text.len = start;
        goto failed;
    }
    *field = (quicpro_field){
        .name = name == NULL ? name_id : (uint32_t)start,
        .name_len = (uint32_t)known,
        .value = (uint32_t)(start + known),
        .value_len = (uint32_t)value_len,
    };
    batch->fields.len += sizeof(*field);
    return 0;
failed:
    batch->failed = true;
    return QUICPRO_ENOMEM;
}

size_t qp_batch_field_mark(const struct qp_batch *batch)
{
    return batch->fields.len / sizeof(quicpro_field);
}

static bool has_fields(const quicpro_event *event)
{
    return event->type == QUICPRO_EVENT_REQUEST || event->type == QUICPRO_EVENT_RESPONSE ||
           event->type == QUICPRO_EVENT_TRAILERS;
}

void qp_batch_fields_from(struct qp_batch *batch, quicpro_event *event, size_t mark)
{
    size_t count = qp_batch_field_mark(batch);
    assert(mark <= count && has_fields(event));
    event->data = count == mark ? NULL : (const void *)(uintptr_t)(mark + 1);
    event->len = count - mark;
}

void qp_batch_fields_drop(struct qp_batch *batch, size_t mark)
{
    const quicpro_field *field = (const quicpro_field *)batch->fields.data + mark;
    if (mark >= qp_batch_field_mark(batch))
        return;
    batch->text.len = field->name_len == 0 ? field->value : field->name;
    batch->fields.len = mark * sizeof(*field);
}

const char *qp_batch_text(struct qp_batch *batch, const char *text)
{
    size_t size = strlen(text) + 1, room;
    uint8_t *copy = qp_arena_reserve(&batch->notes, size, &room);
    if (copy == NULL) {
        batch->failed = true;
        return NULL;
    }
    memcpy(copy, text, size);
    qp_arena_commit(&batch->notes, size);
    return (const char *)copy;
}

void qp_batch_set_text(struct qp_batch *batch, quicpro_event *event, const char *text)
{
    event->data = qp_batch_text(batch, text);
    event->len = event->data == NULL ? 0 : strlen(text);
}

const quicpro_batch *qp_batch_seal(struct qp_batch *batch)
{
    assert(batch->view.events == NULL);
    quicpro_event *events = (quicpro_event *)batch->events.data;
    const quicpro_field *fields = (const quicpro_field *)batch->fields.data;
    size_t count = qp_batch_count(batch);
    for (size_t i = 0; i < count; i++)
        if (has_fields(&events[i]) && events[i].data != NULL)
            events[i].data = fields + ((uintptr_t)events[i].data - 1);
    batch->view = (quicpro_batch){
        .events = events,
        .event_count = count,
        .fields = fields,
        .field_count = qp_batch_field_mark(batch),
        .text = (const char *)batch->text.data,
        .text_len = batch->text.len,
    };
    return &batch->view;
}
