/* SPDX-License-Identifier: Apache-2.0 */
#include "core/sched/explain.h"

#include <string.h>

#include "core/place/fit.h"
#include "core/sched/sched_internal.h"

/* ---- classes of nodes ---- */

static bool is_like(const struct place_node_spec *a, const struct place_node_spec *b)
{
    if (a->cpu != b->cpu || a->memory != b->memory || a->spot != b->spot ||
        a->gpu_count != b->gpu_count || memcmp(&a->labels, &b->labels, sizeof(a->labels)) != 0 ||
        memcmp(&a->taints, &b->taints, sizeof(a->taints)) != 0)
        return false;
    for (int i = 0; i < a->gpu_count; i++)
        if (a->gpus[i].model != b->gpus[i].model || a->gpus[i].memory != b->gpus[i].memory ||
            a->gpus[i].mig != b->gpus[i].mig)
            return false;
    return true;
}

static struct sched_class *class_of(const struct sched *s, struct sched_explanation *e,
                                    const struct place_node *n)
{
    for (unsigned i = 0; i < e->class_count; i++)
        if (is_like(&place_node_find(s->place, e->classes[i].first)->spec, &n->spec))
            return &e->classes[i];
    if (e->class_count == SCHED_CLASSES_MAX)
        return NULL;
    struct sched_class *class = &e->classes[e->class_count++];
    class->first = n->spec.id;
    return class;
}

/* What nobody's leaving changes. */
static unsigned lasting(unsigned reasons)
{
    return reasons & (PLACE_CLOSED | PLACE_SPOT | PLACE_LABELS | PLACE_TAINTS | PLACE_MODEL);
}

static bool lacks_less(const struct place_lack *a, const struct place_lack *b)
{
    int x = __builtin_popcount(lasting(a->reasons)), y = __builtin_popcount(lasting(b->reasons));
    int gpus = PLACE_MILLI * (a->gpus - b->gpus) + a->milli - b->milli;
    if (x != y)
        return x < y;
    if (gpus != 0)
        return gpus < 0;
    return a->cpu != b->cpu ? a->cpu < b->cpu : a->memory < b->memory;
}

static void count_node(struct sched_class *class, const struct place_node *n,
                       const struct place_lack *lack)
{
    class->nodes++;
    class->fit += lack->reasons == 0;
    class->closed += n->spec.closed;
    for (int bit = 0; bit < PLACE_REASONS; bit++)
        class->lacking[bit] += lack->reasons >> bit & 1;
    if (lack->reasons && (class->best == 0 || lacks_less(lack, &class->lack))) {
        class->best = n->spec.id;
        class->lack = *lack;
    }
}

static void look_at_nodes(const struct sched *s, const struct sched_workload *w,
                          struct sched_explanation *e)
{
    const struct place *p = s->place;
    for (int slot = 0; slot < p->node_count; slot++) {
        const struct place_node *n = &p->nodes[slot];
        if (n->spec.id == 0 || n->removed)
            continue;
        struct place_lack lack = place_lack_of(p, n, &w->spec.request);
        struct sched_class *class = class_of(s, e, n);
        if (class)
            count_node(class, n, &lack);
        else
            e->nodes_left_out++;
        if (!lack.reasons)
            e->members_now +=
                place_members(p, n, &w->spec.request, w->spec.members_min - e->members_now, NULL);
    }
}

/* ---- who would have to leave ---- */

/* For whom the lease is: a workload's, or for whom room is kept. */
static uint64_t user_of(const struct sched *s, const struct place_lease *l)
{
    if (l->owner >= SCHED_GHOST_RESERVED)
        return s->reservation.of->spec.id;
    return l->owner & SCHED_GHOST ? s->held->spec.id : l->owner >> SCHED_MEMBER_BITS;
}

static void leave(const struct sched *s, struct place_node *copy, uint64_t user, bool leaves)
{
    const struct place_lease *l = NULL;
    while ((l = place_lease_next(s->place, l))) {
        if (l->node != copy->spec.id || user_of(s, l) != user)
            continue;
        if (leaves)
            place_node_give_back(copy, l);
        else
            place_node_take(copy, l);
    }
}

