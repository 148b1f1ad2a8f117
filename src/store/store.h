/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must survive a restart: the resources that users asked for, the replicas that run, and a
 * bounded record of what happened. One SQLite file.
 *
 * What a function has acknowledged (returned 0) survives kill -9 and power loss. Each call is one
 * transaction. `now` is wall-clock time.
 *
 * Ownership: what is returned lives in the given arena. Thread rule: any thread; calls take turns
 * and wait for the disk, so never on an event loop that serves requests.
 */
#ifndef FAIRWAY_STORE_STORE_H
#define FAIRWAY_STORE_STORE_H

#include "api/resource.h"
#include "base/time.h"

struct store;

[[nodiscard]] int store_open(const char *path, struct store **ret_store, struct err *err);
void store_close(struct store *s); /* NULL is fine */

/* ---- resources ---- */

enum store_outcome { STORE_CREATED, STORE_CHANGED, STORE_UNCHANGED };

/*
 * Creates or replaces: name, labels, annotations and spec count, the rest of `wanted` is the
 * system's. The generation grows only when the spec is another one; the resource version with every
 * change. If wanted has a resourceVersion or uid that is not the stored one: ERR_CONFLICT.
 */
[[nodiscard]] int store_put(struct store *s, struct arena *a, const struct resource *wanted,
                            nsec now, struct resource **ret_stored, enum store_outcome *ret_outcome,
                            struct err *err);

/* Replaces the status of the resource with this kind, name and uid; ERR_NOT_FOUND if it is gone. */
[[nodiscard]] int store_put_status(struct store *s, const struct resource *resource,
                                   struct err *err);

[[nodiscard]] int store_get(struct store *s, struct arena *a, const struct resource_kind *kind,
                            struct str name, struct resource **ret_resource, struct err *err);

/* All of a kind, by name. */
[[nodiscard]] int store_list(struct store *s, struct arena *a, const struct resource_kind *kind,
                             struct resource ***ret_resources, size_t *ret_count, struct err *err);

/* `version` empty: whatever it is. */
[[nodiscard]] int store_delete(struct store *s, const struct resource_kind *kind, struct str name,
                               struct str version, struct err *err);

/* ---- replicas, so that a restarted controller finds its processes again ---- */

struct store_replica {
    struct str id, model;
    uint64_t revision; /* hash of what it runs */
    unsigned slots;    /* concurrent requests that it takes */
    int64_t pid;       /* 0: no process yet */
    uint64_t pid_start_time;
    struct str token; /* the mark in the process' environment */
    int64_t port;
    nsec started_at;
    struct str lease; /* what it has of the machine, as JSON; empty: not known */
};

[[nodiscard]] int store_put_replica(struct store *s, const struct store_replica *replica,
                                    struct err *err); /* by id */
[[nodiscard]] int store_delete_replica(struct store *s, struct str id, struct err *err);
[[nodiscard]] int store_list_replicas(struct store *s, struct arena *a,
                                      struct store_replica **ret_replicas, size_t *ret_count,
                                      struct err *err); /* by id */

/* ---- events: who or what did what to which resource, and why ---- */

enum { STORE_EVENTS_MAX = 10000 }; /* the newest are kept */

struct store_event {
    nsec at;
    struct str actor;      /* "controller", or the name of an API key */
    struct str kind, name; /* of the resource */
    struct str reason;     /* one word for programs: "Applied", "ReplicaExited" */
    struct str message;    /* for people */
};

[[nodiscard]] int store_add_event(struct store *s, const struct store_event *event,
                                  struct err *err);

/* The newest `limit`, newest first; kind and name may be empty: any. */
[[nodiscard]] int store_list_events(struct store *s, struct arena *a, struct str kind,
                                    struct str name, size_t limit, struct store_event **ret_events,
                                    size_t *ret_count, struct err *err);

#endif
