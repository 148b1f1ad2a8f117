/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is next: the bounded queue of requests that wait for one model, fair between tenants. Pure.
 *
 * Order:
 * - Priority bands are strict. An entry that has waited longer than `promote_after` stands beside
 *   the highest band in which anybody waits: from then on nothing lower is served before it. It
 *   gets no more than that place: were the old ones served before all others, the backlog of a
 *   flood would be what is old, and its tenant would have everything.
 * - Among those the tenant with the least counter is next (a tie: who arrived first), and inside a
 *   tenant who arrived first. An entry that comes back (its replica failed) keeps its arrival
 *   number, and so stands in front of its tenant.
 *
 * Counters: the virtual token counter of Sheng et al., "Fairness in Serving Large Language Models"
 * (OSDI'24). Each tenant has one, for all bands: the service that it was charged, divided by its
 * weight. Input is charged when an entry is served, output as it is generated; queue_settle puts
 * the real numbers in their place. A tenant that begins to wait is lifted to the least counter of
 * those that wait, or, when nobody does, to that of the tenant that waited last: what it did not
 * use while it was away is nobody's debt. The difference in service between two tenants that both
 * wait all the time (in one band) is bounded, whatever others do; test_queue_bound.c has the
 * theorem.
 *
 * Tenants that nobody uses are remembered, at most QUEUE_TENANTS_MAX in all. Then the idle one with
 * the least counter is forgotten, and unknown tenants begin at the greatest counter ever forgotten:
 * nobody gains by staying away. If none is idle, further tenants share one account of weight 1.
 *
 * Invariants: every entry that waits is in one lane of its tenant, in the heap by age until it is
 * promoted, and, if it has a deadline, in the deadline heap; a lane with entries is in its level's
 * heap; `queued_tokens` is the sum over the entries. Ownership: entries are the caller's memory and
 * must stay from queue_put until queue_remove or, once served, queue_end. Thread rule: one thread
 * at a time.
 */
#ifndef FAIRWAY_CORE_QUEUE_H
#define FAIRWAY_CORE_QUEUE_H

#include "base/arena.h"
#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"
#include "base/time.h"

enum queue_band { QUEUE_BAND_HIGH, QUEUE_BAND_NORMAL, QUEUE_BAND_LOW, QUEUE_BANDS };

/* What tenants share by their weights: tokens, served requests, nothing (first come, first
 * served). */
enum queue_fairness { QUEUE_FAIR_TOKENS, QUEUE_FAIR_REQUESTS, QUEUE_FIFO };

enum {
    QUEUE_TENANTS_MAX = 16384,        /* in use, with a weight of their own, or remembered */
    QUEUE_WEIGHT_MAX = 1000 * 1000,   /* of a tenant; the least is 1 */
    QUEUE_COST_MAX = 1000 * 1000,     /* of a token, in thousandths */
    QUEUE_CHARGE_MAX = 1000 * 1000000 /* tokens in one charge; more count as that many */
};

/* Entries of one tenant that compete at one level: a band, or beside it after promotion. */
enum { QUEUE_LEVEL_AGED = QUEUE_BANDS, QUEUE_LEVELS };

struct queue_tenant;

struct queue_entry {
    /* Set by the caller before queue_put; estimates. */
    uint32_t tenant;
    enum queue_band band;
    uint64_t input_tokens, output_tokens;
    nsec arrived;  /* not before that of an earlier entry */
    nsec deadline; /* NSEC_NEVER: none */
    /* The queue's business; may be read. */
    uint64_t tokens; /* input + output */
    uint64_t order;  /* arrival number */
    /* The queue's business. */
    struct queue_tenant
        *account;            /* borrow; from queue_put to queue_remove or queue_end, else NULL */
    struct list link;        /* in a lane; next is NULL while it does not wait */
    struct heap_node by_age; /* until it is promoted */
    struct heap_node by_deadline;
    int level;
    int64_t number;  /* in its lane, rising; see position.c */
    int64_t charged; /* since it was served, in thousandths */
    uint32_t epoch;  /* of that charge */
    size_t position; /* when it was put; and how many had been served, in all and of its tenant */
    uint64_t served_before, tenant_served_before;
};

struct queue_limits {
    size_t max_length;  /* entries; 0: nothing may wait */
    size_t kept;        /* of these, for tenants of whom little waits: see queue_crowded */
    nsec promote_after; /* waited longer than this: beside the highest band */
    enum queue_fairness fairness;
    uint32_t input_cost, output_cost; /* of a token, in thousandths; at most QUEUE_COST_MAX */
};

/* Why an entry was served now. Counters are in thousandths of a token (of a request). */
struct queue_reason {
    int64_t counter;        /* of its tenant, before the charge */
    size_t tenants_waiting; /* its own included */
    size_t position;        /* entries before it when it was put */
    uint64_t others_served; /* entries of other tenants that were served since */
};

struct queue_lane {
    struct queue_tenant *tenant;
    struct list entries; /* by order */
    size_t count;
    struct heap_node in_level;
};

struct queue_tenant {
    uint32_t id;
    uint32_t weight;
    size_t max_length; /* 0: no cap */
    int64_t counter;   /* charged / weight, lifted, rounded down */
    int64_t remainder; /* of that division: charges add up exactly */
    struct queue_lane lanes[QUEUE_LEVELS];
    size_t waiting, running;
    uint64_t waiting_input, waiting_output; /* tokens */
    uint64_t served;                        /* entries, ever */
    struct map_node by_id;
    struct heap_node
        idle; /* by counter, while nothing waits or runs and weight and cap are usual */
    struct queue_tenant *next_free;
};

struct queue {
    struct queue_limits limits;
    struct heap levels[QUEUE_LEVELS]; /* of lanes */
    struct heap ageing;               /* not yet promoted, by order */
    struct heap deadlines;
    size_t length, by_band[QUEUE_BANDS], by_level[QUEUE_LEVELS]; /* entries that wait */
    uint64_t queued_tokens;
    uint64_t next_order;
    uint64_t served; /* entries, ever */
    size_t running;  /* served, without their end yet */

    struct map tenants;
    struct heap idle;
    struct arena memory; /* of the tenants */
    struct queue_tenant *free;
    struct queue_tenant rest; /* shared by those over QUEUE_TENANTS_MAX */
    size_t tenants_waiting;
    const struct queue_tenant *last; /* whose last entry left last; NULL: none, or forgotten */
    int64_t forgotten;               /* the greatest counter of a forgotten tenant */
    uint32_t epoch; /* counters began anew so often; charges of an older one are not corrected */
};

/* 1,000 entries, nothing kept, promotion after 30 s, tokens, 1:1. A share of tokens is what people see and are
 * billed for; the paper's 1:2 comes nearer to the engine's time. */
struct queue_limits queue_limits_default(void);

void queue_init(struct queue *q, const struct queue_limits *limits);
void queue_fini(struct queue *q); /* nothing waits, nothing that was served is without its end */

/* Any time. Another fairness begins with equal counters. What is promoted stays so. */
void queue_set_limits(struct queue *q, const struct queue_limits *limits);
/* A weight (1 to QUEUE_WEIGHT_MAX) for the charges to come, and the most entries that may wait (0:
 * no cap). Weight 1 without cap is what everybody has: the tenant may be forgotten again. ERR_FULL:
 * no room for one more tenant (QUEUE_TENANTS_MAX). */
[[nodiscard]] int queue_set_tenant(struct queue *q, uint32_t id, uint32_t weight,
                                   size_t max_length);

/* As many wait as may, in all or of this tenant. Whether one more is still taken is the caller's
 * decision: queue_put takes it. */
bool queue_full(const struct queue *q);
bool queue_tenant_full(const struct queue *q, uint32_t tenant);
/* No more room than is kept is left, and of this tenant waits as much as a part of that: an equal one for each tenant that
 * waits, for it, and for one more that may come. So the flood of one leaves room for others. */
bool queue_crowded(const struct queue *q, uint32_t tenant);
/* A new entry, or a served one that comes back: its charges are taken back. */
void queue_put(struct queue *q, struct queue_entry *entry);
/* It waits no more and was not served. */
void queue_remove(struct queue *q, struct queue_entry *entry);

/* The entry to serve next; NULL when empty. It stays in the queue. */
struct queue_entry *queue_peek(struct queue *q, nsec now);
/* Behind it of the same tenant, in the same band or beside it; NULL: nobody. Whoever serves that one first lets
 * it overtake: whose turn it is among tenants stays as it was. */
struct queue_entry *queue_behind(const struct queue_entry *entry);

/* It is served now: out of the queue, its input is charged. Until queue_end (or queue_put again) it
 * may be charged for output, and settled. */
void queue_serve(struct queue *q, struct queue_entry *entry, struct queue_reason *ret_reason);
void queue_charge(struct queue *q, struct queue_entry *entry, uint64_t output_tokens);
/* The real usage in place of what was charged so far: the counter goes up or down. */
void queue_settle(struct queue *q, struct queue_entry *entry, uint64_t input_tokens,
                  uint64_t output_tokens);
void queue_end(struct queue *q, struct queue_entry *entry);

/* An entry whose deadline has come, the earliest first; NULL when there is none. It stays until
 * queue_remove. */
struct queue_entry *queue_expired(const struct queue *q, nsec now);
nsec queue_next_deadline(const struct queue *q); /* NSEC_NEVER when there is none */

/* How many would be served before it if nobody else came and each cost what its tenant's entries
 * are estimated to on average. An approximation: promotions to come and service under way are left
 * out, entries of its lane that left from the middle still count while that is possible, and over
 * QUEUE_POSITION_SAMPLE tenants it is extrapolated from so many. */
enum { QUEUE_POSITION_SAMPLE = 64 };
size_t queue_position(const struct queue *q, const struct queue_entry *entry);

static inline bool queue_has(const struct queue_entry *entry)
{
    return entry->link.next != NULL;
}

#endif
