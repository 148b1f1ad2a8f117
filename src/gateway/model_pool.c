/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/model_pool.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "gateway/meters.h"
#include "gateway/tenants.h"

/* Of prompts, in the index of one model: with 512 bytes in each 128 MiB of prompts, in 4 MiB. */
enum { PREFIX_BLOCKS = 256 * 1024 };
/* An eighth of a queue that several tenants share is kept for those of whom little waits. */
enum { QUEUE_KEPT = 8 };

struct address {
    char host[MODEL_POOL_HOST_MAX];
    uint16_t port;
    struct upstream *upstream; /* ref; NULL: an engine of our own */
    unsigned slots, lease;     /* that it has; that this gateway may use (0: all) */
};

struct model_pool {
    atomic_uint refs;
    char *name; /* own */
    struct model_meters *meters;
    struct loop *home;
    struct loop_timer timer; /* on home */
    struct mail arm;         /* to home: start the timer anew */
    pthread_mutex_t mutex;   /* over everything below */
    struct pool core;
    struct address addresses[ROUTE_REPLICAS_MAX]; /* by place in core.route */
    struct prefix prefix;    /* which replica has read what; only with the policy that asks */
    uint64_t *prefix_memory; /* own */
    unsigned first_lease;    /* of new replicas */
    bool shared;             /* by several tenants */
    nsec armed;              /* when the timer fires, or will once `arm` is delivered */
    bool arm_in_mail;
    bool stopped;
};

static void on_timer(struct loop_timer *timer);
static void on_arm(struct mail *mail);

struct model_pool *model_pool_new(struct str name, struct loop *home, struct metrics *metrics)
{
    struct model_pool *p = NEW(struct model_pool);
    atomic_init(&p->refs, 1);
    p->name = mem_alloc(name.len + 1);
    memcpy(p->name, name.ptr, name.len);
    p->meters = model_meters_new(metrics, name);
    p->home = home;
    p->timer.fire = on_timer;
    p->arm.deliver = on_arm;
    p->armed = NSEC_NEVER;
    pthread_mutex_init(&p->mutex, NULL);
    struct pool_options options = pool_options_default();
    pool_init(&p->core, &options);
    return p;
}

struct model_pool *model_pool_ref(struct model_pool *p)
{
    atomic_fetch_add(&p->refs, 1);
    return p;
}

void model_pool_unref(struct model_pool *p)
{
    if (!p || atomic_fetch_sub(&p->refs, 1) != 1)
        return;
    CHECK(!loop_timer_running(&p->timer));
    pool_fini(&p->core);
    for (size_t place = 0; place < ARRAY_LEN(p->addresses); place++)
        upstream_unref(p->addresses[place].upstream);
    mem_free(p->prefix_memory);
    pthread_mutex_destroy(&p->mutex);
    model_meters_free(p->meters);
    mem_free(p->name);
    mem_free(p);
}

struct str model_pool_name(const struct model_pool *p)
{
    return str_from(p->name);
}

struct model_meters *model_pool_meters(struct model_pool *p)
{
    return p->meters;
}

/* ---- stepping ---- */

void verdict_release(struct verdict *v)
{
    upstream_unref(v->upstream);
    v->upstream = NULL;
}

static void deliver(struct mail *mail)
{
    struct ticket *t = container_of(mail, struct ticket, mail);
    t->in_mail = false;
    if (!t->dropped) {
        t->deliver(t);
        return;
    }
    verdict_release(&t->verdict);
    t->released(t);
}

static struct verdict verdict_of(const struct model_pool *p, const struct pool_decision *d,
                                 nsec now)
{
    struct verdict v = {.decision = *d};
    if (d->kind == POOL_REJECT) {
        v.retry_after = pool_retry_after(&p->core, now);
        return v;
    }
    const struct address *a = &p->addresses[d->choice.place];
    memcpy(v.host, a->host, sizeof(a->host));
    v.port = a->port;
    v.upstream = upstream_ref(a->upstream);
    v.hedge_at = pool_hedge_at(&p->core, d->request, now);
    return v;
}

