/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fragmentation, as Weng et al. define it ("Beware of Fragmentation", USENIX ATC 2023): what is free of
 * a node's GPUs and a request that may come cannot use, on the average over such requests. Labels, taints
 * and memory count here, too.
 */
#include "sim/world_internal.h"

static double mean_factor(const struct world *w, const struct scenario_job *j)
{
    enum { POINTS = 96 };
    double sum = 0;
    for (int i = 0; i < POINTS; i++)
        sum += (double)scenario_factor_at(&j->arrivals.curve, w->scenario->day,
                                          w->scenario->day / POINTS * i);
    return sum / POINTS / PLACE_MILLI;
}

double class_expected(const struct world *w, const struct class *c)
{
    if (c->service) {
        int64_t most = 0;
        const struct scenario_step *steps = c->service->replicas.items;
        for (size_t i = 0; i < c->service->replicas.count; i++)
            most = MAX(most, steps[i].count);
        return (double)most;
    }
    const struct scenario_arrivals *a = &c->job->arrivals;
    double hours = nsec_to_seconds(MAX(c->until - a->from, 0)) / 3600;
    double jobs = (double)a->count + (double)a->at.count +
                  (double)a->per_hour / PLACE_MILLI * hours * mean_factor(w, c->job);
    return jobs * (double)c->job->members;
}

static bool node_will_do(const struct place_node *n, const struct place_view *v,
                         const struct place_request *r)
{
    return v->cpu_free >= r->cpu && v->memory_free >= r->memory && (!v->spot || r->spot) &&
           place_set_within(&r->labels, &n->spec.labels) &&
           place_set_within(&n->spec.taints, &r->tolerations);
}

/* Of what is free of the node, what the request can use. */
static int64_t usable(const struct place_node *n, const struct place_view *v,
                      const struct place_request *r)
{
    int64_t sum = 0;
    int count = 0;
    if ((!r->gpus && !r->share_milli && !r->share_mib) || !node_will_do(n, v, r))
        return 0;
    for (int i = 0; i < v->gpu_count; i++) {
        struct place_share share = {.milli = PLACE_MILLI};
        bool model = !r->models || r->models >> v->model[i] & 1;
        if (!model || (!r->gpus && !place_share_of(&n->spec.gpus[i], r, &share)) ||
            v->room[i] < share.milli)
            continue;
        sum += v->room[i];
        count++;
    }
    return count >= MAX(r->gpus, 1) ? sum : 0;
}

void world_fragments(const struct world *w, double *ret_free, double *ret_fragmented)
{
    double weights[SIM_CLASSES_MAX], all = 0, free_milli = 0, fragment = 0;
    for (size_t i = 0; i < w->class_count; i++)
        all += weights[i] = class_expected(w, &w->classes[i]);
    for (int slot = 0; slot < w->place.node_count; slot++) {
        const struct place_view *v = &w->place.views[slot];
        const struct place_node *n = &w->place.nodes[slot];
        if (!v->open || v->room_sum == 0)
            continue;
        free_milli += v->room_sum;
        for (size_t i = 0; i < w->class_count; i++)
            fragment += weights[i] / all *
                        (double)(v->room_sum - usable(n, v, &w->classes[i].spec.request));
    }
    *ret_free = free_milli / PLACE_MILLI;
    *ret_fragmented = fragment / PLACE_MILLI;
}
