/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which replica: the router's view of one model's replicas, and the policies that choose among
 * them. Pure.
 *
 * Load is known by own accounting: what was sent there and has not ended. A replica takes a request
 * only if it is up, not draining, below its slots and its tokens in flight, and well: one that
 * failed is open for a time that doubles with each failure in a row, then half open, which lets one
 * request at a time through (core/route/health.h). One that is far worse than the others is opened
 * too, but never so that more than half of the pool is out. A new replica that joins a warm pool
 * gets its slots little by little.
 *
 * Use: route_choose (which changes nothing), route_begin, then route_first_byte and route_end with
 * the hold that route_begin gave.
 *
 * Invariants: a replica's `running` never passes its slots; what a hold has charged is given back
 * exactly; a removed replica keeps its place until its last request has ended; places are stable
 * while anything runs there. Ownership: all memory is inside struct route, except the prefix index
 * (borrowed). Thread rule: one thread at a time.
 */
#ifndef FAIRWAY_CORE_ROUTE_H
#define FAIRWAY_CORE_ROUTE_H

#include "base/err.h"
#include "base/str.h"
#include "base/time.h"
#include "core/route/health.h"
#include "core/route/latency.h"
#include "core/route/prefix.h"

enum {
    ROUTE_REPLICAS_MAX = PREFIX_PLACES_MAX,
    ROUTE_NONE = -1,
    ROUTE_BEST_MAX = 4, /* candidates that a choice shows */
    ROUTE_WEIGHT_MAX = 1 << 20,
};

/* What the configuration says of a replica. */
struct route_spec {
    uint64_t id;        /* not 0 */
    uint64_t revision;  /* of the model that it serves */
    uint64_t kv_tokens; /* most tokens in flight; 0: not known, no limit */
    unsigned slots;     /* most concurrent requests */
    unsigned weight;    /* share under `weighted`; 0 counts as 1 */
    bool draining;      /* takes nothing new */
};

struct route_replica {
    struct route_spec spec; /* id 0: free place */
    bool removed;           /* gone from the configuration; the place is freed at the last end */
    unsigned running;
    unsigned probes;          /* of those: begun while half open */
    uint64_t prefill, decode; /* tokens in flight: to prefill before the first bytes; to generate */
    uint64_t tokens;          /* in flight, whole prompts and outputs; against kv_tokens */
    uint64_t turn;            /* virtual time of its next turn; see weighted in policy.c */
    uint64_t served;          /* requests ended there; for reports */
    double trust;             /* 0 to 1: share that it reports as cached of what the index says */
    nsec warm_at;             /* until then its slots grow */
    struct health health;
};

/* Replicas that were tried already are a set of places. */
struct route_set {
    uint64_t bits[ROUTE_REPLICAS_MAX / 64];
};

static inline void route_set_add(struct route_set *s, int place)
{
    s->bits[place / 64] |= UINT64_C(1) << (place % 64);
}
static inline bool route_set_has(const struct route_set *s, int place)
{
    return s->bits[place / 64] >> (place % 64) & 1;
}

/* A request as the router sees it. All estimates; all 0 is a request about which nothing is known. */
struct route_request {
    uint64_t prompt_tokens, output_tokens;
    uint64_t session;       /* hash; 0: none */
    uint64_t revision;      /* wanted; 0: any */
    const uint64_t *blocks; /* borrow until its end: prefix_hash_blocks of its prompt */
    unsigned block_count;
    unsigned block_tokens; /* that one block stands for */
};

struct route;
struct route_scan;

/* One candidate as a policy judges it: the least score wins, then the least `second`. */
struct route_score {
    int place;
    unsigned matched;  /* blocks of its prompt that are cached there, if the policy asks for it */
    uint64_t uncached; /* tokens of its prompt that are not */
    uint64_t ahead;    /* tokens to prefill and to generate before it or beside it */
    uint64_t score, second;
};

/* Policies see the candidates that may take the request; what is equal to them takes turns. */
struct route_policy {
    const char *name;
    bool matches;                             /* it asks where the prompt is cached */
    void (*prepare)(struct route_scan *scan); /* NULL: nothing to do; may drop candidates */
    void (*score)(const struct route_scan *scan, struct route_score *score);
};

