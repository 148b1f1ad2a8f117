/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several gateways that report and are answered at random moments, some answers late, some never:
 * - the requests at a replica pass its slots by at most one for each gateway but one
 * - once nothing changes, the leases are those of a division that gives slot by slot to who has least
 * - what all have used of a minute never passes what one account would allow by more than was not yet told; likewise the
 *   requests at a time
 * - what was told in the end is what was charged
 */
#include "base/check.h"
#include "core/limit/calendar.h"
#include "core/share/share.h"
#include "test.h"

enum { STEPS = 4000, CASES = 60, SETTLED_ROUNDS = 4 };

/* ---- slots ---- */

struct gateway_side {
    unsigned lease, running, waiting;
    unsigned answer; /* on its way; 0: none */
    bool acknowledges;
};

struct replica {
    uint64_t seed, random;
    struct share_slots slots;
    unsigned count, members;
    struct gateway_side gateways[SHARE_GATEWAYS_MAX];
};

static void exchange(struct replica *r, unsigned g)
{
    struct gateway_side *side = &r->gateways[g];
    share_slots_report(&r->slots, g, side->running, side->running + side->waiting,
                       side->acknowledges);
    side->answer = share_slots_grant(&r->slots, r->members, g);
    side->acknowledges = false;
}

static void take_answer(struct gateway_side *side)
{
    side->lease = side->answer ? side->answer : side->lease;
    side->acknowledges = side->acknowledges || side->answer;
    side->answer = 0;
}

static void dispatch(struct gateway_side *side)
{
    while (side->waiting && side->running < side->lease) {
        side->waiting--;
        side->running++;
    }
}

static void slot_step(struct replica *r)
{
    unsigned g = (unsigned)test_below(&r->random, r->count);
    struct gateway_side *side = &r->gateways[g];
    switch (test_below(&r->random, 6)) {
    case 0:
        side->waiting += (unsigned)test_below(&r->random, 8);
        break;
    case 1:
        side->running -= side->running ? 1 : 0;
        break;
    case 2:
        side->answer = 0; /* lost, or not there yet */
        exchange(r, g);
        break;
    case 3:
        take_answer(side);
        break;
    case 4:
        side->waiting = 0;
        break;
    default:
        break;
    }
    dispatch(side);
}

static unsigned all_running(const struct replica *r)
{
    unsigned sum = 0;
    for (unsigned g = 0; g < r->count; g++)
        sum += r->gateways[g].running;
    return sum;
}

/* Slot by slot, to the one that has least of those that lack any; then to the one that has least of all. */
static void naive(const struct replica *r, unsigned have[SHARE_GATEWAYS_MAX])
{
    memset(have, 0, SHARE_GATEWAYS_MAX * sizeof(*have));
    for (unsigned slot = 0; slot < r->slots.slots; slot++) {
        int best = -1;
        for (int lacking = 1; lacking >= 0 && best < 0; lacking--)
            for (unsigned g = 0; g < r->count; g++) {
                bool lacks = have[g] < r->gateways[g].running + r->gateways[g].waiting;
                if (lacks >= (lacking == 1) && (best < 0 || have[g] < have[best]))
                    best = (int)g;
            }
        have[best]++;
    }
}

static void check_division(struct replica *r)
{
    unsigned have[SHARE_GATEWAYS_MAX];
    for (unsigned g = 0; g < r->count; g++) {
        r->gateways[g].waiting += r->gateways[g].running;
        r->gateways[g].running = 0;
    }
    for (int round = 0; round < SETTLED_ROUNDS; round++)
        for (unsigned g = 0; g < r->count; g++) {
            exchange(r, g);
            take_answer(&r->gateways[g]);
        }
    naive(r, have);
    for (unsigned g = 0; g < r->count; g++)
        PROPERTY(r->gateways[g].lease == MAX(have[g], 1u), r->seed, (int)g);
}

static void run_slots(uint64_t seed)
{
    struct replica r = {.seed = seed, .random = seed};
    r.count = 1 + (unsigned)test_below(&r.random, SHARE_GATEWAYS_MAX);
    r.members = (1u << r.count) - 1;
    r.slots.slots = 1 + (unsigned)test_below(&r.random, 40);
    for (unsigned g = 0; g < r.count; g++) {
        share_slots_join(&r.slots, g, 1);
        r.gateways[g] = (struct gateway_side){.lease = 1};
    }
    for (int step = 0; step < STEPS; step++) {
        slot_step(&r);
        PROPERTY(all_running(&r) <= MAX(r.slots.slots, r.count) + r.count - 1, seed, step);
    }
    check_division(&r);
}

