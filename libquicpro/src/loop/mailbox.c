#include "loop/mailbox.h"

#include <stdlib.h>
#include <string.h>

#include "loop/loop.h"

enum { KEPT_MAX = 1 << 20 }; /* bytes kept of a stream before it is paused */

struct qp_mailbox **qp_mailbox_at(struct qp_mailboxes *boxes, quicpro_handle handle)
{
    struct qp_mailbox **at = &boxes->bucket[(handle ^ handle >> 32) % QP_MAILBOX_BUCKETS];
    while (*at != NULL && (*at)->handle != handle)
        at = &(*at)->next;
    return at;
}

void qp_mailbox_drop(struct qp_mailbox **at)
{
    struct qp_mailbox *box = *at;
    *at = box->next;
    qp_batch_done(&box->batch);
    free(box);
}

bool qp_mailbox_is_live(const struct qp_mailboxes *boxes, quicpro_handle handle)
{
    return (boxes->whole && handle == 0) || qp_slab_get(&boxes->loop->streams, handle) != NULL ||
           qp_slab_get(&boxes->loop->raw_streams, handle) != NULL ||
           qp_link_get(boxes->loop, handle) != NULL;
}

/* Nothing is in it, nothing will come and nobody holds it: a handle can end without an event. */
static bool is_dead(const struct qp_mailboxes *boxes, const struct qp_mailbox *box)
{
    return box->waiting == 0 && qp_batch_count(&box->batch) == 0 &&
           !qp_mailbox_is_live(boxes, box->handle);
}

struct qp_mailbox *qp_mailbox_get(struct qp_mailboxes *boxes, quicpro_handle handle)
{
    struct qp_mailbox **at = qp_mailbox_at(boxes, handle);
    if (*at == NULL) {
        for (at = &boxes->bucket[(handle ^ handle >> 32) % QP_MAILBOX_BUCKETS]; *at != NULL;)
            if (is_dead(boxes, *at))
                qp_mailbox_drop(at);
            else
                at = &(*at)->next;
        *at = calloc(1, sizeof(**at));
        if (*at != NULL) {
            (*at)->handle = handle;
            qp_batch_init(&(*at)->batch);
        }
    }
    return *at;
}

/* Copies an event with all it points to. */
static int copy_event(struct qp_batch *to, const quicpro_batch *from, const quicpro_event *event)
{
    const bool section = event->type == QUICPRO_EVENT_REQUEST ||
                         event->type == QUICPRO_EVENT_RESPONSE ||
                         event->type == QUICPRO_EVENT_TRAILERS;
    size_t mark = qp_batch_field_mark(to);
    if (section) {
        const quicpro_field *field = event->data;
        for (size_t i = 0; i < event->len; i++) {
            const char *name = field[i].name_len == 0 ? NULL : from->text + field[i].name;
            if (qp_batch_field(to, name, field[i].name_len, field[i].name,
                               from->text + field[i].value, field[i].value_len) < 0)
                return QUICPRO_ENOMEM;
        }
    }
    quicpro_event *copy = qp_batch_add(to, event->type);
    if (copy == NULL)
        return QUICPRO_ENOMEM;
    *copy = *event;
    if (section) {
        qp_batch_fields_from(to, copy, mark);
    } else if (event->len != 0) {
        size_t room;
        uint8_t *data = qp_arena_reserve(&to->data, event->len + 1, &room);
        if (data == NULL)
            return QUICPRO_ENOMEM;
        memcpy(data, event->data, event->len);
        data[event->len] = '\0';
        qp_arena_commit(&to->data, event->len + 1);
        copy->data = data;
    }
    return 0;
}

void qp_mailbox_deliver(struct qp_mailboxes *boxes, const quicpro_batch *batch,
                        const quicpro_event *event)
{
    const quicpro_handle handle = boxes->whole         ? 0
                                  : event->stream != 0 ? event->stream
                                                       : event->conn;
    struct qp_mailbox *box = qp_mailbox_get(boxes, handle);
    if (box == NULL)
        return;
    const bool last = event->type == QUICPRO_EVENT_RESET || event->type == QUICPRO_EVENT_CLOSED;
    if (box->ignored) {
        if (is_dead(boxes, box))
            qp_mailbox_drop(qp_mailbox_at(boxes, handle));
        return;
    }
    if (boxes->whole && event->type == QUICPRO_EVENT_DATAGRAM) {
        if (box->bytes >= KEPT_MAX)
            return; /* "a receiver ... MAY drop" (RFC 9221 section 5.2) */
        box->bytes += sizeof(*event) + event->len;
    }
    if (copy_event(&box->batch, batch, event) < 0)
        box->batch.failed = true;
    if (boxes->whole)
        return;
    box->ended |= last || (event->flags & QUICPRO_FLAG_FIN) != 0;
    box->bytes += event->type == QUICPRO_EVENT_DATA ? event->len : 0;
    if (box->bytes >= KEPT_MAX && !box->paused && !box->ended) {
        box->paused = true;
        quicpro_stream_pause(boxes->loop, handle, 1);
    }
}

/* What a caller owns: the events, with the batch that holds their memory behind them. */
struct taken {
    quicpro_batch view;
    struct qp_batch batch;
};

int qp_mailbox_take(struct qp_mailboxes *boxes, struct qp_mailbox *box, quicpro_batch **ret)
{
    struct taken *taken = malloc(sizeof(*taken));
    if (taken == NULL)
        return QUICPRO_ENOMEM;
    if (box->batch.failed) {
        free(taken);
        return QUICPRO_ENOMEM;
    }
    taken->batch = box->batch;
    taken->view = *qp_batch_seal(&taken->batch);
    qp_batch_init(&box->batch);
    box->bytes = 0;
    if (box->paused) {
        box->paused = false;
        quicpro_stream_pause(boxes->loop, box->handle, 0);
        quicpro_loop_wake(boxes->loop);
    }
    *ret = &taken->view;
    return (int)taken->view.event_count;
}

void quicpro_thread_batch_free(quicpro_batch *batch)
{
    struct taken *taken = (struct taken *)batch;
    if (taken == NULL)
        return;
    qp_batch_done(&taken->batch);
    free(taken);
}

bool qp_mailbox_ignore(struct qp_mailboxes *boxes, quicpro_handle handle)
{
    struct qp_mailbox *box = qp_mailbox_is_live(boxes, handle) ? qp_mailbox_get(boxes, handle)
                                                               : *qp_mailbox_at(boxes, handle);
    if (box == NULL)
        return false;
    box->ignored = true;
    box->bytes = 0;
    qp_batch_reset(&box->batch);
    if (box->paused)
        quicpro_stream_pause(boxes->loop, handle, 0);
    box->paused = false;
    if (is_dead(boxes, box))
        qp_mailbox_drop(qp_mailbox_at(boxes, handle));
    return true;
}

void qp_mailboxes_done(struct qp_mailboxes *boxes)
{
    for (size_t i = 0; i < QP_MAILBOX_BUCKETS; i++)
        while (boxes->bucket[i] != NULL)
            qp_mailbox_drop(&boxes->bucket[i]);
}
