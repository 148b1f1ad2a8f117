/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the admin API: admin.c (URLs, small answers), admin_resources.c, admin_models.c, admin_nodes.c, admin_keys.c, admin_usage.c, admin_requests.c, admin_logs.c, admin_gpus.c, gateways.c. */
#ifndef FAIRWAY_CONTROLLER_ADMIN_INTERNAL_H
#define FAIRWAY_CONTROLLER_ADMIN_INTERNAL_H

#include "base/json.h"
#include "controller/managed.h"
#include "store/store.h"

enum { ADMIN_REPLY_MAX = 64 * 1024 * 1024 };

struct admin_reply {
    struct buf text;
    struct json_writer json;
};

void admin_begin(struct admin_reply *r);
void admin_send(struct admin_reply *r, struct http_exchange *x, int status); /* frees the text */
void admin_fail(struct http_exchange *x, const struct err *err);
void admin_fail_not_found(struct http_exchange *x); /* there is no such URL */
/* admin_send with 200, or, if there was an error, admin_fail. */
void admin_finish(struct admin_reply *r, struct http_exchange *x, int error, const struct err *err);

/* Each ends the exchange, now or (logs that are followed) later. */
typedef void admin_answer(struct controller *c, struct http_exchange *x, struct str rest);
admin_answer admin_get_resources, admin_put_resource, admin_delete_resource;
admin_answer admin_get_nodes, admin_get_node, admin_put_node;
admin_answer admin_get_keys, admin_post_key, admin_delete_key;
admin_answer admin_get_usage, admin_post_usage;
admin_answer admin_get_request, admin_get_load;
admin_answer admin_get_gpus, admin_get_defragmentation;
admin_answer admin_get_gateways, admin_post_sync;
admin_answer admin_get_log;

/* A kind of stored resources; what may be NULL is marked. Functions that can fail fill err. */
struct admin_kind {
    const struct resource_kind *kind;
    /* Completes what is wanted, or refuses it. May be NULL. */
    int (*settle)(struct controller *c, struct arena *a, struct resource *wanted, struct err *err);
    /* What is wanted when NAME/scale is put. NULL: the kind has no such thing. */
    int (*scale)(struct controller *c, struct arena *a, struct str name, struct str body,
                 struct resource **ret_wanted, struct err *err);
    /* It is in the store, or out of it; reconcile follows. */
    void (*changed)(struct controller *c, const struct resource *stored, bool created);
    void (*removed)(struct controller *c, struct str name);
    /* Writes it with the status of now. NULL: what is stored. */
    int (*put)(struct controller *c, struct json_writer *w, struct arena *a,
               const struct resource *stored, struct err *err);
};
extern const struct admin_kind admin_models;

/* The value of NAME in "a=1&NAME=2", not decoded; ptr NULL when it is not there. */
struct str admin_query(struct str query, struct str name);

/* Members of a Node's status. */
void admin_put_node_gpus(struct controller *c, struct json_writer *w);

struct str admin_outcome(enum store_outcome outcome); /* "created" ... */

/* A reader of a followed log left, or may be written to again. */
void admin_log_departed(struct http_exchange *x);
void admin_log_writable(struct http_exchange *x);

#endif
