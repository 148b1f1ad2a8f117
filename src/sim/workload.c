/* SPDX-License-Identifier: Apache-2.0 */
/* Who comes when, and which nodes are lost: all that the seed decides. */
#include <math.h>
#include <stdlib.h>

#include "sim/scenario_internal.h"
#include "sim/world_internal.h"

enum { UPDATES_OF_A_DAY = 1440 }; /* of a curve of straight lines */

/* ---- jobs ---- */

static double normal(struct rng *r)
{
    double a = 1 - rng_double(r), b = rng_double(r); /* Box and Muller */
    return sqrt(-2 * log(a)) * cos(2 * M_PI * b);
}

static nsec draw_duration(struct class *c)
{
    const struct scenario_duration *d = &c->job->duration;
    double mean = (double)d->mean, sigma = (double)d->sigma / PLACE_MILLI, value = mean;
    if (d->distribution == SCENARIO_EXPONENTIAL)
        value = rng_exponential(&c->durations, mean);
    if (d->distribution == SCENARIO_LOGNORMAL)
        value = mean * exp(sigma * normal(&c->durations) - sigma * sigma / 2);
    return (nsec)MIN(MAX(value, (double)NSEC_PER_MSEC), (double)SCENARIO_DURATION_MAX);
}

/* Of the whole run, with its start. */
static nsec draw_estimate(struct class *c, nsec duration)
{
    int64_t sigma = c->job->duration.estimate_error;
    if (sigma == SCENARIO_LEFT_OUT)
        return 0;
    double factor = exp((double)sigma / PLACE_MILLI * normal(&c->estimates));
    double value = MAX((double)duration * factor, (double)NSEC_PER_MSEC);
    return c->start + (nsec)MIN(value, (double)SCENARIO_DURATION_MAX);
}

static void arrive(struct world *w, struct class *c)
{
    if (c->tally->arrived == SCENARIO_JOBS_MAX)
        w->error = err_set(w->err, ERR_FULL, "%.*s: more than %d jobs in one run",
                           STR_ARG(c->job->name), SCENARIO_JOBS_MAX);
    if (w->error)
        return;
    nsec duration = draw_duration(c);
    (void)world_submit(w, c, duration, draw_estimate(c, duration));
}

static void listed(struct world *w, struct event *e)
{
    struct class *c = container_of(e, struct class, listed);
    size_t count = (size_t)c->job->arrivals.count + c->job->arrivals.at.count;
    nsec now = c->at[c->next_at];
    while (!w->error && c->next_at < count && c->at[c->next_at] == now) {
        arrive(w, c);
        c->next_at++;
    }
    if (c->next_at < count)
        world_plan(w, e, c->at[c->next_at], listed);
}

static int by_time(const void *a, const void *b)
{
    nsec x = *(const nsec *)a, y = *(const nsec *)b;
    return x < y ? -1 : x > y;
}

static void plan_listed(struct world *w, struct class *c)
{
    const struct scenario_arrivals *a = &c->job->arrivals;
    size_t count = (size_t)a->count + a->at.count;
    if (!count)
        return;
    c->at = arena_array(&w->memory, count, sizeof(*c->at));
    CHECK(c->at);
    for (size_t i = 0; i < a->at.count; i++)
        CHECK(nsec_parse(a->at.items[i], &c->at[(size_t)a->count + i]) == 0);
    qsort(c->at, count, sizeof(*c->at), by_time);
    world_plan(w, &c->listed, c->at[0], listed);
}

static void random_arrival(struct world *w, struct event *e);

/* Thinning (Lewis and Shedler): candidates at the highest rate, kept with the share that the rate has
 * of it then. Each counts as an event. */
static void plan_random(struct world *w, struct class *c, nsec after)
{
    double at = (double)after;
    for (;;) {
        at += rng_exponential(&c->arrivals, 1 / c->rate);
        if (at >= (double)c->until || !world_count(w))
            return;
        int64_t factor = scenario_factor_at(&c->job->arrivals.curve, w->scenario->day, (nsec)at);
        double now = (double)c->job->arrivals.per_hour * (double)factor / 1e6 / (3600 * 1e9);
        if (rng_double(&c->arrivals) * c->rate < now)
            break;
    }
    world_plan(w, &c->random, (nsec)at, random_arrival);
}

static void random_arrival(struct world *w, struct event *e)
{
    struct class *c = container_of(e, struct class, random);
    arrive(w, c);
    plan_random(w, c, w->now);
}

