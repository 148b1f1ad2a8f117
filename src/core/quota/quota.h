/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a queue of jobs may use: a tree of quotas with borrowing and lending, reclaim, and whose turn
 * it is. Pure; it knows amounts and nothing of nodes or GPUs (core/place).
 *
 * Leaves are queues, inner nodes are cohorts, after Kueue's hierarchical cohorts, but that what a node does
 * not lend stays available to it when its cohort is over quota. Each resource by itself, c runs over the
 * children of n:
 *
 *   subtree(n)   = nominal(n) + sum of (subtree(c) - local(c))     what n has
 *   local(n)     = max(0, subtree(n) - lending limit(n)); 0 without a limit     never lent
 *   usage(queue) = what it holds;  usage(cohort) = sum of max(0, usage(c) - local(c))
 *   available(n) = max(0, local(n) - usage(n)) + max(0, from above), where from above =
 *                  min(available(parent), subtree(n) + borrowing limit(n) - max(usage(n), local(n)))
 *   available(root) = max(0, subtree(root) - usage(root))
 *
 * A cohort's own nominal is in addition to that of its children. At a root the limits mean nothing.
 *
 * Rules:
 * - An amount fits if every resource is available. It is taken whole or not at all.
 * - Equivalently: no node whose usage rises may pass its ceiling, which is subtree(n) + borrowing
 *   limit(n), and subtree(n) for a root. Each ceiling in the way is an obstacle of the verdict: with
 *   all of them raised by what is missing the amount fits, with one left it does not.
 * - Quotas may change at any time, also below what is used: then nothing that needs more is admitted
 *   there, and the excess can be reclaimed. A queue that is removed while it is used has no quota,
 *   takes nothing, and its slot is freed with its last give-back.
 * - Reclaim: a queue within its nominal may demand room from all that is borrowed. So may one beyond
 *   it, outside of the lowest cohort above it that stays within its subtree quota. What a branch on
 *   its path would be over quota is found inside that branch, the rest among the branch's siblings:
 *   of what is over its own subtree quota the most over for its weight goes first.
 * - Turn: priority; then, from the root down, the sibling with the smallest weighted dominant share;
 *   then age. A share is of the decayed average of what is held, and a little of what is held now (order.c).
 *
 * Invariants: quota_check. Asking leaves no trace. Sums cannot overflow: every amount is at most
 * QUOTA_AMOUNT_MAX, and there are at most QUOTA_NODES_MAX of them.
 * Bounds: QUOTA_NODES_MAX nodes, QUOTA_DEPTH_MAX levels, else ERR_FULL.
 * Ownership: caller's memory, of fixed size, without pointers. Thread rule: one thread at a time.
 */
#ifndef FAIRWAY_CORE_QUOTA_H
#define FAIRWAY_CORE_QUOTA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/time.h"

enum {
    QUOTA_NODES_MAX = 512,
    QUOTA_DEPTH_MAX = 8, /* levels, a root's included */
    QUOTA_CLASSES_MAX = 8,
    QUOTA_CPU = QUOTA_CLASSES_MAX, /* below it: thousandths of GPUs of a class */
    QUOTA_MEMORY,                  /* MiB */
    QUOTA_RESOURCES,
    QUOTA_OBSTACLES_MAX = QUOTA_DEPTH_MAX * QUOTA_RESOURCES,
    QUOTA_WEIGHT_MAX = 1000 * 1000,
    QUOTA_NONE = -1,     /* no node */
    QUOTA_NO_LIMIT = -1, /* of borrowing or lending */
};
#define QUOTA_AMOUNT_MAX INT64_C(1000000000000000) /* of one resource, of one node */

struct quota_amount {
    int64_t of[QUOTA_RESOURCES];
};

struct quota_spec {
    struct quota_amount nominal, borrowing, lending; /* the latter two: or QUOTA_NO_LIMIT */
    uint32_t weight;                                 /* 1 to QUOTA_WEIGHT_MAX */
};

struct quota_node {
    struct quota_spec spec;
    bool used;     /* the slot */
    bool draining; /* removed, but something is held */
    int parent, depth;
    int first_child, next_sibling, children;
    struct quota_amount held;        /* by all queues below it */
    double history[QUOTA_RESOURCES]; /* decayed average of held, at `seen` */
    nsec seen;
};

struct quota {
    nsec half_life;
    int count; /* slots in use lie below this */
    struct quota_node nodes[QUOTA_NODES_MAX];
    /* Of a resource, by node: see above. */
    int64_t subtree[QUOTA_RESOURCES][QUOTA_NODES_MAX];
    int64_t usage[QUOTA_RESOURCES][QUOTA_NODES_MAX];
};