extern const struct route_policy route_round_robin, /* all equal: the rotation decides */
    route_least_load,   /* smallest share of slots in use, then fewest tokens */
    route_power_of_two, /* the less loaded of two drawn at random */
    route_prefix,       /* fewest tokens to work through: uncached prompt + load ahead */
    route_session,      /* a session's own replica, unless that has more than its share */
    route_weighted;     /* turns in proportion to the weights */
const struct route_policy *route_policy_find(struct str name); /* NULL: no such policy */

struct route_options {
    const struct route_policy *policy;
    struct health_rules health;
    double outlier_factor;  /* this many times the pool's median is far worse; 0: never */
    double outlier_samples; /* with fewer a replica is not judged */
    nsec slow_start;        /* a new replica reaches its slots in this time; 0: at once */
    uint64_t seed;          /* of power_of_two */
    struct prefix *prefix;  /* borrow; NULL: nothing is known about caches */
};

struct route {
    struct route_options options;
    struct route_replica replicas[ROUTE_REPLICAS_MAX];
    int count;                 /* places in use lie below this */
    int rotation;              /* ties go to the first candidate at or after this place */
    uint64_t begun;            /* requests so far */
    uint64_t clock;            /* virtual time of weighted */
    uint64_t ejected;          /* outliers so far; for reports */
    bool served;               /* something has gone well here: the pool is warm */
    struct latency first_byte; /* times to first byte of the whole pool */
};

/* Why a choice came out as it did; for the decision record. */
struct route_choice {
    int place; /* ROUTE_NONE: no candidate */
    int candidates;
    int best_count; /* the best candidates, best first: best[0] is the chosen one */
    struct route_score best[ROUTE_BEST_MAX];
    /* Tokens of the prompt that are left to prefill where most of it is cached, be that a candidate or a replica that is full. */
    uint64_t least_uncached;
    unsigned full, draining, ejected, tried, other_revision; /* replicas that were none, and why */
    nsec retry_at; /* with ROUTE_NONE: when time alone may make a candidate; else NSEC_NEVER */
};

/* One request's stay at one replica, from route_begin to route_end. */
struct route_hold {
    int place; /* ROUTE_NONE: none */
    bool probe, answered;
    unsigned matched;                 /* blocks that were thought to be cached there */
    uint64_t prefill, decode, tokens; /* charged, and not yet given back */
    nsec began;
};

void route_init(struct route *r, const struct route_options *options);

/* Adds the replica or changes it. ERR_FULL at ROUTE_REPLICAS_MAX. */
[[nodiscard]] int route_put(struct route *r, const struct route_spec *spec, nsec now);
void route_remove(struct route *r, uint64_t id);
int route_find(const struct route *r,
               uint64_t id); /* place or ROUTE_NONE; removed replicas are not found */

/* The best replica outside `tried`. */
struct route_choice route_choose(const struct route *r, const struct route_request *request,
                                 const struct route_set *tried, nsec now);

enum route_outcome {
    ROUTE_OK,      /* the replica did its work */
    ROUTE_FAILED,  /* the replica's fault: refused, broke off, 5xx */
    ROUTE_NEUTRAL, /* says nothing about it: the client was wrong (4xx), or left */
};

struct route_hold route_begin(struct route *r, int place, const struct route_request *request,
                              nsec now);
void route_first_byte(struct route *r, struct route_hold *hold, nsec now);
/* The engine said how many of the prompt's tokens it had cached: the trust in the index follows. */
void route_cached(struct route *r, const struct route_hold *hold,
                  const struct route_request *request, uint64_t tokens);
/* Clears the hold. */
void route_end(struct route *r, struct route_hold *hold, const struct route_request *request,
               enum route_outcome outcome, nsec now);

unsigned route_running(const struct route *r);
unsigned route_slots(const struct route *r); /* of replicas that are up and not draining */
bool route_has_revision(const struct route *r, uint64_t revision); /* among those; 0: any */
/* Tokens of the prompt that are left to prefill where so many of its blocks should be cached. */
uint64_t route_uncached(const struct route_replica *replica, const struct route_request *request,
                        unsigned matched);

static inline bool route_is_up(const struct route_replica *replica)
{
    return replica->spec.id != 0 && !replica->removed && !replica->spec.draining;
}

#endif
