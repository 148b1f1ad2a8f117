/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the control plane tells the gateways: models, their names and their replicas, and tenants, as one immutable snapshot.
 *
 * The controller builds a new one at every change and hands it over; a gateway that holds a reference may read it without a lock.
 * Invariant: nothing changes once a second one holds a reference. Ownership: reference counted; everything inside lives in its arena.
 * Thread rule: building on one thread, then any thread.
 */
#ifndef FAIRWAY_API_ROUTES_H
#define FAIRWAY_API_ROUTES_H

#include <stdatomic.h>

#include "api/upstream.h"
#include "base/arena.h"
#include "base/time.h"
#include "core/limit/limit.h"
#include "core/queue/queue.h"

struct routes_replica {
    uint64_t id; /* unique for ever; a restarted process is a new replica */
    struct str host;
    uint16_t port;
    uint64_t revision; /* hash of what it runs */
    unsigned slots;    /* most concurrent requests */
    bool draining;
    struct upstream *upstream; /* ref; NULL: an engine of our own, at its address and no more */
    struct routes_replica *next;
};

struct routes_alias {
    struct str name;
    struct routes_alias *next;
};

/* Who asks. A tenant without an entry has weight 1, normal priority and no limits. */
struct routes_tenant {
    struct str name;
    unsigned weight;
    enum queue_band priority; /* the highest that it may ask for */
    size_t queue_length;      /* requests that may wait for one model; 0: no limit of its own */
    struct limit_rules limits;
    struct routes_alias *models; /* names it may use; NULL: all */
    struct routes_tenant *next;
};

/* What a tenant had used, by the ledger, when the control plane started: gateways that know nothing of it yet begin there. */
struct routes_used {
    struct str tenant;
    struct limit_usage usage;
    struct routes_used *next;
};

/* Millionths of money for a million tokens. */
struct routes_price {
    uint64_t input, cached_input, output;
};

struct routes_model {
    struct str name;
    struct str engine_name; /* what its engine calls it: the same, unless somebody else runs it */
    struct routes_alias *aliases;
    struct routes_replica *replicas; /* those that are ready or draining */
    bool expecting;                  /* replicas are wanted: requests may wait for one */
    uint64_t revision;               /* of the replicas that are wanted */
    bool resumes; /* its engine can take up another replica's stream (openai_resume.h) */
    size_t queue_max_length;
    enum queue_fairness fairness;
    struct str policy;              /* of routing: a name of core/route */
    unsigned weight;                /* against that of other models with the same alias */
    struct routes_alias *fallbacks; /* models that take what this one cannot, in this order */
    double hedge_ratio;             /* hedges for each request; 0: none */
    nsec queue_max_wait;
    struct routes_price price;
    int64_t created; /* Unix seconds */
    struct routes_model *next;
};

struct routes {
    atomic_uint refs;
    struct arena arena;
    uint64_t version; /* grows with every snapshot */
    struct routes_model *models;
    struct routes_tenant *tenants;
    struct routes_used *used;
};

/* With one reference. */
struct routes *routes_new(uint64_t version);
struct routes *routes_ref(struct routes *r);
void routes_unref(struct routes *r); /* NULL is fine */

/* The strings are copied. Models and fallbacks keep the order of the calls. A snapshot has no cap of its own: its sources have. */
struct routes_model *routes_add_model(struct routes *r, struct str name);
void routes_set_engine_name(struct routes *r, struct routes_model *model, struct str name);
void routes_add_alias(struct routes *r, struct routes_model *model, struct str alias);
void routes_add_fallback(struct routes *r, struct routes_model *model, struct str name);
struct routes_tenant *routes_add_tenant(struct routes *r, struct str name);
void routes_add_used(struct routes *r, struct str tenant, const struct limit_usage *usage);
void routes_allow_model(struct routes *r, struct routes_tenant *tenant, struct str model);
struct routes_replica *routes_add_replica(struct routes *r, struct routes_model *model, uint64_t id,
                                          struct str host, uint16_t port);

#endif
