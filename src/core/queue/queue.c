/* SPDX-License-Identifier: Apache-2.0 */
#include "core/queue/queue.h"

static struct queue_entry *entry_of_deadline(const struct heap_node *node)
{
    return container_of(node, struct queue_entry, by_deadline);
}

static bool earlier_deadline(const struct heap_node *a, const struct heap_node *b)
{
    const struct queue_entry *x = entry_of_deadline(a), *y = entry_of_deadline(b);
    return x->deadline != y->deadline ? x->deadline < y->deadline : x->order < y->order;
}

void queue_init(struct queue *q, const struct queue_limits *limits)
{
    *q = (struct queue){.limits = *limits};
    for (int band = 0; band < QUEUE_BANDS; band++)
        list_init(&q->bands[band]);
    heap_init(&q->deadlines, earlier_deadline);
}

void queue_fini(struct queue *q)
{
    CHECK(q->length == 0);
    heap_fini(&q->deadlines);
}

static struct queue_entry *head(const struct queue *q, int band)
{
    return list_first(&q->bands[band], struct queue_entry, link);
}

/* Keeps a band sorted by arrival number; a new entry has the largest and is appended at once. */
static void insert_by_order(struct list *band, struct queue_entry *entry)
{
    struct list *after = band->previous;
    while (after != band && container_of(after, struct queue_entry, link)->order > entry->order)
        after = after->previous;
    list_insert_before(after->next, &entry->link);
}

bool queue_full(const struct queue *q)
{
    return q->length >= q->limits.max_length;
}

void queue_put(struct queue *q, struct queue_entry *entry)
{
    CHECK(entry->band < QUEUE_BANDS);
    if (entry->order == 0)
        entry->order = ++q->next_order;
    insert_by_order(&q->bands[entry->band], entry);
    if (entry->deadline != NSEC_NEVER)
        heap_insert(&q->deadlines, &entry->by_deadline);
    q->length++;
    q->queued_tokens += entry->tokens;
}

void queue_remove(struct queue *q, struct queue_entry *entry)
{
    CHECK(queue_has(entry) && q->length > 0 && q->queued_tokens >= entry->tokens);
    list_remove(&entry->link);
    entry->link.next = NULL;
    if (heap_has(&entry->by_deadline))
        heap_remove(&q->deadlines, &entry->by_deadline);
    q->length--;
    q->queued_tokens -= entry->tokens;
}

struct queue_entry *queue_peek(const struct queue *q, nsec now)
{
    struct queue_entry *next = NULL, *promoted = NULL;
    for (int band = 0; band < QUEUE_BANDS; band++) {
        struct queue_entry *first = head(q, band);
        if (!first)
            continue;
        if (!next)
            next = first;
        bool due = now - first->arrived > q->limits.promote_after;
        if (due && (!promoted || first->order < promoted->order))
            promoted = first;
    }
    return promoted ? promoted : next;
}

struct queue_entry *queue_expired(const struct queue *q, nsec now)
{
    return queue_next_deadline(q) <= now ? entry_of_deadline(heap_top(&q->deadlines)) : NULL;
}

nsec queue_next_deadline(const struct queue *q)
{
    const struct heap_node *top = heap_top(&q->deadlines);
    return top ? entry_of_deadline(top)->deadline : NSEC_NEVER;
}

bool queue_has(const struct queue_entry *entry)
{
    return entry->link.next != NULL;
}

size_t queue_length(const struct queue *q, enum queue_band band)
{
    size_t count = 0;
    list_each(entry, &q->bands[band], struct queue_entry, link) count++;
    return count;
}
