/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How fast core/sched decides: a cluster in virtual time that is asked for a little more than it has.
 *
 *   sched_bench NODES [SECONDS [SEED [POLICY]]]
 *
 * Nodes have 8 or 4 GPUs of three models. 20 queues in 4 cohorts, with a nominal quota of a twentieth of
 * the GPUs each, that may borrow. Workloads: 1 member (7 of 10) to 8; shares, 1, 2, 4 or 8 GPUs; three
 * priorities (16:3:1); 7 of 10 preemptible; of 1 in 2 the duration is known. At most 500 wait.
 *
 * First the cluster is filled; then it is full: something arrives or ends, and all decisions are taken.
 * Printed as JSON, for both: decisions (starts and evictions) a second of scheduler's time, and the slowest
 * call and the slowest event with all its decisions, in microseconds.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/rng.h"
#include "core/place/policy.h"
#include "core/sched/sched.h"

enum { COHORTS = 4, QUEUES_EACH = 5, WAITING_MAX = 500, MODELS = 3, MEMBERS_MAX = 8 };
enum { SHORTEST = 60, LONGEST = 3600 }; /* seconds */
#define LOAD  1.05
#define GRACE SEC(5) /* until an evicted one is gone */

struct job {
    struct sched_workload w;
    nsec ends;
    struct heap_node by_end; /* it runs, or is evicted */
};

struct phase {
    uint64_t events, starts, evictions;
    nsec busy, slowest_call, slowest_event;
};

struct bench {
    struct rng random;
    struct place place;
    struct quota quota;
    struct sched sched;
    struct job *jobs;
    struct job **free; /* a stack */
    size_t cap, free_count;
    struct heap ends;
    int queues[COHORTS * QUEUES_EACH];
    nsec now;
    uint64_t next_id, waiting;
    int64_t gpus;
};

static bool ends_before(const struct heap_node *a, const struct heap_node *b)
{
    return container_of(a, const struct job, by_end)->ends <
           container_of(b, const struct job, by_end)->ends;
}

static uint64_t below(struct bench *b, uint64_t n)
{
    return rng_below(&b->random, n);
}

/* ---- the cluster ---- */

static void add_nodes(struct bench *b, int count)
{
    for (int i = 0; i < count; i++) {
        struct place_node_spec spec = {.id = (uint64_t)i + 1, .memory = 1 << 20};
        spec.gpu_count = below(b, 4) ? 8 : 4;
        spec.cpu = 16000 * (int64_t)spec.gpu_count;
        uint8_t model = (uint8_t)below(b, MODELS);
        for (int g = 0; g < spec.gpu_count; g++)
            spec.gpus[g] = (struct place_gpu_spec){.model = model, .memory = 81920};
        b->gpus += spec.gpu_count;
        CHECK(sched_node_put(&b->sched, &spec, b->now) == 0);
    }
}

static void add_queues(struct bench *b)
{
    struct quota_spec none = {.weight = 1}, own;
    int root, cohort;
    for (int r = 0; r < QUOTA_RESOURCES; r++)
        none.borrowing.of[r] = none.lending.of[r] = QUOTA_NO_LIMIT;
    own = none;
    own.nominal.of[0] = b->gpus * PLACE_MILLI / (COHORTS * QUEUES_EACH);
    CHECK(quota_add(&b->quota, QUOTA_NONE, &none, b->now, &root) == 0);
    for (int i = 0; i < COHORTS * QUEUES_EACH; i++) {
        if (i % QUEUES_EACH == 0)
            CHECK(quota_add(&b->quota, root, &none, b->now, &cohort) == 0);
        CHECK(quota_add(&b->quota, cohort, &own, b->now, &b->queues[i]) == 0);
    }
    sched_changed(&b->sched);
}

