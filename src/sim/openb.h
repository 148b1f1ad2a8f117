/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The openb experiment: tasks of a recorded GPU cluster arrive one by one at a simulated one and
 * never leave, until they ask for more GPUs than there are; how much of the GPUs is given out then?
 * The cluster and the experiment are those of Weng et al., "Beware of Fragmentation" (USENIX ATC
 * 2023).
 *
 * Files are CSV with a line of column names, plain or gzip:
 *   nodes: sn, cpu_milli, memory_mib, gpu, model
 *   tasks: name, cpu_milli, memory_mib, num_gpu, gpu_milli, and gpu_spec (models that it accepts,
 *          separated by |; none: any); other columns are passed over.
 *
 * Rules of a run:
 * - The nodes are put in an order shuffled by the seed; ties go by it.
 * - The tasks are shuffled by the seed; then more are drawn from all of them, with replacement, as
 *   long as the demand for GPUs stays within `arrive` times the GPUs. If the tasks ask for more than
 *   that by themselves, the last ones are left out.
 * - What a policy expects to come are the shapes of the tasks in the file, by how often they are there.
 * - A task that fits nowhere when it arrives is dropped; its demand has arrived.
 *
 * Deterministic: same files, policy, seed and `arrive`, same result. Ownership: a trace lives in the
 * given arena. Thread rule: none, state is in the arguments.
 */
#ifndef FAIRWAY_SIM_OPENB_H
#define FAIRWAY_SIM_OPENB_H

#include "base/buf.h"
#include "core/place/policy.h"

enum {
    OPENB_NODES_MAX = 100000,
    OPENB_TASKS_MAX = 1000000,
    OPENB_ARRIVE_MAX = 10,        /* times the GPUs */
    OPENB_ARRIVALS_MAX = 4000000, /* then it ends, whatever the demand */
};
#define OPENB_FILE_MAX ((size_t)256 << 20) /* bytes, when it is unpacked */

struct openb_trace {
    struct place_node_spec *nodes;
    size_t node_count;
    struct place_request *tasks;
    size_t task_count;
    struct str models[PLACE_MODELS_MAX]; /* names, by number */
    int model_count;
    uint64_t gpus;
};

/* The text of a file. ERR_TOO_BIG, or what the system says. */
[[nodiscard]] int openb_read(const char *path, struct buf *out, struct err *err);

/* Fill their half of the trace, nodes first; `name` is for messages ("pods.csv, line 7: ..."). */
[[nodiscard]] int openb_parse_nodes(struct arena *a, struct str text, const char *name,
                                    struct openb_trace *trace, struct err *err);
[[nodiscard]] int openb_parse_tasks(struct arena *a, struct str text, const char *name,
                                    struct openb_trace *trace, struct err *err);

struct openb_options {
    const struct place_policy *policy;
    uint64_t seed;
    double arrive; /* demand, in times the GPUs */
};

/* After the arrivals that brought the demand to this per cent of the GPUs, rounded; means of them. */
struct openb_point {
    uint32_t arrivals;
    double allocated; /* per cent of the GPUs */
};

enum { OPENB_POINTS = 100 * OPENB_ARRIVE_MAX + 1 };

struct openb_result {
    uint64_t arrived, placed;                /* tasks */
    uint64_t arrived_milli, placed_milli;    /* thousandths of GPUs */
    struct openb_point points[OPENB_POINTS]; /* by per cent */
    int last;                                /* the highest per cent with arrivals */
    nsec deciding, slowest;                  /* time of all decisions, and of the slowest */
};

/* The clock tells how long the decisions took; NULL: that is not asked for. */
void openb_run(const struct openb_trace *trace, const struct openb_options *options,
               nsec (*clock)(void), struct openb_result *ret_result);

#endif
