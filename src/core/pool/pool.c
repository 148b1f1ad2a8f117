/* SPDX-License-Identifier: Apache-2.0 */
#include "core/pool/pool.h"

#include "core/pool/pool_internal.h"

/* Ends are counted with weights that fall by half in ten seconds. */
#define DRAIN_HALF_LIFE   SEC(10)
#define RETRY_AFTER_LEAST SEC(1)
#define RETRY_AFTER_MOST  SEC(60)
/* What would take longer is not known: a rate that small is left from a long time ago. */
#define EXPECTED_WAIT_MOST SEC(24 * 3600)

struct pool_options pool_options_default(void)
{
    return (struct pool_options){
        .queue = queue_limits_default(),
        .route =
            {
                .policy = &route_least_load,
                .health =
                    {
                        .open_after = 1,
                        .error_rate = 0.5,
                        .error_samples = 10,
                        .open_first = MSEC(500),
                        .open_max = SEC(30),
                        .half_life = SEC(10),
                    },
                .outlier_factor = 5,
                .outlier_samples = 20,
                .slow_start = SEC(5),
            },
        .attempts_max = 3,
        .retries = {.ratio = 0.2, .half_life = SEC(10), .reserve = 10, .refill = SEC(10)},
        .hedges = {.ratio = 0.05, .half_life = SEC(10), .reserve = 1, .refill = SEC(10)},
        .hedge_quantile = 0.95,
        .hedge_samples = 20,
    };
}

void pool_init(struct pool *p, const struct pool_options *options)
{
    *p = (struct pool){.options = *options, .retry_at = NSEC_NEVER};
    queue_init(&p->queue, &options->queue);
    route_init(&p->route, &options->route);
    budget_init(&p->retries);
    budget_init(&p->hedges);
    list_init(&p->rejected);
}

void pool_fini(struct pool *p)
{
    CHECK(route_running(&p->route) == 0 && list_empty(&p->rejected));
    queue_fini(&p->queue);
}

void pool_set_queue_limits(struct pool *p, const struct queue_limits *limits)
{
    queue_set_limits(&p->queue, limits);
}

int pool_set_tenant(struct pool *p, uint32_t id, uint32_t weight, size_t max_length)
{
    return queue_set_tenant(&p->queue, id, weight, max_length);
}

static struct pool_request *request_of(struct queue_entry *entry)
{
    return container_of(entry, struct pool_request, entry);
}

/* The answer is ready; pool_next hands it out. */
static void reject(struct pool *p, struct pool_request *request, enum pool_why why)
{
    request->state = POOL_QUEUED;
    request->reject_why = why;
    list_append(&p->rejected, &request->in_rejected);
}

static bool must_wait(const struct pool *p, const struct pool_request *request, nsec now)
{
    return p->queue.length > 0 ||
           route_choose(&p->route, &request->route, &request->tried, now).place == ROUTE_NONE;
}

void pool_arrive(struct pool *p, struct pool_request *request, nsec now)
{
    CHECK(request->state == POOL_OUT);
    request->entry.arrived = now;
    request->attempts = request->continued = request->overtaken = 0;
    request->answered = false;
    request->tried = (struct route_set){0};
    for (int leg = 0; leg < POOL_LEGS; leg++)
        request->legs[leg].place = ROUTE_NONE;
    list_init(&request->in_rejected);
    if (!p->expecting && route_slots(&p->route) == 0) {
        reject(p, request, POOL_WHY_NO_REPLICA);
    } else if (queue_full(&p->queue) && must_wait(p, request, now)) {
        reject(p, request, POOL_WHY_QUEUE_FULL);
    } else if (queue_tenant_full(&p->queue, request->entry.tenant) && must_wait(p, request, now)) {
        reject(p, request, POOL_WHY_TENANT_FULL);
    } else if (queue_crowded(&p->queue, request->entry.tenant) && must_wait(p, request, now)) {
        reject(p, request, POOL_WHY_CROWDED);
    } else {
        queue_put(&p->queue, &request->entry);
        request->state = POOL_QUEUED;
    }
}