static void test_slots(void **state)
{
    uint64_t first = test_seed(1);
    for (uint64_t i = 0; i < CASES; i++)
        run_slots(first + i);
}

/* A gateway that has gone leaves its slots to the others at their next exchange. */
static void test_slots_of_one_that_left(void **state)
{
    struct share_slots s = {.slots = 8};
    share_slots_join(&s, 0, 8);
    share_slots_report(&s, 0, 0, 20, true);
    share_slots_join(&s, 3, 1);
    share_slots_report(&s, 3, 0, 20, true);
    assert_int_equal(share_slots_grant(&s, 9, 3), 1); /* the first one acts by all of them */
    assert_int_equal(share_slots_grant(&s, 9, 0), 4);
    share_slots_report(&s, 0, 4, 20, true);
    assert_int_equal(share_slots_grant(&s, 9, 3), 4);
    share_slots_leave(&s, 0);
    assert_int_equal(share_slots_grant(&s, 8, 3), 8);
}

/* ---- limits ---- */

enum { HOLDS_MAX = 64 };

struct account_side {
    struct limit_account account;
    struct limit_charge reported; /* its totals, as last reported */
    struct limit_hold holds[HOLDS_MAX];
    uint64_t untold_requests, untold_tokens; /* charged by the others since it was last told */
    uint64_t untold_running;
    struct share_others told;
};

struct tenant {
    uint64_t seed, random;
    struct limit_rules rules;
    struct limit_time now;
    struct share_limits share;
    unsigned count;
    struct account_side sides[SHARE_GATEWAYS_MAX];
    struct limit_account truth; /* one account that hears of everything at once */
    uint64_t settled_tokens, settled_cost;
};

static void report(struct tenant *t, unsigned g)
{
    struct account_side *side = &t->sides[g];
    struct limit_charge charge = side->account.own;
    charge.requests -= side->reported.requests;
    charge.tokens -= side->reported.tokens;
    side->reported = side->account.own;
    share_limits_report(&t->share, g, &charge);
}

static void tell(struct tenant *t, unsigned g)
{
    struct account_side *side = &t->sides[g];
    struct share_others others = share_limits_others(&t->share, g);
    limit_set_others(&side->account, &t->rules, &others.charge, t->now);
    side->told = others;
}

/* What is not told: what others have charged and not reported, and what they have reported since. */
static void everybody_exchanges(struct tenant *t)
{
    for (unsigned g = 0; g < t->count; g++)
        report(t, g);
    for (unsigned g = 0; g < t->count; g++) {
        tell(t, g);
        t->sides[g].untold_requests = t->sides[g].untold_tokens = t->sides[g].untold_running = 0;
    }
}

static void note_untold(struct tenant *t, unsigned by, uint64_t tokens)
{
    for (unsigned g = 0; g < t->count; g++)
        if (g != by) {
            t->sides[g].untold_requests++;
            t->sides[g].untold_running++;
            t->sides[g].untold_tokens += tokens;
        }
}

static uint64_t running_everywhere(const struct tenant *t)
{
    uint64_t sum = 0;
    for (unsigned g = 0; g < t->count; g++)
        sum += t->sides[g].account.own.running;
    return sum;
}

/* The account of everything takes it, by rules that refuse nothing. */
static void reserve_in_truth(struct tenant *t, const struct limit_want *want)
{
    struct limit_charge others = t->truth.others;
    others.requests++;
    others.tokens += want->tokens;
    limit_set_others(&t->truth, &t->rules, &others, t->now);
}

static void reserve(struct tenant *t, unsigned g, int step)
{
    struct account_side *side = &t->sides[g];
    const struct limit_want want = {.tokens = test_below(&t->random, 300), .cost = 3};
    struct limit_hold *hold = &side->holds[test_below(&t->random, HOLDS_MAX)];
    struct limit_refusal refusal;
    uint64_t requests, tokens;
    if (hold->open || limit_reserve(&side->account, &t->rules, &want, t->now, hold, &refusal))
        return;
    reserve_in_truth(t, &want);
    note_untold(t, g, want.tokens);
    limit_level(&t->truth, &t->rules, t->now, &requests, &tokens);
    PROPERTY(requests <= t->rules.requests_per_minute + side->untold_requests + 1, t->seed, step);
    PROPERTY(!want.tokens || tokens <= t->rules.tokens_per_minute + side->untold_tokens + 1,
             t->seed, step);
    PROPERTY(running_everywhere(t) <= t->rules.concurrency + side->untold_running, t->seed, step);
}