/* half_life: after it a holding that ended weighs half; more than 0. */
void quota_init(struct quota *q, nsec half_life);

/* parent QUOTA_NONE: a root. ERR_INVALID: the spec makes no sense, or there is no such parent.
 * ERR_CONFLICT: the parent is a queue in use, or was removed. ERR_FULL: too many nodes, or too deep. */
[[nodiscard]] int quota_add(struct quota *q, int parent, const struct quota_spec *spec, nsec now,
                            int *ret_node);
/* ERR_INVALID as quota_add; ERR_NOT_FOUND: no such node, or it was removed. */
[[nodiscard]] int quota_change(struct quota *q, int node, const struct quota_spec *spec);
/* ERR_NOT_FOUND; ERR_CONFLICT: it has children. */
[[nodiscard]] int quota_remove(struct quota *q, int node);

/* ---- would it fit ---- */

enum quota_answer {
    QUOTA_FITS,    /* within the queue's nominal quota */
    QUOTA_BORROWS, /* with quota of others */
    QUOTA_SHORT,   /* see obstacles */
    QUOTA_CLOSED,  /* the queue was removed, is none, or the amount makes no sense */
};

struct quota_obstacle {
    int node; /* whose ceiling it is: the queue or a cohort above it */
    int resource;
    int64_t missing; /* so much lower usage, or so much more quota, and it is none */
};

struct quota_verdict {
    enum quota_answer answer;
    struct quota_amount borrowed; /* of the amount: beyond the queue's nominal */
    int cohort; /* the lowest node within whose subtree quota everything stays; QUOTA_NONE: none */
    int obstacle_count;
    struct quota_obstacle obstacles[QUOTA_OBSTACLES_MAX]; /* from the queue upwards */
};

struct quota_holding {
    int queue;
    struct quota_amount amount;
};

int64_t quota_available(const struct quota *q, int node, int resource);
void quota_fits(const struct quota *q, int queue, const struct quota_amount *amount,
                struct quota_verdict *ret_verdict);
/* As if these holdings had been given back. They are part of what their queues hold. */
void quota_fits_without(const struct quota *q, int queue, const struct quota_amount *amount,
                        const struct quota_holding *gone, size_t gone_count,
                        struct quota_verdict *ret_verdict);
/* For questions of quota_fits alone: as if a holding had been given back, until it is there again. */
void quota_set_aside(struct quota *q, const struct quota_holding *holding);
void quota_put_back(struct quota *q, const struct quota_holding *holding);
/* Whose unused quota a queue would borrow of this resource: nearest first, then by node. A cohort on
 * the queue's own path stands for its own nominal. Returns how many; the sum is at most `amount`. */
struct quota_part {
    int node;
    int64_t amount;
};
int quota_lenders(const struct quota *q, int queue, int resource, int64_t amount,
                  struct quota_part ret_parts[QUOTA_NODES_MAX]);

/* ---- take and give back ---- */

/* ERR_UNAVAILABLE: it does not fit, see the verdict. */
[[nodiscard]] int quota_take(struct quota *q, int queue, const struct quota_amount *amount,
                             nsec now, struct quota_verdict *ret_verdict);
/* Takes it whether it fits or not: what runs already, after a restart. ERR_INVALID: no such queue, or
 * beyond QUOTA_AMOUNT_MAX. */
[[nodiscard]] int quota_restore(struct quota *q, int queue, const struct quota_amount *amount,
                                nsec now);
/* ERR_INVALID: the queue does not hold that much. */
[[nodiscard]] int quota_give_back(struct quota *q, int queue, const struct quota_amount *amount,
                                  nsec now);

/* ---- reclaim ---- */

/* Which queues hold what this one may demand back, and how much of each, so that the obstacle falls:
 * in the order in which they should lose it. Returns how many; 0: it has no right to more, or the
 * obstacle is its own ceiling. If a claim is right, the sum is obstacle->missing. */
int quota_reclaim(const struct quota *q, int queue, const struct quota_amount *amount,
                  const struct quota_obstacle *obstacle,
                  struct quota_part ret_parts[QUOTA_NODES_MAX]);

/* ---- whose turn ---- */

/* Weighted dominant share: 0 has nothing; 1 all that its cohort has, at weight 1. */
double quota_share(const struct quota *q, int node, nsec now);

/* The first that waits in a queue. */
struct quota_head {
    int queue;
    int priority; /* higher goes first */
    nsec since;
};
/* The index of the head whose turn it is; -1 of none. After one was admitted, or cannot be, ask again
 * without it. */
int quota_next(const struct quota *q, const struct quota_head *heads, int count, nsec now);

/* What is broken, as text; NULL: nothing. For tests: it looks at everything. */
const char *quota_check(const struct quota *q);

#endif
