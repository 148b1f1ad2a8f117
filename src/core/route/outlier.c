/* SPDX-License-Identifier: Apache-2.0 */
#include "core/route/outlier.h"

enum {
    COMPARED_LEAST = 3,
    LOOK_EVERY = 16, /* ends of a replica: comparing costs a pass over the pool */
};

/* Below these nothing is bad enough, however good the others are. */
#define ERROR_RATE_LEAST 0.2
#define FIRST_BYTE_LEAST 0.25

static bool may_lose_one(const struct route *r)
{
    int up = 0, out = 0;
    for (int i = 0; i < r->count; i++) {
        up += route_is_up(&r->replicas[i]);
        out += route_is_up(&r->replicas[i]) && r->replicas[i].health.opened;
    }
    return 2 * (out + 1) <= up;
}

static const struct health_decayed *errors_of(const struct health *h)
{
    return &h->errors;
}

static const struct health_decayed *first_byte_of(const struct health *h)
{
    return &h->first_byte;
}

/* Sorted as they are found; of 256 at most. */
static void insert_sorted(double *values, int *count, double value)
{
    int at = (*count)++;
    for (; at > 0 && values[at - 1] > value; at--)
        values[at] = values[at - 1];
    values[at] = value;
}

static bool far_worse(const struct route *r, int place,
                      const struct health_decayed *(*of)(const struct health *h), double least,
                      nsec now)
{
    const struct route_options *o = &r->options;
    double values[ROUTE_REPLICAS_MAX];
    int count = 0;
    double own = health_mean(of(&r->replicas[place].health));
    if (own < least ||
        health_weight(of(&r->replicas[place].health), &o->health, now) < o->outlier_samples)
        return false;
    for (int i = 0; i < r->count; i++) {
        const struct route_replica *replica = &r->replicas[i];
        const struct health_decayed *d = of(&replica->health);
        if (route_is_up(replica) && !replica->health.opened &&
            health_weight(d, &o->health, now) >= o->outlier_samples)
            insert_sorted(values, &count, health_mean(d));
    }
    return count >= COMPARED_LEAST && own > o->outlier_factor * values[(count - 1) / 2];
}

void outlier_check(struct route *r, int place, nsec now)
{
    struct route_replica *replica = &r->replicas[place];
    if (r->options.outlier_factor <= 0 || !route_is_up(replica) || replica->health.opened ||
        replica->served % LOOK_EVERY)
        return;
    if (!far_worse(r, place, errors_of, ERROR_RATE_LEAST, now) &&
        !far_worse(r, place, first_byte_of, FIRST_BYTE_LEAST, now))
        return;
    if (!may_lose_one(r))
        return;
    health_eject(&replica->health, &r->options.health, now);
    r->ejected++;
}
