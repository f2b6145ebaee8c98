#include "base/batch.h"

#include "base/names.h"
#include "check.h"
#include "oom.h"

static void test_empty_batch(void)
{
    struct qp_batch batch;
    qp_batch_init(&batch);
    CHECK(qp_batch_last(&batch) == NULL && qp_batch_count(&batch) == 0);
    const quicpro_batch *view = qp_batch_seal(&batch);
    CHECK(view->event_count == 0 && view->field_count == 0 && view->text_len == 0);
    qp_batch_reset(&batch);
    qp_batch_done(&batch);
}

/* So many that every table moves while the batch is made. */
static void test_fields_stay_with_their_event(void)
{
    enum { EVENTS = 3000 };
    struct qp_batch batch;
    qp_batch_init(&batch);
    for (int round = 0; round < 2; round++) {
        for (unsigned i = 0; i < EVENTS; i++) {
            char value[16], name[16];
            size_t mark = qp_batch_field_mark(&batch);
            unsigned fields = i % 4;
            for (unsigned f = 0; f < fields; f++) {
                snprintf(value, sizeof(value), "v%u-%u", i, f);
                snprintf(name, sizeof(name), "n%u", f);
                if (f == 0)
                    CHECK_INT(qp_batch_field(&batch, NULL, 0, QP_NAME_PATH, value, strlen(value)),
                              ==, 0);
                else
                    CHECK_INT(qp_batch_field(&batch, name, strlen(name), 0, value, strlen(value)),
                              ==, 0);
            }
            quicpro_event *event = qp_batch_add(&batch, QUICPRO_EVENT_REQUEST);
            qp_batch_fields_from(&batch, event, mark);
            event->code = i;
            CHECK(qp_batch_last(&batch) == event);
        }
        const quicpro_batch *view = qp_batch_seal(&batch);
        CHECK_U64(view->event_count, ==, EVENTS);
        for (unsigned i = 0; i < EVENTS; i++) {
            const quicpro_event *event = &view->events[i];
            char want[16];
            size_t len = 0;
            if (!CHECK(event->type == QUICPRO_EVENT_REQUEST && event->code == i) ||
                !CHECK_U64(event->len, ==, i % 4))
                break;
            CHECK((event->data == NULL) == (i % 4 == 0));
            const char *path = quicpro_event_field(view, event, ":path", &len);
            snprintf(want, sizeof(want), "v%u-0", i);
            if (i % 4 > 0)
                CHECK(path != NULL && len == strlen(want) && memcmp(path, want, len) == 0);
            const char *second = quicpro_event_field(view, event, "n2", &len);
            snprintf(want, sizeof(want), "v%u-2", i);
            if (i % 4 > 2)
                CHECK(second != NULL && len == strlen(want) && strcmp(second, want) == 0);
            else
                CHECK(second == NULL && len == 0);
        }
        CHECK(!batch.failed);
        qp_batch_reset(&batch);
        CHECK(qp_batch_count(&batch) == 0 && qp_batch_field_mark(&batch) == 0);
    }
    qp_batch_done(&batch);
}

static void test_dropped_fields_leave_no_trace(void)
{
    struct qp_batch batch;
    qp_batch_init(&batch);
    qp_batch_field(&batch, "a", 1, 0, "1", 1);
    size_t mark = qp_batch_field_mark(&batch), text = batch.text.len;
    qp_batch_field(&batch, NULL, 0, QP_NAME_AGE, "", 0);
    qp_batch_field(&batch, "bb", 2, 0, "22", 2);
    qp_batch_fields_drop(&batch, mark);
    CHECK_U64(qp_batch_field_mark(&batch), ==, 1);
    CHECK_U64(batch.text.len, ==, text);
    qp_batch_fields_drop(&batch, 1);
    CHECK_U64(qp_batch_field_mark(&batch), ==, 1);
    qp_batch_field(&batch, "c", 1, 0, "3", 1);
    qp_batch_fields_drop(&batch, 0);
    CHECK(qp_batch_field_mark(&batch) == 0 && batch.text.len == 0);
    CHECK_INT(qp_batch_field(&batch, "", 0, 0, "x", 1), ==, QUICPRO_EPROTO);
    CHECK(qp_batch_field_mark(&batch) == 0 && !batch.failed);
    qp_batch_done(&batch);
}

