/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fragmentation gradient descent (Weng et al., USENIX ATC 2023): a request goes where what the
 * expected workload could not use grows least.
 *
 * A shape m of that workload, of weight p(m), can use of a node: nothing if it wants no GPU, or its
 * CPU is short, or fewer GPUs than it wants have the room; else all room on GPUs that have enough for
 * it. Fragment F = sum over m of p(m) * (room - usable room). GPUs of several models on one node count
 * as nodes of their own that share the CPU; what the workload wants of memory, labels and topology is
 * left aside, and shapes of memory alone or of MIG instances count as wanting no GPU.
 *
 * As a share asks for one GPU, its usable room is a sum over GPUs. So the sum over all m is read off
 * tables by CPU left (rows) and by room (steps), of the weights that can be served with no more:
 *     U = sum over GPUs of room * share[row][step] + 1000 * idle * whole[row][idle]
 * and F = weight of all * room - U.
 */
#include <math.h>

#include "core/place/place_internal.h"
#include "core/place/target.h"
#include "core/place/trial.h"

/* ---- scoring ---- */

/* Weight of the shares that could use this much room. */
static int64_t share_weight(const struct place_target *t, int model, int row, int step)
{
    return t->tables[model].share[row * t->width + step];
}

static int64_t whole_room(const struct place_target *t, int model, int row, int idle)
{
    return (int64_t)PLACE_MILLI * idle * t->tables[model].whole[row * TARGET_WIDTH_WHOLE + idle];
}

/* Of the node's only model, or of each of them. */
static int64_t all_whole_room(const struct place_target *t, const struct place_view *v, int row,
                              uint16_t idle)
{
    int64_t sum = 0;
    if ((v->models & (v->models - 1)) == 0)
        return idle ? whole_room(t, v->model[0], row, place_count(idle)) : 0;
    while (idle) {
        int model = v->model[__builtin_ctz(idle)];
        uint16_t alike = 0;
        place_each_gpu(i, idle) alike |= (uint16_t)((v->model[i] == model) << i);
        sum += whole_room(t, model, row, place_count(alike));
        idle &= (uint16_t)~alike;
    }
    return sum;
}

static int64_t all_share_room(const struct place_target *t, const struct place_view *v, int row)
{
    int64_t sum = 0;
    for (int i = 0; i < v->gpu_count; i++)
        sum += v->room[i] * share_weight(t, v->model[i], row, v->step[i]);
    return sum;
}

static void fgd_look(const struct place *p, struct place_view *v)
{
    const struct place_target *t = p->target;
    int row = target_row_of(t, v->cpu_free);
    for (int i = 0; i < v->gpu_count; i++)
        v->step[i] = (uint8_t)t->step_of_room[v->room[i]];
    v->value = all_share_room(t, v, row) + all_whole_room(t, v, row, v->idle);
}

int64_t place_usable(const struct place *p, const struct place_node *n)
{
    struct place_view v = place_view_of(p, n);
    if (!v.open)
        return 0;
    fgd_look(p, &v);
    return v.value;
}

/* F before less F after, times the weight of all; `used` is no room any more. */
static int64_t gain_of(const struct place_case *c, int used, int64_t usable_after)
{
    return (int64_t)c->place->target->weight * used - c->view->value + usable_after;
}

static int score_of_gain(const struct place_target *t, int64_t gain)
{
    double x = (double)gain / (double)MAX(t->weight, 1u) / PLACE_MILLI;
    return (int)(PLACE_PERCENT / (1.0 + exp(-x)));
}

static int64_t whole_gain(const struct place_case *c, int row)
{
    const struct place_target *t = c->place->target;
    const struct place_view *v = c->view;
    int64_t usable =
        all_share_room(t, v, row) + all_whole_room(t, v, row, v->idle & (uint16_t)~c->gpus);
    place_each_gpu(i, c->gpus) usable -=
        PLACE_MILLI * share_weight(t, v->model[i], row, v->step[i]);
    return gain_of(c, place_count(c->gpus) * PLACE_MILLI, usable);
}

/* Of the share on GPU i; `share_room` is what shares could use before, with the CPU that is left then. */
static int64_t share_gain(const struct place_case *c, int row, int64_t share_room, unsigned i)
{
    const struct place_target *t = c->place->target;
    const struct place_view *v = c->view;
    int model = v->model[i], before = v->room[i];
    int used = place_share_room(&c->node->gpus[i], c->request), after = before - used;
    int64_t usable = share_room + after * share_weight(t, model, row, t->step_of_room[after]) -
                     before * share_weight(t, model, row, v->step[i]) +
                     all_whole_room(t, v, row, v->idle & (uint16_t) ~(1u << i));
    return gain_of(c, used, usable);
}

static int64_t best_share_gain(const struct place_case *c, int row)
{
    int64_t share_room = all_share_room(c->place->target, c->view, row), best = INT64_MIN;
    unsigned last = PLACE_GPUS_MAX;
    place_each_gpu(i, c->gpus)
    {
        if (last < PLACE_GPUS_MAX && place_is_like(c, i, last))
            continue;
        last = i;
        int64_t gain = share_gain(c, row, share_room, i);
        best = MAX(best, gain);
    }
    return best;
}

static int row_after(const struct place_case *c)
{
    return target_row_of(c->place->target, c->view->cpu_free - c->request->cpu);
}

static int fgd_score(const struct place_case *c)
{
    int row = row_after(c);
    return score_of_gain(c->place->target,
                         place_is_share(c->request) ? best_share_gain(c, row) : whole_gain(c, row));
}

/* The first of those that have the node's score. */
static int fgd_share_gpu(const struct place_case *c)
{
    const struct place_target *t = c->place->target;
    int row = row_after(c), score = fgd_score(c);
    int64_t share_room = all_share_room(t, c->view, row);
    place_each_gpu(i, c->gpus)
    {
        if (score_of_gain(t, share_gain(c, row, share_room, i)) == score)
            return (int)i;
    }
    return PLACE_NONE;
}

const struct place_policy place_fgd = {
    .name = "fgd", .score = fgd_score, .share_gpu = fgd_share_gpu, .look = fgd_look};
