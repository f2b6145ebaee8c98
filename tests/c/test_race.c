#include "client/race.h"

#include "check.h"

#define MS QUICPRO_MILLISECOND

/* A race is told as a script: at some time something happens; then the addresses named start. */
enum what { NOTHING, A, AAAA, A_NONE, AAAA_NONE, FAILED, WON };
struct step {
    unsigned at_ms;
    enum what what;
    const char *starts; /* one character for each: 4 and 6 the first of their family, 5 and 7 the
                           second, a and b, c and d the third and fourth */
    int due_ms;         /* -1: never */
};

static struct qp_dest dest_of(enum qp_family family, unsigned n)
{
    static const char name4[] = "45ac", name6[] = "67bd";
    struct qp_dest d = {.family = family, .reachable = true};
    d.tag = (uint8_t)(family == QP_FAMILY_V4 ? name4 : name6)[n];
    if (family == QP_FAMILY_V4)
        memcpy(d.addr, "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc6\x33\x64", 15);
    else
        memcpy(d.addr, "\x20\x01\x0d\xb8", 4);
    d.addr[15] = (uint8_t)(n + 1);
    memcpy(d.source, d.addr, 16);
    d.source[15] = 99;
    return d;
}

static void give(struct qp_race *race, enum qp_family family, size_t count, quicpro_tstamp now)
{
    struct qp_dest d[4];
    for (unsigned i = 0; i < 4; i++)
        d[i] = dest_of(family, i);
    qp_race_answer(race, family, d, count, now);
}

static void apply(struct qp_race *race, const struct step *s, size_t v4, size_t v6)
{
    const quicpro_tstamp now = s->at_ms * MS;
    switch (s->what) {
    case A:
        give(race, QP_FAMILY_V4, v4, now);
        break;
    case AAAA:
        give(race, QP_FAMILY_V6, v6, now);
        break;
    case A_NONE:
        give(race, QP_FAMILY_V4, 0, now);
        break;
    case AAAA_NONE:
        give(race, QP_FAMILY_V6, 0, now);
        break;
    case FAILED:
        qp_race_failed(race);
        break;
    case WON:
        qp_race_won(race);
        break;
    case NOTHING:
        break;
    }
}

static void tell(const char *name, enum qp_family family, enum qp_family first, unsigned delay_ms,
                 size_t v4, size_t v6, const struct step *step, bool lost)
{
    struct qp_race race;
    qp_race_init(&race, family, first, delay_ms * MS);
    for (; step->starts != NULL; step++) {
        const quicpro_tstamp now = step->at_ms * MS;
        char started[QP_RACE_MAX + 1] = "";
        const struct qp_dest *d;
        apply(&race, step, v4, v6);
        while ((d = qp_race_next(&race, now)) != NULL)
            started[strlen(started)] = (char)d->tag;
        quicpro_tstamp due = qp_race_due(&race);
        if (!CHECK_STR(started, step->starts) ||
            !CHECK_U64(due, ==, step->due_ms < 0 ? QUICPRO_FOREVER : (unsigned)step->due_ms * MS))
            printf("#   %s, at %u ms\n", name, step->at_ms);
    }
    if (!CHECK(qp_race_lost(&race) == lost))
        printf("#   %s, at the end\n", name);
}

/* RFC 8305 section 5: one attempt after the other, families in turn, 250 ms between them. */
static void test_attempts_are_staggered(void)
{
    static const struct step both[] = {
        {0, AAAA, "6", 250},     {1, A, "", 250},
        {249, NOTHING, "", 250}, {250, NOTHING, "4", 500},
        {499, NOTHING, "", 500}, {500, NOTHING, "7", 750},
        {750, NOTHING, "5", -1}, {5000, NOTHING, "", -1},
        {5001, WON, "", -1},     {0},
    };
    tell("two of each", QP_FAMILY_ANY, QP_FAMILY_ANY, 250, 2, 2, both, false);
    static const struct step zero[] = {{0, AAAA, "67", -1}, {3, A, "45", -1}, {0}};
    tell("without delay", QP_FAMILY_ANY, QP_FAMILY_ANY, 0, 2, 2, zero, false);
    static const struct step low[] = {
        {0, AAAA, "6", 10}, {5, A, "", 10}, {10, NOTHING, "4", 20}, {20, NOTHING, "7", 30}, {0}};
    tell("10 ms", QP_FAMILY_ANY, QP_FAMILY_ANY, 10, 2, 2, low, false);
}

