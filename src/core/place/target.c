/* SPDX-License-Identifier: Apache-2.0 */
#include "core/place/target.h"

#include "core/place/fit.h"
#include "core/place/trial.h"

enum {
    COUNT_MAX = 1 << 23, /* so that the sum of PLACE_TARGET_MAX fits 32 bits */
    ROUNDING = 64, /* an allocation is rounded up to the alignment of anything, which is less */
};

/* Of the tables for all models that there can be. */
#define TABLES_MAX                                                                                \
    (PLACE_MODELS_MAX * ((size_t)(PLACE_TARGET_MAX + 1) *                                         \
                             (PLACE_TARGET_MAX + 1 + TARGET_WIDTH_WHOLE) * sizeof(uint32_t) +     \
                         (PLACE_TARGET_MAX + 1) * (sizeof(struct demand) + 3 * sizeof(int64_t)) + \
                         6 * (size_t)ROUNDING))

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

static int milli_of(const struct expected *m)
{
    return m->gpus ? m->gpus * PLACE_MILLI : m->milli;
}

/* By what they ask of GPUs, then by CPU. */
static bool is_before(const struct expected *a, const struct expected *b)
{
    if (a->gpus != b->gpus)
        return a->gpus < b->gpus;
    return a->milli != b->milli ? a->milli < b->milli : a->cpu < b->cpu;
}

static void insert_shape(struct place_target *t, const struct expected *one)
{
    int at = t->shape_count++;
    for (; at > 0 && is_before(one, &t->shapes[at - 1]); at--)
        t->shapes[at] = t->shapes[at - 1];
    t->shapes[at] = *one;
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
        insert_shape(t, most);
        t->weight += most->count;
        most->count = 0;
    }
}

static void add_named(struct place_target *t, uint64_t models, int64_t milli)
{
    int i = 0;
    while (i < t->named_count && t->named[i].models != models)
        i++;
    if (i == t->named_count)
        t->named[t->named_count++] = (struct named){.models = models};
    t->named[i].milli += milli;
}

static void sum_milli(struct place_target *t)
{
    t->milli = 0;
    t->named_count = 0;
    for (int i = 0; i < t->shape_count; i++) {
        const struct expected *m = &t->shapes[i];
        int64_t milli = (int64_t)m->count * milli_of(m);
        t->milli += milli;
        if (milli && m->models != UINT64_MAX)
            add_named(t, m->models, milli);
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

int target_row_of(const struct place_target *t, int64_t cpu)
{
    uint64_t bucket = (uint64_t)MAX(cpu, 0) >> TARGET_ROW_BUCKET_SHIFT;
    int row = t->bucket_row[MIN(bucket, (uint64_t)TARGET_ROW_BUCKETS - 1)];
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
    for (int bucket = 0, row = 0; bucket < TARGET_ROW_BUCKETS; bucket++) {
        while (row < cpu_count && t->cpus[row] <= (int64_t)bucket << TARGET_ROW_BUCKET_SHIFT)
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
    tables->whole =
        arena_array(&t->tables_memory, (size_t)t->rows * TARGET_WIDTH_WHOLE, sizeof(uint32_t));
    CHECK(tables->share && tables->whole);
    for (int i = 0; i < t->shape_count; i++) {
        const struct expected *m = &t->shapes[i];
        int row = target_row_of(t, m->cpu);
        if (!(m->models >> model & 1))
            continue;
        if (m->gpus)
            tables->whole[row * TARGET_WIDTH_WHOLE + m->gpus] += m->count;
        else if (m->milli)
            tables->share[row * t->width + t->step_of_room[m->milli]] += m->count;
    }
    accumulate(tables->share, t->rows, t->width);
    accumulate(tables->whole, t->rows, TARGET_WIDTH_WHOLE);
}

static int64_t rate_of(const struct expected *m)
{
    int64_t milli = (int64_t)milli_of(m) * TARGET_AHEAD;
    return m->cpu ? (milli << TARGET_RATE_SHIFT) / m->cpu : 0;
}

/* The demand that the shape is of: the last one, or a new one. */
static struct demand *demand_of(const struct place_target *t, struct served *s,
                                const struct expected *m, int column)
{
    struct demand *last = s->demand_count ? &s->demands[s->demand_count - 1] : NULL;
    if (last && last->gpus == m->gpus && last->milli == milli_of(m))
        return last;
    s->demands[s->demand_count] = (struct demand){
        .gpus = m->gpus,
        .step = m->gpus ? 0 : t->step_of_room[m->milli],
        .milli = milli_of(m),
        .first = column,
    };
    return &s->demands[s->demand_count++];
}

static void add_served(const struct place_target *t, struct served *s, const struct expected *m,
                       int column)
{
    demand_of(t, s, m, column)->end = column + 1;
    s->cpu[column] = m->cpu;
    s->weights[column + 1] = s->weights[column] + m->count;
    s->rates[column + 1] = s->rates[column] + m->count * rate_of(m);
}

static int64_t *new_column(struct place_target *t)
{
    int64_t *column = arena_array(&t->tables_memory, (size_t)t->shape_count + 1, sizeof(*column));
    CHECK(column);
    return column;
}

static void make_served(struct place_target *t, int model)
{
    struct served *s = &t->served[model];
    int column = 0;
    *s = (struct served){.cpu = new_column(t), .weights = new_column(t), .rates = new_column(t)};
    s->demands = arena_array(&t->tables_memory, (size_t)t->shape_count, sizeof(*s->demands));
    CHECK(s->demands);
    for (int i = 0; i < t->shape_count; i++)
        if (milli_of(&t->shapes[i]) && t->shapes[i].models >> model & 1)
            add_served(t, s, &t->shapes[i], column++);
}

static void make_all_tables(struct place_target *t, uint64_t models)
{
    arena_reset(&t->tables_memory);
    make_axes(t);
    t->models = models;
    for (int model = 0; model < PLACE_MODELS_MAX; model++)
        if (models >> model & 1) {
            make_tables(t, model);
            make_served(t, model);
        }
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
    sum_milli(t);
    arena_fini(&scratch);
    make_all_tables(t, t->models);
}

size_t place_target_size(void)
{
    return sizeof(struct place_target);
}

int64_t place_expected_weight(const struct place *p)
{
    return (int64_t)p->target->weight;
}

bool place_expected(const struct place *p, int i, struct place_request *ret_request)
{
    const struct expected *m = &p->target->shapes[i];
    if (i >= p->target->shape_count)
        return false;
    *ret_request = (struct place_request){
        .models = m->models == UINT64_MAX ? 0 : m->models,
        .cpu = m->cpu,
        .share_milli = m->milli,
        .gpus = m->gpus,
        .spot = 1,
    };
    return true;
}
