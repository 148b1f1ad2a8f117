/* SPDX-License-Identifier: Apache-2.0 */
/* The figures of a run. */
#include "sim/result.h"

#include <stdio.h>

bool sim_waits(const struct sim_result *r, struct str queue, bool services, struct hist *ret_waits)
{
    bool any = false;
    hist_init(ret_waits);
    for (size_t i = 0; i < r->class_count; i++) {
        const struct sim_class *c = &r->classes[i];
        if (c->service != services || (queue.len && !str_eq(c->queue, queue)))
            continue;
        any = true;
        if (c->wait.count)
            hist_merge(ret_waits, &c->wait);
    }
    return any;
}

/* ---- sums ---- */

struct sums {
    uint64_t arrived, completed, running, waiting, evicted;
    sim_gpu_time useful, lost, starting, serving;
};

static struct sums sum(const struct sim_result *r)
{
    struct sums s = {0};
    for (size_t i = 0; i < r->class_count; i++) {
        const struct sim_class *c = &r->classes[i];
        s.lost += c->lost;
        s.starting += c->starting;
        *(c->service ? &s.serving : &s.useful) += c->useful;
        if (c->service)
            continue;
        s.arrived += c->arrived;
        s.completed += c->completed;
        s.running += c->running;
        s.waiting += c->waiting;
    }
    s.evicted = r->preempted + r->reclaimed + r->room_lost;
    return s;
}

/* Of what is free, over the whole run. */
static double mean_fragmented(const struct sim_result *r)
{
    double fragment = 0, all = 0;
    for (int i = 0; i < r->bin_count; i++) {
        fragment += r->bins[i].fragmented;
        all += r->bins[i].free;
    }
    return all > 0 ? fragment / all * 100 : 0;
}

/* ---- figures ---- */

struct list_of_figures {
    struct sim_figure *items;
    int count;
};

static void add(struct list_of_figures *l, const char *key, const char *title, enum sim_unit unit,
                double value)
{
    CHECK(l->count < SIM_FIGURES_MAX);
    l->items[l->count++] = (struct sim_figure){key, title, unit, value};
}

static double seconds_at(const struct hist *h, double q)
{
    return nsec_to_seconds((nsec)hist_quantile(h, q));
}

static double percent(sim_gpu_time part, sim_gpu_time whole)
{
    return whole > 0 ? (double)part / (double)whole * 100 : 0;
}

static void add_gpus(struct list_of_figures *l, const struct sim_result *r, const struct sums *s)
{
    sim_gpu_time all = r->capacity;
    add(l, "gpusGivenPercent", "GPU time given to somebody", SIM_PERCENT, percent(r->given, all));
    add(l, "usefulPercent", "GPU time with useful work", SIM_PERCENT,
        percent(s->useful + s->serving, all));
    add(l, "jobsPercent", "of it, work of jobs", SIM_PERCENT, percent(s->useful, all));
    add(l, "servicesPercent", "of it, inference", SIM_PERCENT, percent(s->serving, all));
    add(l, "lostPercent", "GPU time lost to evictions", SIM_PERCENT, percent(s->lost, all));
    add(l, "startingPercent", "GPU time of starting and leaving", SIM_PERCENT,
        percent(s->starting, all));
    add(l, "fragmentedPercent", "of free GPUs, of no use to the workload", SIM_PERCENT,
        mean_fragmented(r));
    if (r->cost > 0) {
        double hours = sim_gpu_hours(s->useful + s->serving);
        add(l, "cost", "cost of the nodes", SIM_MONEY, r->cost);
        add(l, "costPerUsefulGpuHour", "cost of a useful GPU hour", SIM_MONEY,
            hours > 0 ? r->cost / hours : 0);
    }
}

static void add_jobs(struct list_of_figures *l, const struct sums *s, const struct hist *waits)
{
    add(l, "jobsArrived", "jobs that came", SIM_COUNT, (double)s->arrived);
    add(l, "jobsCompleted", "jobs done", SIM_COUNT, (double)s->completed);
    add(l, "jobsRunning", "jobs that run at the end", SIM_COUNT, (double)s->running);
    add(l, "jobsWaiting", "jobs that wait at the end", SIM_COUNT, (double)s->waiting);
    add(l, "jobWaitP50Seconds", "wait of a job, median", SIM_SECONDS, seconds_at(waits, 0.5));
    add(l, "jobWaitP99Seconds", "wait of a job, p99", SIM_SECONDS, seconds_at(waits, 0.99));
}

static void add_services(struct list_of_figures *l, const struct hist *waits)
{
    add(l, "replicaWaitP50Seconds", "wait of a replica, median", SIM_SECONDS,
        seconds_at(waits, 0.5));
    add(l, "replicaWaitP99Seconds", "wait of a replica, p99", SIM_SECONDS, seconds_at(waits, 0.99));
    add(l, "replicaWaitMaxSeconds", "wait of a replica, longest", SIM_SECONDS,
        seconds_at(waits, 1));
}

int sim_figures(const struct sim_result *r, struct sim_figure ret_figures[SIM_FIGURES_MAX])
{
    struct list_of_figures l = {ret_figures, 0};
    struct sums s = sum(r);
    struct hist waits;
    add_gpus(&l, r, &s);
    if (sim_waits(r, STR_NONE, false, &waits))
        add_jobs(&l, &s, &waits);
    if (sim_waits(r, STR_NONE, true, &waits))
        add_services(&l, &waits);
    add(&l, "evictions", "evictions", SIM_COUNT, (double)s.evicted);
    add(&l, "preempted", "of them for higher priority", SIM_COUNT, (double)r->preempted);
    add(&l, "reclaimed", "of them to give quota back", SIM_COUNT, (double)r->reclaimed);
    add(&l, "roomLost", "of them with a lost node", SIM_COUNT, (double)r->room_lost);
    add(&l, "nodesLost", "losses of nodes", SIM_COUNT, (double)r->nodes_lost);
    add(&l, "decisions", "decisions", SIM_COUNT, (double)r->decisions);
    return l.count;
}

char *sim_wait_text(nsec wait, char text[NSEC_TEXT_MAX])
{
    if (wait == 0)
        snprintf(text, NSEC_TEXT_MAX, "0s");
    else
        nsec_format(wait, text);
    return text;
}

char *sim_figure_text(const struct sim_figure *f, char text[SIM_FIGURE_TEXT_MAX])
{
    switch (f->unit) {
    case SIM_COUNT:
        snprintf(text, SIM_FIGURE_TEXT_MAX, "%.0f", f->value);
        break;
    case SIM_PERCENT:
        snprintf(text, SIM_FIGURE_TEXT_MAX, "%.2f%%", f->value);
        break;
    case SIM_SECONDS: {
        char duration[NSEC_TEXT_MAX];
        snprintf(text, SIM_FIGURE_TEXT_MAX, "%s", sim_wait_text((nsec)(f->value * 1e9), duration));
        break;
    }
    case SIM_MONEY:
        snprintf(text, SIM_FIGURE_TEXT_MAX, "%.2f", f->value);
        break;
    }
    return text;
}