/* Section 3: the answer for the family that goes second waits 50 ms for the other. */
static void test_the_resolution_delay(void)
{
    static const struct step in_time[] = {
        {7, A, "", 57}, {56, NOTHING, "", 57}, {56, AAAA, "6", 306}, {306, NOTHING, "4", -1}, {0}};
    tell("IPv6 in time", QP_FAMILY_ANY, QP_FAMILY_ANY, 250, 1, 1, in_time, false);
    static const struct step too_late[] = {
        {7, A, "", 57}, {57, NOTHING, "4", -1}, {90, AAAA, "", 307}, {307, NOTHING, "6", -1}, {0}};
    tell("IPv6 too late", QP_FAMILY_ANY, QP_FAMILY_ANY, 250, 1, 1, too_late, false);
    static const struct step much_later[] = {
        {7, A, "", 57}, {57, NOTHING, "4", -1}, {900, AAAA, "6", -1}, {0}};
    tell("IPv6 much later", QP_FAMILY_ANY, QP_FAMILY_ANY, 250, 1, 1, much_later, false);
    static const struct step none[] = {{7, A, "", 57}, {20, AAAA_NONE, "4", -1}, {0}};
    tell("no IPv6", QP_FAMILY_ANY, QP_FAMILY_ANY, 250, 1, 0, none, false);
    static const struct step first_none[] = {{7, AAAA_NONE, "", -1}, {20, A, "4", -1}, {0}};
    tell("no IPv6, known early", QP_FAMILY_ANY, QP_FAMILY_ANY, 250, 1, 0, first_none, false);
}

static void test_history_goes_first(void)
{
    static const struct step v4[] = {
        {0, A, "4", -1}, {1, AAAA, "", 250}, {250, NOTHING, "6", -1}, {0}};
    tell("IPv4 remembered", QP_FAMILY_ANY, QP_FAMILY_V4, 250, 1, 1, v4, false);
    static const struct step waits[] = {{0, AAAA, "", 50}, {9, A, "4", 259}, {0}};
    tell("IPv6 waits for it", QP_FAMILY_ANY, QP_FAMILY_V4, 250, 1, 1, waits, false);
}

static void test_one_family_only(void)
{
    static const struct step v4[] = {{0, A, "4", 250}, {250, NOTHING, "5", -1}, {0}};
    tell("ipv4", QP_FAMILY_V4, QP_FAMILY_V6, 250, 2, 0, v4, false);
    static const struct step v6[] = {{0, AAAA, "6", 250}, {250, NOTHING, "7", -1}, {0}};
    tell("ipv6", QP_FAMILY_V6, QP_FAMILY_V4, 250, 0, 2, v6, false);
    static const struct step none[] = {{0, AAAA_NONE, "", -1}, {0}};
    tell("ipv6, none", QP_FAMILY_V6, QP_FAMILY_ANY, 250, 0, 0, none, true);
}

/* An attempt that fails makes room for the next at once. */
static void test_failures_hurry(void)
{
    static const struct step refused[] = {{0, AAAA, "6", 250},
                                          {1, A, "", 250},
                                          {3, FAILED, "4", 253},
                                          {4, FAILED, "7", 254},
                                          {5, FAILED, "5", -1},
                                          {9, FAILED, "", -1},
                                          {0}};
    tell("all refused", QP_FAMILY_ANY, QP_FAMILY_ANY, 250, 2, 2, refused, true);
    static const struct step waiting[] = {
        {0, AAAA, "6", -1}, {3, FAILED, "", -1}, {400, A, "4", -1}, {401, FAILED, "", -1}, {0}};
    tell("the resolver is slow", QP_FAMILY_ANY, QP_FAMILY_ANY, 250, 1, 1, waiting, true);
}

static void test_nothing_starts_after_the_win(void)
{
    static const struct step won[] = {{0, AAAA, "6", 250},  {10, WON, "", -1},      {11, A, "", -1},
                                      {12, FAILED, "", -1}, {999, NOTHING, "", -1}, {0}};
    tell("won", QP_FAMILY_ANY, QP_FAMILY_ANY, 250, 2, 2, won, false);
}

static void test_no_address_is_lost(void)
{
    static const struct step none[] = {{0, A_NONE, "", -1}, {1, AAAA_NONE, "", -1}, {0}};
    tell("none", QP_FAMILY_ANY, QP_FAMILY_ANY, 250, 0, 0, none, true);
    static const struct step half[] = {{0, A_NONE, "", -1}, {0}};
    tell("one answer to come", QP_FAMILY_ANY, QP_FAMILY_ANY, 250, 0, 0, half, false);
}

