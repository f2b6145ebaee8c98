/* The events of one run while they are being made. Cores append, the loop hands the result out. */
#ifndef QP_BASE_BATCH_H
#define QP_BASE_BATCH_H

#include <quicpro/event.h>

#include "base/buf.h"

struct qp_batch {
    struct qp_buf events; /* quicpro_event; `data` of field sections is an index until sealed */
    struct qp_buf fields; /* quicpro_field */
    struct qp_buf text;
    struct qp_arena data;  /* bodies */
    struct qp_arena notes; /* texts: apart, because a caller may be reading into `data` */
    quicpro_batch view;    /* what the application sees, after qp_batch_seal() */
    uint64_t serial;       /* set by the owner: tells one filling from another */
    bool failed;           /* something did not fit into memory */
};

/* Where the latest events of one stream are, so that a user pointer that is set while the
 * application looks at a batch reaches those it has not seen yet. All zero: nowhere. */
struct qp_batch_places {
    uint64_t serial; /* of the batch they went to */
    uint32_t first, last;
};

void qp_batch_init(struct qp_batch *batch);
void qp_batch_done(struct qp_batch *batch);
void qp_batch_reset(struct qp_batch *batch);
size_t qp_batch_count(const struct qp_batch *batch);
/* A zeroed event behind the last; NULL when out of memory (and `failed` is set). */
quicpro_event *qp_batch_add(struct qp_batch *batch, unsigned type);
/* The same, and remembers its place. */
quicpro_event *qp_batch_add_at(struct qp_batch *batch, unsigned type,
                               struct qp_batch_places *places);
/* Sets the user pointer in those events of a stream that are in the batch handed out last. */
void qp_batch_set_user(const struct qp_batch *handed, const struct qp_batch_places *places,
                       quicpro_stream stream, void *user);
/* The last event, or NULL. */
quicpro_event *qp_batch_last(struct qp_batch *batch);
/* A field of the field section that is being made. name NULL: name_id is a known name. 0;
 * QUICPRO_ENOMEM (and `failed` is set); QUICPRO_EPROTO: a name of no bytes. */
int qp_batch_field(struct qp_batch *batch, const void *name, size_t name_len, uint32_t name_id,
                   const void *value, size_t value_len);
/* Where the next field section starts, to be given to qp_batch_fields_from(). */
size_t qp_batch_field_mark(const struct qp_batch *batch);
/* Makes event own the fields since mark. */
void qp_batch_fields_from(struct qp_batch *batch, quicpro_event *event, size_t mark);
/* Drops the fields since mark. */
void qp_batch_fields_drop(struct qp_batch *batch, size_t mark);
/* A copy of text that lives as long as the batch; NULL when out of memory. */
const char *qp_batch_text(struct qp_batch *batch, const char *text);
/* Such a copy as an event's data, with its len. */
void qp_batch_set_text(struct qp_batch *batch, quicpro_event *event, const char *text);
/* Turns indexes into pointers; nothing may be added afterwards. */
const quicpro_batch *qp_batch_seal(struct qp_batch *batch);

#endif
