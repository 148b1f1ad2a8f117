/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hash.h"
#include "base/rng.h"
#include "core/route/scan.h"

static const struct route_replica *replica_of(const struct route_scan *scan,
                                              const struct route_score *score)
{
    return &scan->route->replicas[score->place];
}

/* ---- round_robin ---- */

static void all_equal(const struct route_scan *scan, struct route_score *score)
{
    score->score = 0;
}

/* ---- least_load ---- */

static uint64_t share_in_use(const struct route_replica *replica)
{
    return ((uint64_t)replica->running << 32) / replica->spec.slots;
}

static void least_load(const struct route_scan *scan, struct route_score *score)
{
    const struct route_replica *replica = replica_of(scan, score);
    score->score = share_in_use(replica);
    score->second = replica->tokens;
}

/* ---- power_of_two ---- */

/* The draw depends on how many requests have begun, not on how often somebody asks: route_choose
 * changes nothing and gives the same answer until something happens. */
static void draw_two(struct route_scan *scan)
{
    if (scan->count <= 2)
        return;
    struct rng rng = rng_from(rng_at(scan->route->options.seed, scan->route->begun));
    int a = (int)rng_below(&rng, (uint64_t)scan->count);
    int b = (int)rng_below(&rng, (uint64_t)scan->count - 1);
    b += b >= a;
    int16_t first = scan->places[a], second = scan->places[b];
    scan->places[0] = first;
    scan->places[1] = second;
    scan->count = 2;
}

/* ---- prefix ---- */

static void match_prefix(struct route_scan *scan)
{
    const struct route_request *request = scan->request;
    prefix_match(scan->route->options.prefix, request->blocks, request->block_count, scan->matched);
}

/* Both parts are tokens to work through, so a long cached prefix outweighs a little load and no
 * prefix outweighs a lot. */
static void least_work(const struct route_scan *scan, struct route_score *score)
{
    const struct route_replica *replica = replica_of(scan, score);
    score->matched = scan->matched[score->place];
    score->uncached = route_uncached(replica, scan->request, score->matched);
    score->score = score->uncached + score->ahead;
    score->second = share_in_use(replica);
}

/* ---- session ---- */

/* Rendezvous hashing: every replica draws a number per session and the least has it. A replica
 * that comes or goes moves only the sessions that it gains or held. With bounded load
 * (Mirrokni, Thorup, Zadimoghaddam, 2018): who is above its share by a quarter stands back. */
static bool above_bound(const struct route_scan *scan, const struct route_replica *replica)
{
    uint64_t slots = MAX(scan->slots, 1u);
    uint64_t bound =
        (5 * (uint64_t)(scan->running + 1) * replica->spec.slots + 4 * slots - 1) / (4 * slots);
    return replica->running + 1 > bound;
}

static void own_replica(const struct route_scan *scan, struct route_score *score)
{
    const struct route_replica *replica = replica_of(scan, score);
    if (scan->request->session == 0) {
        least_load(scan, score);
        return;
    }
    uint64_t draw = hash_combine(scan->request->session, replica->spec.id) >> 1;
    score->score = draw | (uint64_t)above_bound(scan, replica) << 63;
}

/* ---- weighted ---- */

/* Stride scheduling: a turn takes a replica 1/weight of virtual time, and who would be half way
 * through its turn first has it. One that was full catches up on one turn at most (take_turn). */
static void next_turn(const struct route_scan *scan, struct route_score *score)
{
    const struct route_replica *replica = replica_of(scan, score);
    score->score = replica->turn + route_stride(replica) / 2;
}

const struct route_policy route_round_robin = {.name = "round_robin", .score = all_equal};
const struct route_policy route_least_load = {.name = "least_load", .score = least_load};
const struct route_policy route_power_of_two = {
    .name = "power_of_two", .prepare = draw_two, .score = least_load};
const struct route_policy route_prefix = {
    .name = "prefix", .matches = true, .prepare = match_prefix, .score = least_work};
const struct route_policy route_session = {.name = "session", .score = own_replica};
const struct route_policy route_weighted = {.name = "weighted", .score = next_turn};

const struct route_policy *route_policy_find(struct str name)
{
    static const struct route_policy *const all[] = {
        &route_round_robin, &route_least_load, &route_power_of_two,
        &route_prefix,      &route_session,    &route_weighted,
    };
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if (str_eq(name, str_from(all[i]->name)))
            return all[i];
    return NULL;
}
