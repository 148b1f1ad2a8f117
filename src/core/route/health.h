/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is a replica well: a circuit breaker over the ends of its requests. Pure.
 *
 * Closed (takes requests), open (takes none until `open_until`), half open (`opened` and that time
 * has come: one probe at a time, which the caller sees to). It opens after `open_after` failures in
 * a row, or when the share of failures among its late ends reaches `error_rate`; the time doubles
 * with each opening in a row. A success of a request that began since the opening closes it.
 *
 * Requests that fail together count as one failure: one that began before the last failure that
 * counted tells nothing new. Ends that are not the replica's doing are not told here at all.
 *
 * Ownership: the struct is the caller's and needs no fini. Thread rule: one thread at a time.
 */
#ifndef FAIRWAY_CORE_HEALTH_H
#define FAIRWAY_CORE_HEALTH_H

#include "base/time.h"

struct health_rules {
    unsigned open_after;       /* failures in a row that open it */
    double error_rate;         /* share of failures that opens it too; over 1: never */
    double error_samples;      /* fewer late ends than this say nothing about a rate */
    nsec open_first, open_max; /* how long the first opening lasts, and the longest */
    nsec half_life;            /* of the memory of ends and times to first byte */
};

/* A sum that forgets: falls by half in every half-life. */
struct health_decayed {
    double sum, weight; /* of the values; of how many they are */
    nsec seen;
};

struct health {
    unsigned failures; /* in a row; those that came together count once */
    unsigned opened;   /* times in a row; 0: closed */
    nsec open_until;
    nsec failed_at;                   /* the last failure that counted */
    struct health_decayed errors;     /* 1 per failure, 0 per success */
    struct health_decayed first_byte; /* seconds */
};

void health_init(struct health *h);

static inline bool health_is_open(const struct health *h, nsec now)
{
    return h->opened && h->open_until > now;
}
static inline bool health_is_half_open(const struct health *h, nsec now)
{
    return h->opened && h->open_until <= now;
}

/* A request that began then has ended: the replica did its work, or failed it. */
void health_success(struct health *h, const struct health_rules *rules, nsec began, nsec now);
void health_failure(struct health *h, const struct health_rules *rules, nsec began, nsec now);
void health_first_byte(struct health *h, const struct health_rules *rules, nsec took, nsec now);

/* Opens it whatever it counted itself; for who compares replicas. Starts new memories. */
void health_eject(struct health *h, const struct health_rules *rules, nsec now);

/* The mean of what is remembered. 0 without memories: look at the weight first. */
double health_mean(const struct health_decayed *d);
double health_weight(const struct health_decayed *d, const struct health_rules *rules, nsec now);

#endif
