/* What happened on a loop, kept for callers of other threads until they take it: a mailbox for each
 * handle, or one for all. Whoever calls holds the lock (loop/thread.c). */
#ifndef QP_LOOP_MAILBOX_H
#define QP_LOOP_MAILBOX_H

#include <quicpro/thread.h>
#include <stdbool.h>

#include "base/batch.h"

enum { QP_MAILBOX_BUCKETS = 256 }; /* handles are spread by their index */

/* Events of one handle that nobody took yet, copied. */
struct qp_mailbox {
    struct qp_mailbox *next;
    quicpro_handle handle;
    struct qp_batch batch;
    size_t bytes;
    unsigned waiting; /* callers in quicpro_thread_wait() */
    bool ended, paused, ignored;
};

struct qp_mailboxes {
    quicpro_loop *loop;
    bool whole; /* all events go to the mailbox of handle 0 */
    struct qp_mailbox *bucket[QP_MAILBOX_BUCKETS];
};

void qp_mailboxes_done(struct qp_mailboxes *boxes);
/* Where the mailbox of a handle is, or would be: then *it is NULL. */
struct qp_mailbox **qp_mailbox_at(struct qp_mailboxes *boxes, quicpro_handle handle);
/* The same, made if there is none; NULL: out of memory. */
struct qp_mailbox *qp_mailbox_get(struct qp_mailboxes *boxes, quicpro_handle handle);
void qp_mailbox_drop(struct qp_mailbox **at);
/* Whether more may come. */
bool qp_mailbox_is_live(const struct qp_mailboxes *boxes, quicpro_handle handle);
/* Copies an event into the mailbox that it belongs to. */
void qp_mailbox_deliver(struct qp_mailboxes *boxes, const quicpro_batch *batch,
                        const quicpro_event *event);
/* Empties a mailbox: the caller owns *ret, see quicpro_thread_batch_free(). How many events;
 * QUICPRO_ENOMEM */
int qp_mailbox_take(struct qp_mailboxes *boxes, struct qp_mailbox *box, quicpro_batch **ret);
/* Throws away what is in it and what comes; false: it has none, and needs none. */
bool qp_mailbox_ignore(struct qp_mailboxes *boxes, quicpro_handle handle);

#endif
