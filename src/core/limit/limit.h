/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a tenant may use: requests and tokens in a minute, requests at a time, tokens and money in a
 * day and a month (UTC). A request reserves its estimate under all limits in one step, or under
 * none; at its end the real usage takes the estimate's place. Pure.
 *
 *   limit_reserve --> hold --> limit_settle    it was served: real usage
 *                        \--> limit_release   it was not: everything goes back
 *
 * Rules:
 * - Minutes are leaky buckets: a minute's worth may come at once, and what was used drains evenly,
 *   the limit in a minute. Days and months are calendar windows: what is settled in one counts in
 *   it, and what is reserved counts in the present one until it is settled.
 * - Usage beyond the estimate is counted, also beyond a limit: the debt keeps later requests out
 *   until it has drained or the window ends. A limit of which a request wants nothing does not
 *   refuse it.
 * - A request that was accepted counts as one, whether it is served or its client leaves; one that
 *   is refused does not, neither here nor later by the caller (limit_release with `refused`).
 * - Several limits refuse: the one with the longest wait is named, so that after it the same
 *   request passes if nothing else came.
 * - Rules may change from call to call: usage stays, drains at the new rate from the last call on,
 *   and a minute's usage under no limit is forgotten.
 * - A wall clock that steps back by less than a window leaves the window as it is; one that steps
 *   back further (it had been wrong) takes the window along, with its usage.
 *
 * Units: money in millionths. Everything is integer and exact; amounts over LIMIT_AMOUNT_MAX count
 * as that. Ownership: account and holds are the caller's memory, of fixed size, without pointers.
 * Thread rule: one thread at a time per account.
 */
#ifndef FAIRWAY_CORE_LIMIT_H
#define FAIRWAY_CORE_LIMIT_H

#include "base/time.h"

#define LIMIT_AMOUNT_MAX UINT64_C(1000000000000) /* tokens, or millionths, of one request */
#define LIMIT_VALUE_MAX  UINT64_C(1000000000000000000)

/* 0: no limit; at most LIMIT_VALUE_MAX. */
struct limit_rules {
    uint64_t requests_per_minute, tokens_per_minute;
    uint64_t concurrency;
    uint64_t tokens_per_day, budget_per_day, budget_per_month;
};

/* X(name, member of struct limit_rules, text) */
#define LIMIT_KINDS(X)                                                       \
    X(LIMIT_REQUESTS_PER_MINUTE, requests_per_minute, "requests per minute") \
    X(LIMIT_TOKENS_PER_MINUTE, tokens_per_minute, "tokens per minute")       \
    X(LIMIT_CONCURRENCY, concurrency, "requests at a time")                  \
    X(LIMIT_TOKENS_PER_DAY, tokens_per_day, "tokens per day")                \
    X(LIMIT_BUDGET_PER_DAY, budget_per_day, "budget per day")                \
    X(LIMIT_BUDGET_PER_MONTH, budget_per_month, "budget per month")

enum limit_kind {
#define X(name, member, text) name,
    LIMIT_KINDS(X)
#undef X
        LIMIT_KIND_COUNT
};

/* `steady` never goes back and drains the minutes; `wall` counts from 1970 (UTC) and tells days and
 * months. */
struct limit_time {
    nsec steady, wall;
};

struct limit_want {
    uint64_t tokens, cost; /* estimates */
};

struct limit_hold {
    uint64_t tokens, cost;
    bool open; /* to be settled or released, once */
};

/* A window's number is of core/limit/calendar.h. */
struct limit_usage {
    int64_t day, month;
    uint64_t day_tokens, day_spend, month_spend; /* settled */
};

/* What one gateway has charged to an account. */
struct limit_charge {
    uint64_t requests,
        tokens;       /* to the minutes, less what was given back: totals, which may wrap */
    uint64_t running; /* open holds; below: their sums */
    uint64_t held_tokens, held_cost;
};

struct limit_account {
    nsec seen; /* steady: the buckets stand as of then */
    /* A unit drains from a bucket in 1 ns for each in a minute of its limit. */
    unsigned __int128 requests, tokens;
    struct limit_charge own;    /* by the holds of this account */
    struct limit_charge others; /* elsewhere, as last told */
    struct limit_usage usage;
};

struct limit_refusal {
    enum limit_kind kind;
    uint64_t limit, left;
    nsec retry_after; /* NSEC_NEVER: no matter of time; something must end first, or `too_big` */
    bool too_big;     /* it wants more than the whole limit */
};

/* For x-ratelimit-* headers. */
struct limit_rate {
    uint64_t limit, remaining; /* limit 0: none */
    nsec reset;                /* until all of it remains, if nothing else comes */
};

struct limit_snapshot {
    struct limit_rate requests, tokens;
};

void limit_init(struct limit_account *a, struct limit_time now);

/* 0 or ERR_FULL: then nothing was charged, and *ret_refusal says why. */
[[nodiscard]] int limit_reserve(struct limit_account *a, const struct limit_rules *rules,
                                const struct limit_want *want, struct limit_time now,
                                struct limit_hold *ret_hold, struct limit_refusal *ret_refusal);
void limit_settle(struct limit_account *a, const struct limit_rules *rules, struct limit_hold *hold,
                  uint64_t tokens, uint64_t cost, struct limit_time now);
void limit_release(struct limit_account *a, const struct limit_rules *rules,
                   struct limit_hold *hold, bool refused, struct limit_time now);

struct limit_snapshot limit_snapshot(const struct limit_account *a, const struct limit_rules *rules,
                                     struct limit_time now);

/* What a ledger keeps over a restart. Restoring takes the place of what was settled; of a window
 * that is over by now nothing is taken. */
struct limit_usage limit_usage(const struct limit_account *a, struct limit_time now);
void limit_restore(struct limit_account *a, const struct limit_usage *usage, struct limit_time now);
/* What was used elsewhere counts here too, in the windows that are not over. */
void limit_add_usage(struct limit_account *a, const struct limit_usage *usage,
                     struct limit_time now);

/*
 * The same limits at several gateways, each with an account of its own (core/share): what the others charge counts here from
 * the moment that it is told. So much may be over a limit, and no more, as the others admit before they have told it; it is
 * counted then as every debt.
 */

/* The present sum of the others: what was added to its totals since it was last told is charged now. */
void limit_set_others(struct limit_account *a, const struct limit_rules *rules,
                      const struct limit_charge *others, struct limit_time now);
/* Others are told of from now on, their totals from 0 on. Minutes are used at least so much: whole requests and tokens. */
void limit_join(struct limit_account *a, const struct limit_rules *rules, uint64_t requests,
                uint64_t tokens, struct limit_time now);
/* How much of the minutes is used now: whole requests and tokens, rounded up. */
void limit_level(const struct limit_account *a, const struct limit_rules *rules,
                 struct limit_time now, uint64_t *ret_requests, uint64_t *ret_tokens);

const char *limit_text(enum limit_kind kind);

#endif
