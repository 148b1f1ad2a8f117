/* SPDX-License-Identifier: Apache-2.0 */
/* The held workload: its room is kept by ghosts until its victims are gone. */
#include "core/place/policy.h"
#include "core/sched/sched_internal.h"

static int add_ghost(struct sched *s, struct sched_ghosts *g, struct place_lease lease)
{
    lease.owner = g->first + g->count;
    lease.group = 0; /* nobody is there that others would keep away from */
    int error = place_restore(s->place, &lease);
    g->count += !error;
    return error;
}

void sched_ghosts_release(struct sched *s, struct sched_ghosts *g)
{
    while (g->count > 0)
        place_release(s->place, g->first + --g->count);
}

static void free_instance(const struct place_gpu *gpu, const struct place_lease *l,
                          struct place_lease *part)
{
    if (!mig_is_free(mig_profile_of(gpu->spec.mig, l->mig), gpu->mig, l->mig_start))
        return;
    part->gpus = l->gpus;
    part->mig = l->mig;
    part->mig_start = l->mig_start;
}

/* Where no thousandth is free nobody else can have any memory either. */
static void free_share(const struct place_gpu *gpu, const struct place_lease *l,
                       struct place_lease *part)
{
    part->milli = (uint16_t)MIN(l->milli, PLACE_MILLI - gpu->milli_used);
    part->mib = part->milli ? MIN(l->mib, gpu->spec.memory - gpu->mib_used) : 0;
    part->gpus = part->milli ? l->gpus : 0;
}

/* Whole ones. */
static void idle_gpus(const struct place_node *n, const struct place_lease *l,
                      struct place_lease *part)
{
    place_each_gpu(i, l->gpus) if (n->gpus[i].leases == 0) part->gpus |= (uint16_t)(1u << i);
    part->milli = part->gpus ? l->milli : 0;
    part->mib = part->gpus ? l->mib : 0;
}

static bool is_nothing(const struct place_lease *l)
{
    return l->cpu == 0 && l->memory == 0 && l->gpus == 0;
}

/* What of the lease is free now; what is not, the victims leave. (Of a MIG instance, if some slices are
 * free and some are not, nothing: others may take those slices, and the hold will come to nothing.) */
static int hold_lease(struct sched *s, struct sched_ghosts *g, const struct place_node *n,
                      const struct place_lease *l, nsec now)
{
    struct place_lease part = {.node = l->node, .since = now};
    const struct place_gpu *gpu = l->gpus ? &n->gpus[__builtin_ctz(l->gpus)] : NULL;
    part.cpu = MIN(l->cpu, n->spec.cpu - n->cpu_used);
    part.memory = MIN(l->memory, n->spec.memory - n->memory_used);
    if (l->mig)
        free_instance(gpu, l, &part);
    else if (l->milli == PLACE_MILLI)
        idle_gpus(n, l, &part);
    else if (gpu)
        free_share(gpu, l, &part);
    return is_nothing(&part) ? 0 : add_ghost(s, g, part);
}

/* What is left of GPUs that are wanted whole and of which victims have shares. */
static int hold_rests(struct sched *s, struct sched_ghosts *g, const struct place_node *n,
                      const struct place_lease *l, nsec now)
{
    int error = 0;
    for (unsigned i = 0; l->milli == PLACE_MILLI && i < PLACE_GPUS_MAX && !error; i++) {
        struct place_lease rest = {.node = l->node, .since = now}, one = *l;
        one.gpus = l->gpus & (uint16_t)(1u << i);
        if (!one.gpus || n->gpus[i].leases == 0)
            continue;
        free_share(&n->gpus[i], &one, &rest);
        error = is_nothing(&rest) ? 0 : add_ghost(s, g, rest);
    }
    return error;
}

bool sched_ghosts_fill(struct sched *s, struct sched_ghosts *g, const struct place_lease *room,
                       unsigned members, nsec now)
{
    for (unsigned k = 0; k < members; k++) {
        const struct place_lease *l = &room[k];
        const struct place_node *n = place_node_find(s->place, l->node);
        CHECK(n);
        int error = hold_rests(s, g, n, l, now); /* first: idle GPUs are not idle after */
        if (!error)
            error = hold_lease(s, g, n, l, now);
        CHECK(!error || error == ERR_FULL);
        if (error) {
            sched_ghosts_release(s, g);
            return false;
        }
    }
    return true;
}

void sched_hold_begin(struct sched *s, struct sched_workload *w, unsigned victims, nsec now)
{
    sched_dequeue(s, w);
    sched_move(w, SCHED_HELD);
    w->members = w->spec.members_min;
    w->hold_until = nsec_after(now, s->options.hold_max);
    s->held = w;
    s->victims = victims;
}

bool sched_hold_has_victim(const struct sched *s, const struct sched_workload *w)
{
    return s->held && w->evicted_for == s->held->spec.id;
}

void sched_hold_take_over(struct sched *s, struct sched_workload *victim)
{
    victim->evicted_for = 0;
    s->victims--;
    for (unsigned k = 0; k < victim->members; k++) {
        uint64_t owner = sched_owner(victim->spec.id, k);
        struct place_lease lease = *place_lease_find(s->place, owner);
        place_release(s->place, owner);
        int error = add_ghost(s, &s->ghosts, lease);
        CHECK(!error || error == ERR_NOT_FOUND); /* its node was removed */
    }
}

static struct sched_workload *release_hold(struct sched *s)
{
    struct sched_workload *held = s->held;
    sched_ghosts_go(s, &s->ghosts);
    s->held = NULL;
    s->reservation.incomplete = true;
    return held;
}

static void back_to_queue(struct sched *s, struct sched_workload *w, nsec now)
{
    sched_give_quota_back(s, w, now);
    sched_wait(s, w, now);
}

void sched_hold_cancel(struct sched *s, nsec now)
{
    struct map_node *node = NULL;
    while ((node = map_next(&s->by_id, node)))
        container_of(node, struct sched_workload, by_id)->evicted_for = 0;
    s->victims = 0;
    back_to_queue(s, release_hold(s), now);
}

struct sched_workload *sched_hold_end(struct sched *s, nsec now)
{
    struct sched_workload *w = release_hold(s);
    unsigned members;
    if (sched_place(s, w, w->members, now, &members)) {
        back_to_queue(s, w, now);
        return NULL;
    }
    sched_run(s, w, members, now);
    s->reservation.stale |= sched_reserve_meets(s, w);
    return w;
}

void sched_hold_count_victims(struct sched *s)
{
    struct map_node *node = NULL;
    s->victims = 0;
    while ((node = map_next(&s->by_id, node)))
        s->victims += sched_hold_has_victim(s, container_of(node, struct sched_workload, by_id));
}
