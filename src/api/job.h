/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kind Job: processes that run to their end, all of them together or none. Field meanings: job.c,
 * or `fairway explain job`.
 *
 * The spec of a stored Job does not change, but for `suspend`. Its status is a table of its own.
 */
#ifndef FAIRWAY_API_JOB_H
#define FAIRWAY_API_JOB_H

#include "api/resource.h"
#include "api/resources.h"
#include "base/time.h"

enum job_restart { JOB_RESTART_ON_FAILURE, JOB_RESTART_NEVER };

struct job_spec {
    struct schema_strings command;
    struct schema_map env;
    struct str working_directory; /* empty: that of Fairway */
    struct str tenant;            /* empty: the default queue */
    int64_t members, min_members; /* min_members 0: all */
    struct resources resources;   /* of one member */
    int64_t priority;
    bool preemptible;
    nsec expected_duration, max_runtime; /* 0: not known; no limit */
    struct {
        int policy; /* enum job_restart */
        int64_t limit;
    } restart;
    struct {
        int signal; /* of the table: job_signal */
        nsec grace;
    } checkpoint;
    bool suspend;
};

/* X(member, text) */
#define JOB_PHASES(X)                                             \
    X(JOB_PENDING, "Pending")     /* waits for room */            \
    X(JOB_STARTING, "Starting")   /* has room, not all run yet */ \
    X(JOB_RUNNING, "Running")     /* all members run */           \
    X(JOB_EVICTING, "Evicting")   /* members were told to end */  \
    X(JOB_SUCCEEDED, "Succeeded") /* all members exited with 0 */ \
    X(JOB_FAILED, "Failed")       /* and does not start again */  \
    X(JOB_SUSPENDED, "Suspended") /* does not ask for room */

enum job_phase {
#define X(member, text) member,
    JOB_PHASES(X)
#undef X
};

enum { JOB_RUNS = -1 }; /* exit_code of a member that has not ended */

struct job_member {
    int64_t rank;
    int64_t pid;        /* 0: it has no process yet */
    int64_t start_time; /* of the process, as the kernel counts: tells it from a later one */
    struct str token;   /* in its environment */
    int64_t exit_code;  /* 128 and the signal's number if one ended it; or JOB_RUNS */
    struct str lease;   /* what it has of its machine, as JSON */
};

struct job_status {
    int phase; /* enum job_phase */
    struct str reason, message;
    struct str started_at, finished_at; /* RFC 3339; of the present or last attempt */
    int64_t attempts, failures, evictions;
    nsec ran;                      /* all earlier attempts together */
    struct schema_objects members; /* of struct job_member */
};

struct job {
    struct resource resource;
    struct job_spec spec;
    struct job_status status;
};

extern const struct resource_kind job_kind;

const char *job_phase_text(enum job_phase phase);
/* The number of the signal (SIGTERM ...) that tells a member to save its work and end. */
int job_signal(const struct job_spec *spec);

/* May the stored Job become this one? ERR_CONFLICT: more than `suspend` differs. */
[[nodiscard]] int job_check_change(const struct job *stored, const struct job *wanted,
                                   struct err *err);

static inline struct job *job_from(struct resource *resource)
{
    CHECK(resource->type == &job_kind);
    return container_of(resource, struct job, resource);
}

#endif
