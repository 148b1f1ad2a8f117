/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many come before an entry. Served one after the other, the entries of a tenant begin at its
 * counter, then at its counter and the cost of one, and so on; each of another tenant's that begins
 * lower than this one comes before it. With the average cost in place of each entry's own, a
 * tenant's share of the line is a division.
 */
#include "core/queue/queue_internal.h"

struct viewpoint {
    const struct queue *q;
    const struct queue_entry *entry;
    int band;     /* of those beside it */
    double start; /* the counter at which it begins */
};

/* What one more entry adds to the tenant's counter, on average. */
static double step_of(const struct queue *q, const struct queue_tenant *t)
{
    double cost = 1000;
    if (q->limits.fairness == QUEUE_FAIR_TOKENS)
        cost = ((double)t->waiting_input * q->limits.input_cost +
                (double)t->waiting_output * q->limits.output_cost) /
               (double)t->waiting;
    return cost / t->weight;
}

/* Its counter when the bands above are empty. */
static double counter_then(const struct viewpoint *v, const struct queue_tenant *t)
{
    size_t above = 0;
    for (int band = 0; band < v->band; band++)
        above += t->lanes[band].count;
    return (double)t->counter + (double)above * step_of(v->q, t);
}

/* In its lane. Numbers rise by one from entry to entry, but for those that left. */
static size_t before_in_lane(const struct queue_entry *entry)
{
    const struct queue_lane *lane = &entry->account->lanes[entry->level];
    int64_t distance = entry->number - queue_lane_head(lane)->number;
    return MIN((size_t)distance, lane->count - 1);
}

static size_t own_before(const struct queue_entry *entry)
{
    bool aged = entry->level == QUEUE_LEVEL_AGED;
    return before_in_lane(entry) + (aged ? 0 : entry->account->lanes[QUEUE_LEVEL_AGED].count);
}

/* The arrival number of the first that competes. */
static uint64_t oldest(const struct queue_tenant *t, int band)
{
    const struct queue_lane *in_band = &t->lanes[band], *aged = &t->lanes[QUEUE_LEVEL_AGED];
    uint64_t order = in_band->count ? queue_lane_head(in_band)->order : UINT64_MAX;
    return aged->count ? MIN(order, queue_lane_head(aged)->order) : order;
}

static size_t of_tenant(const struct viewpoint *v, const struct queue_tenant *t)
{
    const struct queue_tenant *own = v->entry->account;
    double lead = v->start - counter_then(v, t), step = step_of(v->q, t);
    if (t == own || lead < 0)
        return 0;
    size_t count = t->lanes[v->band].count + t->lanes[QUEUE_LEVEL_AGED].count;
    double lower = step > 0 ? __builtin_ceil(lead / step) : 0;
    bool tie = lower * step == lead;
    if (tie && oldest(t, v->band) < oldest(own, v->band))
        lower = step > 0 ? lower + 1 : (double)count;
    return lower < (double)count ? (size_t)lower : count;
}

/* Of the tenants of one level; those that have promoted entries are counted at that level only. */
static size_t of_level(const struct viewpoint *v, int level)
{
    const struct heap *lanes = &v->q->levels[level];
    size_t stride = (lanes->count + QUEUE_POSITION_SAMPLE - 1) / QUEUE_POSITION_SAMPLE;
    size_t sum = 0, seen = 0;
    for (size_t i = 0; i < lanes->count; i += stride, seen++) {
        const struct queue_tenant *t = queue_lane_of(lanes->nodes[i])->tenant;
        if (level == QUEUE_LEVEL_AGED || t->lanes[QUEUE_LEVEL_AGED].count == 0)
            sum += of_tenant(v, t);
    }
    return seen ? sum * lanes->count / seen : 0;
}

/* First come, first served: arrival numbers rise by one, but for those that left. */
static size_t fifo_before(const struct viewpoint *v)
{
    const struct queue *q = v->q;
    const int levels[] = {v->band, QUEUE_LEVEL_AGED};
    uint64_t first = v->entry->order;
    size_t count = q->by_level[v->band] + q->by_level[QUEUE_LEVEL_AGED];
    for (size_t i = 0; i < ARRAY_LEN(levels); i++) {
        const struct heap_node *top = heap_top(&q->levels[levels[i]]);
        if (top)
            first = MIN(first, queue_lane_head(queue_lane_of(top))->order);
    }
    return MIN((size_t)(v->entry->order - first), count - 1);
}

size_t queue_position(const struct queue *q, const struct queue_entry *entry)
{
    CHECK(queue_has(entry));
    bool aged = entry->level == QUEUE_LEVEL_AGED;
    struct viewpoint v = {.q = q, .entry = entry};
    v.band = aged ? queue_top_band(q) : (int)entry->band;
    size_t above = 0, own = own_before(entry);
    for (int band = 0; band < v.band && !aged; band++)
        above += q->by_level[band];
    if (q->limits.fairness == QUEUE_FIFO)
        return above + fifo_before(&v);
    v.start = counter_then(&v, entry->account) + (double)own * step_of(q, entry->account);
    size_t others = of_level(&v, v.band) + of_level(&v, QUEUE_LEVEL_AGED);
    return MIN(above + own + others, q->length - 1);
}
