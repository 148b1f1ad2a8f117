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

#include "core/place/fit.h"

enum {
    COUNT_MAX = 1 << 23, /* so that the sum of PLACE_TARGET_MAX fits 32 bits */
    WIDTH_WHOLE = PLACE_GPUS_MAX + 1,
    ROW_BUCKETS = 512,
    ROW_BUCKET_SHIFT = 8, /* a bucket is 256 thousandths of a CPU */
};

/* One shape that is expected. */
struct expected {
    uint64_t models;
    int64_t cpu;
    uint16_t milli; /* of a share */
    uint8_t gpus;
    uint32_t count;
};

struct tables {
    uint32_t *share; /* own (tables_memory): [row * width + step] */
    uint32_t *whole; /* own (tables_memory): [row * WIDTH_WHOLE + idle] */
};

struct place_target {
    struct expected shapes[PLACE_TARGET_MAX];
    int shape_count;
    uint64_t weight; /* of all */
    struct arena tables_memory;
    uint64_t models; /* with tables */
    struct tables tables[PLACE_MODELS_MAX];
    int64_t cpus[PLACE_TARGET_MAX]; /* ascending; row k: at least cpus[k - 1] */
    int rows, width;
    uint16_t bucket_row[ROW_BUCKETS]; /* the row of a bucket's first CPU value */
    uint16_t step_of_room[PLACE_MILLI + 1];
};

/* Of the tables for all models that there can be. */
#define TABLES_MAX                                                                              \
    ((size_t)PLACE_MODELS_MAX * (PLACE_TARGET_MAX + 1) * (PLACE_TARGET_MAX + 1 + WIDTH_WHOLE) * \
         sizeof(uint32_t) +                                                                     \
     2 * PLACE_MODELS_MAX * (size_t)64)

/* ---- what is expected ---- */

static bool is_alike(const struct expected *a, const struct expected *b)
{
    return a->models == b->models && a->cpu == b->cpu && a->milli == b->milli && a->gpus == b->gpus;
}

static struct expected expected_of(const struct place_request *r, uint32_t count)
{
    return (struct expected){
        .models = r->models ? r->models : UINT64_MAX,
        .cpu = r->cpu,
        .milli = r->share_milli,
        .gpus = r->gpus,
        .count = MIN(count, (uint32_t)COUNT_MAX),
    };
}

/* Adds it to those of the same kind. */
static void merge(struct expected *shapes, size_t *count, const struct expected *one)
{
    size_t i = 0;
    while (i < *count && !is_alike(&shapes[i], one))
        i++;
    if (i == *count)
        shapes[(*count)++] = *one;
    else
        shapes[i].count = MIN(shapes[i].count + one->count, (uint32_t)COUNT_MAX);
}

/* The most frequent, of equal ones the first. */
static size_t find_most(const struct expected *shapes, size_t count)
{
    size_t most = 0;
    for (size_t i = 1; i < count; i++)
        if (shapes[i].count > shapes[most].count)
            most = i;
    return most;
}

/* Takes the most frequent ones over until they are enough; spends `all`. */
static void keep_most(struct place_target *t, struct expected *all, size_t count)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += all[i].count;
    t->shape_count = 0;
    t->weight = 0;
    while (t->weight * 100 < sum * PLACE_TARGET_PERCENT && t->shape_count < PLACE_TARGET_MAX) {
        struct expected *most = &all[find_most(all, count)];
        t->shapes[t->shape_count++] = *most;
        t->weight += most->count;
        most->count = 0;
    }
}

/* ---- tables ---- */

/* Puts the value into an ascending array without doubles. */
static void insert_sorted(int64_t *values, int *count, int64_t value)
{
    int at = *count;
    while (at > 0 && values[at - 1] > value)
        at--;
    if (at > 0 && values[at - 1] == value)
        return;
    for (int i = (*count)++; i > at; i--)
        values[i] = values[i - 1];
    values[at] = value;
}

static int row_of(const struct place_target *t, int64_t cpu)
{
    uint64_t bucket = (uint64_t)MAX(cpu, 0) >> ROW_BUCKET_SHIFT;
    int row = t->bucket_row[MIN(bucket, (uint64_t)ROW_BUCKETS - 1)];
    while (row < t->rows - 1 && t->cpus[row] <= cpu)
        row++;
    return row;
}

static void make_axes(struct place_target *t)
{
    int64_t steps[PLACE_TARGET_MAX];
    int cpu_count = 0, step_count = 0;
    for (int i = 0; i < t->shape_count; i++) {
        insert_sorted(t->cpus, &cpu_count, t->shapes[i].cpu);
        if (t->shapes[i].milli)
            insert_sorted(steps, &step_count, t->shapes[i].milli);
    }
    t->rows = cpu_count + 1;
    t->width = step_count + 1;
    for (int bucket = 0, row = 0; bucket < ROW_BUCKETS; bucket++) {
        while (row < cpu_count && t->cpus[row] <= (int64_t)bucket << ROW_BUCKET_SHIFT)
            row++;
        t->bucket_row[bucket] = (uint16_t)row;
    }
    for (int room = 0, step = 0; room <= PLACE_MILLI; room++) {
        while (step < step_count && steps[step] <= room)
            step++;
        t->step_of_room[room] = (uint16_t)step;
    }
}

