/* SPDX-License-Identifier: Apache-2.0 */
/* What ran before a restart. */
#include "core/sched/sched_internal.h"

static int restore_leases(struct sched *s, uint64_t first, const struct place_lease *leases,
                          size_t count)
{
    for (size_t k = 0; k < count; k++) {
        int error =
            leases[k].owner == first + k ? place_restore(s->place, &leases[k]) : ERR_INVALID;
        if (!error)
            continue;
        while (k-- > 0)
            place_release(s->place, first + k);
        return error;
    }
    return 0;
}

static bool restorable(const struct sched *s, const struct sched_workload *w, size_t count)
{
    if (w->state == SCHED_HELD)
        return !s->held && w->members == w->spec.members_min;
    return (w->state == SCHED_RUNNING || w->state == SCHED_EVICTING) && count == w->members &&
           count >= w->spec.members_min && count <= w->spec.members_max &&
           (w->state == SCHED_EVICTING || w->evicted_for == 0);
}

static void restored(struct sched *s, struct sched_workload *w, size_t count)
{
    if (w->state == SCHED_HELD) {
        s->held = w;
        s->ghosts.count = (unsigned)count;
    } else if (w->state == SCHED_RUNNING) {
        sched_list_ending(s, w);
        sched_list_running(s, w);
    } else {
        sched_list_ending(s, w);
        list_append(&s->decided, &w->in_decided);
    }
    sched_hold_count_victims(s);
}

int sched_restore(struct sched *s, struct sched_workload *w, const struct place_lease *leases,
                  size_t count, nsec now)
{
    enum sched_state state = w->state;
    bool possible = restorable(s, w, count);
    uint64_t first = state == SCHED_HELD ? SCHED_GHOST : sched_owner(w->spec.id, 0);
    w->state = SCHED_OUT;
    w->reserved = false;
    int error = possible ? sched_enter(s, w) : ERR_INVALID;
    if (error)
        return error;
    struct quota_amount amount = sched_amount(&w->spec, w->members);
    error = restore_leases(s, first, leases, count);
    if (!error && state != SCHED_EVICTING && !sched_is_nothing(&amount)) {
        error = quota_restore(s->quota, w->spec.queue, &amount, now);
        for (size_t k = 0; error && k < count; k++)
            place_release(s->place, first + k);
    }
    if (error) {
        map_remove(&s->by_id, &w->by_id);
        return error;
    }
    sched_move(w, state);
    restored(s, w, count);
    return 0;
}