static void set_rate(struct class *c)
{
    const struct scenario_arrivals *a = &c->job->arrivals;
    const struct scenario_factor *points = a->curve.items;
    int64_t most = a->curve.count ? 0 : PLACE_MILLI;
    for (size_t i = 0; i < a->curve.count; i++)
        most = MAX(most, points[i].factor);
    c->rate = (double)a->per_hour * (double)most / 1e6 / (3600 * 1e9);
}

/* ---- replicas ---- */

/* Those that wait go first, the newest of them before others; then the newest. */
static struct task *whom_to_drop(struct class *c)
{
    struct task *newest = NULL, *waits = NULL;
    list_each(t, &c->wanted, struct task, in_class)
    {
        newest = t;
        waits = t->running ? waits : t;
    }
    return waits ? waits : newest;
}

/* When the curve has a new value, now or for what is asked for ahead. */
static nsec next_step(const struct world *w, const struct class *c)
{
    const struct scenario_step *steps = c->service->replicas.items;
    nsec day = w->scenario->day, today = w->now / day * day;
    nsec next = NSEC_NEVER;
    if (c->service->between == SCENARIO_LINES)
        return w->now + MAX(day / UPDATES_OF_A_DAY, 1);
    for (size_t i = 0; i < c->service->replicas.count; i++)
        for (nsec at = today + steps[i].at; at <= today + 2 * day + steps[i].at; at += day) {
            next = at - c->service->ahead > w->now ? MIN(next, at - c->service->ahead) : next;
            next = at > w->now ? MIN(next, at) : next;
        }
    return next;
}

static void set_replicas(struct world *w, struct event *e)
{
    struct class *c = container_of(e, struct class, replicas);
    nsec day = w->scenario->day, then = w->now + c->service->ahead;
    size_t now = (size_t)scenario_replicas_at(c->service, day, w->now);
    size_t wanted = MAX(now, (size_t)scenario_replicas_at(c->service, day, then));
    while (!w->error && c->wanted_count < wanted) {
        struct task *t = world_submit(w, c, 0, 0);
        if (t && c->wanted_count > now)
            t->wanted = then;
    }
    while (c->wanted_count > wanted)
        world_withdraw(w, whom_to_drop(c));
    if (c->service->replicas.count > 1)
        world_plan(w, e, next_step(w, c), set_replicas);
}

/* ---- faults ---- */

static void outage_down(struct world *w, struct event *e)
{
    world_machine_down(w, container_of(e, struct outage, down)->machine);
}

static void outage_up(struct world *w, struct event *e)
{
    world_machine_up(w, container_of(e, struct outage, up)->machine);
}

static void repaired(struct world *w, struct event *e)
{
    world_machine_up(w, container_of(e, struct machine, repair));
}

static void fault(struct world *w, struct event *e);

static void plan_fault(struct world *w)
{
    double mean = (double)w->scenario->faults.mean_between / (double)w->machine_count;
    double at = (double)w->now + rng_exponential(&w->faults, mean);
    if (at < (double)w->scenario->duration)
        world_plan(w, &w->fault, (nsec)at, fault);
}

static void fault(struct world *w, struct event *e)
{
    struct machine *m = &w->machines[rng_below(&w->faults, w->machine_count)];
    if (!heap_has(&m->repair.node)) {
        world_machine_down(w, m);
        world_plan(w, &m->repair, nsec_after(w->now, w->scenario->faults.repair), repaired);
    }
    plan_fault(w);
}

static void plan_outages(struct world *w)
{
    const struct schema_objects *list = &w->scenario->faults.list;
    const struct scenario_outage *items = list->items;
    w->outages = arena_array(&w->memory, list->count, sizeof(*w->outages));
    CHECK(w->outages);
    for (size_t i = 0; i < list->count; i++) {
        size_t index;
        CHECK(
            scenario_node_find(w->scenario, items[i].node, &index)); /* checked when it was read */
        w->outages[i].machine = &w->machines[index];
        world_plan(w, &w->outages[i].down, items[i].down, outage_down);
        if (items[i].up)
            world_plan(w, &w->outages[i].up, items[i].up, outage_up);
    }
}

/* ---- all ---- */

void workload_plan(struct world *w)
{
    plan_outages(w);
    if (w->scenario->faults.mean_between)
        plan_fault(w);
    for (size_t i = 0; i < w->class_count; i++) {
        struct class *c = &w->classes[i];
        if (c->service) {
            world_plan(w, &c->replicas, 0, set_replicas);
            continue;
        }
        set_rate(c);
        plan_listed(w, c);
        if (c->rate > 0)
            plan_random(w, c, c->job->arrivals.from);
    }
}
