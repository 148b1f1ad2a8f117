/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is simulated: a cluster, its quotas, and who comes when. One YAML file, read by the schema
 * tables of scenario.c (field meanings there, and in docs/simulate.md): what the table does not have
 * is an error, with its line and the nearest name.
 *
 * What several fields say together is checked too: names are unique, queues and nodes that are named
 * exist, curves ascend within the day.
 *
 * Ownership: a scenario lives in the arena it was read into. Thread rule: none.
 */
#ifndef FAIRWAY_SIM_SCENARIO_H
#define FAIRWAY_SIM_SCENARIO_H

#include "api/resources.h"
#include "core/sched/sched.h"

enum {
    SCENARIO_NODES_MAX = 20000,
    SCENARIO_CLASSES_MAX = 64,    /* of jobs, and of services */
    SCENARIO_JOBS_MAX = 1000000,  /* that come in one run */
    SCENARIO_WAITING_MAX = 50000, /* and replicas, that run or wait at one time */
    SCENARIO_LEFT_OUT = -1,
};
#define SCENARIO_DURATION_MAX ((nsec)3660 * 24 * 3600 * NSEC_PER_SEC)
#define SCENARIO_FILE_MAX     ((size_t)4 << 20) /* bytes */

struct scenario_nodes {
    struct str name;
    int64_t count, cpu, memory; /* thousandths, bytes */
    struct str gpus;
    struct schema_map labels;
    struct schema_strings taints;
    struct str zone;
    bool spot;
    int64_t price; /* millionths, of an hour */
};

/* Thousandths, thousandths, bytes; or SCENARIO_LEFT_OUT. */
struct scenario_limits {
    int64_t gpus, cpu, memory;
};

struct scenario_queue {
    struct str name, parent; /* parent empty: none */
    int64_t weight;
    struct scenario_limits nominal, borrowing, lending;
};

struct scenario_factor {
    nsec at;
    int64_t factor; /* thousandths */
};

struct scenario_arrivals {
    int64_t count;
    struct schema_strings at; /* durations */
    int64_t per_hour;         /* thousandths */
    struct schema_objects curve;
    nsec from, until; /* until 0: the end */
};

enum scenario_distribution { SCENARIO_CONSTANT, SCENARIO_EXPONENTIAL, SCENARIO_LOGNORMAL };

struct scenario_duration {
    int distribution; /* enum scenario_distribution */
    nsec mean;
    int64_t sigma;          /* thousandths */
    int64_t estimate_error; /* likewise; or SCENARIO_LEFT_OUT: nobody knows how long it takes */
};

struct scenario_job {
    struct str name, queue;
    int64_t priority;
    bool preemptible;
    int64_t members, min_members; /* min_members 0: all */
    struct resources resources;
    struct schema_map node_labels;
    struct schema_strings tolerations;
    bool spot;
    struct scenario_arrivals arrivals;
    struct scenario_duration duration;
    nsec start, checkpoint, grace; /* checkpoint 0: none */
};

struct scenario_step {
    nsec at;
    int64_t count;
};

enum scenario_between { SCENARIO_STEPS, SCENARIO_LINES };

struct scenario_service {
    struct str name, queue;
    int64_t priority;
    bool preemptible;
    struct resources resources;
    struct schema_map node_labels;
    struct schema_strings tolerations;
    bool spot;
    struct schema_objects replicas; /* of struct scenario_step */
    int between;                    /* enum scenario_between */
    int spread;                     /* enum place_spread */
    nsec ahead, load;
};

struct scenario_outage {
    struct str node;
    nsec down, up; /* up 0: never */
};

struct scenario_faults {
    struct schema_objects list; /* of struct scenario_outage */
    nsec mean_between, repair;  /* mean_between 0: none */
};

struct scenario {
    nsec duration, day, half_life, retry;
    bool may_not_fit;
    struct schema_objects nodes, queues, jobs, services; /* of struct scenario_nodes ... */
    struct scenario_faults faults;
};

/* A YAML text with one document. `changes`: "path=value" each ("nodes[0].count=4", or by name,
 * "nodes.big.count=4"; the value is YAML), put into the document before it is decoded. */
[[nodiscard]] int scenario_read(struct arena *a, struct str text, const char *const *changes,
                                size_t change_count, struct scenario **ret_scenario,
                                struct err *err);

/* The file, in YAML, with all defaults: read back it is the same scenario. */
void scenario_write(const struct scenario *s, struct buf *out);

/* The value of a curve at a time of the day, in thousandths; 1000 if it has no points. */
int64_t scenario_factor_at(const struct schema_objects *curve, nsec day, nsec at);
int64_t scenario_replicas_at(const struct scenario_service *s, nsec day, nsec at);

/* A Markdown table of all fields, for docs/simulate.md. */
void scenario_reference(struct buf *out);

static inline const struct scenario_nodes *scenario_nodes(const struct scenario *s)
{
    return s->nodes.items;
}
static inline const struct scenario_queue *scenario_queues(const struct scenario *s)
{
    return s->queues.items;
}
static inline const struct scenario_job *scenario_jobs(const struct scenario *s)
{
    return s->jobs.items;
}
static inline const struct scenario_service *scenario_services(const struct scenario *s)
{
    return s->services.items;
}

#endif