/* Each entry gets the sum of those that are in no axis beyond it. */
static void accumulate(uint32_t *table, int rows, int width)
{
    for (int row = 0; row < rows; row++)
        for (int i = 1; i < width; i++)
            table[row * width + i] += table[row * width + i - 1];
    for (int row = 1; row < rows; row++)
        for (int i = 0; i < width; i++)
            table[row * width + i] += table[(row - 1) * width + i];
}

static void make_tables(struct place_target *t, int model)
{
    struct tables *tables = &t->tables[model];
    tables->share =
        arena_array(&t->tables_memory, (size_t)t->rows * (size_t)t->width, sizeof(uint32_t));
    tables->whole = arena_array(&t->tables_memory, (size_t)t->rows * WIDTH_WHOLE, sizeof(uint32_t));
    CHECK(tables->share && tables->whole);
    for (int i = 0; i < t->shape_count; i++) {
        const struct expected *m = &t->shapes[i];
        int row = row_of(t, m->cpu);
        if (!(m->models >> model & 1))
            continue;
        if (m->gpus)
            tables->whole[row * WIDTH_WHOLE + m->gpus] += m->count;
        else if (m->milli)
            tables->share[row * t->width + t->step_of_room[m->milli]] += m->count;
    }
    accumulate(tables->share, t->rows, t->width);
    accumulate(tables->whole, t->rows, WIDTH_WHOLE);
}

static void make_all_tables(struct place_target *t, uint64_t models)
{
    arena_reset(&t->tables_memory);
    make_axes(t);
    t->models = models;
    for (int model = 0; model < PLACE_MODELS_MAX; model++)
        if (models >> model & 1)
            make_tables(t, model);
}

void place_target_init(struct place *p)
{
    p->target = ARENA_NEW(&p->memory, struct place_target);
    CHECK(p->target);
    arena_init(&p->target->tables_memory, TABLES_MAX);
    make_all_tables(p->target, 0);
}

void place_target_fini(struct place *p)
{
    arena_fini(&p->target->tables_memory);
}

bool place_target_models(struct place *p, uint64_t models)
{
    if ((models & ~p->target->models) == 0)
        return false;
    make_all_tables(p->target, models | p->target->models);
    return true;
}

void place_target_make(struct place *p, const struct place_request *requests,
                       const uint32_t *counts, size_t count)
{
    struct place_target *t = p->target;
    struct arena scratch;
    size_t distinct = 0;
    CHECK(count <= PLACE_EXPECTED_MAX);
    arena_init(&scratch, PLACE_EXPECTED_MAX * sizeof(struct expected) + 64);
    struct expected *all = arena_array(&scratch, count, sizeof(*all));
    CHECK(all);
    for (size_t i = 0; i < count; i++) {
        CHECK(place_request_is_valid(&requests[i]));
        struct expected one = expected_of(&requests[i], counts[i]);
        merge(all, &distinct, &one);
    }
    keep_most(t, all, distinct);
    arena_fini(&scratch);
    make_all_tables(t, t->models);
}

size_t place_target_size(void)
{
    return sizeof(struct place_target);
}

/* ---- scoring ---- */

/* Weight of the shares that could use this much room. */
static int64_t share_weight(const struct place_target *t, int model, int row, int step)
{
    return t->tables[model].share[row * t->width + step];
}

static int64_t whole_room(const struct place_target *t, int model, int row, int idle)
{
    return (int64_t)PLACE_MILLI * idle * t->tables[model].whole[row * WIDTH_WHOLE + idle];
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
    int row = row_of(t, v->cpu_free);
    for (int i = 0; i < v->gpu_count; i++)
        v->step[i] = (uint8_t)t->step_of_room[v->room[i]];
    v->value = all_share_room(t, v, row) + all_whole_room(t, v, row, v->idle);
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

/* Without memory to mind, GPUs alike with the same room are worth the same. */
static bool is_like(const struct place_case *c, unsigned i, unsigned k)
{
    return c->view->room[i] == c->view->room[k] && c->view->model[i] == c->view->model[k] &&
           c->node->gpus[i].spec.memory == 0 && c->node->gpus[k].spec.memory == 0;
}

static int64_t best_share_gain(const struct place_case *c, int row)
{
    int64_t share_room = all_share_room(c->place->target, c->view, row), best = INT64_MIN;
    unsigned last = PLACE_GPUS_MAX;
    place_each_gpu(i, c->gpus)
    {
        if (last < PLACE_GPUS_MAX && is_like(c, i, last))
            continue;
        last = i;
        int64_t gain = share_gain(c, row, share_room, i);
        best = MAX(best, gain);
    }
    return best;
}

static int row_after(const struct place_case *c)
{
    return row_of(c->place->target, c->view->cpu_free - c->request->cpu);
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