static void send_verdict(struct model_pool *p, const struct pool_decision *d, struct loop *self,
                         nsec now)
{
    struct ticket *t = container_of(d->request, struct ticket, request);
    t->verdict = verdict_of(p, d, now);
    t->mail.deliver = deliver;
    t->in_mail = true;
    if (t->home == self)
        loop_defer(self, &t->mail);
    else
        loop_post(t->home, &t->mail);
}

/* The timer belongs to home's thread; others ask for it by mail. */
static void arm_timer(struct model_pool *p, struct loop *self)
{
    nsec wake = pool_wake_at(&p->core);
    if (p->stopped || wake >= p->armed || p->arm_in_mail)
        return;
    p->armed = wake;
    p->arm_in_mail = true;
    /* The timer holds the pool until it is delivered. */
    model_pool_ref(p);
    if (self == p->home)
        loop_defer(self, &p->arm);
    else
        loop_post(p->home, &p->arm);
}

static void step_and_unlock(struct model_pool *p, struct loop *self, nsec now)
{
    struct pool_decision d;
    while (pool_next(&p->core, now, &d))
        send_verdict(p, &d, self, now);
    arm_timer(p, self);
    pthread_mutex_unlock(&p->mutex);
}

static void on_arm(struct mail *mail)
{
    struct model_pool *p = container_of(mail, struct model_pool, arm);
    pthread_mutex_lock(&p->mutex);
    p->arm_in_mail = false;
    nsec now = clock_now();
    p->armed = pool_wake_at(&p->core);
    if (!p->stopped && p->armed != NSEC_NEVER)
        loop_timer_start(p->home, &p->timer, MAX(p->armed - now, 0));
    pthread_mutex_unlock(&p->mutex);
    model_pool_unref(p);
}

static void on_timer(struct loop_timer *timer)
{
    struct model_pool *p = container_of(timer, struct model_pool, timer);
    pthread_mutex_lock(&p->mutex);
    p->armed = NSEC_NEVER;
    step_and_unlock(p, p->home, clock_now());
}

void model_pool_stop(struct model_pool *p)
{
    pthread_mutex_lock(&p->mutex);
    p->stopped = true;
    pthread_mutex_unlock(&p->mutex);
    loop_timer_stop(&p->timer);
}

/* ---- events ---- */

void model_pool_submit(struct model_pool *p, struct ticket *t)
{
    pthread_mutex_lock(&p->mutex);
    nsec now = clock_now();
    pool_arrive(&p->core, &t->request, now);
    step_and_unlock(p, t->home, now);
}

static void settle(struct model_pool *p, struct ticket *t)
{
    if (t->cached_known)
        pool_cached(&p->core, &t->request, t->cached_tokens);
    pool_settle(&p->core, &t->request, t->input_tokens, t->output_tokens);
}

void model_pool_first_byte(struct model_pool *p, struct ticket *t, int leg)
{
    pthread_mutex_lock(&p->mutex);
    nsec now = clock_now();
    int other = t->request.legs[!leg].place;
    pool_first_byte(&p->core, &t->request, leg, now);
    if (other == ROUTE_NONE)
        pthread_mutex_unlock(&p->mutex);
    else
        step_and_unlock(p, t->home, now); /* the slower one has left its place */
}

bool model_pool_hedge(struct model_pool *p, struct ticket *t, struct verdict *ret_verdict)
{
    struct pool_decision d;
    pthread_mutex_lock(&p->mutex);
    nsec now = clock_now();
    bool is_hedged = pool_hedge(&p->core, &t->request, now, &d);
    if (is_hedged)
        *ret_verdict = verdict_of(p, &d, now);
    pthread_mutex_unlock(&p->mutex);
    return is_hedged;
}

void model_pool_lose_leg(struct model_pool *p, struct ticket *t, int leg)
{
    pthread_mutex_lock(&p->mutex);
    nsec now = clock_now();
    pool_lose_leg(&p->core, &t->request, leg, now);
    step_and_unlock(p, t->home, now);
}