static void begin(struct bench *b, int nodes, uint64_t seed, const struct place_policy *policy)
{
    size_t workloads = (size_t)nodes * 16 + WAITING_MAX;
    struct place_options places = {policy, 1, (unsigned)nodes, (unsigned)workloads * MEMBERS_MAX,
                                   64};
    struct sched_options options = sched_options_default();
    options.workloads_max = (unsigned)workloads;
    memset(b, 0, sizeof(*b));
    b->random = rng_from(seed);
    b->now = SEC(1);
    b->next_id = 1;
    b->cap = workloads;
    b->jobs = calloc(workloads, sizeof(*b->jobs));
    b->free = calloc(workloads, sizeof(*b->free));
    CHECK(b->jobs && b->free);
    for (size_t i = workloads; i-- > 0;)
        b->free[b->free_count++] = &b->jobs[i];
    heap_init(&b->ends, ends_before);
    place_init(&b->place, &places);
    quota_init(&b->quota, SEC(3600));
    sched_init(&b->sched, &options, &b->place, &b->quota);
    add_nodes(b, nodes);
    add_queues(b);
}

/* ---- workloads ---- */

static int64_t random_request(struct bench *b, struct place_request *r)
{
    uint64_t kind = below(b, 100);
    int gpus = kind < 40 ? 0 : kind < 75 ? 1 : kind < 90 ? 2 : kind < 97 ? 4 : 8;
    *r = (struct place_request){.gpus = (uint8_t)gpus};
    r->models = below(b, 4) ? 0 : UINT64_C(1) << below(b, MODELS);
    r->share_milli = gpus ? 0 : (uint16_t)(250 * (1 + below(b, 3)));
    r->cpu = gpus ? 8000 * gpus : 4000;
    return gpus ? PLACE_MILLI * gpus : r->share_milli;
}

static void random_spec(struct bench *b, struct sched_spec *spec)
{
    uint64_t priority = below(b, 20);
    *spec = (struct sched_spec){
        .id = b->next_id++,
        .queue = b->queues[below(b, COHORTS * QUEUES_EACH)],
        .priority = priority < 16   ? 0
                    : priority < 19 ? 1
                                    : 2,
        .created = b->now,
        .preemptible = below(b, 10) < 7,
        .members_min = below(b, 10) < 7 ? 1 : 2 + (unsigned)below(b, MEMBERS_MAX - 1),
    };
    spec->members_max = spec->members_min;
    spec->amount.of[0] = random_request(b, &spec->request);
}

static nsec random_duration(struct bench *b)
{
    return SEC(SHORTEST) + (nsec)below(b, SEC(LONGEST - SHORTEST));
}

/* Seconds between arrivals, by the mean of what is drawn above. */
static double gap_of(struct bench *b)
{
    struct sched_spec spec;
    double sum = 0;
    enum { DRAWN = 20000 };
    for (int i = 0; i < DRAWN; i++) {
        random_spec(b, &spec);
        sum += (double)spec.amount.of[0] * spec.members_min / PLACE_MILLI;
    }
    return sum / DRAWN * (SHORTEST + LONGEST) / 2 / (double)b->gpus / LOAD;
}

/* ---- events ---- */

static void note(nsec *slowest, nsec took)
{
    *slowest = MAX(*slowest, took);
}

static void decided(struct bench *b, struct phase *p, const struct sched_decision *d)
{
    struct job *j = container_of(d->workload, struct job, w);
    if (d->kind == SCHED_START) {
        p->starts++;
        b->waiting--;
        j->ends = b->now + (j->w.spec.expected ? j->w.spec.expected : random_duration(b));
    } else {
        p->evictions++;
        j->ends = b->now + GRACE;
    }
    if (heap_has(&j->by_end))
        heap_changed(&b->ends, &j->by_end);
    else
        heap_insert(&b->ends, &j->by_end);
}

static void decide(struct bench *b, struct phase *p, nsec event)
{
    struct sched_decision d;
    nsec sum = event;
    bool any = true;
    note(&p->slowest_call, event);
    while (any) {
        nsec from = clock_now();
        any = sched_next(&b->sched, b->now, &d);
        nsec took = clock_now() - from;
        sum += took;
        note(&p->slowest_call, took);
        if (any)
            decided(b, p, &d);
    }
    note(&p->slowest_event, sum);
    p->busy += sum;
    p->events++;
}

