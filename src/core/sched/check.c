/* SPDX-License-Identifier: Apache-2.0 */
/* Counts everything anew. For tests: slow. */
#include "core/sched/sched_internal.h"

struct sums {
    size_t leases, awake, asleep, running, held, victims, decided;
};

static const char *check_members(const struct sched *s, const struct sched_workload *w,
                                 struct sums *sums)
{
    bool has = w->state == SCHED_RUNNING || w->state == SCHED_EVICTING;
    if (has && (w->members < w->spec.members_min || w->members > w->spec.members_max))
        return "a gang that is not whole";
    if (w->state == SCHED_PENDING && w->members)
        return "members of one that is pending";
    for (unsigned k = 0; k < w->spec.members_max; k++)
        if (!place_lease_find(s->place, sched_owner(w->spec.id, k)) != !(has && k < w->members))
            return "leases are not those of the members";
    sums->leases += has ? w->members : 0;
    return NULL;
}

static const char *check_state(const struct sched *s, const struct sched_workload *w,
                               struct sums *sums)
{
    bool asleep = heap_has(&w->sleeping), awake = !list_empty(&w->in_queue);
    if ((w->state == SCHED_PENDING) != (asleep || awake) || (asleep && awake))
        return "one that waits is in no queue, or in two, or is one that does not wait";
    if ((w->state == SCHED_RUNNING) != !list_empty(&w->in_running))
        return "the list of those that run is wrong";
    if (w->reserved != (s->reservation.of == w) || (w->reserved && !awake))
        return "the one with the reservation is another";
    if (heap_has(&w->ending) != (w->state == SCHED_RUNNING || w->state == SCHED_EVICTING))
        return "it is expected to end, but does not run, or runs and is not";
    if (!list_empty(&w->in_decided) && w->state != SCHED_EVICTING)
        return "a decision that is over";
    if ((w->state == SCHED_HELD) != (s->held == w))
        return "the held one is another";
    if (w->evicted_for && (w->state != SCHED_EVICTING || !sched_hold_has_victim(s, w)))
        return "a victim of nobody";
    sums->asleep += asleep;
    sums->awake += awake;
    sums->running += w->state == SCHED_RUNNING;
    sums->held += w->state == SCHED_HELD;
    sums->victims += w->evicted_for != 0;
    sums->decided += !list_empty(&w->in_decided);
    return check_members(s, w, sums);
}

static const char *check_queue(const struct sched *s, int queue, struct sums *sums)
{
    const struct list *head = &s->waiting[queue];
    const struct sched_spec *last = NULL;
    bool cursor = s->cursor[queue] == head, tried = true;
    for (const struct list *l = head->next; l != head; l = l->next) {
        const struct sched_workload *w = container_of(l, struct sched_workload, in_queue);
        cursor |= s->cursor[queue] == l;
        tried &= cursor || w->tried == s->cursors_at;
        if (w->spec.queue != queue)
            return "it waits in another queue";
        if (last && (last->priority < w->spec.priority ||
                     (last->priority == w->spec.priority && last->created > w->spec.created)))
            return "a queue is out of order";
        last = &w->spec;
        sums->awake--;
    }
    return cursor && tried ? NULL : "one is passed over that was not tried";
}

static const char *check_quota(const struct sched *s, int queue)
{
    struct quota_amount held = {0};
    struct map_node *node = NULL;
    while ((node = map_next(&s->by_id, node))) {
        const struct sched_workload *w = container_of(node, struct sched_workload, by_id);
        if (w->spec.queue != queue || (w->state != SCHED_RUNNING && w->state != SCHED_HELD))
            continue;
        for (int r = 0; r < QUOTA_RESOURCES; r++)
            held.of[r] += w->spec.amount.of[r] * w->members;
    }
    for (int r = 0; r < QUOTA_RESOURCES; r++) {
        const struct quota_node *n = &s->quota->nodes[queue];
        if (held.of[r] != (n->used && !n->children ? n->held.of[r] : 0))
            return "a queue does not hold what its workloads have";
    }
    return NULL;
}

static size_t length(const struct list *head)
{
    size_t n = 0;
    for (const struct list *l = head->next; l != head; l = l->next)
        n++;
    return n;
}

static const char *check_leases(const struct sched *s, const struct sums *sums)
{
    const struct sched_reservation *r = &s->reservation;
    if (sums->leases + s->ghosts.count + r->ghosts.count != s->place->by_owner.count)
        return "leases of nobody";
    for (unsigned k = 0; k < s->ghosts.count; k++)
        if (!place_lease_find(s->place, SCHED_GHOST + k))
            return "a ghost is not there";
    for (unsigned k = 0; k < r->ghosts.count; k++)
        if (!place_lease_find(s->place, SCHED_GHOST_RESERVED + k))
            return "a ghost of the reservation is not there";
    bool for_nobody = (s->ghosts.count && !s->held) || (r->ghosts.count && !r->of);
    return for_nobody ? "ghosts hold room for nobody" : NULL;
}

const char *sched_check(const struct sched *s)
{
    struct sums sums = {0};
    struct map_node *node = NULL;
    const char *broken = NULL;
    while (!broken && (node = map_next(&s->by_id, node)))
        broken = check_state(s, container_of(node, struct sched_workload, by_id), &sums);
    for (int queue = 0; !broken && queue < QUOTA_NODES_MAX; queue++) {
        broken = check_queue(s, queue, &sums);
        sums.running -= length(&s->running[queue]);
        if (!broken && queue < s->quota->count)
            broken = check_quota(s, queue);
    }
    if (!broken)
        broken = check_leases(s, &sums);
    if (!broken && (sums.awake || sums.running || sums.asleep != s->sleeping.count ||
                    s->candidates.count || sums.decided != length(&s->decided) ||
                    sums.held != (s->held != NULL) || sums.victims != s->victims))
        broken = "lists are not those of the workloads";
    return broken ? broken : place_check(s->place);
}
