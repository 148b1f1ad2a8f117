/* SPDX-License-Identifier: Apache-2.0 */
/* A router with a few equal replicas, for the tests of core/route. */
#ifndef FAIRWAY_ROUTE_FIXTURE_H
#define FAIRWAY_ROUTE_FIXTURE_H

#include "core/route/route.h"
#include "test.h"

static const struct route_set none;

static inline struct route_options fixture_options(const struct route_policy *policy)
{
    return (struct route_options){
        .policy = policy,
        .health =
            {
                .open_after = 1,
                .error_rate = 0.5,
                .error_samples = 10,
                .open_first = SEC(1),
                .open_max = SEC(4),
                .half_life = SEC(10),
            },
        .outlier_factor = 5,
        .outlier_samples = 10,
        .slow_start = SEC(10),
        .seed = 7,
    };
}

static inline void fixture_put(struct route *r, uint64_t id, unsigned slots, nsec now)
{
    const struct route_spec spec = {.id = id, .slots = slots};
    assert_int_equal(route_put(r, &spec, now), 0);
}

static inline struct route fixture(const struct route_policy *policy, int replicas, unsigned slots)
{
    struct route r;
    const struct route_options options = fixture_options(policy);
    route_init(&r, &options);
    for (int i = 0; i < replicas; i++)
        fixture_put(&r, (uint64_t)i + 1, slots, 0);
    return r;
}

static inline int choose(const struct route *r, const struct route_request *request, nsec now)
{
    return route_choose(r, request, &none, now).place;
}

/* Chooses and begins; a hold without a place if nobody can take it. */
static inline struct route_hold take(struct route *r, const struct route_request *request, nsec now)
{
    int place = choose(r, request, now);
    if (place == ROUTE_NONE)
        return (struct route_hold){.place = ROUTE_NONE};
    return route_begin(r, place, request, now);
}

/* One whole request at a given place. */
static inline void serve(struct route *r, int place, enum route_outcome outcome, nsec took,
                         nsec now)
{
    const struct route_request request = {.prompt_tokens = 10};
    struct route_hold hold = route_begin(r, place, &request, now - took);
    if (outcome == ROUTE_OK)
        route_first_byte(r, &hold, now);
    route_end(r, &hold, &request, outcome, now);
}

#endif
