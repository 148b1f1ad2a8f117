/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The controller's own picture of models and replicas. Internal to src/controller.
 *
 * Invariants: a managed model is in controller.models as long as it is in the store or has a replica; a replica has a
 * process, or a remote in place of one, exactly while core/plan says so (replica_has_process).
 * Thread rule: on the controller's loop.
 */
#ifndef FAIRWAY_CONTROLLER_MANAGED_H
#define FAIRWAY_CONTROLLER_MANAGED_H

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/list.h"
#include "base/map.h"
#include "controller/cluster.h"
#include "controller/controller.h"
#include "controller/remote.h"
#include "controller/wish.h"
#include "core/plan/plan.h"
#include "net/http_client.h"
#include "net/http_server.h"
#include "net/loop.h"
#include "runtime/local/process.h"

struct gpus;
struct hub;
struct store;

enum { REPLICA_TOKEN_LEN = 32 };

/* In the environment of a replica's process: "INSTANCE:TOKEN". */
#define REPLICA_MARK "FAIRWAY_REPLICA"

struct managed_model {
    struct map_node node; /* by name */
    struct controller *controller;
    char *name;                        /* own */
    char title[RESOURCE_NAME_MAX + 8]; /* "model/NAME" */
    struct wish wish;
    bool deleted;                  /* gone from the store; replicas are ending */
    bool cannot_run;               /* wish_read failed: `problem` says why */
    struct tls_client *tls;        /* ref: of remote replicas; NULL: none has needed it yet */
    struct list replicas;          /* of managed_replica, the oldest first */
    char problem[ERR_MESSAGE_MAX]; /* why it is not as wished; "" when nothing is in the way */
};

struct managed_replica {
    struct list link; /* in model->replicas */
    struct managed_model *model;
    uint64_t id; /* of this place among the model's replicas; kept over restarts of its process */
    uint64_t revision;
    struct replica core;
    struct cluster_guest room; /* of its process; not of a remote one */
    struct replica_rules rules;
    struct loop_timer probe_timer;
    struct http_call *probe; /* running, or NULL */
    int probe_status;
    bool unanswered;         /* it ran before this controller, and no probe has been answered yet */
    struct process *process; /* own; NULL: none */
    struct remote *remote;   /* own; NULL: none */
    uint64_t run; /* id of the present process, for routes: a new process is a new replica */
    uint16_t port;
    unsigned slots;
    char token[REPLICA_TOKEN_LEN + 1];
};

/* gateways.c: those that share limits and slots with the gateway of this process. */
struct gateways {
    struct hub *hub;         /* own */
    struct routes *routes;   /* ref; NULL: none were published yet */
    struct buf routes_text;  /* the last one that was other than the one before, as JSON */
    uint64_t routes_version; /* its version */
    uint64_t rendered;       /* the version of the snapshot that was looked at for it */
    uint64_t keys_version;   /* grows with every change of the keys */
    struct loop_timer timer; /* runs while there are others */
    uint64_t sequence,
        orders;         /* of the gateway of this process: of its last report, of what it follows */
    nsec exchanged;     /* when that was */
    struct arena arena; /* of one exchange */
};

struct controller {
    struct controller_options options;
    char *state_dir, *engine_path, *gateway_url; /* own */
    int lock_fd;
    struct store *store;
    struct gpus *gpus;       /* own */
    struct cluster *cluster; /* own */
    pthread_t thread;
    struct loop *loop;
    struct http_client *client;
    struct http_server *admin, *joining; /* joining: NULL without --join-listen */
    char join_token[REPLICA_TOKEN_LEN + 1];
    struct map models; /* of managed_model */
    struct map jobs;   /* of managed_job */
    struct loop_timer wake, rotate, ledger, settle;
    struct gateways gateways;
    struct mail begin, stop, leave, gpus_changed;
    atomic_bool gpus_posted; /* gpus_changed is on its way */
    uint64_t routes_version;
    uint64_t next_id; /* of replicas and runs; never used twice */
    bool reconciling, again, stopping;
    unsigned draining;          /* servers that still answer, while it stops */
    bool leaving;               /* stopping, and the replicas go on */
    bool settled;               /* was told */
    bool unlimited;             /* while what runs already is being found */
    bool cordoned;              /* the node takes nothing new */
    uint64_t node_memory;       /* bytes that may be used in all; 0: what the machine has */
    uint64_t node_cpu;          /* thousandths, likewise */
    struct arena tenants_arena; /* of the next */
    struct resource **tenants;  /* own */
    size_t tenant_count;
    struct arena used_arena; /* of the next: what the ledger said at the start */
    struct routes_used *used;
    size_t used_count;
    struct arena usage_arena; /* of the next: what is on its way to the ledger */
    struct usage *usage;
    size_t usage_count;
    nsec started;                         /* wall clock */
    char instance[REPLICA_TOKEN_LEN + 1]; /* of this state folder: marks its processes */
};

