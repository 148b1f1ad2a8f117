/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A running Fairway as a scenario: what its admin API tells, put into a scenario's terms.
 *
 * Rules:
 * - What runs comes at SNAPSHOT_RUNS, what waits at SNAPSHOT_WAITS, what is added at SNAPSHOT_ADDED: so
 *   what runs keeps its room, unless the scheduler takes it away.
 * - A Model is a service, a Job is a class with one job. Models that take no room here (remote
 *   engines) or cannot run whatever room there is, and jobs that are over or suspended, are left out.
 * - A job that runs has the members that run, and its expected duration less what it has run.
 * - Tenants' GPU quotas are queues of one cohort, beside a queue with what is in nobody's quota. Without
 *   quotas there are no queues.
 *
 * Ownership: the scenario lives in the arena; it borrows the strings of the resources and trees.
 * Thread rule: none.
 */
#ifndef FAIRWAY_SIM_SNAPSHOT_H
#define FAIRWAY_SIM_SNAPSHOT_H

#include "api/resource.h"
#include "sim/scenario.h"

#define SNAPSHOT_RUNS  ((nsec)0)
#define SNAPSHOT_WAITS SEC(1)
#define SNAPSHOT_ADDED SEC(2)

/* Lists as the admin API answers them ({"items": ...}). */
struct snapshot {
    const struct json *nodes, *tenants, *models, *jobs, *replicas;
    struct resource *const
        *added; /* Models and Jobs; a Model also instead of the one of its name */
    size_t added_count;
    nsec now;      /* of the wall clock */
    nsec duration; /* of a job that does not say how long it runs */
};

/* ERR_UNSUPPORTED: what is added is neither a Model nor a Job. ERR_CONFLICT: it is a Job that is there.
 * ERR_FULL: more than a scenario has. */
[[nodiscard]] int snapshot_scenario(struct arena *a, const struct snapshot *s,
                                    struct scenario *ret_scenario, struct err *err);

#endif
