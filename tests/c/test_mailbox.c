#include "loop/mailbox.h"

#include "check.h"
#include "loop/loop.h"
#include "oom.h"

static bool open_boxes(struct qp_mailboxes *boxes, bool whole)
{
    *boxes = (struct qp_mailboxes){.whole = whole};
    return CHECK_INT(quicpro_loop_new(&boxes->loop, NULL), ==, 0);
}

static void close_boxes(struct qp_mailboxes *boxes)
{
    qp_mailboxes_done(boxes);
    quicpro_loop_free(boxes->loop);
}

static size_t count(const struct qp_mailboxes *boxes)
{
    size_t n = 0;
    for (size_t i = 0; i < QP_MAILBOX_BUCKETS; i++)
        for (const struct qp_mailbox *box = boxes->bucket[i]; box != NULL; box = box->next)
            n++;
    return n;
}

static void deliver(struct qp_mailboxes *boxes, unsigned type, const char *data, size_t len)
{
    const quicpro_event event = {
        .type = (uint16_t)type, .conn = 1, .stream = 2, .data = data, .len = len};
    const quicpro_batch batch = {.events = &event, .event_count = 1};
    qp_mailbox_deliver(boxes, &batch, &event);
}

/* Copies, so that the loop may go on. */
static void test_what_is_kept(void)
{
    struct qp_mailboxes boxes;
    quicpro_batch *batch = NULL;
    char text[] = "hello";
    if (!open_boxes(&boxes, true))
        return;
    deliver(&boxes, QUICPRO_EVENT_DATA, text, 5);
    text[0] = 'X';
    deliver(&boxes, QUICPRO_EVENT_READABLE, NULL, 0);
    CHECK_U64(count(&boxes), ==, 1);
    struct qp_mailbox *box = *qp_mailbox_at(&boxes, 0);
    if (CHECK(box != NULL) && CHECK_INT(qp_mailbox_take(&boxes, box, &batch), ==, 2)) {
        CHECK_U64(batch->event_count, ==, 2);
        CHECK_INT(batch->events[0].type, ==, QUICPRO_EVENT_DATA);
        CHECK_MEM(batch->events[0].data, "hello", 5);
        CHECK_U64(batch->events[0].stream, ==, 2);
        CHECK_INT(batch->events[1].type, ==, QUICPRO_EVENT_READABLE);
        CHECK_U64(qp_batch_count(&box->batch), ==, 0);
        quicpro_thread_batch_free(batch);
    }
    quicpro_thread_batch_free(NULL);
    close_boxes(&boxes);
}

/* "a receiver ... MAY drop" (RFC 9221 section 5.2): others are bounded by flow control. */
static void test_datagrams_are_bounded(void)
{
    static const char data[1000];
    struct qp_mailboxes boxes;
    if (!open_boxes(&boxes, true))
        return;
    for (int i = 0; i < 5000; i++)
        deliver(&boxes, QUICPRO_EVENT_DATAGRAM, data, sizeof(data));
    const size_t kept = qp_batch_count(&(*qp_mailbox_at(&boxes, 0))->batch);
    CHECK_U64(kept, >, 900);
    CHECK_U64(kept, <, 1049);
    close_boxes(&boxes);
}

/* Handles that are nobody's: an event of theirs is kept, nothing else is. */
static void test_handles_that_ended(void)
{
    struct qp_mailboxes boxes;
    quicpro_batch *batch = NULL;
    if (!open_boxes(&boxes, false))
        return;
    CHECK(!qp_mailbox_is_live(&boxes, 2) && !qp_mailbox_is_live(&boxes, 0));
    CHECK(!qp_mailbox_ignore(&boxes, 2));
    deliver(&boxes, QUICPRO_EVENT_RESET, "gone", 4);
    struct qp_mailbox *box = *qp_mailbox_at(&boxes, 2);
    if (CHECK(box != NULL)) {
        CHECK(box->ended);
        CHECK_INT(qp_mailbox_take(&boxes, box, &batch), ==, 1);
        quicpro_thread_batch_free(batch);
        /* Whoever makes another one in the same place sweeps. */
        CHECK(qp_mailbox_get(&boxes, 2 + QP_MAILBOX_BUCKETS) != NULL);
        CHECK(*qp_mailbox_at(&boxes, 2) == NULL);
    }
    deliver(&boxes, QUICPRO_EVENT_RESET, "gone", 4);
    CHECK(qp_mailbox_ignore(&boxes, 2));
    CHECK(*qp_mailbox_at(&boxes, 2) == NULL);
    close_boxes(&boxes);
}

static void test_out_of_memory(void)
{
    struct qp_mailboxes boxes;
    quicpro_batch *batch = NULL;
    if (!OOM_POSSIBLE) {
        check_skip("the allocator cannot be replaced here");
        return;
    }
    if (!open_boxes(&boxes, true))
        return;
    oom_after(0);
    struct qp_mailbox *none = qp_mailbox_get(&boxes, 0);
    deliver(&boxes, QUICPRO_EVENT_DATA, "hello", 5);
    oom_off();
    CHECK(none == NULL && count(&boxes) == 0);
    CHECK(qp_mailbox_get(&boxes, 0) != NULL);
    oom_after(0);
    deliver(&boxes, QUICPRO_EVENT_DATA, "hello", 5);
    oom_off();
    CHECK_INT(qp_mailbox_take(&boxes, *qp_mailbox_at(&boxes, 0), &batch), ==, QUICPRO_ENOMEM);
    close_boxes(&boxes);
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_what_is_kept),
        TEST(test_datagrams_are_bounded),
        TEST(test_handles_that_ended),
        TEST(test_out_of_memory),
    };
    return RUN(tests);
}
