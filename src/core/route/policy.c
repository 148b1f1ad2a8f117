/* SPDX-License-Identifier: Apache-2.0 */
#include "core/route/route.h"

static int least_load(const struct route_replica *a, const struct route_replica *b)
{
    /* a.running / a.slots against b.running / b.slots, without division */
    uint64_t x = (uint64_t)a->running * b->slots, y = (uint64_t)b->running * a->slots;
    if (x != y)
        return x < y ? -1 : 1;
    return (a->tokens > b->tokens) - (a->tokens < b->tokens);
}

static int all_equal(const struct route_replica *a, const struct route_replica *b)
{
    return 0;
}

const struct route_policy route_least_load = {"least_load", least_load};
const struct route_policy route_round_robin = {"round_robin", all_equal};

const struct route_policy *route_policy_find(struct str name)
{
    static const struct route_policy *const all[] = {&route_least_load, &route_round_robin};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if (str_eq(name, str_from(all[i]->name)))
            return all[i];
    return NULL;
}
