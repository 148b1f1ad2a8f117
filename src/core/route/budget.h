/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A budget for extra work (retries, hedges): a share of the ordinary requests, plus a small reserve
 * so that a quiet pool is not left without. Pure.
 *
 * Every ordinary request earns `ratio`; what is earned and not spent fades with `half_life`. The
 * reserve refills from nothing to full in `refill`. Spending takes 1, of what is earned first.
 *
 * Invariant: over any time, spent <= earned + reserve * (1 + time / refill). Ownership: the struct
 * is the caller's and needs no fini. Thread rule: one thread at a time.
 */
#ifndef FAIRWAY_CORE_BUDGET_H
#define FAIRWAY_CORE_BUDGET_H

#include "base/time.h"

struct budget_rules {
    double ratio;
    nsec half_life;
    double reserve;
    nsec refill;
};

struct budget {
    double earned, reserve;
    nsec seen;
    uint64_t spent, refused; /* for reports */
};

void budget_init(struct budget *b); /* with a full reserve */
void budget_earn(struct budget *b, const struct budget_rules *rules, nsec now);
/* False: nothing is left. */
[[nodiscard]] bool budget_spend(struct budget *b, const struct budget_rules *rules, nsec now);

#endif
