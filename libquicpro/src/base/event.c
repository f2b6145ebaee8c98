/* Reading a batch. Offsets are checked against the batch, so that a field that is none of its own
 * reads as nothing. */
#include <quicpro/event.h>

#include "base/names.h"

#include <string.h>

static const struct {
    const char *text;
    size_t len;
} known[] = {
#define KNOWN(ident, text) {text, sizeof(text) - 1},
    QP_NAME_MAP(KNOWN)
#undef KNOWN
};

const char *quicpro_known_name(uint32_t index, size_t *len)
{
    if (index >= QP_NAME_COUNT) {
        if (len != NULL)
            *len = 0;
        return NULL;
    }
    if (len != NULL)
        *len = known[index].len;
    return known[index].text;
}

static const char *slice(const quicpro_batch *batch, uint32_t at, uint32_t n, size_t *len)
{
    *len = 0;
    if (at > batch->text_len || n > batch->text_len - at)
        return NULL;
    *len = n;
    return batch->text == NULL ? "" : batch->text + at;
}

const char *quicpro_field_name(const quicpro_batch *batch, const quicpro_field *field, size_t *len)
{
    if (batch == NULL || field == NULL || len == NULL)
        return NULL;
    if (field->name_len == 0)
        return quicpro_known_name(field->name, len);
    return slice(batch, field->name, field->name_len, len);
}

const char *quicpro_field_value(const quicpro_batch *batch, const quicpro_field *field, size_t *len)
{
    if (batch == NULL || field == NULL || len == NULL)
        return NULL;
    return slice(batch, field->value, field->value_len, len);
}

const char *quicpro_event_field(const quicpro_batch *batch, const quicpro_event *event,
                                const char *name, size_t *len)
{
    if (batch == NULL || event == NULL || name == NULL || len == NULL)
        return NULL;
    *len = 0;
    if (event->type != QUICPRO_EVENT_REQUEST && event->type != QUICPRO_EVENT_RESPONSE &&
        event->type != QUICPRO_EVENT_TRAILERS)
        return NULL;
    const quicpro_field *field = event->data;
    size_t name_len = strlen(name);
    for (size_t i = 0; i < event->len; i++) {
        size_t n;
        const char *text = quicpro_field_name(batch, &field[i], &n);
        if (text != NULL && n == name_len && memcmp(text, name, n) == 0)
            return quicpro_field_value(batch, &field[i], len);
    }
    return NULL;
}

const char *quicpro_event_name(unsigned type)
{
    switch (type) {
#define NAME_CASE(name)                                                                            \
    case QUICPRO_EVENT_##name:                                                                     \
        return #name
        NAME_CASE(CONNECTED);
        NAME_CASE(CLOSED);
        NAME_CASE(REQUEST);
        NAME_CASE(RESPONSE);
        NAME_CASE(DATA);
        NAME_CASE(TRAILERS);
        NAME_CASE(RESET);
        NAME_CASE(WRITABLE);
        NAME_CASE(GOAWAY);
        NAME_CASE(DRAINED);
        NAME_CASE(CERTIFICATES);
        NAME_CASE(STREAM);
        NAME_CASE(READABLE);
        NAME_CASE(STOPPED);
        NAME_CASE(DATAGRAM);
        NAME_CASE(STREAMS);
        NAME_CASE(PATH);
        NAME_CASE(EARLY);
#undef NAME_CASE
    default:
        return "UNKNOWN";
    }
}