static void arrive(struct bench *b, struct phase *p)
{
    if (b->free_count == 0 || b->waiting >= WAITING_MAX)
        return;
    struct job *j = b->free[--b->free_count];
    *j = (struct job){0};
    random_spec(b, &j->w.spec);
    j->w.spec.expected = below(b, 2) ? random_duration(b) : 0;
    b->waiting++;
    nsec from = clock_now();
    CHECK(sched_submit(&b->sched, &j->w, b->now) == 0);
    decide(b, p, clock_now() - from);
}

static void end_one(struct bench *b, struct phase *p, struct job *j)
{
    bool evicted = j->w.state == SCHED_EVICTING;
    heap_remove(&b->ends, &j->by_end);
    nsec from = clock_now();
    sched_ended(&b->sched, &j->w, evicted ? SCHED_STOPPED : SCHED_COMPLETED, b->now);
    nsec took = clock_now() - from;
    b->waiting += evicted;
    if (!evicted)
        b->free[b->free_count++] = j;
    decide(b, p, took);
}

static void step(struct bench *b, struct phase *p, nsec *next_arrival, nsec gap)
{
    struct heap_node *top = heap_top(&b->ends);
    struct job *j = top ? container_of(top, struct job, by_end) : NULL;
    if (j && j->ends <= *next_arrival) {
        b->now = j->ends;
        end_one(b, p, j);
        return;
    }
    b->now = *next_arrival;
    *next_arrival += gap;
    arrive(b, p);
}

static void print(const char *name, const struct phase *p)
{
    uint64_t decisions = p->starts + p->evictions;
    printf("\"%s\": {\"events\": %llu, \"starts\": %llu, \"evictions\": %llu, "
           "\"decisions_per_s\": %.0f, \"slowest_call_us\": %.0f, \"slowest_event_us\": %.0f}",
           name, (unsigned long long)p->events, (unsigned long long)p->starts,
           (unsigned long long)p->evictions,
           (double)decisions / MAX(nsec_to_seconds(p->busy), 1e-9), (double)p->slowest_call / 1e3,
           (double)p->slowest_event / 1e3);
}

static void measure(struct bench *b, int nodes, nsec limit)
{
    struct phase fill = {0}, full = {0};
    nsec gap = (nsec)(gap_of(b) * 1e9), next_arrival = b->now;
    while (b->waiting < 20) /* nothing ends yet */
        arrive(b, &fill);
    while (full.busy < limit)
        step(b, &full, &next_arrival, gap);
    printf("{\"nodes\": %d, \"gpus\": %lld, ", nodes, (long long)b->gpus);
    print("fill", &fill);
    printf(", ");
    print("full", &full);
    printf(", \"waiting\": %llu, \"running\": %zu}\n", (unsigned long long)b->waiting,
           b->ends.count);
}

int main(int argc, char **argv)
{
    static struct bench b;
    int nodes = argc > 1 ? atoi(argv[1]) : 0;
    nsec limit = argc > 2 ? (nsec)(atof(argv[2]) * 1e9) : SEC(5);
    uint64_t seed = argc > 3 ? strtoull(argv[3], NULL, 10) : 1;
    const struct place_policy *policy =
        place_policy_find(argc > 4 ? str_from(argv[4]) : STR("fairway"));
    if (nodes < 1 || nodes > PLACE_NODES_MAX || limit <= 0 || !policy) {
        fprintf(stderr, "usage: sched_bench NODES [SECONDS [SEED [POLICY]]]\n");
        return 2;
    }
    begin(&b, nodes, seed, policy);
    measure(&b, nodes, limit);
    sched_fini(&b.sched);
    place_fini(&b.place);
    heap_fini(&b.ends);
    free(b.jobs);
    free(b.free);
    return 0;
}
