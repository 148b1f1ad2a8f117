/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random scenarios, run to their end with the whole state checked after every instant: nobody is lost,
 * GPU time adds up in two ways that know nothing of each other, no bin has more than there is, and the
 * trace repeats byte for byte and never gives a node away while it is lost.
 */
#include "base/map.h"
#include "sim/world.h"
#include "test.h"

enum { SCENARIOS = 60, TEXT_MAX = 1 << 16, TRACE_MAX = 16 << 20 };

struct shape {
    bool queues, faults, services;
};

static void put_nodes(struct buf *b, uint64_t *r)
{
    static const char *const gpus[] = {"8xH100-80G", "4xA100-80G", "2xL40S-48G",
                                       "1xH100-80G,1xA10-24G"};
    buf_put(b, STR("nodes:\n"));
    buf_printf(b, "  - {name: n, count: %d, cpu: 64, memory: 256Gi, gpus: 8xH100-80G, price: 2}\n",
               2 + (int)test_below(r, 4));
    buf_printf(
        b, "  - {name: m, count: %d, cpu: %d, memory: 128Gi, zone: b, gpus: \"%s\", spot: %s}\n",
        1 + (int)test_below(r, 3), 8 + (int)test_below(r, 60), gpus[test_below(r, 4)],
        test_below(r, 2) ? "true" : "false");
}

static void put_jobs(struct buf *b, uint64_t *r, const struct shape *s)
{
    static const char *const kinds[] = {"constant", "exponential", "lognormal"};
    int classes = 1 + (int)test_below(r, 4);
    buf_put(b, STR("jobs:\n"));
    for (int i = 0; i < classes; i++) {
        int members = 1 + (int)test_below(r, 4), gpus = (int)test_below(r, 5);
        buf_printf(b, "  - name: j%d\n    priority: %d\n    preemptible: %s\n", i,
                   (int)test_below(r, 3), test_below(r, 4) ? "true" : "false");
        if (s->queues)
            buf_printf(b, "    queue: q%d\n", (int)test_below(r, 2));
        buf_printf(b, "    members: %d\n    minMembers: %d\n    spot: %s\n", members,
                   (int)test_below(r, (uint64_t)members + 1), test_below(r, 2) ? "true" : "false");
        if (gpus)
            buf_printf(b, "    resources: {gpus: %d, cpu: 2}\n", gpus);
        else
            buf_printf(b, "    resources: {gpuShare: %d, cpu: 1}\n", 100 + (int)test_below(r, 800));
        buf_printf(b,
                   "    arrivals: {count: %d, perHour: %d, curve: [{at: 0s, factor: 200m}, {at: "
                   "10m, factor: 2}]}\n",
                   (int)test_below(r, 20), 1 + (int)test_below(r, 120));
        buf_printf(b, "    duration: {distribution: %s, mean: %ds", kinds[test_below(r, 3)],
                   1 + (int)test_below(r, 900));
        if (test_below(r, 3))
            buf_printf(b, ", estimateError: %dm", (int)test_below(r, 3) * 400);
        buf_put(b, STR("}\n"));
        buf_printf(b, "    start: %ds\n    checkpoint: %ds\n    grace: %ds\n",
                   (int)test_below(r, 40), (int)test_below(r, 2) * (int)test_below(r, 120),
                   (int)test_below(r, 400));
    }
}

static void put_services(struct buf *b, uint64_t *r, const struct shape *s)
{
    buf_printf(b,
               "services:\n  - name: chat\n    priority: 5\n    load: 20s\n    ahead: %ds\n    "
               "between: %s\n",
               (int)test_below(r, 3) * (int)test_below(r, 600),
               test_below(r, 2) ? "lines" : "steps");
    if (s->queues)
        buf_put(b, STR("    queue: q0\n"));
    static const char *const spreads[] = {"none", "nodes", "zones"};
    buf_printf(b, "    preemptible: %s\n    spread: %s\n", test_below(r, 2) ? "true" : "false",
               spreads[test_below(r, ARRAY_LEN(spreads))]);
    buf_printf(b, "    resources: {gpus: %d}\n    replicas:\n", 1 + (int)test_below(r, 4));
    for (int i = 0; i < 4; i++)
        buf_printf(b, "      - {at: %dm, count: %d}\n", 5 * i, (int)test_below(r, 7));
    buf_printf(b, "  - {name: urgent, priority: 9, replicas: [{count: 0}, {at: 7m, count: %d}], ",
               (int)test_below(r, 3));
    buf_printf(b, "resources: {gpus: 2}%s}\n", s->queues ? ", queue: q0" : "");
}

static const char *make(struct buf *b, uint64_t seed)
{
    uint64_t r = seed;
    struct shape s = {test_below(&r, 2), test_below(&r, 2), test_below(&r, 3) > 0};
    buf_init(b, TEXT_MAX);
    buf_put(b, STR("duration: 3h\nday: 20m\n"));
    put_nodes(b, &r);
    if (s.queues)
        buf_printf(b,
                   "queues: [{name: all}, {name: q0, parent: all, nominal: {gpus: %d}}, {name: q1, "
                   "parent: all, weight: 3, nominal: {gpus: %d}, borrowing: {gpus: %d}}]\n",
                   (int)test_below(&r, 20), (int)test_below(&r, 20), 8 + (int)test_below(&r, 20));
    put_jobs(b, &r, &s);
    if (s.services)
        put_services(b, &r, &s);
    if (s.faults)
        buf_put(b,
                STR("faults: {meanBetween: 2h, repair: 7m, list: [{node: n-1, down: 20m, up: 50m}, "
                    "{node: n-1, down: 30m, up: 40m}]}\n"));
    return buf_cstr(b);
}