static bool is_leaver(const struct sched_class *class, uint64_t user)
{
    for (unsigned i = 0; i < class->leaver_count; i++)
        if (class->leavers[i] == user)
            return true;
    return false;
}

static bool fits(const struct sched *s, const struct place_node *copy,
                 const struct sched_workload *w)
{
    return place_members(s->place, copy, &w->spec.request, 1, NULL) == 1;
}

/* Those that have come last first: others have been there for longer. */
static const struct place_lease *youngest_left(const struct sched *s,
                                               const struct sched_class *class,
                                               const struct sched_workload *w)
{
    const struct place_lease *l = NULL, *youngest = NULL;
    while ((l = place_lease_next(s->place, l)))
        if (l->node == class->best && user_of(s, l) != w->spec.id &&
            !is_leaver(class, user_of(s, l)) && (!youngest || l->since > youngest->since))
            youngest = l;
    return youngest;
}

static void keep_needed(const struct sched *s, struct sched_class *class, struct place_node *copy,
                        const struct sched_workload *w)
{
    for (unsigned i = class->leaver_count; i-- > 0;) {
        leave(s, copy, class->leavers[i], false);
        if (fits(s, copy, w))
            class->leavers[i] = class->leavers[--class->leaver_count];
        else
            leave(s, copy, class->leavers[i], true);
    }
}

static void find_leavers(const struct sched *s, struct sched_class *class,
                         const struct sched_workload *w)
{
    struct place_node copy = *place_node_find(s->place, class->best);
    const struct place_lease *l;
    bool enough = false;
    while (!enough && class->leaver_count < SCHED_LEAVERS_MAX && (l = youngest_left(s, class, w))) {
        uint64_t user = user_of(s, l);
        class->leavers[class->leaver_count++] = user;
        leave(s, &copy, user, true);
        enough = fits(s, &copy, w);
    }
    if (enough)
        keep_needed(s, class, &copy, w);
    else
        class->leaver_count = 0;
}

/* ---- all of it ---- */

/* Would it start if nobody had the reservation? */
static bool is_kept_for_another(struct sched *s, const struct sched_workload *w, nsec now)
{
    unsigned members;
    if (!s->reservation.of || sched_reserve_admits(s, w, now))
        return false;
    sched_reserve_suspend(s);
    bool fits = sched_place(s, w, w->spec.members_min, now, &members) == 0;
    if (fits)
        sched_unplace(s, w, members);
    sched_reserve_resume(s, s->reservation.of, now);
    return fits;
}

void sched_explain(struct sched *s, const struct sched_workload *w, nsec now,
                   struct sched_explanation *ret)
{
    const struct sched_spec *spec = &w->spec;
    struct quota_amount amount = sched_amount(spec, spec->members_min);
    sched_reserve_refresh(s, now);
    *ret = (struct sched_explanation){
        .state = w->state,
        .why = w->why,
        .sleeps_until = w->sleeps_until > now ? w->sleeps_until : 0,
        .closed = !sched_queue_is_open(s->quota, spec->queue),
        .invalid = !place_request_is_valid(&spec->request),
        .members_min = spec->members_min,
        .reserved = w->reserved,
    };
    if (ret->closed || ret->invalid || w->state != SCHED_PENDING)
        return;
    if (w->reserved) {
        ret->at = s->reservation.at;
        ret->room = s->reservation.room;
    }
    bool admitted = sched_reserve_admits(s, w, now);
    if (admitted)
        sched_reserve_suspend(s);
    quota_fits(s->quota, spec->queue, &amount, &ret->quota);
    sched_explain_spared(s, w, now, ret->spared);
    look_at_nodes(s, w, ret);
    for (unsigned i = 0; i < ret->class_count; i++)
        if (ret->classes[i].best && lasting(ret->classes[i].lack.reasons) == 0)
            find_leavers(s, &ret->classes[i], w);
    if (admitted)
        sched_reserve_resume(s, s->reservation.of, now);
    ret->kept_for = is_kept_for_another(s, w, now) ? s->reservation.of->spec.id : 0;
}
