/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a simulated run came to: who waited how long, what the GPUs did, and how that went over time.
 *
 * The time that GPUs were given to somebody is split without rest:
 *   useful    work that was kept, and inference that was ready
 *   lost      work that an eviction undid
 *   starting  from placed to work or ready, and from evicted to gone
 * The work of a job that still runs at the end is useful.
 *
 * A wait is from wanted to placed: of a job until its first start; of a replica also after it has lost its
 * node. Who still waits at the end counts with what it has waited by then.
 *
 * Ownership: a plain value but for its names (borrowed from the scenario) and `classes`, which live in
 * the arena that the run was given. Thread rule: none.
 */
#ifndef FAIRWAY_SIM_RESULT_H
#define FAIRWAY_SIM_RESULT_H

#include "base/hist.h"
#include "sim/scenario.h"

enum { SIM_BINS = 240, SIM_CLASSES_MAX = 2 * SCENARIO_CLASSES_MAX };

/* Thousandths of a GPU x nanoseconds. Aligned as pointers are: list_each looks at list heads as if they
 * were items. */
typedef __int128 sim_gpu_time __attribute__((aligned(8)));

/* Means over a part of the run; what is free as it is at the part's end. */
struct sim_bin {
    double gpus;           /* that there are */
    double jobs, services; /* GPUs given to them */
    double waiting_jobs, waiting_replicas;
    double free, fragmented; /* GPUs, and of these what the workload cannot use */
};

struct sim_class {
    struct str name, queue; /* queue empty: there are none */
    bool service;
    uint64_t arrived, started, completed, withdrawn, evicted; /* started: for the first time */
    uint64_t placed_at_once;   /* at the instant when they were wanted */
    uint64_t running, waiting; /* at the end */
    struct hist wait;          /* nsec */
    sim_gpu_time useful, lost, starting;
};

struct sim_result {
    const char *policy;
    uint64_t seed;
    nsec duration, bin; /* bin: the length of one */
    int bin_count;
    struct sim_bin bins[SIM_BINS];
    struct sim_class *classes; /* jobs, then services, in the order of the scenario */
    size_t class_count;
    sim_gpu_time capacity, given;
    uint64_t nodes, gpus; /* of the scenario */
    uint64_t decisions;
    uint64_t preempted, reclaimed, room_lost; /* evictions, by reason */
    uint64_t nodes_lost;
    double cost; /* of the nodes, while they were there; 0: no prices */
};

/* One number of a report, alike in text, JSON and HTML. */
enum sim_unit { SIM_COUNT, SIM_PERCENT, SIM_SECONDS, SIM_MONEY };

struct sim_figure {
    const char *key;   /* in JSON */
    const char *title; /* for people */
    enum sim_unit unit;
    double value;
};

enum { SIM_FIGURES_MAX = 32 };
/* Returns how many: the same ones for every result of a scenario with the same kinds of classes. */
int sim_figures(const struct sim_result *r, struct sim_figure ret_figures[SIM_FIGURES_MAX]);

/* A wait for people: no wait is "0s". Returns text. */
char *sim_wait_text(nsec wait, char text[NSEC_TEXT_MAX]);

enum { SIM_FIGURE_TEXT_MAX = 40 };
char *sim_figure_text(const struct sim_figure *f, char text[SIM_FIGURE_TEXT_MAX]);

/* Waits of one queue, or of all jobs or services (queue empty). Returns whether there are any. */
bool sim_waits(const struct sim_result *r, struct str queue, bool services, struct hist *ret_waits);

static inline double sim_gpu_hours(sim_gpu_time t)
{
    return (double)t / PLACE_MILLI / (3600 * 1e9);
}

/* JSON, complete. Several runs make a list "runs". */
void sim_report_json(const struct sim_result *const *runs, size_t count, struct buf *out);

/* One HTML page without scripts or anything from elsewhere. `names`: of the runs, for people. */
void sim_report_html(const struct sim_result *const *runs, const char *const *names, size_t count,
                     const char *title, struct buf *out);

#endif