void model_pool_continue(struct model_pool *p, struct ticket *t)
{
    pthread_mutex_lock(&p->mutex);
    nsec now = clock_now();
    settle(p, t);
    pool_continue(&p->core, &t->request, now);
    step_and_unlock(p, t->home, now);
}

void model_pool_finish(struct model_pool *p, struct ticket *t, enum route_outcome outcome)
{
    pthread_mutex_lock(&p->mutex);
    nsec now = clock_now();
    settle(p, t);
    pool_finish(&p->core, &t->request, outcome, now);
    step_and_unlock(p, t->home, now);
}

void model_pool_progress(struct model_pool *p, struct ticket *t, uint64_t output_tokens)
{
    pthread_mutex_lock(&p->mutex);
    pool_progress(&p->core, &t->request, output_tokens);
    pthread_mutex_unlock(&p->mutex);
}

void model_pool_place(struct model_pool *p, const struct ticket *t, size_t *ret_position,
                      nsec *ret_wait)
{
    pthread_mutex_lock(&p->mutex);
    *ret_position = pool_position(&p->core, &t->request);
    *ret_wait = pool_expected_wait(&p->core, &t->request, clock_now());
    pthread_mutex_unlock(&p->mutex);
}

void model_pool_retry(struct model_pool *p, struct ticket *t)
{
    pthread_mutex_lock(&p->mutex);
    nsec now = clock_now();
    settle(p, t);
    pool_retry(&p->core, &t->request, now);
    step_and_unlock(p, t->home, now);
}

bool model_pool_cancel(struct model_pool *p, struct ticket *t)
{
    pthread_mutex_lock(&p->mutex);
    nsec now = clock_now();
    if (t->request.state == POOL_RUNNING)
        settle(p, t);
    pool_cancel(&p->core, &t->request, now);
    t->dropped = t->in_mail;
    bool free_now = !t->in_mail;
    step_and_unlock(p, t->home, now);
    return free_now;
}

/* ---- configuration ---- */

static bool in_snapshot(const struct routes_model *model, uint64_t id)
{
    for (const struct routes_replica *r = model ? model->replicas : NULL; r; r = r->next)
        if (r->id == id)
            return true;
    return false;
}

static unsigned within(unsigned lease, unsigned slots)
{
    return lease ? MIN(lease, slots) : slots;
}

static void put_replica(struct model_pool *p, const struct routes_replica *r)
{
    int place = route_find(&p->core.route, r->id);
    unsigned lease = place == ROUTE_NONE ? p->first_lease : p->addresses[place].lease;
    const struct route_spec spec = {.id = r->id,
                                    .revision = r->revision,
                                    .slots = within(lease, r->slots),
                                    .draining = r->draining};
    /* Over ROUTE_REPLICAS_MAX the surplus gets no traffic; the controller refuses such a model. */
    if (r->host.len >= MODEL_POOL_HOST_MAX || pool_replica_put(&p->core, &spec, clock_now()))
        return;
    struct address *a = &p->addresses[route_find(&p->core.route, r->id)];
    upstream_unref(a->upstream);
    *a = (struct address){
        .port = r->port, .upstream = upstream_ref(r->upstream), .slots = r->slots, .lease = lease};
    memcpy(a->host, r->host.ptr, r->host.len);
}

/* The index of prompts is made when it is first needed, and kept: also under another policy it must hear of replicas
 * that go, because their places are used again. */
static void set_policy(struct model_pool *p, struct str name)
{
    struct route_options *options = &p->core.route.options;
    const struct route_policy *policy = route_policy_find(name);
    options->policy = policy ? policy : &route_least_load;
    if (policy == &route_prefix && !p->prefix_memory) {
        size_t bytes = prefix_memory(PREFIX_BLOCKS);
        p->prefix_memory = mem_alloc(bytes);
        prefix_init(&p->prefix, p->prefix_memory, bytes);
        options->prefix = &p->prefix;
    }
}

