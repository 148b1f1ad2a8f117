/* SPDX-License-Identifier: Apache-2.0 */
#include "core/limit/limit.h"

#include "base/err.h"
#include "core/limit/calendar.h"

/* Of a bucket, in one request or token. */
#define UNITS (60 * NSEC_PER_SEC)

static uint64_t amount(uint64_t n)
{
    return MIN(n, LIMIT_AMOUNT_MAX);
}

static uint64_t add(uint64_t a, uint64_t b)
{
    uint64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

static uint64_t left_of(uint64_t limit, uint64_t used)
{
    return limit - MIN(limit, used);
}

/* ---- time passes ---- */

static unsigned __int128 drained(unsigned __int128 used, uint64_t limit, nsec passed)
{
    unsigned __int128 drain = (unsigned __int128)limit * (uint64_t)passed;
    return limit == 0 || drain >= used ? 0 : used - drain;
}

/* True: a new window begins. */
static bool window_moves(int64_t *window, int64_t now)
{
    bool begins = now > *window;
    if (begins || now < *window - 1)
        *window = now;
    return begins;
}

static void windows_move(struct limit_usage *u, nsec wall)
{
    if (window_moves(&u->day, calendar_day(wall)))
        u->day_tokens = u->day_spend = 0;
    if (window_moves(&u->month, calendar_month(wall)))
        u->month_spend = 0;
}

static void advance(struct limit_account *a, const struct limit_rules *rules, struct limit_time now)
{
    nsec passed = MAX(now.steady - a->seen, 0);
    a->requests = drained(a->requests, rules->requests_per_minute, passed);
    a->tokens = drained(a->tokens, rules->tokens_per_minute, passed);
    a->seen += passed;
    windows_move(&a->usage, now.wall);
}

void limit_init(struct limit_account *a, struct limit_time now)
{
    *a = (struct limit_account){.seen = now.steady};
    a->usage.day = calendar_day(now.wall);
    a->usage.month = calendar_month(now.wall);
}

/* ---- may it? ---- */

/* One limit beside what a request wants of it. */
struct gauge {
    uint64_t limit, want, left;
    nsec wait; /* 0: passes */
};

static struct gauge bucket_gauge(uint64_t limit, unsigned __int128 used, uint64_t want)
{
    unsigned __int128 room = (unsigned __int128)limit * UNITS,
                      need = used + (unsigned __int128)want * UNITS;
    struct gauge g = {.limit = limit, .want = want};
    g.left = used < room ? (uint64_t)((room - used) / UNITS) : 0;
    if (limit && need > room) {
        unsigned __int128 wait = (need - room + limit - 1) / limit;
        g.wait = want > limit || wait > NSEC_NEVER ? NSEC_NEVER : (nsec)wait;
    }
    return g;
}

static struct gauge window_gauge(uint64_t limit, uint64_t settled, uint64_t held, uint64_t want,
                                 nsec until_next)
{
    struct gauge g = {.limit = limit, .want = want, .left = left_of(limit, add(settled, held))};
    if (want > g.left)
        g.wait = want > left_of(limit, held) ? NSEC_NEVER : until_next;
    return g;
}

static struct gauge concurrency_gauge(uint64_t limit, uint64_t running)
{
    struct gauge g = {.limit = limit, .want = 1, .left = left_of(limit, running)};
    g.wait = g.left ? 0 : NSEC_NEVER;
    return g;
}

static struct gauge gauge_of(const struct limit_account *a, const struct limit_rules *rules,
                             const struct limit_want *want, enum limit_kind kind, nsec wall)
{
    const struct limit_usage *u = &a->usage;
    uint64_t held_tokens = add(a->own.held_tokens, a->others.held_tokens);
    uint64_t held_cost = add(a->own.held_cost, a->others.held_cost);
    nsec day_ends = calendar_day_start(u->day + 1), month_ends = calendar_month_start(u->month + 1);
    switch (kind) {
    case LIMIT_REQUESTS_PER_MINUTE:
        return bucket_gauge(rules->requests_per_minute, a->requests, 1);
    case LIMIT_TOKENS_PER_MINUTE:
        return bucket_gauge(rules->tokens_per_minute, a->tokens, want->tokens);
    case LIMIT_CONCURRENCY:
        return concurrency_gauge(rules->concurrency, add(a->own.running, a->others.running));
    case LIMIT_TOKENS_PER_DAY:
        return window_gauge(rules->tokens_per_day, u->day_tokens, held_tokens, want->tokens,
                            day_ends - wall);
    case LIMIT_BUDGET_PER_DAY:
        return window_gauge(rules->budget_per_day, u->day_spend, held_cost, want->cost,
                            day_ends - wall);
    default:
        return window_gauge(rules->budget_per_month, u->month_spend, held_cost, want->cost,
                            month_ends - wall);
    }
}

/* Of those that refuse, the one with the longest wait, and of those one that no end of another
 * request helps. */
static bool refused(const struct limit_account *a, const struct limit_rules *rules,
                    const struct limit_want *want, nsec wall, struct limit_refusal *ret_refusal)
{
    struct limit_refusal worst = {.retry_after = 0};
    for (int kind = 0; kind < LIMIT_KIND_COUNT; kind++) {
        struct gauge g = gauge_of(a, rules, want, (enum limit_kind)kind, wall);
        bool too_big = g.want > g.limit;
        if (g.limit == 0 || g.want == 0 || g.wait == 0)
            continue;
        if (g.wait > worst.retry_after || (too_big && !worst.too_big))
            worst = (struct limit_refusal){(enum limit_kind)kind, g.limit, g.left, g.wait, too_big};
    }
    if (worst.retry_after)
        *ret_refusal = worst;
    return worst.retry_after > 0;
}

/* ---- holds ---- */

/* What has drained meanwhile cannot come back: the bucket is full at most. */
static unsigned __int128 given_back(unsigned __int128 used, uint64_t n)
{
    unsigned __int128 back = (unsigned __int128)n * UNITS;
    return back < used ? used - back : 0;
}

/* Below 0 it is given back. */
static unsigned __int128 charged(unsigned __int128 used, int64_t n)
{
    return n < 0 ? given_back(used, -(uint64_t)n) : used + (unsigned __int128)n * UNITS;
}

static void charge_requests(struct limit_account *a, int64_t n)
{
    a->requests = charged(a->requests, n);
    a->own.requests += (uint64_t)n;
}

static void charge_tokens(struct limit_account *a, int64_t n)
{
    a->tokens = charged(a->tokens, n);
    a->own.tokens += (uint64_t)n;
}

int limit_reserve(struct limit_account *a, const struct limit_rules *rules,
                  const struct limit_want *want, struct limit_time now, struct limit_hold *ret_hold,
                  struct limit_refusal *ret_refusal)
{
    const struct limit_want cut = {amount(want->tokens), amount(want->cost)};
    advance(a, rules, now);
    if (refused(a, rules, &cut, now.wall, ret_refusal))
        return ERR_FULL;
    charge_requests(a, 1);
    charge_tokens(a, (int64_t)cut.tokens);
    a->own.running++;
    a->own.held_tokens += cut.tokens;
    a->own.held_cost += cut.cost;
    *ret_hold = (struct limit_hold){.tokens = cut.tokens, .cost = cut.cost, .open = true};
    return 0;
}

static void close_hold(struct limit_account *a, struct limit_hold *hold)
{
    struct limit_charge *own = &a->own;
    CHECK(hold->open && own->running > 0);
    CHECK(own->held_tokens >= hold->tokens && own->held_cost >= hold->cost);
    hold->open = false;
    own->running--;
    own->held_tokens -= hold->tokens;
    own->held_cost -= hold->cost;
}

void limit_settle(struct limit_account *a, const struct limit_rules *rules, struct limit_hold *hold,
                  uint64_t tokens, uint64_t cost, struct limit_time now)
{
    uint64_t real = amount(tokens);
    advance(a, rules, now);
    close_hold(a, hold);
    charge_tokens(a, (int64_t)(real - hold->tokens));
    a->usage.day_tokens = add(a->usage.day_tokens, real);
    a->usage.day_spend = add(a->usage.day_spend, amount(cost));
    a->usage.month_spend = add(a->usage.month_spend, amount(cost));
}

void limit_release(struct limit_account *a, const struct limit_rules *rules,
                   struct limit_hold *hold, bool refused_later, struct limit_time now)
{
    advance(a, rules, now);
    close_hold(a, hold);
    charge_tokens(a, -(int64_t)hold->tokens);
    if (refused_later)
        charge_requests(a, -1);
}

/* ---- reports ---- */

static struct limit_rate rate_of(uint64_t limit, unsigned __int128 used)
{
    if (limit == 0)
        return (struct limit_rate){0};
    unsigned __int128 reset = (used + limit - 1) / limit;
    return (struct limit_rate){
        .limit = limit,
        .remaining = bucket_gauge(limit, used, 0).left,
        .reset = reset > NSEC_NEVER ? NSEC_NEVER : (nsec)reset,
    };
}

struct limit_snapshot limit_snapshot(const struct limit_account *a, const struct limit_rules *rules,
                                     struct limit_time now)
{
    struct limit_account then = *a;
    advance(&then, rules, now);
    return (struct limit_snapshot){
        .requests = rate_of(rules->requests_per_minute, then.requests),
        .tokens = rate_of(rules->tokens_per_minute, then.tokens),
    };
}

struct limit_usage limit_usage(const struct limit_account *a, struct limit_time now)
{
    struct limit_usage usage = a->usage;
    windows_move(&usage, now.wall);
    return usage;
}

void limit_restore(struct limit_account *a, const struct limit_usage *usage, struct limit_time now)
{
    a->usage = *usage;
    windows_move(&a->usage, now.wall);
}

void limit_add_usage(struct limit_account *a, const struct limit_usage *usage,
                     struct limit_time now)
{
    windows_move(&a->usage, now.wall);
    if (usage->day == a->usage.day) {
        a->usage.day_tokens = add(a->usage.day_tokens, usage->day_tokens);
        a->usage.day_spend = add(a->usage.day_spend, usage->day_spend);
    }
    if (usage->month == a->usage.month)
        a->usage.month_spend = add(a->usage.month_spend, usage->month_spend);
}

/* ---- several gateways ---- */

void limit_set_others(struct limit_account *a, const struct limit_rules *rules,
                      const struct limit_charge *others, struct limit_time now)
{
    advance(a, rules, now);
    a->requests = charged(a->requests, (int64_t)(others->requests - a->others.requests));
    a->tokens = charged(a->tokens, (int64_t)(others->tokens - a->others.tokens));
    a->others = *others;
}

void limit_join(struct limit_account *a, const struct limit_rules *rules, uint64_t requests,
                uint64_t tokens, struct limit_time now)
{
    advance(a, rules, now);
    a->requests = MAX(a->requests, (unsigned __int128)amount(requests) * UNITS);
    a->tokens = MAX(a->tokens, (unsigned __int128)amount(tokens) * UNITS);
    a->others = (struct limit_charge){0};
}

static uint64_t whole(unsigned __int128 used)
{
    unsigned __int128 n = (used + UNITS - 1) / UNITS;
    return n < UINT64_MAX ? (uint64_t)n : UINT64_MAX;
}

void limit_level(const struct limit_account *a, const struct limit_rules *rules,
                 struct limit_time now, uint64_t *ret_requests, uint64_t *ret_tokens)
{
    struct limit_account then = *a;
    advance(&then, rules, now);
    *ret_requests = whole(then.requests);
    *ret_tokens = whole(then.tokens);
}

const char *limit_text(enum limit_kind kind)
{
    static const char *const texts[] = {
#define X(name, member, text) [name] = text,
        LIMIT_KINDS(X)
#undef X
    };
    return texts[kind];
}