static void count_end(struct pool *p, nsec now)
{
    double halves = nsec_to_seconds(now - p->drain_seen) / nsec_to_seconds(DRAIN_HALF_LIFE);
    /* ln 2 / half-life turns the decayed count into a rate. */
    double weight = 0.6931471805599453 / nsec_to_seconds(DRAIN_HALF_LIFE);
    p->drain_rate = p->drain_rate * __builtin_exp2(-halves) + weight;
    p->drain_seen = now;
}

void pool_progress(struct pool *p, struct pool_request *request, uint64_t output_tokens)
{
    CHECK(request->state == POOL_RUNNING);
    queue_charge(&p->queue, &request->entry, output_tokens);
}

void pool_settle(struct pool *p, struct pool_request *request, uint64_t input_tokens,
                 uint64_t output_tokens)
{
    CHECK(request->state == POOL_RUNNING);
    queue_settle(&p->queue, &request->entry, input_tokens, output_tokens);
}

static void leave_leg(struct pool *p, struct pool_request *request, int leg,
                      enum route_outcome outcome, nsec now)
{
    if (request->legs[leg].place != ROUTE_NONE)
        route_end(&p->route, &request->legs[leg], &request->route, outcome, now);
}

static void leave_replicas(struct pool *p, struct pool_request *request, enum route_outcome outcome,
                           nsec now)
{
    CHECK(request->state == POOL_RUNNING);
    for (int leg = 0; leg < POOL_LEGS; leg++)
        leave_leg(p, request, leg, outcome, now);
    request->state = POOL_OUT;
}

void pool_cancel(struct pool *p, struct pool_request *request, nsec now)
{
    if (request->state == POOL_RUNNING) {
        leave_replicas(p, request, ROUTE_NEUTRAL, now);
        queue_end(&p->queue, &request->entry);
    } else if (request->state == POOL_QUEUED) {
        if (queue_has(&request->entry))
            queue_remove(&p->queue, &request->entry);
        list_remove(&request->in_rejected);
        request->state = POOL_OUT;
    }
}

void pool_finish(struct pool *p, struct pool_request *request, enum route_outcome outcome, nsec now)
{
    CHECK(!pool_is_hedged(request));
    leave_replicas(p, request, outcome, now);
    queue_end(&p->queue, &request->entry);
    count_end(p, now);
}

/* The largest replica's slots, so that its death can be made good. */
static struct budget_rules retry_rules(const struct pool *p)
{
    struct budget_rules rules = p->options.retries;
    for (int i = 0; i < p->route.count; i++)
        rules.reserve = MAX(rules.reserve, (double)p->route.replicas[i].spec.slots);
    return rules;
}

static void try_another(struct pool *p, struct pool_request *request, nsec now)
{
    CHECK(request->state == POOL_RUNNING && !pool_is_hedged(request));
    struct budget_rules rules = retry_rules(p);
    for (int leg = 0; leg < POOL_LEGS; leg++)
        if (request->legs[leg].place != ROUTE_NONE)
            route_set_add(&request->tried, request->legs[leg].place);
    leave_replicas(p, request, ROUTE_FAILED, now);
    bool tried_enough = request->attempts >= p->options.attempts_max;
    if (tried_enough || !budget_spend(&p->retries, &rules, now)) {
        queue_end(&p->queue, &request->entry);
        reject(p, request, tried_enough ? POOL_WHY_ATTEMPTS : POOL_WHY_BUDGET);
        return;
    }
    request->answered = false;
    queue_put(&p->queue, &request->entry);
    request->state = POOL_QUEUED;
}

void pool_retry(struct pool *p, struct pool_request *request, nsec now)
{
    try_another(p, request, now);
}

void pool_continue(struct pool *p, struct pool_request *request, nsec now)
{
    CHECK(request->state == POOL_RUNNING && request->answered);
    int place = MAX(request->legs[0].place, request->legs[1].place); /* one is ROUTE_NONE */
    request->route.revision = p->route.replicas[place].spec.revision;
    request->attempts = 1; /* it made progress: the tries before are forgotten, the budget is not */
    try_another(p, request, now);
    if (queue_has(&request->entry)) {
        request->continued++;
        p->continued++;
    }
}

