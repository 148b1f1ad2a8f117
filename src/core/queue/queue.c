/* SPDX-License-Identifier: Apache-2.0 */
#include "core/queue/queue.h"

#include "core/queue/queue_internal.h"

static struct queue_entry *entry_of_deadline(const struct heap_node *node)
{
    return container_of(node, struct queue_entry, by_deadline);
}

static bool earlier_deadline(const struct heap_node *a, const struct heap_node *b)
{
    const struct queue_entry *x = entry_of_deadline(a), *y = entry_of_deadline(b);
    return x->deadline != y->deadline ? x->deadline < y->deadline : x->order < y->order;
}

static struct queue_entry *entry_of_age(const struct heap_node *node)
{
    return container_of(node, struct queue_entry, by_age);
}

static bool earlier_order(const struct heap_node *a, const struct heap_node *b)
{
    return entry_of_age(a)->order < entry_of_age(b)->order;
}

static bool earlier_head(const struct heap_node *a, const struct heap_node *b)
{
    return queue_lane_head(queue_lane_of(a))->order < queue_lane_head(queue_lane_of(b))->order;
}

static bool least_served(const struct heap_node *a, const struct heap_node *b)
{
    int64_t x = queue_lane_of(a)->tenant->counter, y = queue_lane_of(b)->tenant->counter;
    return x != y ? x < y : earlier_head(a, b);
}

static heap_before_fn *order_of(enum queue_fairness fairness)
{
    return fairness == QUEUE_FIFO ? earlier_head : least_served;
}

struct queue_limits queue_limits_default(void)
{
    return (struct queue_limits){
        .max_length = 1000,
        .promote_after = SEC(30),
        .fairness = QUEUE_FAIR_TOKENS,
        .input_cost = 1000,
        .output_cost = 1000,
    };
}

void queue_init(struct queue *q, const struct queue_limits *limits)
{
    CHECK(limits->input_cost <= QUEUE_COST_MAX && limits->output_cost <= QUEUE_COST_MAX);
    *q = (struct queue){.limits = *limits};
    for (int level = 0; level < QUEUE_LEVELS; level++)
        heap_init(&q->levels[level], order_of(limits->fairness));
    heap_init(&q->ageing, earlier_order);
    heap_init(&q->deadlines, earlier_deadline);
    queue_tenants_init(q);
}

void queue_fini(struct queue *q)
{
    CHECK(q->length == 0 && q->running == 0);
    for (int level = 0; level < QUEUE_LEVELS; level++)
        heap_fini(&q->levels[level]);
    heap_fini(&q->ageing);
    heap_fini(&q->deadlines);
    queue_tenants_fini(q);
}

static void reorder(struct heap *level, heap_before_fn *before)
{
    struct heap old = *level;
    heap_init(level, before);
    for (size_t i = 0; i < old.count; i++) {
        old.nodes[i]->place = 0;
        heap_insert(level, old.nodes[i]);
    }
    heap_fini(&old);
}

void queue_set_limits(struct queue *q, const struct queue_limits *limits)
{
    CHECK(limits->input_cost <= QUEUE_COST_MAX && limits->output_cost <= QUEUE_COST_MAX);
    bool other = limits->fairness != q->limits.fairness;
    q->limits = *limits;
    if (!other)
        return;
    queue_tenants_even(q);
    for (int level = 0; level < QUEUE_LEVELS; level++)
        reorder(&q->levels[level], order_of(limits->fairness));
}

bool queue_full(const struct queue *q)
{
    return q->length >= q->limits.max_length;
}

/* ---- lanes ---- */

/* A new entry is the last of its lane; one that comes back is older than all but others that came
 * back, so the search begins in front. */
static struct list *place_by_order(struct queue_lane *lane, uint64_t order)
{
    struct list *place = &lane->entries;
    if (lane->count == 0 || container_of(place->previous, struct queue_entry, link)->order < order)
        return place;
    do {
        place = place->next;
    } while (container_of(place, struct queue_entry, link)->order < order);
    return place;
}

static int64_t number_at(const struct queue_lane *lane, const struct list *place)
{
    const struct list *entries = &lane->entries;
    if (lane->count == 0)
        return 0;
    if (place == entries->next)
        return queue_lane_head(lane)->number - 1;
    return container_of(place->previous, struct queue_entry, link)->number + (place == entries);
}

static void lane_put(struct queue *q, struct queue_entry *entry, int level)
{
    struct queue_lane *lane = &entry->account->lanes[level];
    struct list *place = place_by_order(lane, entry->order);
    entry->level = level;
    entry->number = number_at(lane, place);
    list_insert_before(place, &entry->link);
    q->by_level[level]++;
    if (lane->count++)
        heap_changed(&q->levels[level], &lane->in_level);
    else
        heap_insert(&q->levels[level], &lane->in_level);
}

static void lane_remove(struct queue *q, struct queue_entry *entry)
{
    struct queue_lane *lane = &entry->account->lanes[entry->level];
    q->by_level[entry->level]--;
    if (--lane->count == 0)
        heap_remove(&q->levels[entry->level], &lane->in_level);
    list_remove(&entry->link);
    entry->link.next = NULL;
    if (lane->count)
        heap_changed(&q->levels[entry->level], &lane->in_level);
}