/* ---- reconcile.c ---- */
struct managed_model *model_find(struct controller *c, struct str name);
void model_set(struct controller *c, const struct resource *stored); /* reconcile follows */
void model_remove(struct controller *c,
                  struct str name);   /* it was deleted from the store; reconcile follows */
void reconcile(struct controller *c); /* carries out what the plan says, publishes */
size_t count_replicas(const struct managed_model *m, enum replica_state state);

/* ---- replicas.c ---- */
struct managed_replica *replica_new(struct managed_model *m);
/* What a replica needs room for. ERR_UNAVAILABLE: nothing here is like that. */
[[nodiscard]] int replica_request(const struct managed_model *m, struct place_request *ret_request,
                                  struct err *err);
void replica_ask_room(struct managed_replica *r, const struct place_request *request);
/* It runs already, in this room. */
[[nodiscard]] int replica_restore_room(struct managed_replica *r, const struct json *lease);
void replica_free(struct managed_replica *r);   /* it has no process */
void replica_let_go(struct managed_replica *r); /* frees it; its process, if it has one, goes on */
void replica_act(struct managed_replica *r, enum replica_action action);
void replica_log_path(const struct managed_replica *r, char path[PATH_MAX]);

/* For any process of ours: its mark's token, a port that is free now, and our environment behind `front`. */
void replica_new_token(char token[REPLICA_TOKEN_LEN + 1]);
uint16_t replica_free_port(void);
const char **replica_environment(const char *const *front, struct arena *a);

/* The replica with its present process in the store, and that process out of it. */
[[nodiscard]] int replica_remember(struct managed_replica *r, struct err *err);
void replica_forget(struct controller *c, uint64_t run);
void replica_on_exited(void *replica, const struct process_end *end);
void replica_probe_ended(struct managed_replica *r, bool ok);

/* ---- adopt.c ---- */
void replicas_adopt(struct controller *c);
void replicas_tell_if_settled(struct controller *c);
void replicas_stop_waiting(struct controller *c); /* for answers of adopted ones */

/* ---- tenants.c ---- */
void tenants_load(struct controller *c); /* what is stored; routes follow with the next reconcile */
void tenants_load_used(struct controller *c); /* from the ledger, once */
void tenants_publish(const struct controller *c, struct routes *routes);

/* ---- gateways.c ---- */
void gateways_init(struct gateways *g);
void gateways_fini(struct gateways *g);
void gateways_set_routes(struct gateways *g, struct routes *routes);
/* Used at that gateway (empty: the one of this process): the others are told. */
void gateways_settle(struct gateways *g, struct str gateway, const struct usage *rows,
                     size_t count);

/* ---- admin_nodes.c ---- */
void node_load(struct controller *c); /* what is stored about this machine */
/* Tells the cluster what the machine has; reconcile follows. */
void node_place(struct controller *c);

/* ---- admin.c ---- */
[[nodiscard]] int admin_start(struct controller *c, struct err *err);
[[nodiscard]] int admin_start_joining(struct controller *c, struct err *err);

/* ---- controller.c ---- */
/* Stores the event of a Model or Job and logs it. */
void event_note_of(struct controller *c, const struct resource_kind *kind, struct str object,
                   const char *reason, const char *format, ...) PRINTF_LIKE(5, 6);
/* Of a Model. */
#define event_note(c, object, ...) event_note_of(c, &model_kind, object, __VA_ARGS__)
[[nodiscard]] int controller_publish_keys(struct controller *c, struct err *err);
void controller_if_all_ended(struct controller *c);
/* A random text that is made once and kept in a file of the state folder, for its owner's eyes. */
[[nodiscard]] int controller_read_token(struct controller *c, const char *file,
                                        char ret_token[REPLICA_TOKEN_LEN + 1], struct err *err);

#endif