static void test_user_reaches_only_events_of_the_batch_at_hand(void)
{
    struct qp_batch batch;
    struct qp_batch_places places = {0}, other = {0};
    int mine, theirs;
    qp_batch_init(&batch);
    batch.serial = 1;
    for (unsigned i = 0; i < 6; i++) {
        quicpro_event *event =
            qp_batch_add_at(&batch, QUICPRO_EVENT_DATA, i % 2 == 0 ? &places : &other);
        event->stream = 10 + i % 2;
        event->user = &theirs;
    }
    CHECK(places.first == 0 && places.last == 4 && other.first == 1 && other.last == 5);
    qp_batch_set_user(&batch, &places, 10, &mine);
    const quicpro_event *event = (const quicpro_event *)(const void *)batch.events.data;
    for (unsigned i = 0; i < 6; i++)
        CHECK(event[i].user == (i % 2 == 0 ? (void *)&mine : (void *)&theirs));
    batch.serial = 2; /* the next one: nothing of the stream is in it */
    qp_batch_set_user(&batch, &places, 10, NULL);
    CHECK(event[0].user == &mine);
    qp_batch_done(&batch);
}

/* A body is read into the arena before it is known how much of it stays; a text made meanwhile
 * must not land on it. */
static void test_texts_do_not_touch_reserved_data(void)
{
    struct qp_batch batch;
    size_t room;
    char text[] = "closed by the peer";
    qp_batch_init(&batch);
    uint8_t *body = qp_arena_reserve(&batch.data, 100, &room);
    memset(body, 'b', 100);
    const char *copy = qp_batch_text(&batch, text);
    text[0] = 'X';
    CHECK_STR(copy, "closed by the peer");
    CHECK(body[0] == 'b' && body[99] == 'b');
    qp_batch_done(&batch);
}

static void test_only_field_sections_are_sealed(void)
{
    struct qp_batch batch;
    qp_batch_init(&batch);
    quicpro_event *event = qp_batch_add(&batch, QUICPRO_EVENT_DATA);
    event->data = "body";
    event->len = 4;
    const quicpro_batch *view = qp_batch_seal(&batch);
    CHECK(memcmp(view->events[0].data, "body", 4) == 0);
    qp_batch_done(&batch);
}

static void test_out_of_memory(void)
{
    struct qp_batch batch;
    if (!OOM_POSSIBLE) {
        check_skip("the allocator cannot be replaced here");
        return;
    }
    qp_batch_init(&batch);
    oom_after(0);
    bool added = qp_batch_add(&batch, QUICPRO_EVENT_DATA) != NULL;
    oom_off();
    CHECK(!added && batch.failed);
    for (long allowed = 0; allowed < 2; allowed++) {
        qp_batch_reset(&batch);
        CHECK(!batch.failed);
        oom_after(allowed);
        int r = qp_batch_field(&batch, "name", 4, 0, "value", 5);
        oom_off();
        CHECK(r == QUICPRO_ENOMEM && batch.failed && qp_batch_field_mark(&batch) == 0);
    }
    oom_after(0);
    bool text = qp_batch_text(&batch, "text") != NULL;
    oom_off();
    CHECK(!text);
    qp_batch_done(&batch);
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_empty_batch),
        TEST(test_fields_stay_with_their_event),
        TEST(test_dropped_fields_leave_no_trace),
        TEST(test_texts_do_not_touch_reserved_data),
        TEST(test_user_reaches_only_events_of_the_batch_at_hand),
        TEST(test_only_field_sections_are_sealed),
        TEST(test_out_of_memory),
    };
    return RUN(tests);
}
