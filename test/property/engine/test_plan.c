/* SPDX-License-Identifier: Apache-2.0 */
/* A small engine that only counts, driven by the planner: memory is never promised twice, everyone
 * who may advance does, prompts share, and every request ends. */
#include "engine/plan.h"

#include "base/check.h"
#include "test.h"

enum { ROUNDS = 300, SEQS = 6, REQUESTS = 30, LENGTH_MAX = 60, STEPS_MAX = 200000 };

struct request {
    uint32_t prompt, answer; /* tokens */
    uint32_t generated;
    bool running, done;
};

struct engine {
    struct plan_limits limits;
    struct plan_seq seqs[SEQS];
    size_t of[SEQS]; /* which request runs there */
    size_t count;
    struct plan_turn turn;
    uint64_t next_age;
    struct request requests[REQUESTS];
    uint64_t seed, chance;
};

static uint32_t need_of(const struct request *r)
{
    return r->prompt + r->generated;
}

static void start_waiting(struct engine *e)
{
    for (size_t i = 0; i < REQUESTS && e->count < SEQS; i++) {
        struct request *r = &e->requests[i];
        if (r->running || r->done)
            continue;
        if (!plan_may_start(&e->limits, e->seqs, e->count, need_of(r)))
            break;
        r->running = true;
        e->of[e->count] = i;
        e->seqs[e->count++] = (struct plan_seq){.pending = need_of(r), .age = e->next_age++};
    }
}

static void leave(struct engine *e, size_t at)
{
    e->requests[e->of[at]].running = false;
    e->seqs[at] = e->seqs[--e->count];
    e->of[at] = e->of[e->count];
}

static void check_step(const struct engine *e, int step)
{
    uint64_t held = 0, taken = 0, read = 0;
    bool starved = false;
    for (size_t i = 0; i < e->count; i++) {
        const struct plan_seq *s = &e->seqs[i];
        held += s->held;
        taken += s->take;
        read += s->pending > 1 ? s->take : 0;
        starved = starved || (s->pending > 1 && s->take == 0);
        PROPERTY(s->take <= s->pending, e->seed, step);
        if (s->pending == 1)
            PROPERTY(s->take == !s->paused, e->seed, step);
    }
    PROPERTY(held + taken <= e->limits.kv_total, e->seed, step);
    PROPERTY(taken <= e->limits.batch && read <= e->limits.prefill, e->seed, step);
    /* A prompt gets nothing only when budget or memory is used up. */
    if (starved)
        PROPERTY(read == e->limits.prefill || taken == e->limits.batch ||
                     held + taken == e->limits.kv_total,
                 e->seed, step);
}

static void advance(struct engine *e)
{
    for (size_t i = e->count; i-- > 0;) {
        struct plan_seq *s = &e->seqs[i];
        struct request *r = &e->requests[e->of[i]];
        s->held += s->take;
        s->pending -= s->take;
        if (s->pending > 0)
            continue;
        s->pending = 1; /* the token just drawn */
        r->generated++;
        if (r->generated == r->answer) {
            r->done = true;
            leave(e, i);
        }
    }
}

static int step(struct engine *e, int number)
{
    int preempted = 0, victim;
    start_waiting(e);
    for (size_t i = 0; i < e->count; i++)
        e->seqs[i].paused = test_below(&e->chance, 4) == 0;
    while ((victim = plan_step(&e->limits, e->seqs, e->count, &e->turn)) != PLAN_NONE) {
        uint64_t youngest = 0;
        for (size_t i = 0; i < e->count; i++)
            youngest = MAX(youngest, e->seqs[i].age);
        PROPERTY(e->seqs[victim].age == youngest, e->seed, number);
        leave(e, (size_t)victim);
        preempted++;
    }
    check_step(e, number);
    advance(e);
    return preempted;
}

static bool all_done(const struct engine *e)
{
    for (size_t i = 0; i < REQUESTS; i++)
        if (!e->requests[i].done)
            return false;
    return true;
}

static void test_every_request_ends(void **state)
{
    static struct engine e;
    int preempted = 0;
    uint64_t seed = test_seed(1), chance = seed;
    for (int round = 0; round < ROUNDS; round++) {
        memset(&e, 0, sizeof(e));
        e.seed = seed;
        e.chance = test_random(&chance);
        e.limits.batch = SEQS + (uint32_t)test_below(&e.chance, 40);
        e.limits.prefill = 1 + (uint32_t)test_below(&e.chance, 40);
        e.limits.turn = 1 + (uint32_t)test_below(&e.chance, 16);
        e.limits.kv_total = 2 * LENGTH_MAX + (uint32_t)test_below(&e.chance, 200);
        for (size_t i = 0; i < REQUESTS; i++) {
            e.requests[i].prompt = 1 + (uint32_t)test_below(&e.chance, LENGTH_MAX);
            e.requests[i].answer = 1 + (uint32_t)test_below(&e.chance, LENGTH_MAX);
        }
        int steps = 0;
        for (; !all_done(&e) && steps < STEPS_MAX; steps++)
            preempted += step(&e, steps);
        PROPERTY(steps < STEPS_MAX, seed, round);
    }
    assert_true(preempted > 0); /* else the interesting part was not reached */
}

static void test_prompts_take_turns(void **state)
{
    struct plan_limits limits = {.batch = 64, .prefill = 10, .turn = 16, .kv_total = 1000};
    struct plan_seq seqs[3] = {
        {.pending = 500, .age = 1}, {.pending = 8, .age = 2}, {.pending = 30, .age = 3}};
    /* The turns are 16, 8 (all it has), 16, 16 ... whatever the steps are. */
    const uint32_t expected[4][3] = {{10, 0, 0}, {6, 4, 0}, {0, 4, 6}, {0, 0, 10}};
    struct plan_turn turn = {0};
    for (size_t step = 0; step < 4; step++) {
        assert_int_equal(plan_step(&limits, seqs, 3, &turn), PLAN_NONE);
        for (size_t i = 0; i < 3; i++) {
            assert_int_equal(seqs[i].take, expected[step][i]);
            seqs[i].pending -= seqs[i].take;
            seqs[i].held += seqs[i].take;
            if (seqs[i].pending == 0) { /* it generates, and its reader is slow */
                seqs[i].pending = 1;
                seqs[i].paused = true;
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_request_ends),
        cmocka_unit_test(test_prompts_take_turns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
