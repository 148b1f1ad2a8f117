/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which replica: the router's view of one model's replicas, and the policies that choose among
 * them. Pure.
 *
 * Load is known by own accounting: what was sent there and has not ended. A replica takes a request
 * only if it is up, not draining, below its slots, and not ejected. A replica that fails is ejected
 * for a time that doubles with each failure in a row; after it, one request at a time is let
 * through until one succeeds.
 *
 * Invariants: a replica's `running` never passes its slots; a removed replica keeps its place until
 * its last request has ended; places are stable while anything runs there. Ownership: all memory is
 * inside struct route. Thread rule: one thread at a time.
 */
#ifndef FAIRWAY_CORE_ROUTE_H
#define FAIRWAY_CORE_ROUTE_H

#include "base/err.h"
#include "base/str.h"
#include "base/time.h"

enum { ROUTE_REPLICAS_MAX = 256, ROUTE_NONE = -1 };

struct route_replica {
    uint64_t id;    /* 0: free place */
    unsigned slots; /* most concurrent requests */
    bool draining;  /* takes nothing new */
    bool removed;   /* gone from the configuration; the place is freed at the last end */
    unsigned running;
    uint64_t tokens;   /* estimate, of what runs there */
    unsigned failures; /* in a row */
    nsec ejected_until;
    uint64_t served; /* requests ended there; for reports */
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

struct route;

/* A policy compares two candidates that may both take the request: negative if a is the better one,
 * 0 if equal. */
struct route_policy {
    const char *name;
    int (*compare)(const struct route_replica *a, const struct route_replica *b);
};

extern const struct route_policy
    route_least_load; /* smallest share of slots in use, then fewest tokens */
extern const struct route_policy route_round_robin;            /* all equal: the rotation decides */
const struct route_policy *route_policy_find(struct str name); /* NULL: no such policy */

struct route_options {
    const struct route_policy *policy;
    nsec eject_first,
        eject_max; /* first ejection, doubled per failure in a row up to the maximum */
};

struct route {
    struct route_options options;
    struct route_replica replicas[ROUTE_REPLICAS_MAX];
    int count;    /* places in use lie below this */
    int rotation; /* ties go to the first candidate at or after this place */
};

/* Why a choice came out as it did; for the decision record. */
struct route_choice {
    int place; /* ROUTE_NONE: no candidate */
    int candidates;
    nsec retry_at; /* with ROUTE_NONE: when an ejected replica may be tried again; NSEC_NEVER if
                      none is ejected */
};

void route_init(struct route *r, const struct route_options *options);

/* Adds the replica or changes it. ERR_FULL at ROUTE_REPLICAS_MAX. */
[[nodiscard]] int route_put(struct route *r, uint64_t id, unsigned slots, bool draining);
void route_remove(struct route *r, uint64_t id);
int route_find(const struct route *r,
               uint64_t id); /* place or ROUTE_NONE; removed replicas are not found */

/* The best replica outside `tried`. */
struct route_choice route_choose(const struct route *r, const struct route_set *tried, nsec now);

enum route_outcome {
    ROUTE_OK,     /* the replica did its work (also when the client was wrong or left) */
    ROUTE_FAILED, /* the replica's fault: refused, broke off, 5xx */
};

void route_begin(struct route *r, int place, uint64_t tokens);
void route_end(struct route *r, int place, uint64_t tokens, enum route_outcome outcome, nsec now);

unsigned route_running(const struct route *r);
unsigned route_slots(const struct route *r); /* of replicas that are up and not draining */

#endif
