/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fairway's own policy: fragmentation gradient descent (fgd.c) with three changes. Why these, and what
 * else was tried: docs/decisions/0010-placement-policy.md.
 *
 * 1. It looks ahead at CPU. Under fgd a node's GPUs are usable for a shape as long as there is CPU for
 *    one copy of it; here, as far as there is CPU for a third of the copies that would fill them:
 *        usable(m) = min(fgd's, 3 * CPU left / CPU of m * GPUs of m)
 * 2. Gains count in steps of STEP_MILLI, all alike; of nodes on one step the first wins.
 * 3. Each GPU that a request asks for costs its model's price, in GPUs: what expected shapes ask of
 *    this model by name, for each GPU that they could have, against what all shapes ask for each GPU,
 *    and dearer the less of it is free:
 *        price = (named / supply of what is named) / (all / supply) / (share of the model that is free)^2
 *    Among nodes of one model a price changes nothing. So it is a handicap of the group in the rank,
 *    always that of the moment, and no remembered score goes out of date with it.
 */
#include "core/place/target.h"

enum {
    STEP_MILLI = 50,
    MIDDLE = PLACE_GPUS_MAX * PLACE_MILLI / STEP_MILLI + 1, /* the score of no gain */
    PRICES_MAX = 1 << 20,
};
#define LEAST_FREE 0.02 /* share of a model; with less the price does not rise */
#define ROUND_UP   1e-6 /* steps; a whole number of them is one in whatever order it is worked out */
#define CPU_MAX    INT64_C(0x7fffffff) /* thousandths; more is not looked at */

/* What would be left on a node. */
struct left {
    int64_t cpu;
    uint16_t idle;
    int16_t room[PLACE_GPUS_MAX];
    uint8_t step[PLACE_GPUS_MAX];
};

static struct left left_of(const struct place_view *v)
{
    struct left left = {.cpu = v->cpu_free, .idle = v->idle};
    memcpy(left.room, v->room, sizeof(left.room));
    memcpy(left.step, v->step, sizeof(left.step));
    return left;
}

static void take(const struct place_target *t, struct left *left, unsigned gpu, int milli)
{
    left->room[gpu] = (int16_t)(left->room[gpu] - milli);
    left->step[gpu] = (uint8_t)t->step_of_room[left->room[gpu]];
    left->idle &= (uint16_t) ~(1u << gpu);
}

/* ---- what can be used ---- */

/* GPUs of one model. */
struct rooms {
    int at_least[PLACE_TARGET_MAX + 1]; /* sum of the rooms of this step and more */
    int idle;
};

static void add_rooms(const struct place_target *t, const struct place_view *v,
                      const struct left *left, int model, struct rooms *rooms)
{
    memset(rooms->at_least, 0, (size_t)t->width * sizeof(int));
    rooms->idle = 0;
    for (int i = 0; i < v->gpu_count; i++) {
        if (v->model[i] != model)
            continue;
        rooms->at_least[left->step[i]] += left->room[i];
        rooms->idle += left->idle >> i & 1;
    }
    for (int step = t->width - 1; step > 0; step--)
        rooms->at_least[step - 1] += rooms->at_least[step];
}

/* By the shapes of one demand, all of which could use this room if they had the CPU. */
static int64_t demand_usable(const struct served *s, const struct demand *d, int64_t room,
                             int64_t cpu)
{
    /* There is CPU for as many copies as fill a third of the room: CPU of one * room <= `ahead`. */
    int64_t ahead = cpu * TARGET_AHEAD * d->milli;
    int full = d->end, end;
    if (s->cpu[full - 1] > cpu || s->cpu[full - 1] * room > ahead)
        for (full = d->first; s->cpu[full] <= cpu && s->cpu[full] * room <= ahead;)
            full++;
    for (end = full; end < d->end && s->cpu[end] <= cpu;)
        end++;
    return (room << TARGET_RATE_SHIFT) * (s->weights[full] - s->weights[d->first]) +
           cpu * (s->rates[end] - s->rates[full]);
}

static int64_t model_usable(const struct served *s, const struct rooms *rooms, int64_t cpu)
{
    int64_t sum = 0;
    for (int i = 0; i < s->demand_count; i++) {
        const struct demand *d = &s->demands[i];
        int room = !d->gpus                 ? rooms->at_least[d->step]
                   : d->gpus <= rooms->idle ? rooms->idle * PLACE_MILLI
                                            : 0;
        if (room)
            sum += demand_usable(s, d, room, cpu);
    }
    return sum;
}

/* Sum over shapes of count * usable room, times 2^TARGET_RATE_SHIFT. */
static int64_t usable(const struct place_target *t, const struct place_view *v,
                      const struct left *left)
{
    struct rooms rooms;
    int64_t sum = 0, cpu = MIN(left->cpu, CPU_MAX);
    for (uint64_t models = v->models; models; models &= models - 1) {
        int model = __builtin_ctzll(models);
        add_rooms(t, v, left, model, &rooms);
        sum += model_usable(&t->served[model], &rooms, cpu);
    }
    return sum;
}

static void fairway_look(const struct place *p, struct place_view *v)
{
    const struct place_target *t = p->target;
    for (int i = 0; i < v->gpu_count; i++)
        v->step[i] = (uint8_t)t->step_of_room[v->room[i]];
    struct left left = left_of(v);
    v->value = usable(t, v, &left);
}

/* ---- scoring ---- */

static int64_t divide_down(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* `used` is no room any more. */
static int score_of(const struct place_case *c, const struct left *left, int used)
{
    const struct place_target *t = c->place->target;
    int64_t one = (int64_t)t->weight << TARGET_RATE_SHIFT;
    int64_t gain = one * used - c->view->value + usable(t, c->view, left);
    return one ? (int)divide_down(gain, one * STEP_MILLI) + MIDDLE : MIDDLE;
}

static int whole_score(const struct place_case *c)
{
    struct left left = left_of(c->view);
    left.cpu -= c->request->cpu;
    place_each_gpu(i, c->gpus) take(c->place->target, &left, i, PLACE_MILLI);
    return score_of(c, &left, place_count(c->gpus) * PLACE_MILLI);
}

static int share_score(const struct place_case *c, unsigned gpu)
{
    struct left left = left_of(c->view);
    int used = place_share_room(&c->node->gpus[gpu], c->request);
    left.cpu -= c->request->cpu;
    take(c->place->target, &left, gpu, used);
    return score_of(c, &left, used);
}

/* The first of those that have the best score. */
static int best_share(const struct place_case *c, int *ret_score)
{
    unsigned last = PLACE_GPUS_MAX, best = 0;
    *ret_score = PLACE_NONE;
    place_each_gpu(i, c->gpus)
    {
        if (last < PLACE_GPUS_MAX && place_is_like(c, i, last))
            continue;
        last = i;
        int score = share_score(c, i);
        best = score > *ret_score ? i : best;
        *ret_score = MAX(*ret_score, score);
    }
    return (int)best;
}

static int fairway_score(const struct place_case *c)
{
    int score;
    if (!place_is_share(c->request))
        return whole_score(c);
    best_share(c, &score);
    return score;
}

static int fairway_share_gpu(const struct place_case *c)
{
    int score;
    return best_share(c, &score);
}

/* ---- prices ---- */

static bool has_group(uint64_t models, int group)
{
    return group < RANK_GROUPS_MAX - 1 ? models >> group & 1 : models >> group != 0;
}

static double supply_of(const struct place *p, uint64_t models)
{
    double sum = 0;
    for (int group = 0; group < RANK_GROUPS_MAX; group++)
        if (has_group(models, group))
            sum += (double)p->supply[group].all;
    return sum;
}

/* By group: what names it, per supply of what is named. */
static void sum_named(const struct place *p, double named[RANK_GROUPS_MAX])
{
    for (int i = 0; i < p->target->named_count; i++) {
        const struct named *n = &p->target->named[i];
        double demand = (double)n->milli / supply_of(p, n->models);
        for (int group = 0; group < RANK_GROUPS_MAX; group++)
            if (has_group(n->models, group))
                named[group] += demand;
    }
}

/* Thousandths of GPUs; a share of memory alone counts as half a GPU. */
static int asked_of(const struct place_request *r)
{
    return r->gpus          ? r->gpus * PLACE_MILLI
           : r->share_milli ? r->share_milli
           : r->share_mib   ? PLACE_MILLI / 2
                            : 0;
}

static void fairway_price(const struct place *p, const struct place_request *r,
                          int prices[RANK_GROUPS_MAX])
{
    double named[RANK_GROUPS_MAX] = {0};
    double usual = (double)p->target->milli / supply_of(p, UINT64_MAX);
    int asked = asked_of(r);
    if (asked)
        sum_named(p, named);
    for (int group = 0; group < RANK_GROUPS_MAX; group++) {
        const struct place_supply *s = &p->supply[group];
        prices[group] = 0;
        if (named[group] == 0 || s->all == 0)
            continue;
        double free = MAX((double)s->free / (double)s->all, LEAST_FREE);
        double steps = named[group] / usual / (free * free) * asked / STEP_MILLI;
        prices[group] = (int)MIN(steps + ROUND_UP, (double)PRICES_MAX);
    }
}

const struct place_policy place_fairway = {.name = "fairway",
                                           .score = fairway_score,
                                           .share_gpu = fairway_share_gpu,
                                           .look = fairway_look,
                                           .price = fairway_price};