/* With what it wanted: give-backs are the business of another test. */
static void settle(struct tenant *t, unsigned g)
{
    struct account_side *side = &t->sides[g];
    struct limit_hold *hold = &side->holds[test_below(&t->random, HOLDS_MAX)];
    if (!hold->open)
        return;
    uint64_t tokens = hold->tokens;
    limit_settle(&side->account, &t->rules, hold, tokens, 2, t->now);
    share_limits_settle(&t->share, g, tokens, 2);
    t->settled_tokens += tokens;
    t->settled_cost += 2;
}

static void limit_step(struct tenant *t, int step)
{
    unsigned g = (unsigned)test_below(&t->random, t->count);
    switch (test_below(&t->random, 16)) {
    case 0:
        everybody_exchanges(t);
        break;
    case 1:
        report(t, g);
        break;
    case 2:
        tell(t, g);
        break;
    case 3:
        t->now.steady += (nsec)test_below(&t->random, SEC(3));
        break;
    case 4:
    case 5:
    case 6:
        settle(t, g);
        break;
    default:
        reserve(t, g, step);
    }
}

static void run_limits(uint64_t seed)
{
    struct tenant *t = calloc(1, sizeof(*t));
    t->seed = t->random = seed;
    t->now.wall = CALENDAR_DAY * 20000;
    t->rules = (struct limit_rules){.requests_per_minute = 1 + test_below(&t->random, 100),
                                    .tokens_per_minute = 300 + test_below(&t->random, 9000),
                                    .concurrency = 1 + test_below(&t->random, 20)};
    t->count = 1 + (unsigned)test_below(&t->random, 5);
    limit_init(&t->truth, t->now);
    for (unsigned g = 0; g < t->count; g++) {
        limit_init(&t->sides[g].account, t->now);
        share_limits_join(&t->share, g, true);
    }
    for (int step = 0; step < STEPS; step++)
        limit_step(t, step);
    everybody_exchanges(t);
    for (unsigned g = 0; g < t->count; g++) {
        const struct account_side *side = &t->sides[g];
        PROPERTY(side->account.own.running + side->account.others.running == running_everywhere(t),
                 seed, (int)g);
        PROPERTY(t->share.of[g].settled_tokens + side->told.settled_tokens == t->settled_tokens,
                 seed, (int)g);
        PROPERTY(t->share.of[g].settled_cost + side->told.settled_cost == t->settled_cost, seed,
                 (int)g);
    }
    free(t);
}

static void test_limits(void **state)
{
    uint64_t first = test_seed(1);
    for (uint64_t i = 0; i < CASES; i++)
        run_limits(first + i);
}

/* What is given back elsewhere is given back here. */
static void test_given_back_elsewhere(void **state)
{
    const struct limit_rules rules = {.requests_per_minute = 10, .tokens_per_minute = 1000};
    const struct limit_time now = {0, CALENDAR_DAY * 20000};
    struct limit_account account;
    uint64_t requests, tokens;
    limit_init(&account, now);
    limit_set_others(&account, &rules, &(struct limit_charge){.requests = 4, .tokens = 900}, now);
    limit_set_others(&account, &rules, &(struct limit_charge){.requests = 3, .tokens = 100}, now);
    limit_level(&account, &rules, now, &requests, &tokens);
    assert_int_equal(requests, 3);
    assert_int_equal(tokens, 100);
}

/* One that joins late is told nothing of what was charged before, but all that was settled if it knows nothing. */
static void test_late_joiner(void **state)
{
    struct share_limits s = {0};
    share_limits_join(&s, 0, true);
    share_limits_report(&s, 0, &(struct limit_charge){.requests = 7, .running = 2});
    share_limits_settle(&s, 0, 50, 5);
    share_limits_join(&s, 1, true);
    share_limits_join(&s, 2, false);
    share_limits_report(&s, 0, &(struct limit_charge){.requests = 1, .running = 3});
    struct share_others fresh = share_limits_others(&s, 1), known = share_limits_others(&s, 2);
    assert_int_equal(fresh.charge.requests, 1);
    assert_int_equal(fresh.charge.running, 3);
    assert_int_equal(fresh.settled_tokens, 50);
    assert_int_equal(known.settled_tokens, 0);
    share_limits_leave(&s, 0);
    assert_int_equal(share_limits_others(&s, 1).charge.running, 0);
    assert_int_equal(share_limits_others(&s, 1).charge.requests, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slots),       cmocka_unit_test(test_slots_of_one_that_left),
        cmocka_unit_test(test_limits),      cmocka_unit_test(test_given_back_elsewhere),
        cmocka_unit_test(test_late_joiner),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
