/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several gateways before the same models: what each may do, divided in one place that they report to. Pure.
 *
 * Gateways have numbers below SHARE_GATEWAYS_MAX; a set of them is a mask. Each reports now and then and is answered; between
 * two answers it acts by the last one.
 *
 * - A tenant's limits (struct share_limits): every gateway charges an account of its own (core/limit) and is told what the
 *   others have charged. So no gateway waits for another, and the limit is passed by at most what the others admit before it
 *   is told.
 * - A replica's slots (struct share_slots): every gateway has a lease of some and sends no more requests there at a time. The
 *   leases go by what each wants, the least first (max-min fairness), and what nobody wants is divided evenly. What a gateway
 *   may still act by, or still runs, is not given to another; so the requests at a replica pass its slots by at most one for
 *   each gateway but one: everybody has a lease of one at least, so that a first request never waits for an answer.
 *
 * Ownership: the caller's memory, of fixed size, without pointers. Thread rule: one thread at a time.
 */
#ifndef FAIRWAY_CORE_SHARE_H
#define FAIRWAY_CORE_SHARE_H

#include "core/limit/limit.h"

enum {
    SHARE_GATEWAYS_MAX = 16,
    SHARE_NOBODY = SHARE_GATEWAYS_MAX /* a gateway that is none of them */
};

/* ---- a tenant's limits ---- */

struct share_limits {
    struct limit_charge sum; /* of all; its totals since the first report of any */
    struct {
        struct limit_charge now; /* as reported; its totals are not used */
        uint64_t requests, tokens, settled_tokens,
            settled_cost; /* of the sums: not to be told it */
    } of[SHARE_GATEWAYS_MAX];
    uint64_t settled_tokens, settled_cost; /* served, of the present day */
};

/* What the others did. Settled: to be added to the day's and the month's usage, since the gateway joined. */
struct share_others {
    struct limit_charge charge;
    uint64_t settled_tokens, settled_cost;
};

/* It will be told what the others charge from now on; of what they have settled, also what was before if it `knows_nothing`. */
void share_limits_join(struct share_limits *s, unsigned gateway, bool knows_nothing);
/* Charged since its last report (requests, tokens), and open now (the rest). */
void share_limits_report(struct share_limits *s, unsigned gateway,
                         const struct limit_charge *report);
/* Served there, or by SHARE_NOBODY. */
void share_limits_settle(struct share_limits *s, unsigned gateway, uint64_t tokens, uint64_t cost);
/* It has ended: nothing of it is open any more. */
void share_limits_leave(struct share_limits *s, unsigned gateway);
struct share_others share_limits_others(const struct share_limits *s, unsigned gateway);

/* ---- a replica's slots ---- */

struct share_lease {
    unsigned running, want; /* as reported: there now, and there if it could */
    unsigned granted;       /* by the last answer */
    unsigned
        in_force; /* the most that it may act by: an answer that it has not acknowledged may not have come */
};

struct share_slots {
    unsigned slots;
    struct share_lease of[SHARE_GATEWAYS_MAX];
};

/* It may act by so many until it is told otherwise. */
void share_slots_join(struct share_slots *s, unsigned gateway, unsigned in_force);
/* acknowledged: it acts by the last answer. */
void share_slots_report(struct share_slots *s, unsigned gateway, unsigned running, unsigned want,
                        bool acknowledged);
void share_slots_leave(struct share_slots *s, unsigned gateway);
/* The answer to one of the members. At least 1. */
unsigned share_slots_grant(struct share_slots *s, unsigned members, unsigned gateway);

#endif
