/* SPDX-License-Identifier: Apache-2.0 */
#include "core/route/health.h"

#include "base/check.h"

void health_init(struct health *h)
{
    *h = (struct health){.failed_at = INT64_MIN};
}

static double faded(const struct health_decayed *d, nsec half_life, nsec now)
{
    return __builtin_exp2(-nsec_to_seconds(now - d->seen) / nsec_to_seconds(half_life));
}

static void remember(struct health_decayed *d, double value, nsec half_life, nsec now)
{
    double left = faded(d, half_life, now);
    *d = (struct health_decayed){d->sum * left + value, d->weight * left + 1, now};
}

double health_mean(const struct health_decayed *d)
{
    return d->weight > 0 ? d->sum / d->weight : 0;
}

double health_weight(const struct health_decayed *d, const struct health_rules *rules, nsec now)
{
    return d->weight * faded(d, rules->half_life, now);
}

static nsec open_time(const struct health_rules *rules, unsigned opened)
{
    nsec time = rules->open_first;
    while (--opened && time < rules->open_max)
        time *= 2;
    return MIN(time, rules->open_max);
}

static void open(struct health *h, const struct health_rules *rules, nsec now)
{
    h->opened++;
    h->open_until = nsec_after(now, open_time(rules, h->opened));
}

void health_success(struct health *h, const struct health_rules *rules, nsec began, nsec now)
{
    remember(&h->errors, 0, rules->half_life, now);
    /* A long stream that began before the trouble does not prove that a new request would go well. */
    if (began <= h->failed_at)
        return;
    h->failures = 0;
    h->opened = 0;
}

static bool too_many(const struct health *h, const struct health_rules *rules)
{
    return h->failures >= rules->open_after || (h->errors.weight >= rules->error_samples &&
                                                health_mean(&h->errors) >= rules->error_rate);
}

void health_failure(struct health *h, const struct health_rules *rules, nsec began, nsec now)
{
    if (health_is_open(h, now) || began < h->failed_at)
        return;
    remember(&h->errors, 1, rules->half_life, now);
    h->failures++;
    h->failed_at = now;
    if (h->opened || too_many(h, rules))
        open(h, rules, now);
}

void health_first_byte(struct health *h, const struct health_rules *rules, nsec took, nsec now)
{
    remember(&h->first_byte, nsec_to_seconds(took), rules->half_life, now);
}

void health_eject(struct health *h, const struct health_rules *rules, nsec now)
{
    h->failed_at = now;
    h->errors = h->first_byte = (struct health_decayed){0};
    open(h, rules, now);
}