struct run {
    struct arena memory;
    struct scenario *scenario;
    struct sim_result *result;
    struct buf trace;
};

static void keep_line(void *ctx, struct str line)
{
    struct run *run = ctx;
    buf_put(&run->trace, line);
    buf_put_char(&run->trace, '\n');
}

/* Some scenarios have somebody who fits nowhere: those are refused, and are no runs. */
static bool run_once(struct run *run, const char *text, uint64_t seed, bool check)
{
    struct err err = {0};
    arena_init(&run->memory, 64 << 20);
    buf_init(&run->trace, TRACE_MAX);
    run->result = ARENA_NEW(&run->memory, struct sim_result);
    if (scenario_read(&run->memory, str_from(text), NULL, 0, &run->scenario, &err))
        fail_msg("%s\n%s", err.message, text);
    const struct sim_options options = {.policy = place_policies[seed % 8],
                                        .seed = seed,
                                        .trace = keep_line,
                                        .ctx = run,
                                        .check = check};
    int error = sim_run(&run->memory, run->scenario, &options, run->result, &err);
    if (error && !strstr(err.message, "fits on no node"))
        fail_msg("%s", err.message);
    return !error;
}

static void end_run(struct run *run)
{
    buf_fini(&run->trace);
    arena_fini(&run->memory);
}

static void check_result(const struct sim_result *r, uint64_t seed)
{
    sim_gpu_time split = 0;
    uint64_t evicted = 0;
    for (size_t i = 0; i < r->class_count; i++) {
        const struct sim_class *c = &r->classes[i];
        PROPERTY(c->arrived == c->completed + c->withdrawn + c->running + c->waiting, seed, i);
        PROPERTY(c->placed_at_once <= c->started, seed, i);
        PROPERTY(c->started <= c->arrived && c->useful >= 0 && c->lost >= 0, seed, i);
        PROPERTY(c->service || c->wait.count == c->arrived, seed, i); /* each waited once */
        PROPERTY(!c->service || c->lost == 0, seed, i);
        split += c->useful + c->lost + c->starting;
        evicted += c->evicted;
    }
    PROPERTY(split == r->given, seed, 0);
    PROPERTY(r->given <= r->capacity, seed, 0);
    PROPERTY(evicted == r->preempted + r->reclaimed + r->room_lost, seed, 0);
    PROPERTY(r->bin_count == SIM_BINS, seed, r->bin_count);
    double given = 0, hours = nsec_to_seconds(r->bin) / 3600;
    for (int i = 0; i < r->bin_count; i++) {
        const struct sim_bin *b = &r->bins[i];
        PROPERTY(b->jobs + b->services <= b->gpus + 1e-9, seed, i);
        PROPERTY(b->fragmented >= -1e-9 && b->fragmented <= b->free + 1e-9, seed, i);
        given += (b->jobs + b->services) * hours;
    }
    double whole = sim_gpu_hours(r->given);
    PROPERTY(given < whole + 1e-6 * (whole + 1) && given > whole - 1e-6 * (whole + 1), seed, 0);
}

static uint64_t count_of(struct str text, struct str word)
{
    uint64_t count = 0;
    for (size_t at; (at = str_find(text, word)) < text.len; count++)
        text = str_sub(text, at + word.len, text.len);
    return count;
}

static void test_random_scenarios(void **state)
{
    uint64_t first = test_seed(1), runs = 0, evictions = 0, losses = 0;
    int scenarios = getenv("FAIRWAY_SEED") ? 1 : SCENARIOS;
    for (uint64_t seed = first; seed < first + (uint64_t)scenarios; seed++) {
        struct buf text;
        struct run a, b;
        const char *scenario = make(&text, seed);
        if (run_once(&a, scenario, seed, true)) {
            map_seed(seed); /* no order of a map may show */
            bool again = run_once(&b, scenario, seed, false);
            map_seed(0);
            check_result(a.result, seed);
            PROPERTY(again && str_eq(buf_str(&a.trace), buf_str(&b.trace)), seed, 0);
            struct str trace = buf_str(&a.trace);
            PROPERTY(a.trace.error == 0, seed, 0);
            PROPERTY(count_of(trace, STR("\n")) == a.result->decisions, seed, 0);
            PROPERTY(count_of(trace, STR("\"evict\"")) ==
                         a.result->preempted + a.result->reclaimed + a.result->room_lost,
                     seed, 0);
            runs++;
            evictions += a.result->preempted + a.result->reclaimed;
            losses += a.result->room_lost;
            end_run(&b);
        }
        end_run(&a);
        buf_fini(&text);
    }
    /* It is no test if nothing happens. */
    if (scenarios > 1) {
        assert_true(runs > SCENARIOS / 2);
        assert_true(evictions > 100 && losses > 100);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_scenarios)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
