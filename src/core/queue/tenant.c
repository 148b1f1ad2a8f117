/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"
#include "core/queue/queue_internal.h"

enum { REQUEST_COST = 1000, /* thousandths of a request */ WEIGHT_USUAL = 1 };

static struct queue_tenant *tenant_of_idle(const struct heap_node *node)
{
    return container_of(node, struct queue_tenant, idle);
}

static bool least_counter(const struct heap_node *a, const struct heap_node *b)
{
    return tenant_of_idle(a)->counter < tenant_of_idle(b)->counter;
}

static void tenant_init(struct queue_tenant *t, uint32_t id, int64_t counter)
{
    *t = (struct queue_tenant){.id = id, .weight = WEIGHT_USUAL, .counter = counter};
    for (int level = 0; level < QUEUE_LEVELS; level++) {
        t->lanes[level].tenant = t;
        list_init(&t->lanes[level].entries);
    }
}

void queue_tenants_init(struct queue *q)
{
    map_init(&q->tenants);
    heap_init(&q->idle, least_counter);
    /* An allocation is rounded up to the alignment of anything, which is less than 64. */
    arena_init(&q->memory, QUEUE_TENANTS_MAX * (sizeof(struct queue_tenant) + 64));
    tenant_init(&q->rest, 0, 0);
}

void queue_tenants_fini(struct queue *q)
{
    map_fini(&q->tenants);
    heap_fini(&q->idle);
    arena_fini(&q->memory);
}

/* ---- who is known ---- */

static struct str key_of(const uint32_t *id)
{
    return (struct str){(const char *)id, sizeof(*id)};
}

struct queue_tenant *queue_tenant_find(const struct queue *q, uint32_t id)
{
    struct map_node *node = map_find(&q->tenants, key_of(&id));
    return node ? container_of(node, struct queue_tenant, by_id) : NULL;
}

static void forget(struct queue *q, struct queue_tenant *t)
{
    q->forgotten = MAX(q->forgotten, t->counter);
    if (q->last == t)
        q->last = NULL;
    heap_remove(&q->idle, &t->idle);
    map_remove(&q->tenants, &t->by_id);
    t->next_free = q->free;
    q->free = t;
}

/* NULL: all are in use. */
static struct queue_tenant *take_free(struct queue *q)
{
    if (q->tenants.count >= QUEUE_TENANTS_MAX) {
        if (!heap_top(&q->idle))
            return NULL;
        forget(q, tenant_of_idle(heap_top(&q->idle)));
    }
    struct queue_tenant *t = q->free;
    if (t)
        q->free = t->next_free;
    else
        t = ARENA_NEW(&q->memory, struct queue_tenant);
    CHECK(t);
    return t;
}

static struct queue_tenant *find_or_make(struct queue *q, uint32_t id)
{
    struct queue_tenant *t = queue_tenant_find(q, id);
    if (t || !(t = take_free(q)))
        return t;
    tenant_init(t, id, q->forgotten);
    map_insert(&q->tenants, key_of(&t->id), &t->by_id);
    queue_tenant_touched(q, t);
    return t;
}

struct queue_tenant *queue_tenant_open(struct queue *q, uint32_t id)
{
    struct queue_tenant *t = find_or_make(q, id);
    return t ? t : &q->rest;
}

void queue_tenant_touched(struct queue *q, struct queue_tenant *t)
{
    bool usual = t->weight == WEIGHT_USUAL && t->max_length == 0;
    bool idle = t->waiting == 0 && t->running == 0 && usual && t != &q->rest;
    if (idle && !heap_has(&t->idle))
        heap_insert(&q->idle, &t->idle);
    else if (!idle && heap_has(&t->idle))
        heap_remove(&q->idle, &t->idle);
}

int queue_set_tenant(struct queue *q, uint32_t id, uint32_t weight, size_t max_length)
{
    CHECK(weight > 0 && weight <= QUEUE_WEIGHT_MAX);
    bool usual = weight == WEIGHT_USUAL && max_length == 0;
    struct queue_tenant *t = usual ? queue_tenant_find(q, id) : find_or_make(q, id);
    if (!t)
        return usual ? 0 : ERR_FULL;
    if (t->weight != weight)
        t->remainder = 0; /* under a thousandth of a token */
    t->weight = weight;
    t->max_length = max_length;
    queue_tenant_touched(q, t);
    return 0;
}

