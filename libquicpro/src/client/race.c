#include "client/race.h"

#include <assert.h>
#include <string.h>

static struct qp_race_queue *queue_of(struct qp_race *race, enum qp_family family)
{
    assert(family != QP_FAMILY_ANY);
    return &race->queue[family == QP_FAMILY_V6];
}

static enum qp_family other(enum qp_family family)
{
    return family == QP_FAMILY_V6 ? QP_FAMILY_V4 : QP_FAMILY_V6;
}

static bool has_more(const struct qp_race_queue *queue)
{
    return queue->started < queue->count;
}

void qp_race_init(struct qp_race *race, enum qp_family family, enum qp_family first,
                  quicpro_tstamp attempt_delay)
{
    *race = (struct qp_race){.attempt_delay = attempt_delay};
    race->first = family != QP_FAMILY_ANY ? family : first != QP_FAMILY_ANY ? first : QP_FAMILY_V6;
    race->last = other(race->first);
    race->remembered = first != QP_FAMILY_ANY;
    race->queue[0].pending = family != QP_FAMILY_V6;
    race->queue[1].pending = family != QP_FAMILY_V4;
}

static bool contains(const struct qp_race_queue *queue, const struct qp_dest *dest)
{
    for (unsigned i = 0; i < queue->count; i++)
        if (memcmp(queue->dest[i].addr, dest->addr, sizeof(dest->addr)) == 0)
            return true;
    return false;
}

/* Both answers are there before anything began: RFC 6724 says which to begin with. Where history
 * speaks, it gives way only to a family that has no way out at all. */
static void choose_first(struct qp_race *race)
{
    const struct qp_race_queue *mine = queue_of(race, race->first);
    const struct qp_race_queue *theirs = queue_of(race, other(race->first));
    if (mine->count == 0 || theirs->count == 0)
        return;
    if (race->remembered ? !mine->dest[0].reachable && theirs->dest[0].reachable
                         : qp_dest_compare(&mine->dest[0], &theirs->dest[0]) > 0) {
        race->last = race->first;
        race->first = other(race->first);
    }
}

void qp_race_answer(struct qp_race *race, enum qp_family family, const struct qp_dest *dest,
                    size_t count, quicpro_tstamp now)
{
    struct qp_race_queue *queue = queue_of(race, family);
    assert(queue->pending);
    queue->pending = false;
    for (size_t i = 0; i < count && queue->count < QP_RACE_PER_FAMILY; i++)
        if (!contains(queue, &dest[i]))
            queue->dest[queue->count++] = dest[i];
    qp_dest_sort(queue->dest, queue->count);
    /* Section 3: "If a positive A response is received first due to reordering, the client SHOULD
     * wait a short time for the AAAA response". */
    if (family != race->first && queue->count != 0 && queue_of(race, race->first)->pending &&
        race->starts == 0)
        race->hold_until = now + QP_RACE_RESOLUTION_DELAY;
    if (race->starts == 0)
        choose_first(race);
}

/* Whether the first start may be now. */
static bool may_begin(const struct qp_race *race, quicpro_tstamp now)
{
    const struct qp_race_queue *mine = &race->queue[race->first == QP_FAMILY_V6];
    return !mine->pending || (race->hold_until != 0 && now >= race->hold_until);
}

const struct qp_dest *qp_race_next(struct qp_race *race, quicpro_tstamp now)
{
    if (race->over || (race->starts == 0 ? !may_begin(race, now) : now < race->next_at))
        return NULL;
    /* Section 4: families take turns ("First Address Family Count" is 1). */
    enum qp_family family = other(race->last);
    struct qp_race_queue *queue = queue_of(race, family);
    if (!has_more(queue)) {
        family = other(family);
        queue = queue_of(race, family);
    }
    if (!has_more(queue))
        return NULL;
    race->last = family;
    race->starts++;
    race->live++;
    race->next_at = now + race->attempt_delay;
    return &queue->dest[queue->started++];
}

quicpro_tstamp qp_race_due(const struct qp_race *race)
{
    if (race->over || (!has_more(&race->queue[0]) && !has_more(&race->queue[1])))
        return QUICPRO_FOREVER;
    if (race->starts != 0)
        return race->next_at;
    const struct qp_race_queue *mine = &race->queue[race->first == QP_FAMILY_V6];
    return mine->pending ? race->hold_until : 0;
}

void qp_race_failed(struct qp_race *race)
{
    assert(race->live > 0);
    race->live--;
    race->next_at = 0;
}

void qp_race_won(struct qp_race *race)
{
    race->over = true;
}

bool qp_race_lost(const struct qp_race *race)
{
    return !race->over && race->live == 0 && !race->queue[0].pending && !race->queue[1].pending &&
           !has_more(&race->queue[0]) && !has_more(&race->queue[1]);
}
