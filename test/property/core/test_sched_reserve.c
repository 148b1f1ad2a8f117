/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nobody starves: a cluster in virtual time that small workloads keep full for ever, and large gangs that
 * find no room by chance.
 * - durations known and true: a gang starts no later than if nobody else had started since it got the
 *   reservation (the oracle lets the others end, and nothing begin)
 * - durations known and wrong: it starts when those that were there by the promised time have ended
 * - durations not known: it starts when those that were there when it had waited long enough have ended;
 *   and if it never had waited long enough, it would wait for ever (so the small ones do fill the cluster)
 */
#include "core/place/policy.h"
#include "core/sched/sched.h"
#include "test.h"

enum { HISTORIES = 150, WORKLOADS = 96, LEASES = 256, NODES = 4, GPUS = 4, GANGS = 3 };
enum { AGE = 200, LONGEST = 60, GAP = 3, ASK_AGAIN = 10 }; /* seconds */

struct job {
    struct sched_workload w;
    nsec runs; /* how long, truly */
    nsec promised, latest;
};

struct world {
    uint64_t seed, random;
    int step;
    nsec now, next_arrival;
    bool known, true_durations;
    struct place_options places;
    struct sched_options options;
    struct place place;
    struct quota quota;
    struct sched sched;
    int queues[2];
    struct job jobs[WORKLOADS]; /* the first are the gangs */
    uint64_t next_id;
};

#define HOLDS(condition) PROPERTY(condition, w->seed, w->step)

static nsec seconds(struct world *w, uint64_t most)
{
    return SEC(1) + (nsec)test_below(&w->random, (uint64_t)SEC(most) - (uint64_t)SEC(1) + 1);
}

static void submit(struct world *w, struct job *j, unsigned members, int gpus)
{
    *j = (struct job){.runs = seconds(w, LONGEST)};
    j->w.spec = (struct sched_spec){
        .id = w->next_id++,
        .queue = w->queues[test_below(&w->random, 2)],
        .created = w->now,
        .members_min = members,
        .members_max = members,
        .request.gpus = (uint8_t)gpus,
        .amount.of[0] = PLACE_MILLI * gpus,
    };
    if (w->known)
        j->w.spec.expected = w->true_durations ? j->runs : seconds(w, LONGEST);
    HOLDS(sched_submit(&w->sched, &j->w, w->now) == 0);
}

static void arrive(struct world *w)
{
    w->next_arrival = w->now + (nsec)test_below(&w->random, SEC(GAP));
    for (int i = GANGS; i < WORKLOADS; i++) {
        if (w->jobs[i].w.state != SCHED_OUT)
            continue;
        submit(w, &w->jobs[i], 1, 1 + (int)test_below(&w->random, 2));
        return;
    }
}

/* ---- the oracle ---- */

static bool fits(struct world *w, struct place *copy, const struct sched_workload *p)
{
    const struct place_lease *l;
    unsigned n = 0;
    while (n < p->spec.members_min &&
           place_allocate(copy, UINT64_MAX - n, &p->spec.request, w->now, &l) == 0)
        n++;
    for (unsigned k = 0; k < n; k++)
        place_release(copy, UINT64_MAX - k);
    return n == p->spec.members_min;
}

static struct job *first_to_end(struct world *w, nsec after)
{
    struct job *first = NULL;
    for (int i = 0; i < WORKLOADS; i++) {
        struct job *j = &w->jobs[i];
        if (j->w.state == SCHED_RUNNING && j->w.started + j->runs > after &&
            (!first || j->w.started + j->runs < first->w.started + first->runs))
            first = j;
    }
    return first;
}

static nsec when_alone(struct world *w, const struct sched_workload *p)
{
    struct place copy;
    nsec at = w->now;
    place_init(&copy, &w->places);
    for (int slot = 0; slot < w->place.node_count; slot++)
        HOLDS(place_node_put(&copy, &w->place.nodes[slot].spec) == 0);
    for (int i = 0; i < WORKLOADS; i++)
        for (unsigned k = 0; w->jobs[i].w.state == SCHED_RUNNING && k < w->jobs[i].w.members; k++)
            HOLDS(place_restore(&copy, place_lease_find(
                                           &w->place, sched_owner(w->jobs[i].w.spec.id, k))) == 0);
    while (!fits(w, &copy, p)) {
        struct job *j = first_to_end(w, at);
        HOLDS(j);
        at = j->w.started + j->runs;
        for (unsigned k = 0; k < j->w.members; k++)
            place_release(&copy, sched_owner(j->w.spec.id, k));
    }
    place_fini(&copy);
    return at;
}

/* ---- histories ---- */