bool queue_tenant_full(const struct queue *q, uint32_t tenant)
{
    const struct queue_tenant *t = queue_tenant_find(q, tenant);
    return t && t->max_length && t->waiting >= t->max_length;
}

bool queue_crowded(const struct queue *q, uint32_t tenant)
{
    const struct queue_tenant *t = queue_tenant_find(q, tenant);
    size_t waiting = t ? t->waiting : 0, tenants = q->tenants_waiting + (waiting == 0);
    return q->length + q->limits.kept >= q->limits.max_length && q->limits.kept > 0 &&
           waiting >= MAX(q->limits.kept / (tenants + 1), (size_t)1);
}

/* ---- counters ---- */

/* The least counter of those that wait. */
static int64_t least_waiting(const struct queue *q)
{
    int64_t least = INT64_MAX;
    for (int level = 0; level < QUEUE_LEVELS; level++) {
        const struct heap_node *top = heap_top(&q->levels[level]);
        if (top)
            least = MIN(least, queue_lane_of(top)->tenant->counter);
    }
    return least;
}

void queue_tenant_lift(struct queue *q, struct queue_tenant *t)
{
    if (q->limits.fairness == QUEUE_FIFO) /* no counters: all are 0 */
        return;
    int64_t level = q->tenants_waiting ? least_waiting(q)
                    : q->last          ? q->last->counter
                                       : q->forgotten;
    if (level > t->counter) {
        t->counter = level;
        t->remainder = 0;
        if (heap_has(&t->idle))
            heap_changed(&q->idle, &t->idle);
    }
}

void queue_tenant_charge(struct queue *q, struct queue_tenant *t, int64_t cost)
{
    int64_t total = t->remainder + cost, weight = t->weight;
    int64_t whole = total / weight - (total % weight < 0); /* rounded down */
    if (cost == 0)
        return;
    t->counter += whole;
    t->remainder = total - whole * weight;
    for (int level = 0; level < QUEUE_LEVELS; level++)
        if (t->lanes[level].count)
            heap_changed(&q->levels[level], &t->lanes[level].in_level);
}

void queue_tenants_even(struct queue *q)
{
    q->rest.counter = q->rest.remainder = q->forgotten = 0;
    for (struct map_node *node = NULL; (node = map_next(&q->tenants, node));) {
        struct queue_tenant *t = container_of(node, struct queue_tenant, by_id);
        t->counter = t->remainder = 0;
    }
    q->epoch++;
}

int64_t queue_cost(const struct queue *q, uint64_t input_tokens, uint64_t output_tokens)
{
    return (int64_t)(MIN(input_tokens, (uint64_t)QUEUE_CHARGE_MAX) * q->limits.input_cost +
                     MIN(output_tokens, (uint64_t)QUEUE_CHARGE_MAX) * q->limits.output_cost);
}

/* ---- charges of a served entry ---- */

/* `cost` is all that it is to be charged. What was charged before everybody began anew stays. */
static void charge_in_all(struct queue *q, struct queue_entry *entry, int64_t cost)
{
    CHECK(entry->account && !queue_has(entry));
    if (entry->epoch != q->epoch)
        return;
    queue_tenant_charge(q, entry->account, cost - entry->charged);
    entry->charged = cost;
}

void queue_charge_serving(struct queue *q, struct queue_entry *entry)
{
    entry->epoch = q->epoch;
    entry->charged = 0;
    if (q->limits.fairness == QUEUE_FAIR_TOKENS)
        charge_in_all(q, entry, queue_cost(q, entry->input_tokens, 0));
    else if (q->limits.fairness == QUEUE_FAIR_REQUESTS)
        charge_in_all(q, entry, REQUEST_COST);
}

void queue_charge_back(struct queue *q, struct queue_entry *entry)
{
    charge_in_all(q, entry, 0);
}

void queue_charge(struct queue *q, struct queue_entry *entry, uint64_t output_tokens)
{
    if (q->limits.fairness == QUEUE_FAIR_TOKENS)
        charge_in_all(q, entry, entry->charged + queue_cost(q, 0, output_tokens));
}

void queue_settle(struct queue *q, struct queue_entry *entry, uint64_t input_tokens,
                  uint64_t output_tokens)
{
    if (q->limits.fairness == QUEUE_FAIR_TOKENS)
        charge_in_all(q, entry, queue_cost(q, input_tokens, output_tokens));
}