void model_pool_configure(struct model_pool *p, const struct routes_model *model)
{
    pthread_mutex_lock(&p->mutex);
    for (int place = p->core.route.count - 1; place >= 0; place--) {
        uint64_t id = p->core.route.replicas[place].spec.id;
        if (!id || in_snapshot(model, id))
            continue;
        pool_replica_remove(&p->core, id);
        upstream_unref(p->addresses[place].upstream); /* its key is not needed any more */
        p->addresses[place].upstream = NULL;
    }
    for (const struct routes_replica *r = model ? model->replicas : NULL; r; r = r->next)
        put_replica(p, r);
    pool_set_expecting(&p->core, model && model->expecting, model ? model->revision : 0);
    if (model) {
        set_policy(p, model->policy);
        struct queue_limits limits = p->core.queue.limits;
        limits.max_length = model->queue_max_length;
        limits.kept = p->shared ? limits.max_length / QUEUE_KEPT : 0;
        limits.fairness = model->fairness;
        pool_set_queue_limits(&p->core, &limits);
        pool_set_hedges(&p->core, model->hedge_ratio);
    }
    step_and_unlock(p, NULL, clock_now());
}

void model_pool_set_shared(struct model_pool *p, bool shared)
{
    pthread_mutex_lock(&p->mutex);
    struct queue_limits limits = p->core.queue.limits;
    limits.kept = shared ? limits.max_length / QUEUE_KEPT : 0;
    p->shared = shared;
    pool_set_queue_limits(&p->core, &limits);
    pthread_mutex_unlock(&p->mutex);
}

void model_pool_set_tenant(struct model_pool *p, const struct tenant *tenant, unsigned weight,
                           size_t queue_length)
{
    pthread_mutex_lock(&p->mutex);
    if (pool_set_tenant(&p->core, tenant->number, weight, queue_length))
        log_warn("too many tenants: this one shares an account of weight 1 with others",
                 log_text("model", str_from(p->name)), log_text("tenant", tenant->name));
    pthread_mutex_unlock(&p->mutex);
}

/* ---- other gateways ---- */

void model_pool_set_first_lease(struct model_pool *p, unsigned slots)
{
    pthread_mutex_lock(&p->mutex);
    p->first_lease = slots;
    pthread_mutex_unlock(&p->mutex);
}

void model_pool_set_lease(struct model_pool *p, uint64_t replica, unsigned slots)
{
    pthread_mutex_lock(&p->mutex);
    nsec now = clock_now();
    int place = route_find(&p->core.route, replica);
    if (place != ROUTE_NONE && p->addresses[place].lease != slots) {
        struct route_spec spec = p->core.route.replicas[place].spec;
        p->addresses[place].lease = slots;
        spec.slots = within(slots, p->addresses[place].slots);
        int error = pool_replica_put(&p->core, &spec, now);
        CHECK(!error); /* it is there */
    }
    step_and_unlock(p, NULL, now);
}

void model_pool_report(struct model_pool *p, struct arena *a, struct sync_model *ret_report)
{
    *ret_report = (struct sync_model){.name = model_pool_name(p)};
    pthread_mutex_lock(&p->mutex);
    ret_report->waiting = p->core.queue.length;
    for (int place = 0; place < p->core.route.count; place++) {
        const struct route_replica *r = &p->core.route.replicas[place];
        if (!r->spec.id || !r->running)
            continue;
        struct sync_replica *report = ARENA_NEW(a, struct sync_replica);
        CHECK(report);
        *report = (struct sync_replica){r->spec.id, r->running, ret_report->replicas};
        ret_report->replicas = report;
    }
    pthread_mutex_unlock(&p->mutex);
}

struct model_pool_state model_pool_state(struct model_pool *p)
{
    pthread_mutex_lock(&p->mutex);
    struct model_pool_state state = {
        .queued = p->core.queue.length,
        .running = route_running(&p->core.route),
        .slots = route_slots(&p->core.route),
        .prefix_inserted = p->prefix.inserted,
        .prefix_evicted = p->prefix.evicted,
        .prefix_dropped = p->prefix.dropped,
        .prefix_blocks = p->prefix.held,
        .prefix_capacity = prefix_capacity(&p->prefix),
    };
    pthread_mutex_unlock(&p->mutex);
    return state;
}
