/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by queue.c (lanes and order), tenant.c (accounts and charges) and position.c. */
#ifndef FAIRWAY_CORE_QUEUE_INTERNAL_H
#define FAIRWAY_CORE_QUEUE_INTERNAL_H

#include "core/queue/queue.h"

static inline struct queue_lane *queue_lane_of(const struct heap_node *in_level)
{
    return container_of(in_level, struct queue_lane, in_level);
}

/* Of a lane that is not empty. */
static inline struct queue_entry *queue_lane_head(const struct queue_lane *lane)
{
    return container_of(lane->entries.next, struct queue_entry, link);
}

/* The highest band in which anybody waits, promoted or not. QUEUE_BANDS: nobody waits. */
static inline int queue_top_band(const struct queue *q)
{
    int band = 0;
    while (band < QUEUE_BANDS && q->by_band[band] == 0)
        band++;
    return band;
}

/* tenant.c */
void queue_tenants_init(struct queue *q);
void queue_tenants_fini(struct queue *q);
/* NULL: not known. */
struct queue_tenant *queue_tenant_find(const struct queue *q, uint32_t id);
/* Known or made, or the shared one: see queue.h. */
struct queue_tenant *queue_tenant_open(struct queue *q, uint32_t id);
/* Something of the tenant waits or runs, or no longer: is it idle? */
void queue_tenant_touched(struct queue *q, struct queue_tenant *t);
/* It begins to wait. */
void queue_tenant_lift(struct queue *q, struct queue_tenant *t);
/* In thousandths of a token (of a request); below 0: given back. */
void queue_tenant_charge(struct queue *q, struct queue_tenant *t, int64_t cost);
/* Everybody's counter begins at 0. */
void queue_tenants_even(struct queue *q);
void queue_charge_serving(struct queue *q, struct queue_entry *entry);
void queue_charge_back(struct queue *q, struct queue_entry *entry); /* all of it */
int64_t queue_cost(const struct queue *q, uint64_t input_tokens, uint64_t output_tokens);

#endif