int pool_replica_put(struct pool *p, const struct route_spec *spec, nsec now)
{
    return route_put(&p->route, spec, now);
}

void pool_replica_remove(struct pool *p, uint64_t id)
{
    route_remove(&p->route, id);
}

void pool_set_expecting(struct pool *p, bool expecting, uint64_t revision)
{
    p->expecting = expecting;
    p->expected = revision;
}

static int code_of(enum pool_why why)
{
    static const int codes[] = {
        [POOL_WHY_QUEUE_FULL] = ERR_FULL,        [POOL_WHY_TENANT_FULL] = ERR_FULL,
        [POOL_WHY_CROWDED] = ERR_FULL,           [POOL_WHY_DEADLINE] = ERR_TIMEOUT,
        [POOL_WHY_NO_REPLICA] = ERR_UNAVAILABLE, [POOL_WHY_ATTEMPTS] = ERR_UNAVAILABLE,
        [POOL_WHY_BUDGET] = ERR_UNAVAILABLE,
    };
    return codes[why];
}

static bool next_rejected(struct pool *p, nsec now, struct pool_decision *ret_decision)
{
    struct pool_request *request = list_first(&p->rejected, struct pool_request, in_rejected);
    if (!request)
        return false;
    list_remove(&request->in_rejected);
    request->state = POOL_OUT;
    *ret_decision = (struct pool_decision){
        .kind = POOL_REJECT,
        .request = request,
        .waited = now - request->entry.arrived,
        .code = code_of(request->reject_why),
        .why = request->reject_why,
    };
    return true;
}

static void reject_expired(struct pool *p, nsec now)
{
    struct queue_entry *entry;
    enum pool_why why = route_slots(&p->route) ? POOL_WHY_DEADLINE : POOL_WHY_NO_REPLICA;
    while ((entry = queue_expired(&p->queue, now))) {
        queue_remove(&p->queue, entry);
        reject(p, request_of(entry), why);
    }
}

/* Is it served, or will it be? */
static bool has_hope(const struct pool *p, uint64_t revision)
{
    if (!p->expecting && route_slots(&p->route) == 0)
        return false;
    return !revision || route_has_revision(&p->route, revision) ||
           (p->expecting && revision == p->expected);
}

/* Nobody will come: what waits is told so. A revision that is neither served nor expected does not
 * come back, and who wants it must not hold up the others. */
static void reject_hopeless(struct pool *p, nsec now)
{
    struct queue_entry *entry;
    while ((entry = queue_peek(&p->queue, now))) {
        if (has_hope(p, request_of(entry)->route.revision))
            return;
        queue_remove(&p->queue, entry);
        reject(p, request_of(entry), POOL_WHY_NO_REPLICA);
    }
}

static struct route_choice choose(const struct pool *p, const struct pool_request *request,
                                  nsec now)
{
    struct route_choice choice = route_choose(&p->route, &request->route, &request->tried, now);
    if (choice.place != ROUTE_NONE || !request->attempts)
        return choice;
    /* Every replica that it has not tried is busy or gone: one that failed it is better than none.
     */
    const struct route_set none = {0};
    return route_choose(&p->route, &request->route, &none, now);
}

static void dispatch(struct pool *p, struct pool_request *request,
                     const struct route_choice *choice, nsec now)
{
    request->legs[0] = route_begin(&p->route, choice->place, &request->route, now);
    request->state = POOL_RUNNING;
    if (request->attempts++ == 0) {
        struct budget_rules rules = retry_rules(p);
        budget_earn(&p->retries, &rules, now);
        budget_earn(&p->hedges, &p->options.hedges, now);
    }
}

/* What is cached where it would go, less what more there is elsewhere; in tokens. */
static int64_t gain(const struct pool_request *request, const struct route_choice *choice)
{
    uint64_t uncached = choice->best[0].uncached;
    return (int64_t)(request->route.prompt_tokens - uncached) -
           (int64_t)(uncached - choice->least_uncached);
}

