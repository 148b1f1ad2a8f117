/* SPDX-License-Identifier: Apache-2.0 */
/* Time goes on: events, decisions, and what is counted. */
#include <stdio.h>

#include "base/mem.h"
#include "sim/world_internal.h"

/* ---- events ---- */

void world_plan(struct world *w, struct event *e, nsec at,
                void (*fire)(struct world *, struct event *))
{
    e->at = at;
    e->order = ++w->order;
    e->fire = fire;
    heap_insert(&w->events, &e->node);
}

void world_cancel(struct world *w, struct event *e)
{
    if (heap_has(&e->node))
        heap_remove(&w->events, &e->node);
}

bool world_count(struct world *w)
{
    uint64_t most = w->options.events_max ? w->options.events_max : SIM_EVENTS_MAX;
    if (w->event_count++ >= most && !w->error)
        w->error =
            err_set(w->err, ERR_FULL,
                    "more than %llu events; simulate a shorter time, or with fewer arrivals, "
                    "checkpoints or faults",
                    (unsigned long long)most);
    return !w->error;
}

static nsec next_event(const struct world *w)
{
    struct heap_node *top = heap_top(&w->events);
    return top ? container_of(top, struct event, node)->at : NSEC_NEVER;
}

/* ---- what is counted over time ---- */

static void close_bin(struct world *w)
{
    struct sim_result *r = w->result;
    double length = (double)(w->now - r->bin * r->bin_count);
    if (length <= 0)
        return;
    struct sim_bin *bin = &r->bins[r->bin_count++];
    *bin = (struct sim_bin){
        .gpus = w->bin_capacity / length / PLACE_MILLI,
        .jobs = w->bin_jobs / length / PLACE_MILLI,
        .services = w->bin_services / length / PLACE_MILLI,
        .waiting_jobs = w->bin_waiting_jobs / length,
        .waiting_replicas = w->bin_waiting_replicas / length,
    };
    world_fragments(w, &bin->free, &bin->fragmented);
    w->bin_capacity = w->bin_jobs = w->bin_services = 0;
    w->bin_waiting_jobs = w->bin_waiting_replicas = 0;
    w->bin_end += r->bin;
}

static void count_time(struct world *w, nsec length)
{
    double t = (double)length;
    w->result->capacity += (sim_gpu_time)w->capacity * length;
    w->result->given += (sim_gpu_time)(w->jobs_milli + w->services_milli) * length;
    w->result->cost += w->price / 1e6 * nsec_to_seconds(length) / 3600;
    w->bin_capacity += (double)w->capacity * t;
    w->bin_jobs += (double)w->jobs_milli * t;
    w->bin_services += (double)w->services_milli * t;
    w->bin_waiting_jobs += (double)w->waiting_jobs * t;
    w->bin_waiting_replicas += (double)w->waiting_replicas * t;
}

static void advance(struct world *w, nsec to)
{
    while (w->now < to) {
        nsec end = MIN(to, w->bin_end);
        count_time(w, end - w->now);
        w->now = end;
        if (end == w->bin_end)
            close_bin(w);
    }
}

/* ---- a task's life ---- */

static uint64_t *waiting(struct world *w, const struct task *t)
{
    return t->class->service ? &w->waiting_replicas : &w->waiting_jobs;
}

static int64_t *given(struct world *w, const struct task *t)
{
    return t->class->service ? &w->services_milli : &w->jobs_milli;
}

struct task *world_submit(struct world *w, struct class *c, nsec duration, nsec expected)
{
    struct task *t = NEW(struct task);
    t->class = c;
    t->number = ++c->tally->arrived;
    t->wanted = w->now;
    t->work = (sim_gpu_time)duration * c->spec.members_max;
    t->workload.spec = c->spec;
    t->workload.spec.id = ++w->last_id;
    t->workload.spec.created = w->now;
    t->workload.spec.expected = expected;
    int error = sched_submit(w->sched, &t->workload, w->now);
    if (error) {
        CHECK(error == ERR_FULL);
        w->error = err_set(w->err, ERR_FULL,
                           "%.*s: more than %d jobs and replicas wait or run at one time; let "
                           "fewer come, or add nodes",
                           STR_ARG(c->tally->name), SCENARIO_WAITING_MAX);
        mem_free(t);
        return NULL;
    }
    list_append(&w->tasks, &t->in_world);
    list_init(&t->in_class);
    if (c->service) {
        list_append(&c->wanted, &t->in_class);
        c->wanted_count++;
    }
    (*waiting(w, t))++;
    return t;
}