/* IPv6 without a way out does not go first, whatever history says; it is still tried. */
static void test_a_family_without_a_route(void)
{
    for (int remembered = 0; remembered < 2; remembered++) {
        struct qp_race race;
        struct qp_dest d = dest_of(QP_FAMILY_V6, 0), e = dest_of(QP_FAMILY_V4, 0);
        d.reachable = false;
        qp_race_init(&race, QP_FAMILY_ANY, remembered ? QP_FAMILY_V6 : QP_FAMILY_ANY, 250 * MS);
        qp_race_answer(&race, QP_FAMILY_V4, &e, 1, 0);
        qp_race_answer(&race, QP_FAMILY_V6, &d, 1, 0);
        const struct qp_dest *first = qp_race_next(&race, 0);
        CHECK(first != NULL && first->family == QP_FAMILY_V4);
        const struct qp_dest *second = qp_race_next(&race, 250 * MS);
        CHECK(second != NULL && second->family == QP_FAMILY_V6);
    }
}

static void test_duplicates_and_too_many(void)
{
    struct qp_race race;
    struct qp_dest d[30];
    unsigned starts = 0;
    qp_race_init(&race, QP_FAMILY_V4, QP_FAMILY_ANY, 0);
    for (unsigned i = 0; i < COUNTOF(d); i++)
        d[i] = dest_of(QP_FAMILY_V4, i % 2);
    qp_race_answer(&race, QP_FAMILY_V4, d, COUNTOF(d), 0);
    while (qp_race_next(&race, 0) != NULL)
        starts++;
    CHECK_U64(starts, ==, 2);
    qp_race_init(&race, QP_FAMILY_V4, QP_FAMILY_ANY, 0);
    for (unsigned i = 0; i < COUNTOF(d); i++)
        d[i].addr[15] = (uint8_t)i;
    qp_race_answer(&race, QP_FAMILY_V4, d, COUNTOF(d), 0);
    for (starts = 0; qp_race_next(&race, 0) != NULL;)
        starts++;
    CHECK_U64(starts, ==, QP_RACE_PER_FAMILY);
}

/* Whatever happens in whatever order: each address starts once at most, starts keep their distance
 * unless one failed, and a race that nobody wins is lost exactly when all have failed. */
static void test_any_order_of_events(void)
{
    uint64_t seed = 1;
    for (int round = 0; round < 2000; round++) {
        struct qp_race race;
        quicpro_tstamp now = 0, last_start = 0;
        unsigned live = 0, starts = 0, total = 0;
        bool asked[2] = {true, true}, hurry = true;
        qp_race_init(&race, QP_FAMILY_ANY, (enum qp_family)(check_random(&seed) % 3), 100 * MS);
        for (int i = 0; i < 200; i++) {
            unsigned pick = check_random(&seed) % 4;
            now += check_random(&seed) % (30 * MS);
            if (pick < 2 && asked[pick] && check_random(&seed) % 4 == 0) {
                size_t n = check_random(&seed) % 5;
                give(&race, pick == 0 ? QP_FAMILY_V4 : QP_FAMILY_V6, n, now);
                asked[pick] = false;
                total += (unsigned)n;
            } else if (pick == 2 && live > 0 && check_random(&seed) % 3 == 0) {
                qp_race_failed(&race);
                live--;
                hurry = true;
            }
            CHECK_U64(starts, <=, total);
            while (qp_race_next(&race, now) != NULL) {
                CHECK(hurry || now - last_start >= 100 * MS);
                hurry = false;
                last_start = now;
                live++;
                starts++;
            }
            CHECK(qp_race_due(&race) > now);
            CHECK(qp_race_lost(&race) == (!asked[0] && !asked[1] && live == 0 && starts == total));
        }
    }
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_attempts_are_staggered),  TEST(test_the_resolution_delay),
        TEST(test_history_goes_first),      TEST(test_one_family_only),
        TEST(test_failures_hurry),          TEST(test_nothing_starts_after_the_win),
        TEST(test_no_address_is_lost),      TEST(test_a_family_without_a_route),
        TEST(test_duplicates_and_too_many), TEST(test_any_order_of_events),
    };
    return RUN(tests);
}