static bool may_be_overtaken(const struct pool *p, const struct pool_request *request)
{
    return p->route.options.policy->matches && p->queue.limits.fairness != QUEUE_FIFO &&
           request->overtaken < POOL_OVERTAKEN_MAX;
}

/* In place of the head of its tenant, whose choice it is given, the one that gains most. */
static struct pool_request *find_most_gain(const struct pool *p, struct pool_request *head,
                                           nsec now, struct route_choice *choice)
{
    struct pool_request *best = head;
    int64_t most = gain(head, choice);
    struct queue_entry *entry = &head->entry;
    for (int i = 1; i < POOL_WINDOW && may_be_overtaken(p, request_of(entry)); i++) {
        entry = queue_behind(entry);
        if (!entry)
            break;
        struct route_choice other = choose(p, request_of(entry), now);
        if (other.place == ROUTE_NONE || gain(request_of(entry), &other) <= most)
            continue;
        best = request_of(entry);
        most = gain(best, &other);
        *choice = other;
    }
    return best;
}

static void note_overtaking(struct pool_request *head, const struct pool_request *by)
{
    for (struct queue_entry *e = &head->entry; e != &by->entry; e = queue_behind(e))
        request_of(e)->overtaken++;
}

static bool next_dispatch(struct pool *p, nsec now, struct pool_decision *ret_decision)
{
    struct queue_entry *entry = queue_peek(&p->queue, now);
    p->retry_at = NSEC_NEVER;
    if (!entry)
        return false;
    struct pool_request *head = request_of(entry);
    struct route_choice choice = choose(p, head, now);
    p->retry_at = choice.retry_at;
    if (choice.place == ROUTE_NONE)
        return false;
    struct pool_request *request = find_most_gain(p, head, now, &choice);
    struct queue_reason reason;
    note_overtaking(head, request);
    queue_serve(&p->queue, &request->entry, &reason);
    dispatch(p, request, &choice, now);
    *ret_decision = (struct pool_decision){
        .kind = POOL_DISPATCH,
        .request = request,
        .replica = p->route.replicas[choice.place].spec.id,
        .choice = choice,
        .waited = now - request->entry.arrived,
        .queue = reason,
    };
    return true;
}

bool pool_next(struct pool *p, nsec now, struct pool_decision *ret_decision)
{
    reject_expired(p, now);
    reject_hopeless(p, now);
    return next_rejected(p, now, ret_decision) || next_dispatch(p, now, ret_decision);
}

nsec pool_wake_at(const struct pool *p)
{
    return MIN(queue_next_deadline(&p->queue), p->retry_at);
}

/* Seconds until `requests` have ended, from the measured rate; infinity when there is none. */
static double drain_seconds(const struct pool *p, size_t requests, nsec now)
{
    double halves = nsec_to_seconds(now - p->drain_seen) / nsec_to_seconds(DRAIN_HALF_LIFE);
    return (double)requests / (p->drain_rate * __builtin_exp2(-halves));
}

nsec pool_retry_after(const struct pool *p, nsec now)
{
    double seconds = drain_seconds(p, p->queue.length + 1, now);
    if (!(seconds < nsec_to_seconds(RETRY_AFTER_MOST)))
        return RETRY_AFTER_MOST;
    return MAX((nsec)(seconds * 1e9), RETRY_AFTER_LEAST);
}

size_t pool_position(const struct pool *p, const struct pool_request *request)
{
    return queue_has(&request->entry) ? queue_position(&p->queue, &request->entry) : 0;
}

nsec pool_expected_wait(const struct pool *p, const struct pool_request *request, nsec now)
{
    double seconds = drain_seconds(p, pool_position(p, request) + 1, now);
    if (!queue_has(&request->entry))
        return 0;
    return seconds < nsec_to_seconds(EXPECTED_WAIT_MOST) ? (nsec)(seconds * 1e9) : NSEC_NEVER;
}
