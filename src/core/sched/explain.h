/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why a workload is pending, in numbers. Every reason is true now: without it, or with what is missing,
 * the verdict is another (test/property/core/test_sched.c).
 *
 * Nodes of equal capacity, GPUs, labels and taints are one class; of each the node that lacks least is
 * shown, and who would have to leave it so that one more member fits there. Asking looks at all nodes and
 * leases; it leaves no trace. Pure.
 */
#ifndef FAIRWAY_CORE_SCHED_EXPLAIN_H
#define FAIRWAY_CORE_SCHED_EXPLAIN_H

#include "core/place/trial.h"
#include "core/sched/sched.h"

enum {
    SCHED_CLASSES_MAX = 32,
    SCHED_LEAVERS_MAX = 16,
};

struct sched_class {
    uint64_t first; /* a node of it */
    unsigned nodes, closed;
    unsigned fit;                    /* nodes with room for one member or more */
    unsigned lacking[PLACE_REASONS]; /* nodes that lack it, by the bit's number */
    uint64_t best;                   /* of those without room, the one that lacks least; 0: none */
    struct place_lack lack;          /* there */
    /* Whose leaving makes room for one member there, none of them more than needed: workloads, once
     * each (who is held for, or has the reservation, too). 0: nobody's leaving would. */
    unsigned leaver_count;
    uint64_t leavers[SCHED_LEAVERS_MAX];
};

/* Why it may not evict those that run: how many. Each is counted with the first that holds. */
enum sched_spared {
    SCHED_MAY_EVICT,
    SCHED_SPARED_NOT_PREEMPTIBLE,
    SCHED_SPARED_INFERENCE,
    SCHED_SPARED_RESERVED, /* it is on a node with reserved room */
    SCHED_SPARED_PRIORITY, /* not lower, in its own queue */
    SCHED_SPARED_QUOTA, /* of another queue and within what that has, or it would borrow itself */
    SCHED_SPARED,
};
void sched_explain_spared(struct sched *s, const struct sched_workload *w, nsec now,
                          unsigned counts[SCHED_SPARED]);

struct sched_explanation {
    enum sched_state state;
    enum sched_why why;         /* of the last try */
    nsec sleeps_until;          /* 0: it does not */
    bool closed;                /* its queue */
    bool invalid;               /* its request */
    struct quota_verdict quota; /* of members_min */
    /* That have room, quota apart, with what is reserved if it may use that; at most members_min. */
    unsigned members_min, members_now;
    bool reserved;                  /* it has the reservation: */
    nsec at;                        /* NSEC_NEVER: not known */
    const struct place_lease *room; /* of members_min; borrow */
    uint64_t kept_for; /* who has the reservation whose room or quota would be enough; 0: none */
    unsigned spared[SCHED_SPARED];
    unsigned class_count;
    unsigned nodes_left_out; /* of further classes */
    struct sched_class classes[SCHED_CLASSES_MAX];
};

/* Of a PENDING or HELD one. */
void sched_explain(struct sched *s, const struct sched_workload *w, nsec now,
                   struct sched_explanation *ret_explanation);

#endif