static void promote(struct queue *q, nsec now)
{
    while (heap_top(&q->ageing)) {
        struct queue_entry *entry = entry_of_age(heap_top(&q->ageing));
        if (now - entry->arrived <= q->limits.promote_after)
            return;
        heap_remove(&q->ageing, &entry->by_age);
        lane_remove(q, entry);
        lane_put(q, entry, QUEUE_LEVEL_AGED);
    }
}

/* ---- in and out ---- */

static void count_in(struct queue *q, struct queue_entry *entry)
{
    struct queue_tenant *t = entry->account;
    q->length++;
    q->by_band[entry->band]++;
    q->queued_tokens += entry->tokens;
    t->waiting_input += entry->input_tokens;
    t->waiting_output += entry->output_tokens;
    if (t->waiting++ == 0)
        q->tenants_waiting++;
}

static void count_out(struct queue *q, struct queue_entry *entry)
{
    struct queue_tenant *t = entry->account;
    CHECK(q->length > 0 && t->waiting > 0 && q->queued_tokens >= entry->tokens);
    q->length--;
    q->by_band[entry->band]--;
    q->queued_tokens -= entry->tokens;
    t->waiting_input -= entry->input_tokens;
    t->waiting_output -= entry->output_tokens;
    if (--t->waiting == 0) {
        q->tenants_waiting--;
        q->last = t;
    }
}

static void begin(struct queue *q, struct queue_entry *entry)
{
    entry->order = ++q->next_order;
    entry->tokens = entry->input_tokens + entry->output_tokens;
    entry->account = queue_tenant_open(q, entry->tenant);
}

static void stop_running(struct queue *q, struct queue_entry *entry)
{
    CHECK(entry->account && entry->account->running > 0 && !queue_has(entry));
    entry->account->running--;
    q->running--;
}

void queue_put(struct queue *q, struct queue_entry *entry)
{
    CHECK(entry->band < QUEUE_BANDS && !queue_has(entry));
    if (!entry->account) {
        begin(q, entry);
    } else {
        queue_charge_back(q, entry);
        stop_running(q, entry);
    }
    struct queue_tenant *t = entry->account;
    if (t->waiting == 0)
        queue_tenant_lift(q, t);
    count_in(q, entry);
    queue_tenant_touched(q, t);
    lane_put(q, entry, (int)entry->band);
    heap_insert(&q->ageing, &entry->by_age);
    if (entry->deadline != NSEC_NEVER)
        heap_insert(&q->deadlines, &entry->by_deadline);
    entry->served_before = q->served;
    entry->tenant_served_before = t->served;
    entry->position = queue_position(q, entry);
}

static void take_out(struct queue *q, struct queue_entry *entry)
{
    CHECK(queue_has(entry));
    lane_remove(q, entry);
    if (heap_has(&entry->by_age))
        heap_remove(&q->ageing, &entry->by_age);
    if (heap_has(&entry->by_deadline))
        heap_remove(&q->deadlines, &entry->by_deadline);
    count_out(q, entry);
}

static void close_account(struct queue *q, struct queue_entry *entry)
{
    queue_tenant_touched(q, entry->account);
    entry->account = NULL;
}

void queue_remove(struct queue *q, struct queue_entry *entry)
{
    take_out(q, entry);
    close_account(q, entry);
}

struct queue_entry *queue_peek(struct queue *q, nsec now)
{
    promote(q, now);
    int band = queue_top_band(q);
    if (band == QUEUE_BANDS)
        return NULL;
    struct heap_node *in_band = heap_top(&q->levels[band]);
    struct heap_node *aged = heap_top(&q->levels[QUEUE_LEVEL_AGED]);
    bool old = aged && (!in_band || q->levels[band].before(aged, in_band));
    return queue_lane_head(queue_lane_of(old ? aged : in_band));
}

struct queue_entry *queue_behind(const struct queue_entry *entry)
{
    const struct queue_lane *lane = &entry->account->lanes[entry->level];
    return entry->link.next == &lane->entries
               ? NULL
               : container_of(entry->link.next, struct queue_entry, link);
}

void queue_serve(struct queue *q, struct queue_entry *entry, struct queue_reason *ret_reason)
{
    struct queue_tenant *t = entry->account;
    uint64_t all = q->served - entry->served_before, own = t->served - entry->tenant_served_before;
    *ret_reason = (struct queue_reason){
        .counter = t->counter,
        .tenants_waiting = q->tenants_waiting,
        .position = entry->position,
        .others_served = all - own,
    };
    take_out(q, entry);
    t->running++;
    q->running++;
    t->served++;
    q->served++;
    queue_charge_serving(q, entry);
}

void queue_end(struct queue *q, struct queue_entry *entry)
{
    stop_running(q, entry);
    close_account(q, entry);
}

/* ---- deadlines ---- */

struct queue_entry *queue_expired(const struct queue *q, nsec now)
{
    return queue_next_deadline(q) <= now ? entry_of_deadline(heap_top(&q->deadlines)) : NULL;
}

nsec queue_next_deadline(const struct queue *q)
{
    const struct heap_node *top = heap_top(&q->deadlines);
    return top ? entry_of_deadline(top)->deadline : NSEC_NEVER;
}