/* Asked for ahead of time and placed by then: no wait. */
static uint64_t waited(const struct world *w, const struct task *t)
{
    return (uint64_t)MAX(w->now - t->wanted, 0);
}

static void forget(struct world *w, struct task *t)
{
    world_cancel(w, &t->event);
    if (t->class->service)
        t->class->wanted_count--;
    list_remove(&t->in_class);
    list_remove(&t->in_world);
    mem_free(t);
}

/* Time of work since the start; what counts of it is saved, or all of it. */
static void count_run(struct world *w, struct task *t, bool all_counts)
{
    struct sim_class *tally = t->class->tally;
    nsec total = w->now - t->started;
    nsec work = MAX(MIN(t->stopped, w->now) - t->started - t->class->start, 0), kept = work;
    if (!all_counts)
        kept = t->class->checkpoint ? work / t->class->checkpoint * t->class->checkpoint : 0;
    tally->useful += (sim_gpu_time)t->milli * kept;
    tally->lost += (sim_gpu_time)t->milli * (work - kept);
    tally->starting += (sim_gpu_time)t->milli * (total - work);
    t->work -= (sim_gpu_time)kept * t->members;
}

static void end_run(struct world *w, struct task *t, bool all_counts)
{
    count_run(w, t, all_counts);
    world_cancel(w, &t->event);
    *given(w, t) -= t->milli;
    t->running = false;
}

static void complete(struct world *w, struct task *t)
{
    end_run(w, t, true);
    t->class->tally->completed++;
    sched_ended(w->sched, &t->workload, SCHED_COMPLETED, w->now);
    forget(w, t);
}

void world_withdraw(struct world *w, struct task *t)
{
    if (t->running)
        end_run(w, t, true);
    else
        (*waiting(w, t))--;
    t->class->tally->withdrawn++;
    if (!t->placed)
        hist_add(&t->class->tally->wait, waited(w, t));
    sched_withdraw(w->sched, &t->workload, w->now);
    forget(w, t);
}

/* Rounded up, so that it is never too early. */
static nsec work_ends(const struct task *t)
{
    CHECK(t->members > 0);
    return t->started + t->class->start + (nsec)((t->work + t->members - 1) / t->members);
}

static void plan_job(struct world *w, struct task *t);

static void work_done(struct world *w, struct event *e)
{
    complete(w, container_of(e, struct task, event));
}

static void checkpoint(struct world *w, struct event *e)
{
    struct task *t = container_of(e, struct task, event);
    sched_checkpoint(&t->workload, w->now);
    plan_job(w, t);
}

static void plan_job(struct world *w, struct task *t)
{
    nsec period = t->class->checkpoint, begin = t->started + t->class->start, end = work_ends(t);
    nsec next = period ? begin + (MAX(w->now - begin, 0) / period + 1) * period : NSEC_NEVER;
    world_plan(w, &t->event, MIN(next, end), next < end ? checkpoint : work_done);
}

/* ---- decisions ---- */

static void start(struct world *w, struct task *t)
{
    struct sim_class *tally = t->class->tally;
    t->running = true;
    t->members = t->workload.members;
    t->started = w->now;
    t->stopped = NSEC_NEVER;
    t->milli = 0;
    for (unsigned k = 0; k < t->members; k++) {
        const struct place_lease *l =
            place_lease_find(&w->place, sched_owner(t->workload.spec.id, k));
        t->milli += (int64_t)l->milli * __builtin_popcount(l->gpus);
    }
    *given(w, t) += t->milli;
    (*waiting(w, t))--;
    tally->started += !t->placed;
    tally->placed_at_once += !t->placed && waited(w, t) == 0;
    if (!t->placed || t->class->service)
        hist_add(&tally->wait, waited(w, t));
    t->placed = true;
    if (t->class->job)
        plan_job(w, t);
    trace_start(w, t);
}

static void gone(struct world *w, struct event *e)
{
    struct task *t = container_of(e, struct task, event);
    end_run(w, t, t->class->service);
    (*waiting(w, t))++;
    t->wanted = w->now;
    sched_ended(w->sched, &t->workload, SCHED_STOPPED, w->now);
}

