/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the control plane tells the gateways: models, their names and their replicas, as one immutable snapshot.
 *
 * The controller builds a new one at every change and hands it over; a gateway that holds a reference may read it without a lock.
 * Invariant: nothing changes once a second one holds a reference. Ownership: reference counted; everything inside lives in its arena.
 * Thread rule: building on one thread, then any thread.
 */
#ifndef FAIRWAY_API_ROUTES_H
#define FAIRWAY_API_ROUTES_H

#include <stdatomic.h>

#include "base/arena.h"
#include "base/time.h"

struct routes_replica {
    uint64_t id; /* unique for ever; a restarted process is a new replica */
    struct str host;
    uint16_t port;
    unsigned slots; /* most concurrent requests */
    bool draining;
    struct routes_replica *next;
};

struct routes_alias {
    struct str name;
    struct routes_alias *next;
};

struct routes_model {
    struct str name;
    struct routes_alias *aliases;
    struct routes_replica *replicas; /* those that are ready or draining */
    bool expecting;                  /* replicas are wanted: requests may wait for one */
    size_t queue_max_length;
    nsec queue_max_wait;
    int64_t created; /* Unix seconds */
    struct routes_model *next;
};

struct routes {
    atomic_uint refs;
    struct arena arena;
    uint64_t version; /* grows with every snapshot */
    struct routes_model *models;
};

/* With one reference. */
struct routes *routes_new(uint64_t version);
struct routes *routes_ref(struct routes *r);
void routes_unref(struct routes *r); /* NULL is fine */

/* The strings are copied. Models keep the order of the calls. A snapshot has no cap of its own: its sources have. */
struct routes_model *routes_add_model(struct routes *r, struct str name);
void routes_add_alias(struct routes *r, struct routes_model *model, struct str alias);
struct routes_replica *routes_add_replica(struct routes *r, struct routes_model *model, uint64_t id,
                                          struct str host, uint16_t port);

#endif