static void check_gang(struct world *w, struct job *j)
{
    const struct sched_reservation *r = &w->sched.reservation;
    if (j->w.reserved && !j->latest) {
        j->promised = r->at;
        j->latest = w->true_durations ? when_alone(w, &j->w) : w->now + SEC(LONGEST);
        if (r->at != NSEC_NEVER && !w->true_durations)
            j->latest = r->at + SEC(LONGEST);
        HOLDS(!w->true_durations || !w->known || r->at == j->latest);
    }
    if (j->w.reserved && w->known)
        HOLDS(r->at <= j->promised);
    if (j->latest && j->w.started)
        HOLDS(j->w.started <= j->latest);
}

static void decide(struct world *w)
{
    struct sched_decision d;
    while (sched_next(&w->sched, w->now, &d))
        HOLDS(d.kind == SCHED_START);
    HOLDS(!sched_check(&w->sched));
    for (int i = 0; i < GANGS; i++)
        check_gang(w, &w->jobs[i]);
}

static void advance(struct world *w)
{
    struct job *j = first_to_end(w, 0);
    nsec end = j ? j->w.started + j->runs : NSEC_NEVER;
    w->now = MIN(end, w->next_arrival);
    if (j && end == w->now)
        sched_ended(&w->sched, &j->w, SCHED_COMPLETED, w->now);
    else
        arrive(w);
    decide(w);
    w->step++;
}

static void begin(struct world *w, uint64_t seed, nsec age_max)
{
    struct quota_spec half = {.weight = 1};
    memset(w, 0, sizeof(*w));
    w->seed = w->random = seed;
    w->next_id = 1;
    w->now = w->next_arrival = SEC(1);
    w->places = (struct place_options){&place_first_fit, 1, NODES, LEASES, 16};
    w->options = sched_options_default();
    w->options.age_max = age_max;
    place_init(&w->place, &w->places);
    quota_init(&w->quota, SEC(60));
    sched_init(&w->sched, &w->options, &w->place, &w->quota);
    half.nominal.of[0] = 1000 * PLACE_MILLI;
    for (int i = 0; i < 2; i++)
        HOLDS(quota_add(&w->quota, QUOTA_NONE, &half, 0, &w->queues[i]) == 0);
    for (int i = 0; i < NODES; i++) {
        struct place_node_spec spec = {.id = (uint64_t)i + 1, .cpu = 1, .gpu_count = GPUS};
        HOLDS(sched_node_put(&w->sched, &spec, w->now) == 0);
    }
}

static void end(struct world *w)
{
    sched_fini(&w->sched);
    place_fini(&w->place);
}

/* Half full of small ones, then the gangs come, which are 8 to 16 GPUs each. */
static void fill(struct world *w)
{
    while (w->now < SEC(2 * LONGEST))
        advance(w);
    for (int i = 0; i < GANGS; i++) {
        int gpus = 1 << test_below(&w->random, 3);
        submit(w, &w->jobs[i], (unsigned)(8 / gpus + (int)test_below(&w->random, 1 + 8 / gpus)),
               gpus);
    }
    decide(w);
}

static bool all_started(const struct world *w)
{
    for (int i = 0; i < GANGS; i++)
        if (!w->jobs[i].w.started)
            return false;
    return true;
}

static void run(uint64_t seed, bool known, bool true_durations)
{
    struct world *w = malloc(sizeof(*w));
    begin(w, seed, SEC(AGE));
    w->known = known;
    w->true_durations = true_durations;
    fill(w);
    nsec each = SEC(2 * LONGEST + GAP + ASK_AGAIN), last = w->now + SEC(AGE) + GANGS * each;
    while (!all_started(w)) {
        advance(w);
        HOLDS(w->now <= last);
    }
    end(w);
    free(w);
}

static void test_backfill_delays_nobody(void **state)
{
    uint64_t first = test_seed(1);
    for (uint64_t i = 0; i < HISTORIES; i++)
        run(first + i, true, true);
}

static void test_wrong_durations(void **state)
{
    uint64_t first = test_seed(1);
    for (uint64_t i = 0; i < HISTORIES; i++)
        run(first + i, true, false);
}

static void test_unknown_durations(void **state)
{
    uint64_t first = test_seed(1);
    for (uint64_t i = 0; i < HISTORIES; i++)
        run(first + i, false, false);
}

static void test_without_age_it_starves(void **state)
{
    struct world *w = malloc(sizeof(*w));
    begin(w, test_seed(1), SEC(1000 * AGE));
    fill(w);
    while (w->now < SEC(20 * AGE))
        advance(w);
    HOLDS(!all_started(w));
    end(w);
    free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_backfill_delays_nobody),
        cmocka_unit_test(test_wrong_durations),
        cmocka_unit_test(test_unknown_durations),
        cmocka_unit_test(test_without_age_it_starves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
