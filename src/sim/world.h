/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A simulated run: the scheduler of production (core/sched over core/place and core/quota) in a world
 * of virtual time, with the cluster, the workload and the faults of a scenario.
 *
 * Rules:
 * - A job's work is its duration times its members; with fewer members it takes longer in
 *   proportion. Work begins `start` after it is placed, and is saved every `checkpoint`; after an
 *   eviction it goes on from there.
 * - Who is evicted computes no more, and leaves its room after `grace`; with a lost node at once.
 * - A service has as many replicas as its curve says. Too many: those that wait go first, then the
 *   newest.
 * - All that happens at one instant has happened before anything is decided.
 *
 * Deterministic: same scenario, policy and seed, same result and same trace. What comes when, and how
 * long it takes, depends on the seed alone, not on the policy.
 * Ownership: the result's classes live in the given arena; all else is freed. Thread rule: none, state is
 * in the arguments.
 */
#ifndef FAIRWAY_SIM_WORLD_H
#define FAIRWAY_SIM_WORLD_H

#include "core/place/policy.h"
#include "sim/result.h"

/* Arrivals, checkpoints, changes of curves, faults: a run with more would not end in useful time. */
enum { SIM_EVENTS_MAX = 100 * 1000 * 1000 };

struct sim_options {
    const struct place_policy *policy;
    uint64_t seed;
    /* Takes every decision as one line of JSON, without the line's end; NULL: nobody does. */
    void (*trace)(void *ctx, struct str line);
    void *ctx;
    bool check;          /* for tests: the whole state after every instant */
    uint64_t events_max; /* 0: SIM_EVENTS_MAX */
};

/* ERR_INVALID: somebody would fit on no node even if it were empty. ERR_FULL: too many wait, or
 * come, or too much happens. */
[[nodiscard]] int sim_run(struct arena *a, const struct scenario *scenario,
                          const struct sim_options *options, struct sim_result *ret_result,
                          struct err *err);

#endif
