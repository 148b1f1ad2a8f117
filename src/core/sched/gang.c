/* SPDX-License-Identifier: Apache-2.0 */
/* All members or none: room and quota. */
#include "core/sched/sched_internal.h"

void sched_unplace(struct sched *s, const struct sched_workload *w, unsigned members)
{
    while (members-- > 0)
        place_release(s->place, sched_owner(w->spec.id, members));
}

int sched_place(struct sched *s, const struct sched_workload *w, unsigned most, nsec now,
                unsigned *ret_members)
{
    const struct place_lease *lease;
    unsigned k = 0;
    int error = 0;
    for (; k < most && !error; k += !error)
        error = place_allocate(s->place, sched_owner(w->spec.id, k), &w->spec.request, now, &lease);
    CHECK(error != ERR_CONFLICT);
    if (k >= w->spec.members_min) {
        *ret_members = k;
        return 0;
    }
    sched_unplace(s, w, k);
    return error;
}

static enum quota_answer quota_answer(const struct sched *s, const struct sched_workload *w,
                                      unsigned members)
{
    struct quota_amount amount = sched_amount(&w->spec, members);
    struct quota_verdict v;
    quota_fits(s->quota, w->spec.queue, &amount, &v);
    return v.answer;
}

static bool has_quota(const struct sched *s, const struct sched_workload *w, unsigned members,
                      nsec now)
{
    enum quota_answer answer = quota_answer(s, w, members);
    return (answer == QUOTA_FITS || answer == QUOTA_BORROWS) &&
           !sched_reserve_needs_quota(s, w, members, now);
}

/* The most members that quota has, by bisection: what has quota has it with fewer too. */
static unsigned most_by_quota(const struct sched *s, const struct sched_workload *w, nsec now)
{
    unsigned has = w->spec.members_min, most = w->spec.members_max;
    while (has < most) {
        unsigned half = has + (most - has + 1) / 2;
        if (has_quota(s, w, half, now))
            has = half;
        else
            most = half - 1;
    }
    return has;
}

static enum sched_why why_of(int place_error)
{
    return place_error == ERR_INVALID ? SCHED_WHY_INVALID
           : place_error == ERR_FULL  ? SCHED_WHY_LEASES
                                      : SCHED_WHY_ROOM;
}

/* As sched_place, with what is reserved if it may have it. */
static int place_by_right(struct sched *s, const struct sched_workload *w, unsigned most, nsec now,
                          unsigned *ret_members)
{
    if (!sched_reserve_admits(s, w, now))
        return sched_place(s, w, most, now, ret_members);
    sched_reserve_suspend(s);
    int error = sched_place(s, w, most, now, ret_members);
    sched_reserve_resume(s, w, now);
    return error;
}

bool sched_start(struct sched *s, struct sched_workload *w, nsec now)
{
    enum quota_answer answer = quota_answer(s, w, w->spec.members_min);
    if (answer == QUOTA_CLOSED || answer == QUOTA_SHORT) {
        w->why = answer == QUOTA_CLOSED ? SCHED_WHY_CLOSED : SCHED_WHY_QUOTA;
        return false;
    }
    if (sched_reserve_needs_quota(s, w, w->spec.members_min, now)) {
        w->why = SCHED_WHY_RESERVED;
        return false;
    }
    unsigned members;
    int error = place_by_right(s, w, most_by_quota(s, w, now), now, &members);
    if (error) {
        w->why = why_of(error);
        return false;
    }
    struct quota_amount amount = sched_amount(&w->spec, members);
    struct quota_verdict v;
    CHECK(quota_take(s->quota, w->spec.queue, &amount, now, &v) == 0);
    sched_run(s, w, members, now);
    return true;
}
