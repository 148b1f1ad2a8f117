/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random interleavings of reserve, settle, release, changed rules, restarts and passing time on one
 * account, against books that are added up anew from a journal at each step:
 * - minutes, days, months and what is reserved agree to the unit; at the end nothing is reserved
 * - a request passes just when every limit has room, by the journal; a refusal changes nothing
 * - concurrency is never passed
 * - retry_after is true: just before it the same request is refused, at it it passes
 */
#include "core/limit/limit.h"
#include "test.h"

#include "base/err.h"
#include "core/limit/calendar.h"

enum { HISTORIES = 10000, STEPS = 120, HOLDS = 12 };

/* What went in and drained, in parts of which 60e9 are one; as of the last call with rules. */
struct minute {
    __int128 used;
    nsec seen;
};

/* What was settled, and when (by the calendar). */
struct line {
    int64_t day, month;
    uint64_t tokens, cost;
};

struct world {
    struct limit_account account;
    struct limit_rules rules;
    struct limit_hold holds[HOLDS];
    struct limit_time now;
    struct minute requests, tokens;
    struct line journal[STEPS];
    int lines;
    uint64_t seed, random;
    int step;
};

#define TRUE_OF(condition) PROPERTY(condition, w->seed, w->step)
#define PER_REQUEST        ((__int128)60 * 1000 * 1000 * 1000)

static uint64_t below(struct world *w, uint64_t n)
{
    return test_below(&w->random, n);
}

/* ---- the journal ---- */

static void put(struct minute *m, __int128 count)
{
    m->used += count * PER_REQUEST;
    m->used = MAX(m->used, 0);
}

static struct minute drained(struct minute m, uint64_t limit, nsec now)
{
    m.used = limit ? MAX(m.used - (__int128)limit * (now - m.seen), 0) : 0;
    m.seen = now;
    return m;
}

/* A call with the present rules. */
static void touch(struct world *w)
{
    w->requests = drained(w->requests, w->rules.requests_per_minute, w->now.steady);
    w->tokens = drained(w->tokens, w->rules.tokens_per_minute, w->now.steady);
}

static uint64_t settled(const struct world *w, enum limit_kind kind)
{
    uint64_t sum = 0;
    for (int i = 0; i < w->lines; i++) {
        const struct line *l = &w->journal[i];
        if (kind == LIMIT_BUDGET_PER_MONTH)
            sum += l->month == calendar_month(w->now.wall) ? l->cost : 0;
        else if (l->day == calendar_day(w->now.wall))
            sum += kind == LIMIT_BUDGET_PER_DAY ? l->cost : l->tokens;
    }
    return sum;
}

static struct limit_hold held(const struct world *w)
{
    struct limit_hold sum = {0};
    for (int i = 0; i < HOLDS; i++) {
        if (!w->holds[i].open)
            continue;
        sum.tokens += w->holds[i].tokens;
        sum.cost += w->holds[i].cost;
    }
    return sum;
}

static uint64_t running(const struct world *w)
{
    uint64_t count = 0;
    for (int i = 0; i < HOLDS; i++)
        count += w->holds[i].open;
    return count;
}

static bool minute_has_room(const struct minute *m, uint64_t limit, uint64_t want)
{
    return !limit || !want || m->used + want * PER_REQUEST <= limit * PER_REQUEST;
}

static bool window_has_room(const struct world *w, enum limit_kind kind, uint64_t limit,
                            uint64_t reserved, uint64_t want)
{
    return !limit || !want || settled(w, kind) + reserved + want <= limit;
}

static bool may(const struct world *w, const struct limit_want *want)
{
    const struct limit_rules *r = &w->rules;
    struct limit_hold h = held(w);
    return minute_has_room(&w->requests, r->requests_per_minute, 1) &&
           minute_has_room(&w->tokens, r->tokens_per_minute, want->tokens) &&
           (!r->concurrency || running(w) < r->concurrency) &&
           window_has_room(w, LIMIT_TOKENS_PER_DAY, r->tokens_per_day, h.tokens, want->tokens) &&
           window_has_room(w, LIMIT_BUDGET_PER_DAY, r->budget_per_day, h.cost, want->cost) &&
           window_has_room(w, LIMIT_BUDGET_PER_MONTH, r->budget_per_month, h.cost, want->cost);
}

/* ---- checks ---- */

static bool passes_after(struct world *w, const struct limit_want *want, nsec time)
{
    struct limit_account then = w->account;
    struct limit_time at = {w->now.steady + time, w->now.wall + time};
    struct limit_hold hold;
    struct limit_refusal refusal;
    return limit_reserve(&then, &w->rules, want, at, &hold, &refusal) == 0;
}

static void check_refusal(struct world *w, const struct limit_want *want,
                          const struct limit_refusal *refusal)
{
    nsec retry = refusal->retry_after;
    TRUE_OF(refusal->limit > 0 && retry > 0);
    TRUE_OF(!passes_after(w, want, MIN(retry, 1000 * CALENDAR_DAY) - 1));
    TRUE_OF(retry == NSEC_NEVER || passes_after(w, want, retry));
    TRUE_OF(!refusal->too_big || retry == NSEC_NEVER);
}

static void check_minute(struct world *w, const struct limit_rate *rate, struct minute m,
                         uint64_t limit)
{
    m = drained(m, limit, w->now.steady);
    __int128 room = MAX(limit * PER_REQUEST - m.used, 0);
    TRUE_OF(rate->limit == limit);
    if (!limit)
        return;
    TRUE_OF(rate->remaining == (uint64_t)(room / PER_REQUEST));
    TRUE_OF(rate->reset * (__int128)limit >= m.used);
    TRUE_OF(rate->reset == 0 || (rate->reset - 1) * (__int128)limit < m.used);
}

