/* SPDX-License-Identifier: Apache-2.0 */
#include "core/route/route.h"

void route_init(struct route *r, const struct route_options *options)
{
    *r = (struct route){.options = *options};
}

int route_find(const struct route *r, uint64_t id)
{
    for (int i = 0; i < r->count; i++)
        if (r->replicas[i].id == id && !r->replicas[i].removed)
            return i;
    return ROUTE_NONE;
}

static int free_place(struct route *r)
{
    for (int i = 0; i < r->count; i++)
        if (r->replicas[i].id == 0)
            return i;
    return r->count < ROUTE_REPLICAS_MAX ? r->count++ : ROUTE_NONE;
}

int route_put(struct route *r, uint64_t id, unsigned slots, bool draining)
{
    CHECK(id != 0);
    int place = route_find(r, id);
    if (place == ROUTE_NONE) {
        place = free_place(r);
        if (place == ROUTE_NONE)
            return ERR_FULL;
        r->replicas[place] = (struct route_replica){.id = id};
    }
    r->replicas[place].slots = slots;
    r->replicas[place].draining = draining;
    return 0;
}

static void free_if_empty(struct route *r, int place)
{
    struct route_replica *replica = &r->replicas[place];
    if (!replica->removed || replica->running)
        return;
    *replica = (struct route_replica){0};
    while (r->count > 0 && r->replicas[r->count - 1].id == 0)
        r->count--;
}

void route_remove(struct route *r, uint64_t id)
{
    int place = route_find(r, id);
    if (place == ROUTE_NONE)
        return;
    r->replicas[place].removed = true;
    free_if_empty(r, place);
}

static bool up(const struct route_replica *replica)
{
    return replica->id != 0 && !replica->removed && !replica->draining;
}

static bool has_room(const struct route_replica *replica)
{
    /* After a failure one request at a time tries whether the replica is well again. */
    unsigned slots = replica->failures ? MIN(replica->slots, 1u) : replica->slots;
    return replica->running < slots;
}

struct route_choice route_choose(const struct route *r, const struct route_set *tried, nsec now)
{
    struct route_choice choice = {.place = ROUTE_NONE, .retry_at = NSEC_NEVER};
    for (int i = 0; i < r->count; i++) {
        int place = (r->rotation + i) % r->count;
        const struct route_replica *replica = &r->replicas[place];
        if (!up(replica) || route_set_has(tried, place) || !has_room(replica))
            continue;
        if (replica->ejected_until > now) {
            choice.retry_at = MIN(choice.retry_at, replica->ejected_until);
            continue;
        }
        choice.candidates++;
        if (choice.place == ROUTE_NONE ||
            r->options.policy->compare(replica, &r->replicas[choice.place]) < 0)
            choice.place = place;
    }
    return choice;
}

void route_begin(struct route *r, int place, uint64_t tokens)
{
    struct route_replica *replica = &r->replicas[place];
    CHECK(up(replica) && has_room(replica));
    replica->running++;
    replica->tokens += tokens;
    r->rotation = (place + 1) % r->count;
}

static nsec ejection(const struct route *r, unsigned failures)
{
    nsec time = r->options.eject_first;
    while (--failures && time < r->options.eject_max)
        time *= 2;
    return MIN(time, r->options.eject_max);
}

void route_end(struct route *r, int place, uint64_t tokens, enum route_outcome outcome, nsec now)
{
    struct route_replica *replica = &r->replicas[place];
    CHECK(replica->running > 0 && replica->tokens >= tokens);
    replica->running--;
    replica->tokens -= tokens;
    replica->served++;
    if (outcome == ROUTE_OK) {
        replica->failures = 0;
        replica->ejected_until = 0;
    } else if (replica->ejected_until <= now) {
        /* Requests that fail together on a dying replica count as one failure. */
        replica->failures++;
        replica->ejected_until = nsec_after(now, ejection(r, replica->failures));
    }
    free_if_empty(r, place);
}

unsigned route_running(const struct route *r)
{
    unsigned running = 0;
    for (int i = 0; i < r->count; i++)
        running += r->replicas[i].running;
    return running;
}

unsigned route_slots(const struct route *r)
{
    unsigned slots = 0;
    for (int i = 0; i < r->count; i++)
        slots += up(&r->replicas[i]) ? r->replicas[i].slots : 0;
    return slots;
}