static void evict(struct world *w, struct task *t)
{
    enum sched_evict_why why = t->workload.evict_why;
    w->result->preempted += why == SCHED_PREEMPTED;
    w->result->reclaimed += why == SCHED_RECLAIMED;
    w->result->room_lost += why == SCHED_ROOM_LOST;
    t->class->tally->evicted++;
    t->stopped = w->now;
    trace_evict(w, t, t->workload.evicted_for);
    world_cancel(w, &t->event);
    if (why == SCHED_ROOM_LOST)
        gone(w, &t->event);
    else
        world_plan(w, &t->event, nsec_after(w->now, t->class->grace), gone);
}

static void carry_out(struct world *w, const struct sched_decision *d)
{
    struct task *t = container_of(d->workload, struct task, workload);
    w->result->decisions++;
    if (d->kind == SCHED_START)
        start(w, t);
    else
        evict(w, t);
}

static void decide(struct world *w)
{
    struct sched_decision d;
    while (sched_next(w->sched, w->now, &d))
        carry_out(w, &d);
}

/* ---- machines ---- */

static bool is_on(const struct world *w, const struct task *t, uint64_t node)
{
    for (unsigned k = 0; k < t->members; k++)
        if (place_lease_find(&w->place, sched_owner(t->workload.spec.id, k))->node == node)
            return true;
    return false;
}

/* Who was leaving anyway has no grace left. */
static void lose_leaving(struct world *w, uint64_t node)
{
    list_each(t, &w->tasks, struct task, in_world)
    {
        if (!t->running || t->stopped == NSEC_NEVER || !is_on(w, t, node))
            continue;
        world_cancel(w, &t->event);
        gone(w, &t->event);
    }
}

void world_machine_down(struct world *w, struct machine *m)
{
    if (m->down_count++ > 0)
        return;
    w->capacity -= (int64_t)m->spec.gpu_count * PLACE_MILLI;
    w->price -= (double)m->group->price;
    w->result->nodes_lost++;
    lose_leaving(w, m->spec.id);
    sched_node_remove(w->sched, m->spec.id, w->now);
}

void world_machine_up(struct world *w, struct machine *m)
{
    if (--m->down_count > 0)
        return;
    w->capacity += (int64_t)m->spec.gpu_count * PLACE_MILLI;
    w->price += (double)m->group->price;
    CHECK(sched_node_put(w->sched, &m->spec, w->now) == 0);
}

/* ---- a run ---- */

static void check(const struct world *w)
{
    const char *broken = sched_check(w->sched);
    broken = broken ? broken : place_check(&w->place);
    broken = broken ? broken : quota_check(&w->quota);
    if (broken)
        fprintf(stderr, "%s\n", broken);
    CHECK(!broken);
}

/* All that happens at one instant, then the decisions; a checkpoint is no reason for any. */
static void instant(struct world *w)
{
    bool changed = sched_wake_at(w->sched) <= w->now;
    while (!w->error && next_event(w) <= w->now) {
        struct event *e = container_of(heap_top(&w->events), struct event, node);
        heap_remove(&w->events, &e->node);
        changed |= e->fire != checkpoint;
        if (world_count(w))
            e->fire(w, e);
    }
    if (changed)
        decide(w);
    if (w->options.check)
        check(w);
}

static void finish(struct world *w)
{
    close_bin(w);
    list_each(t, &w->tasks, struct task, in_world)
    {
        struct sim_class *tally = t->class->tally;
        tally->running += t->running;
        tally->waiting += !t->running;
        if (t->running)
            count_run(w, t, true);
        else if (!t->placed || t->class->service)
            hist_add(&tally->wait, waited(w, t));
    }
}

static int run(struct world *w)
{
    nsec end = w->scenario->duration;
    w->bin_end = w->result->bin;
    workload_plan(w);
    while (!w->error) {
        nsec at = MAX(MIN(next_event(w), sched_wake_at(w->sched)), w->now);
        advance(w, MIN(at, end));
        if (at >= end)
            break;
        instant(w);
    }
    if (!w->error)
        finish(w);
    return w->error;
}

int sim_run(struct arena *a, const struct scenario *scenario, const struct sim_options *options,
            struct sim_result *ret_result, struct err *err)
{
    struct world *w = NEW(struct world);
    *ret_result = (struct sim_result){
        .policy = options->policy->name,
        .seed = options->seed,
        .duration = scenario->duration,
        .bin = (scenario->duration + SIM_BINS - 1) / SIM_BINS,
    };
    w->scenario = scenario;
    w->options = *options;
    w->result = ret_result;
    w->err = err;
    int error = world_init(w, a);
    error = error ? error : run(w);
    world_fini(w);
    mem_free(w);
    return error;
}
