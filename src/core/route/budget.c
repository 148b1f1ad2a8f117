/* SPDX-License-Identifier: Apache-2.0 */
#include "core/route/budget.h"

#include "base/check.h"

void budget_init(struct budget *b)
{
    *b = (struct budget){.reserve = __builtin_inf()}; /* cut to what the rules say at first use */
}

static void pass_time(struct budget *b, const struct budget_rules *rules, nsec now)
{
    double passed = nsec_to_seconds(MAX(now - b->seen, 0));
    double filled = b->reserve + rules->reserve * passed / nsec_to_seconds(rules->refill);
    b->earned *= __builtin_exp2(-passed / nsec_to_seconds(rules->half_life));
    b->reserve = MIN(filled, rules->reserve);
    b->seen = MAX(now, b->seen);
}

void budget_earn(struct budget *b, const struct budget_rules *rules, nsec now)
{
    pass_time(b, rules, now);
    b->earned += rules->ratio;
}

bool budget_spend(struct budget *b, const struct budget_rules *rules, nsec now)
{
    pass_time(b, rules, now);
    double *from = b->earned >= 1 ? &b->earned : &b->reserve;
    if (*from < 1) {
        b->refused++;
        return false;
    }
    *from -= 1;
    b->spent++;
    return true;
}
