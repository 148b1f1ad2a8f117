/* SPDX-License-Identifier: Apache-2.0 */
#include "core/route/scan.h"

/* A young replica has a part of its slots, at least one; `*ret_more_at`: when it gets the next. */
static unsigned slots_now(const struct route *r, const struct route_replica *replica, nsec now,
                          nsec *ret_more_at)
{
    unsigned slots = replica->spec.slots;
    nsec time = r->options.slow_start, left = replica->warm_at - now;
    *ret_more_at = NSEC_NEVER;
    if (left <= 0 || slots <= 1 || time <= 0)
        return slots;
    nsec passed = MAX(time - left, 0);
    unsigned more = (unsigned)((__int128)passed * (slots - 1) / time);
    nsec next = (nsec)(((__int128)(more + 1) * time + slots - 2) / (slots - 1));
    *ret_more_at = replica->warm_at - time + next;
    return 1 + more;
}

/* Slow start is for replicas that join others: alone, a young one must take everything. */
static bool has_warm_replica(const struct route *r, nsec now)
{
    for (int i = 0; i < r->count; i++) {
        const struct route_replica *replica = &r->replicas[i];
        if (route_is_up(replica) && !replica->health.opened && replica->warm_at <= now)
            return true;
    }
    return false;
}

/* A request that is larger than the whole replica may run there alone. */
static bool has_tokens(const struct route_replica *replica, const struct route_request *request)
{
    uint64_t wanted = request->prompt_tokens + request->output_tokens;
    return replica->spec.kv_tokens == 0 || replica->running == 0 ||
           replica->tokens + wanted <= replica->spec.kv_tokens;
}

static bool has_room(const struct route *r, const struct route_replica *replica,
                     const struct route_request *request, bool pool_is_warm, nsec now,
                     nsec *retry_at)
{
    nsec more_at = NSEC_NEVER;
    unsigned slots = pool_is_warm ? slots_now(r, replica, now, &more_at) : replica->spec.slots;
    if (replica->running >= slots) {
        *retry_at = MIN(*retry_at, more_at);
        return false;
    }
    return has_tokens(replica, request) &&
           !(health_is_half_open(&replica->health, now) && replica->probes);
}

/* Counts the replica among the candidates or among those that are none. */
static void consider(struct route_scan *scan, struct route_choice *choice, int place,
                     const struct route_set *tried, bool pool_is_warm, nsec now)
{
    const struct route_replica *replica = &scan->route->replicas[place];
    uint64_t wanted = scan->request->revision;
    if (replica->spec.id == 0 || replica->removed)
        return;
    if (replica->spec.draining) {
        choice->draining++;
        return;
    }
    if (!replica->health.opened) {
        scan->running += replica->running;
        scan->slots += replica->spec.slots;
    }
    if (wanted && wanted != replica->spec.revision) {
        choice->other_revision++;
    } else if (route_set_has(tried, place)) {
        choice->tried++;
    } else if (health_is_open(&replica->health, now)) {
        choice->ejected++;
        choice->retry_at = MIN(choice->retry_at, replica->health.open_until);
    } else if (!has_room(scan->route, replica, scan->request, pool_is_warm, now,
                         &choice->retry_at)) {
        choice->full++;
    } else {
        scan->places[scan->count++] = (int16_t)place;
    }
}

static bool better(const struct route_score *a, const struct route_score *b)
{
    return a->score != b->score ? a->score < b->score : a->second < b->second;
}

/* Keeps the best few in order; of equal ones the first seen stands in front. */
static void rank(struct route_choice *choice, const struct route_score *score)
{
    int at = choice->best_count;
    while (at > 0 && better(score, &choice->best[at - 1]))
        at--;
    if (at == ROUTE_BEST_MAX)
        return;
    choice->best_count = MIN(choice->best_count + 1, ROUTE_BEST_MAX);
    for (int i = choice->best_count - 1; i > at; i--)
        choice->best[i] = choice->best[i - 1];
    choice->best[at] = *score;
}

static void score(const struct route_scan *scan, struct route_choice *choice)
{
    const struct route_policy *policy = scan->route->options.policy;
    for (int i = 0; i < scan->count; i++) {
        const struct route_replica *replica = &scan->route->replicas[scan->places[i]];
        struct route_score one = {
            .place = scan->places[i],
            .uncached = scan->request->prompt_tokens,
            .ahead = replica->prefill + replica->decode,
        };
        policy->score(scan, &one);
        rank(choice, &one);
    }
}

static uint64_t least_uncached(const struct route_scan *scan)
{
    const struct route *r = scan->route;
    uint64_t least = scan->request->prompt_tokens;
    for (int i = 0; r->options.policy->matches && i < r->count; i++)
        if (route_is_up(&r->replicas[i]) && !r->replicas[i].health.opened)
            least = MIN(least, route_uncached(&r->replicas[i], scan->request, scan->matched[i]));
    return least;
}

struct route_choice route_choose(const struct route *r, const struct route_request *request,
                                 const struct route_set *tried, nsec now)
{
    struct route_choice choice = {.place = ROUTE_NONE, .retry_at = NSEC_NEVER};
    struct route_scan scan; /* not cleared as a whole: it is large, and `count` says what is set */
    scan.route = r;
    scan.request = request;
    scan.count = 0;
    scan.running = scan.slots = 0;
    bool pool_is_warm = has_warm_replica(r, now);
    for (int i = 0; i < r->count; i++)
        consider(&scan, &choice, (r->rotation + i) % r->count, tried, pool_is_warm, now);
    choice.candidates = scan.count;
    if (scan.count == 0)
        return choice;
    if (r->options.policy->prepare)
        r->options.policy->prepare(&scan);
    score(&scan, &choice);
    choice.least_uncached = MIN(least_uncached(&scan), choice.best[0].uncached);
    choice.place = choice.best[0].place;
    choice.retry_at = NSEC_NEVER;
    return choice;
}
