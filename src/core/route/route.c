/* SPDX-License-Identifier: Apache-2.0 */
#include "core/route/route.h"

#include "core/route/outlier.h"
#include "core/route/scan.h"

/* The trust in what the index says of a replica follows about so many reports. */
#define TRUST_MEMORY 16
/* A replica that keeps at least this share is taken at its word: under pressure some of the prefixes
 * are lost anywhere, and spreading a conversation loses more of them. */
#define TRUST_ENOUGH 0.5

void route_init(struct route *r, const struct route_options *options)
{
    *r = (struct route){.options = *options};
    latency_init(&r->first_byte, options->health.half_life);
}

int route_find(const struct route *r, uint64_t id)
{
    for (int i = 0; i < r->count; i++)
        if (r->replicas[i].spec.id == id && !r->replicas[i].removed)
            return i;
    return ROUTE_NONE;
}

static int free_place(struct route *r)
{
    for (int i = 0; i < r->count; i++)
        if (r->replicas[i].spec.id == 0)
            return i;
    return r->count < ROUTE_REPLICAS_MAX ? r->count++ : ROUTE_NONE;
}

static void take_place(struct route *r, int place, nsec now)
{
    /* The replicas that a pool begins with are all new: none of them is cold beside the others. */
    bool joins = r->served && route_slots(r) > 0;
    r->replicas[place] = (struct route_replica){
        .turn = r->clock,
        .trust = 1,
        .warm_at = joins ? nsec_after(now, r->options.slow_start) : now,
    };
    health_init(&r->replicas[place].health);
}

int route_put(struct route *r, const struct route_spec *spec, nsec now)
{
    CHECK(spec->id != 0 && spec->weight <= ROUTE_WEIGHT_MAX);
    int place = route_find(r, spec->id);
    if (place == ROUTE_NONE) {
        place = free_place(r);
        if (place == ROUTE_NONE)
            return ERR_FULL;
        take_place(r, place, now);
    }
    r->replicas[place].spec = *spec;
    return 0;
}

static void free_if_empty(struct route *r, int place)
{
    struct route_replica *replica = &r->replicas[place];
    if (!replica->removed || replica->running)
        return;
    *replica = (struct route_replica){0};
    while (r->count > 0 && r->replicas[r->count - 1].spec.id == 0)
        r->count--;
}

void route_remove(struct route *r, uint64_t id)
{
    int place = route_find(r, id);
    if (place == ROUTE_NONE)
        return;
    r->replicas[place].removed = true;
    prefix_forget(r->options.prefix, place);
    free_if_empty(r, place);
}

static uint64_t matched_tokens(const struct route_request *request, unsigned matched)
{
    return MIN((uint64_t)matched * request->block_tokens, request->prompt_tokens);
}

uint64_t route_uncached(const struct route_replica *replica, const struct route_request *request,
                        unsigned matched)
{
    double trust = MIN(replica->trust / TRUST_ENOUGH, 1);
    uint64_t cached = (uint64_t)((double)matched_tokens(request, matched) * trust);
    return request->prompt_tokens - MIN(cached, request->prompt_tokens);
}

/* ---- a request's stay ---- */

static void take_turn(struct route *r, struct route_replica *replica)
{
    uint64_t half = route_stride(replica) / 2;
    uint64_t start = MAX(replica->turn, r->clock > half ? r->clock - half : 0);
    replica->turn = start + route_stride(replica);
    r->clock = MAX(r->clock, start);
}

struct route_hold route_begin(struct route *r, int place, const struct route_request *request,
                              nsec now)
{
    struct route_replica *replica = &r->replicas[place];
    CHECK(route_is_up(replica) && replica->running < replica->spec.slots);
    unsigned matched =
        prefix_insert(r->options.prefix, place, request->blocks, request->block_count);
    struct route_hold hold = {
        .place = place,
        .probe = health_is_half_open(&replica->health, now),
        .matched = matched,
        .prefill = route_uncached(replica, request, matched),
        .decode = request->output_tokens,
        .tokens = request->prompt_tokens + request->output_tokens,
        .began = now,
    };
    replica->running++;
    replica->probes += hold.probe;
    replica->prefill += hold.prefill;
    replica->decode += hold.decode;
    replica->tokens += hold.tokens;
    take_turn(r, replica);
    r->rotation = (place + 1) % r->count;
    r->begun++;
    return hold;
}

static void prefill_done(struct route_replica *replica, struct route_hold *hold)
{
    CHECK(replica->prefill >= hold->prefill);
    replica->prefill -= hold->prefill;
    hold->prefill = 0;
}

void route_first_byte(struct route *r, struct route_hold *hold, nsec now)
{
    struct route_replica *replica = &r->replicas[hold->place];
    if (hold->answered)
        return;
    hold->answered = true;
    prefill_done(replica, hold);
    latency_add(&r->first_byte, now - hold->began, now);
    health_first_byte(&replica->health, &r->options.health, now - hold->began, now);
    outlier_check(r, hold->place, now);
}

/* Fewer than was thought: this prompt is cached there now, but the replica keeps less than the index
 * believes of the others. */
void route_cached(struct route *r, const struct route_hold *hold,
                  const struct route_request *request, uint64_t tokens)
{
    uint64_t expected = matched_tokens(request, hold->matched);
    if (expected == 0)
        return;
    double *trust = &r->replicas[hold->place].trust;
    *trust += ((double)MIN(tokens, expected) / (double)expected - *trust) / TRUST_MEMORY;
}

static void judge(struct route *r, int place, const struct route_hold *hold,
                  enum route_outcome outcome, nsec now)
{
    struct health *health = &r->replicas[place].health;
    if (outcome == ROUTE_OK) {
        health_success(health, &r->options.health, hold->began, now);
        r->served = true;
    } else if (outcome == ROUTE_FAILED) {
        health_failure(health, &r->options.health, hold->began, now);
        outlier_check(r, place, now);
    }
}

/* It was sent there but not prefilled. */
static void forget_blocks(struct route *r, const struct route_hold *hold,
                          const struct route_request *request)
{
    if (!r->replicas[hold->place].removed)
        prefix_drop(r->options.prefix, hold->place, request->blocks, hold->matched,
                    request->block_count);
}

void route_end(struct route *r, struct route_hold *hold, const struct route_request *request,
               enum route_outcome outcome, nsec now)
{
    int place = hold->place;
    struct route_replica *replica = &r->replicas[place];
    CHECK(replica->running > 0 && replica->decode >= hold->decode &&
          replica->tokens >= hold->tokens && replica->probes >= hold->probe);
    if (outcome != ROUTE_OK && !hold->answered)
        forget_blocks(r, hold, request);
    prefill_done(replica, hold);
    replica->running--;
    replica->probes -= hold->probe;
    replica->decode -= hold->decode;
    replica->tokens -= hold->tokens;
    replica->served++;
    judge(r, place, hold, outcome, now);
    *hold = (struct route_hold){.place = ROUTE_NONE};
    free_if_empty(r, place);
}

/* ---- reports ---- */

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
        slots += route_is_up(&r->replicas[i]) ? r->replicas[i].spec.slots : 0;
    return slots;
}

bool route_has_revision(const struct route *r, uint64_t revision)
{
    for (int i = 0; i < r->count; i++)
        if (route_is_up(&r->replicas[i]) &&
            (revision == 0 || r->replicas[i].spec.revision == revision))
            return true;
    return false;
}