static void check_books(struct world *w)
{
    struct limit_snapshot s = limit_snapshot(&w->account, &w->rules, w->now);
    struct limit_usage u = limit_usage(&w->account, w->now);
    struct limit_hold h = held(w);
    check_minute(w, &s.requests, w->requests, w->rules.requests_per_minute);
    check_minute(w, &s.tokens, w->tokens, w->rules.tokens_per_minute);
    TRUE_OF(u.day_tokens == settled(w, LIMIT_TOKENS_PER_DAY));
    TRUE_OF(u.day_spend == settled(w, LIMIT_BUDGET_PER_DAY));
    TRUE_OF(u.month_spend == settled(w, LIMIT_BUDGET_PER_MONTH));
    TRUE_OF(w->account.own.held_tokens == h.tokens && w->account.own.held_cost == h.cost);
    TRUE_OF(w->account.own.running == running(w));
}

/* ---- what happens ---- */

static struct limit_hold *pick(struct world *w, bool open)
{
    uint64_t start = below(w, HOLDS);
    for (uint64_t i = 0; i < HOLDS; i++)
        if (w->holds[(start + i) % HOLDS].open == open)
            return &w->holds[(start + i) % HOLDS];
    return NULL;
}

static void reserve(struct world *w)
{
    struct limit_hold *hold = pick(w, false);
    struct limit_want want = {below(w, 200), below(w, 3) ? below(w, 50) : 0};
    struct limit_refusal refusal;
    if (!hold)
        return;
    touch(w);
    bool expected = may(w, &want);
    int error = limit_reserve(&w->account, &w->rules, &want, w->now, hold, &refusal);
    TRUE_OF(expected ? error == 0 : error == ERR_FULL);
    if (error) {
        check_refusal(w, &want, &refusal);
        return;
    }
    TRUE_OF(hold->open && hold->tokens == want.tokens && hold->cost == want.cost);
    TRUE_OF(!w->rules.concurrency || running(w) <= w->rules.concurrency);
    put(&w->requests, 1);
    put(&w->tokens, want.tokens);
}

static void settle(struct world *w)
{
    struct limit_hold *hold = pick(w, true);
    if (!hold)
        return;
    uint64_t tokens = below(w, 300), cost = below(w, 80);
    touch(w);
    put(&w->tokens, (__int128)tokens - hold->tokens);
    w->journal[w->lines++] =
        (struct line){calendar_day(w->now.wall), calendar_month(w->now.wall), tokens, cost};
    limit_settle(&w->account, &w->rules, hold, tokens, cost, w->now);
}

static void release(struct world *w)
{
    struct limit_hold *hold = pick(w, true);
    bool refused = below(w, 2);
    if (!hold)
        return;
    touch(w);
    put(&w->tokens, -(__int128)hold->tokens);
    put(&w->requests, refused ? -1 : 0);
    limit_release(&w->account, &w->rules, hold, refused, w->now);
}

static uint64_t some_limit(struct world *w, uint64_t most)
{
    return below(w, 3) ? 1 + below(w, most) : 0;
}

static void change_rules(struct world *w)
{
    w->rules = (struct limit_rules){
        .requests_per_minute = some_limit(w, 30),
        .tokens_per_minute = some_limit(w, 2000),
        .concurrency = some_limit(w, HOLDS),
        .tokens_per_day = some_limit(w, 5000),
        .budget_per_day = some_limit(w, 1000),
        .budget_per_month = some_limit(w, 2000),
    };
}

/* Fairway starts anew: what was under way is lost, the ledger is not. */
static void restart(struct world *w)
{
    struct limit_usage usage = limit_usage(&w->account, w->now);
    memset(w->holds, 0, sizeof(w->holds));
    w->requests = w->tokens = (struct minute){.seen = w->now.steady};
    limit_init(&w->account, w->now);
    limit_restore(&w->account, &usage, w->now);
}

static void time_passes(struct world *w)
{
    static const nsec lengths[] = {SEC(1),    SEC(20),      SEC(60),
                                   SEC(3600), CALENDAR_DAY, 20 * CALENDAR_DAY};
    size_t longest = below(w, 4) ? 3 : ARRAY_LEN(lengths);
    nsec time = (nsec)below(w, (uint64_t)lengths[below(w, longest)]);
    w->now.steady += time;
    w->now.wall += time;
}

static void one_step(struct world *w)
{
    uint64_t dice = below(w, 100);
    if (dice < 45)
        reserve(w);
    else if (dice < 65)
        settle(w);
    else if (dice < 73)
        release(w);
    else if (dice < 75)
        change_rules(w);
    else if (dice < 76)
        restart(w);
    else
        time_passes(w);
    check_books(w);
}

static void run_history(uint64_t seed)
{
    static struct world world;
    struct world *w = &world;
    *w = (struct world){.seed = seed, .random = seed};
    w->now = (struct limit_time){.steady = (nsec)below(w, (uint64_t)SEC(1000)),
                                 .wall = (nsec)below(w, (uint64_t)CALENDAR_DAY * 30000)};
    limit_init(&w->account, w->now);
    w->requests.seen = w->tokens.seen = w->now.steady;
    change_rules(w);
    for (w->step = 0; w->step < STEPS; w->step++)
        one_step(w);
    for (int i = 0; i < HOLDS; i++)
        if (w->holds[i].open)
            limit_release(&w->account, &w->rules, &w->holds[i], true, w->now);
    TRUE_OF(w->account.own.running + w->account.own.held_tokens + w->account.own.held_cost == 0);
}

static void test_the_books_balance(void **state)
{
    uint64_t first = test_seed(1);
    for (uint64_t i = 0; i < (getenv("FAIRWAY_SEED") ? 1 : HISTORIES); i++)
        run_history(first + i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_the_books_balance)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
