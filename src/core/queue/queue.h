/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is next: the bounded queue of requests that wait for one model. Pure.
 *
 * Order: priority bands are strict; inside a band first come first served. A request that has
 * waited longer than `promote_after` goes before every band (the oldest such first), so that no
 * band starves. A request that comes back (its replica failed) keeps its old arrival and so stands
 * in front again.
 *
 * The fairness between tenants belongs inside a band: entries carry tenant and tokens for it, and
 * nobody outside sees how a band orders its entries.
 *
 * Invariants: every entry is in one band's list and, if it has a
 * deadline, in the deadline heap; `queued_tokens` is the sum over the entries. Ownership: entries
 * are the caller's memory and must stay until taken, removed or expired. Thread rule: one thread at
 * a time.
 */
#ifndef FAIRWAY_CORE_QUEUE_H
#define FAIRWAY_CORE_QUEUE_H

#include "base/heap.h"
#include "base/list.h"
#include "base/time.h"

enum queue_band { QUEUE_BAND_HIGH, QUEUE_BAND_NORMAL, QUEUE_BAND_LOW, QUEUE_BANDS };

struct queue_entry {
    /* Set by the caller before queue_put. */
    uint32_t tenant;
    enum queue_band band;
    uint64_t tokens; /* estimate of prompt + output */
    nsec arrived;
    nsec deadline; /* NSEC_NEVER: none */
    /* The queue's business. */
    uint64_t order; /* arrival number; 0 before the first queue_put */
    struct list link;
    struct heap_node by_deadline;
};

struct queue_limits {
    size_t max_length;  /* entries; 0: nothing may wait */
    nsec promote_after; /* waited longer than this: served before every band */
};

struct queue {
    struct queue_limits limits;
    struct list bands[QUEUE_BANDS];
    struct heap deadlines;
    size_t length;
    uint64_t queued_tokens;
    uint64_t next_order;
};

void queue_init(struct queue *q, const struct queue_limits *limits);
void queue_fini(struct queue *q); /* must be empty */

/* max_length entries wait. Whether a new one is still taken is the caller's decision: queue_put
 * takes it. */
bool queue_full(const struct queue *q);
void queue_put(struct queue *q, struct queue_entry *entry);
void queue_remove(struct queue *q, struct queue_entry *entry);

/* The entry to serve next; NULL when empty. It stays in the queue until queue_remove. */
struct queue_entry *queue_peek(const struct queue *q, nsec now);

/* An entry whose deadline has come, the earliest first; NULL when there is none. It stays until
 * queue_remove. */
struct queue_entry *queue_expired(const struct queue *q, nsec now);
nsec queue_next_deadline(const struct queue *q); /* NSEC_NEVER when there is none */

bool queue_has(const struct queue_entry *entry);
size_t queue_length(const struct queue *q,
                    enum queue_band band); /* counts: for tests and reports */

#endif
