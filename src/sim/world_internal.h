/* SPDX-License-Identifier: Apache-2.0 */
/* The state of a simulated run, shared by the files of the world. */
#ifndef FAIRWAY_SIM_WORLD_INTERNAL_H
#define FAIRWAY_SIM_WORLD_INTERNAL_H

#include "base/list.h"
#include "base/rng.h"
#include "sim/world.h"

struct world;

/* What happens at a time; of equal times, what was planned first. Embedded in what it happens to. */
struct event {
    nsec at;
    uint64_t order;
    void (*fire)(struct world *w, struct event *e);
    struct heap_node node;
};

struct machine {
    struct place_node_spec spec;
    const struct scenario_nodes *group;
    unsigned number;     /* in its group, from 1 */
    unsigned down_count; /* faults that hold at present */
    struct event repair;
};

struct outage {
    struct machine *machine;
    struct event down, up;
};

/* A class of jobs (job) or a service (service). */
struct class
{
    const struct scenario_job *job;         /* NULL: */
    const struct scenario_service *service; /* NULL: a job */
    struct sim_class *tally;                /* borrow (result) */
    struct sched_spec spec;                 /* of each workload, but for its id and time */
    nsec start, checkpoint, grace;
    struct rng arrivals, durations, estimates;
    size_t next_at; /* of the listed times, sorted */
    nsec *at;       /* own (memory) */
    struct event listed, random, replicas;
    double rate; /* of the random arrivals, the highest, per nanosecond */
    nsec until;
    struct list wanted; /* tasks of a service, oldest first */
    size_t wanted_count;
};

/* A job or a replica. */
struct task {
    struct sched_workload workload;
    struct class *class;
    uint64_t number; /* in its class, from 1 */
    nsec wanted;     /* from when it waits for its (first) place; may lie ahead */
    bool placed;     /* once at least */
    bool running;    /* has its room */
    unsigned members;
    int64_t milli;         /* of GPUs */
    nsec started, stopped; /* stopped: work ended with the eviction; NSEC_NEVER: it goes on */
    sim_gpu_time work;     /* members x nanoseconds that are left */
    struct event event;    /* checkpoint or end; gone */
    struct list in_world, in_class;
};

struct numbers {
    struct str names[PLACE_NAMES_MAX];
    int count;
};

struct world {
    const struct scenario *scenario;
    struct sim_options options;
    struct sim_result *result;
    struct arena memory;
    struct err *err;
    int error; /* ends the run */

    struct place place;
    struct quota quota;
    struct sched *sched; /* own (memory) */
    struct machine *machines;
    size_t machine_count;
    struct outage *outages;
    struct numbers models, labels, taints, zones;
    int queues[QUOTA_NODES_MAX]; /* quota's number, by place in the scenario */
    bool limits_gpus, limits_cpu, limits_memory;

    struct class *classes;
    size_t class_count;
    struct list tasks;
    uint64_t last_id;

    struct heap events;
    uint64_t order;
    uint64_t event_count;
    nsec now;
    struct event fault; /* the next by chance */
    struct rng faults;

    /* At present. */
    int64_t capacity, jobs_milli, services_milli; /* thousandths of GPUs */
    uint64_t waiting_jobs, waiting_replicas;
    double price; /* millionths per hour */
    /* Of the part of the run that is going on. */
    nsec bin_end;
    double bin_capacity, bin_jobs, bin_services, bin_waiting_jobs, bin_waiting_replicas;
};

/* ---- world.c: the cluster, quotas and classes ---- */
[[nodiscard]] int world_init(struct world *w, struct arena *a);
void world_fini(struct world *w);
const struct machine *world_machine(const struct world *w, uint64_t node);
void world_put_machine_name(const struct machine *m, struct buf *out);

/* ---- workload.c: who comes, and faults ---- */
void workload_plan(struct world *w);

/* ---- run.c ---- */
void world_plan(struct world *w, struct event *e, nsec at,
                void (*fire)(struct world *, struct event *));
void world_cancel(struct world *w, struct event *e);
/* One more thing has happened; false: too many, the run ends. */
bool world_count(struct world *w);
/* expected: what the scheduler is told; 0: nothing. */
struct task *world_submit(struct world *w, struct class *c, nsec duration, nsec expected);
void world_withdraw(struct world *w, struct task *t);
void world_machine_down(struct world *w, struct machine *m);
void world_machine_up(struct world *w, struct machine *m);

/* ---- fragment.c ---- */
/* GPUs that are free, and of these what the expected workload cannot use, on the average. */
void world_fragments(const struct world *w, double *ret_free, double *ret_fragmented);
/* How many requests of a class are to be expected. */
double class_expected(const struct world *w, const struct class *c);

/* ---- trace.c ---- */
void trace_start(struct world *w, const struct task *t);
void trace_evict(struct world *w, const struct task *t, uint64_t evicted_for);

#endif
