/* SPDX-License-Identifier: Apache-2.0 */
/* How many guests there are in which state, who was evicted, and what is given of each GPU. */
#include "controller/cluster_internal.h"
#include "observe/metrics.h"

enum { STATES = SCHED_EVICTING + 1 };

static const char *const states[STATES] = {
    [SCHED_PENDING] = "pending",
    [SCHED_HELD] = "held",
    [SCHED_RUNNING] = "running",
    [SCHED_EVICTING] = "evicting",
};
static const char *const reasons[] = {
    [SCHED_PREEMPTED] = "preempted",
    [SCHED_RECLAIMED] = "reclaimed",
    [SCHED_ROOM_LOST] = "room_lost",
};

static struct str kind_of(bool inference)
{
    return inference ? STR("model") : STR("job");
}

void cluster_metrics_init(struct cluster *c, struct metrics *metrics)
{
    const struct metric_spec workloads = {
        .type = METRIC_GAUGE,
        .name = "fairway_workloads",
        .help = "Replicas (model) and jobs on this machine, by what the scheduler has decided.",
        .labels = {"kind", "state"}};
    const struct metric_spec evictions = {
        .type = METRIC_COUNTER,
        .name = "fairway_evictions_total",
        .help = "Replicas and jobs that were told to leave their room.",
        .labels = {"kind", "reason"}};
    const struct metric_spec given = {.type = METRIC_GAUGE,
                                      .name = "fairway_gpu_given_ratio",
                                      .help = "How much of a GPU is given to somebody.",
                                      .labels = {"uuid"}};
    c->workloads = metrics_family(metrics, &workloads);
    c->evictions = metrics_family(metrics, &evictions);
    c->given = metrics_family(metrics, &given);
}

void cluster_metrics_evicted(struct cluster *c, const struct sched_workload *w)
{
    const struct str labels[] = {kind_of(w->spec.inference), str_from(reasons[w->evict_why])};
    metric_add(metric_series(c->evictions, labels), 1);
}

void cluster_metrics_update(struct cluster *c)
{
    unsigned counts[2][STATES] = {0};
    const struct place_node *n = place_node_find(&c->place, CLUSTER_NODE);
    struct map_node *node = NULL;
    while ((node = map_next(&c->sched.by_id, node))) {
        const struct sched_workload *w = container_of(node, struct sched_workload, by_id);
        counts[w->spec.inference][w->state]++;
    }
    for (int inference = 0; inference < 2; inference++)
        for (int state = SCHED_PENDING; state < STATES; state++) {
            const struct str labels[] = {kind_of(inference), str_from(states[state])};
            metric_set(metric_series(c->workloads, labels), counts[inference][state]);
        }
    for (int i = 0; n && i < n->spec.gpu_count; i++) {
        const struct str uuid = str_from(c->uuids[i]);
        metric_set(metric_series(c->given, &uuid), (double)n->gpus[i].milli_used / PLACE_MILLI);
    }
}
