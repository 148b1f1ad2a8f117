/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs on this machine: gangs of processes that have room together, run together and end together.
 *
 *   apply --> job_set --> jobs_plan: asks the cluster for room --> on_room: every member is started
 *   exits, evictions, suspend, delete --> core/plan/gang --> jobs_act: signal, kill --> again, or over
 *
 * Each member's process gets RANK, WORLD_SIZE, MASTER_ADDR ..., and the GPUs that it was given. The status in the store says what
 * runs, so that a later controller finds it: it is written before a process is started.
 *
 * Invariants: a job is in controller.jobs as long as it is in the store or has members; it has leases exactly while it has members.
 * Thread rule: on the controller's loop.
 */
#ifndef FAIRWAY_CONTROLLER_JOBS_H
#define FAIRWAY_CONTROLLER_JOBS_H

#include "api/job.h"
#include "controller/managed.h"
#include "core/plan/gang.h"

struct job_rank {
    struct managed_job *job;
    struct process *process; /* own; NULL: none */
    int64_t pid, start_time; /* of the last one */
    int64_t exit_code;       /* of the last one, or JOB_RUNS */
    char token[REPLICA_TOKEN_LEN + 1];
};

struct managed_job {
    struct map_node node; /* by name */
    struct controller *controller;
    struct arena arena; /* of the resource */
    struct job *job;
    struct gang gang;
    struct cluster_guest room;
    struct job_rank *ranks; /* own; of the present attempt or the last one */
    unsigned rank_count;
    unsigned found;               /* of its members, by a new controller */
    nsec started_at, finished_at; /* wall clock; 0: not yet */
    bool deleted;                 /* gone from the store; members are ending */
    char problem
        [ERR_MESSAGE_MAX]; /* why it cannot run here, or what went wrong last; "" if nothing did */
};

void job_set(struct controller *c, const struct resource *stored); /* reconcile follows */
void job_remove(struct controller *c,
                struct str name); /* it was deleted from the store; likewise */
struct managed_job *job_find(struct controller *c, struct str name); /* NULL: none */

/* Before and after cluster_step. */
void jobs_plan(struct controller *c, nsec now);
nsec jobs_act(struct controller *c, nsec now); /* the earliest time to look again */

bool jobs_have_members(const struct controller *c,
                       bool ending);    /* any; or only of those that end */
void jobs_let_go(struct controller *c); /* frees all; their processes go on */

/* A process with this mark was found. False: it is of no job. */
bool jobs_adopt(struct controller *c, struct str token, pid_t pid, uint64_t start_time);
bool jobs_own(const struct controller *c, struct str token);
void jobs_adopted(struct controller *c); /* all there are were found */

/* The status of now; its texts live in the arena. */
void job_status(const struct managed_job *j, struct arena *a, struct job_status *ret_status);
void job_log_path(const struct controller *c, struct str name, unsigned rank, char path[PATH_MAX]);
void jobs_rotate_logs(const struct controller *c, size_t size_max);

#endif
