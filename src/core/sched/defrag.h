/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Free room that lies in pieces: which of those that run should move, where to, what is won by it, and what it costs.
 * Proposals only: nothing is decided.
 *
 * Rules:
 * - RUNNING workloads move, those that are inference or preemptible; each with all its members, and once at most. Not from
 *   nodes where room is reserved, but for the one that has the reservation.
 * - Inference starts in the new place first, and is drained then: it needs room and quota twice for a time, and costs its
 *   start. All else ends first: it costs its start and the work since the checkpoint. Cost is GPUs times seconds.
 * - Gain: what more of the free GPUs the expected workload can use (place_usable, on the average); or, if one that is
 *   PENDING can start after it, its GPUs, if that is more.
 * - Only what gains more in `horizon` than it costs is proposed.
 * - Each move is possible after those before it, each proposal after those before it and with what they start in its place.
 *   Who waits comes first, in the order of priority, then age, over all queues; then who gains most.
 * - If one move of a workload with one member would be worth it, something is proposed. Of several moves together not all are
 *   looked at: those that clear one GPU after the other of one node after the other.
 *
 * It looks at all nodes and workloads, and at where the most promising of them (`candidates`) would go. Ask when there is no
 * decision to be taken. Asking leaves no trace. Pure.
 */
#ifndef FAIRWAY_CORE_SCHED_DEFRAG_H
#define FAIRWAY_CORE_SCHED_DEFRAG_H

#include "core/sched/sched.h"

enum {
    SCHED_MOVES_MAX = 64, /* of members, in all proposals */
    SCHED_PROPOSALS_MAX = 16,
    SCHED_STARTS_MAX = 64, /* members of one that starts; larger gangs are left out */
};

struct sched_member_move {
    uint64_t workload;
    unsigned member;
    bool starts_first;           /* then it is drained; else it ends first */
    struct place_lease from, to; /* `to` is nobody's yet */
};

struct sched_proposal {
    unsigned first_move, move_count;
    int64_t gain;    /* thousandths of GPUs */
    double cost;     /* GPUs times seconds */
    uint64_t starts; /* who waits and can start after it; 0: nobody, */
    unsigned start_count;
    struct place_lease room[SCHED_STARTS_MAX]; /* and where */
};

struct sched_proposals {
    unsigned count, move_count;
    struct sched_proposal items[SCHED_PROPOSALS_MAX];
    struct sched_member_move moves[SCHED_MOVES_MAX];
};

struct sched_defrag_options {
    nsec horizon;           /* for so long a gain lasts */
    unsigned candidates;    /* at least 1 */
    unsigned moves_max;     /* at most SCHED_MOVES_MAX */
    unsigned proposals_max; /* at most SCHED_PROPOSALS_MAX */
};

/* 1 h, 64 candidates, as many moves and proposals as there may be. */
struct sched_defrag_options sched_defrag_options_default(void);
void sched_defrag(struct sched *s, const struct sched_defrag_options *options, nsec now,
                  struct sched_proposals *ret_proposals);

#endif
