/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which node, and which of its GPUs: the state of a cluster, who has what of it, and the policies
 * that choose. Pure.
 *
 * A request is for whole GPUs of one node, or a share of one GPU, or a MIG instance, or for no GPU at
 * all; with CPU and memory. It is given everything or nothing. place_choose says where it would go
 * and leaves no trace; place_allocate gives it, as a lease; place_release takes it back.
 *
 * Rules:
 * - A GPU is used in one way at a time: whole by one lease, or in shares, or, if MIG is on, in
 *   instances, and MIG is never on for the two other ways.
 * - Several GPUs are of one model, and of one NUMA node or NVLink group if the request says so: from
 *   the smallest such set that has enough idle ones, the lowest numbers.
 * - A share is of compute (thousandths) and of memory (MiB); what the request leaves out follows from
 *   the other in proportion. A whole GPU is a thousand thousandths.
 * - A closed node (cordoned, or not well), a removed one and a faulty GPU take nothing new; what is
 *   there stays until it is released.
 * - A node must have all labels that the request names; the request must tolerate all its taints.
 * - Spread: of the nodes that fit those count whose zone has the fewest leases of the request's group, of
 *   them those which have the fewest themselves. It is a wish: where only one fits, it is that one.
 * - The policy gives every node that fits a score; the highest wins, and of equal ones the node with
 *   the lowest slot. Nodes get slots in the order in which they are put: the caller decides ties.
 *   Same state, seed, owner and request: same decision.
 *
 * Invariants (place_check): no unit is given twice, used + free = capacity of every node and device,
 * and both are the sum of the leases. A state made anew from the same nodes, in the order of their
 * slots, and from the leases (place_restore) is the same state.
 *
 * Bounds: nodes, leases and remembered shapes as in the options; beyond them ERR_FULL, or the least
 * recently used shape is forgotten. Memory: about 1 KiB for a node, 130 bytes for a lease, and for a
 * shape 2.1 bytes for each node (3.1 under a policy that has prices).
 * Speed: a decision scores anew, for its shape, those nodes that have changed since the shape was
 * last asked for (core/place/rank.h), and no others.
 * Ownership: all memory is the struct's own, until place_fini. Thread rule: one thread at a time;
 * asking (place_choose) is no exception, as scores are remembered.
 */
#ifndef FAIRWAY_CORE_PLACE_H
#define FAIRWAY_CORE_PLACE_H

#include "base/arena.h"
#include "base/err.h"
#include "base/map.h"
#include "base/time.h"
#include "core/place/mig.h"
#include "core/place/rank.h"

enum {
    PLACE_GPUS_MAX = 16, /* of one node */
    PLACE_NODES_MAX = RANK_PLACES_MAX,
    PLACE_MODELS_MAX = 64, /* of GPUs, in one cluster */
    PLACE_NAMES_MAX = 256, /* labels and taints that requests and nodes may have */
    PLACE_MILLI = 1000,    /* thousandths of a GPU */
    PLACE_NONE = -1,
};
#define PLACE_AMOUNT_MAX INT64_C(1000000000000) /* thousandths of a CPU, or MiB, of one node */

/* ---- what there is ---- */

/* Labels or taints, by numbers that the caller gives to names. */
struct place_set {
    uint64_t bits[PLACE_NAMES_MAX / 64];
};

static inline void place_set_add(struct place_set *s, unsigned name)
{
    CHECK(name < PLACE_NAMES_MAX);
    s->bits[name / 64] |= UINT64_C(1) << (name % 64);
}
bool place_set_within(const struct place_set *s, const struct place_set *of);

struct place_gpu_spec {
    uint8_t model;        /* below PLACE_MODELS_MAX */
    uint8_t numa, nvlink; /* groups, numbered within the node */
    bool faulty;
    uint32_t memory;                /* MiB; 0: not known, shares are of compute alone */
    const struct mig_geometry *mig; /* how it can be cut; NULL: MIG is off */
};

struct place_node_spec {
    uint64_t id;         /* not 0 */
    int64_t cpu, memory; /* thousandths, MiB */
    struct place_set labels, taints;
    uint8_t zone; /* numbered by the caller: what fails together */
    bool spot;    /* may be taken away at any time */
    bool closed;
    int gpu_count;
    struct place_gpu_spec gpus[PLACE_GPUS_MAX];
};

/* ---- what is asked for and given ---- */

enum place_together { PLACE_ANYWHERE, PLACE_SAME_NUMA, PLACE_SAME_NVLINK };
enum place_spread { PLACE_NO_SPREAD, PLACE_SPREAD_NODES, PLACE_SPREAD_ZONES };

/* At most one of gpus, share and mig. Without padding: requests are compared as bytes. */
struct place_request {
    uint64_t models;     /* accepted, a bit for each; 0: any */
    int64_t cpu, memory; /* thousandths, MiB */
    struct place_set labels, tolerations;
    uint32_t share_mib;   /* of one GPU, and thousandths: */
    uint16_t share_milli; /* below PLACE_MILLI */
    uint8_t gpus;         /* whole ones */
    uint8_t mig;          /* number of a profile */
    uint32_t together;    /* enum place_together, of whole GPUs */
    uint32_t spot;        /* 1: a spot node will do */
    uint32_t spread;      /* enum place_spread, */
    uint32_t group;       /* from others of this group: the caller's number, not 0 */
};
_Static_assert(sizeof(struct place_request) == 112, "no padding");

/* What an owner has, on one node. */
struct place_lease {
    uint64_t owner, node;
    nsec since;
    int64_t cpu, memory;
    uint32_t mib;      /* of each of the GPUs; of a MIG instance 0 */
    uint16_t milli;    /* likewise */
    uint16_t gpus;     /* a bit for each */
    uint8_t mig;       /* number of a profile, of an instance */
    uint8_t mig_start; /* its first slice */
    uint32_t group;    /* of the request */
};

/* ---- the state ---- */

struct place_gpu {
    struct place_gpu_spec spec;
    uint32_t mib_used;
    uint16_t milli_used;
    uint16_t leases;
    struct mig_use mig;
};

enum {
    PLACE_KIND_SHARE,
    PLACE_KINDS = PLACE_GPUS_MAX + 1
}; /* of a lease: a part, or so many GPUs */

/* What scoring looks at: kept up at every change, close together. */
struct place_view {
    int64_t cpu_free, memory_free;
    int64_t value;    /* the policy's own, see place_policy.look */
    uint64_t models;  /* of its GPUs */
    uint32_t kinds;   /* a bit for each kind of lease that is there */
    int32_t room_sum; /* thousandths, */
    int32_t room_all; /* and when all is idle */
    uint16_t idle;    /* GPUs that may be given whole */
    uint16_t cut;     /* GPUs with MIG on, and room */
    uint8_t gpu_count;
    bool open, spot, picky;       /* takes something; ...; has taints */
    int16_t room[PLACE_GPUS_MAX]; /* thousandths that shares may have; 0 for faulty and cut ones */
    uint8_t model[PLACE_GPUS_MAX];
    uint8_t step[PLACE_GPUS_MAX]; /* of its room, in the target's steps */
};

struct place_node {
    struct place_node_spec spec; /* id 0: a free slot */
    bool removed;                /* the slot is freed with its last lease */
    int64_t cpu_used, memory_used;
    uint32_t leases;
    uint32_t kinds[PLACE_KINDS];
    struct place_gpu gpus[PLACE_GPUS_MAX];
    struct map_node by_id;
};

struct place_holding {
    struct place_lease lease; /* owner 0: free */
    int node;                 /* slot */
    uint32_t next_free;       /* index + 1 */
    struct map_node by_owner;
};

/* A request of this kind was asked for: the nodes by their scores for it. */
struct place_shape {
    struct place_request request;
    struct rank rank;
    uint64_t used; /* when last */
    struct map_node by_request;
};

struct place_policy;

struct place_options {
    const struct place_policy *policy;
    uint64_t seed; /* of `random` */
    unsigned nodes_max, leases_max, shapes_max;
};

/* The largest node, each quantity by itself: what some policies measure by. */
struct place_largest {
    int64_t cpu;
    int gpus;
};

/* Thousandths of GPUs on the open nodes of a group, that shares and whole GPUs may have. */
struct place_supply {
    int64_t all, free;
};

struct place_target;

struct place {
    struct place_options options;
    struct arena memory;
    struct place_node *nodes;       /* own (memory), by slot */
    struct place_view *views;       /* own (memory), by slot */
    int node_count;                 /* slots in use lie below this */
    struct map by_id;               /* of nodes */
    struct place_holding *holdings; /* own (memory) */
    uint32_t holding_count, free_holding;
    struct map by_owner;
    struct place_shape *shapes; /* own (memory) */
    unsigned shape_count;
    struct map by_request;
    uint64_t asked;
    struct rank_log changes;
    struct place_largest largest;
    struct place_supply supply[RANK_GROUPS_MAX];
    struct place_target *target; /* own (memory); what fgd and fairway expect to come */
    uint32_t *crowd; /* own (memory), by slot: leases of a group, while a place is sought */
};

/* Memory that the options let it have. */
size_t place_memory(const struct place_options *options);
void place_init(struct place *p, const struct place_options *options);
void place_fini(struct place *p);

/* Adds the node or changes it. ERR_INVALID: the spec makes no sense. ERR_FULL: too many nodes.
 * ERR_CONFLICT: a GPU that is in use would change in more than its health, or the node would have
 * less than is given. */
[[nodiscard]] int place_node_put(struct place *p, const struct place_node_spec *spec);
void place_node_remove(struct place *p, uint64_t id);
/* NULL: there is none, or it was removed. */
const struct place_node *place_node_find(const struct place *p, uint64_t id);

/* What is expected to come, as requests and how often each was seen; fgd and fairway score by it. The
 * most frequent of them are kept, up to 95 % of all and PLACE_TARGET_MAX. Valid ones, at most
 * PLACE_EXPECTED_MAX. */
enum { PLACE_TARGET_MAX = 255, PLACE_TARGET_PERCENT = 95, PLACE_EXPECTED_MAX = 4096 };
void place_set_target(struct place *p, const struct place_request *requests, const uint32_t *counts,
                      size_t count);

struct place_choice {
    int node;      /* slot */
    int score;     /* less the price, if the policy has any */
    uint16_t gpus; /* a bit for each */
    uint8_t mig_start;
};

/* Where it would go. ERR_INVALID: the request makes no sense. ERR_UNAVAILABLE: it fits nowhere now. */
[[nodiscard]] int place_choose(struct place *p, uint64_t owner, const struct place_request *request,
                               struct place_choice *ret_choice);
/* As place_choose; and ERR_CONFLICT: the owner (not 0) has a lease; ERR_FULL: too many leases. */
[[nodiscard]] int place_allocate(struct place *p, uint64_t owner,
                                 const struct place_request *request, nsec now,
                                 const struct place_lease **ret_lease);
/* An owner that has nothing is fine. */
void place_release(struct place *p, uint64_t owner);

/* Puts a lease back as it was: after a restart. ERR_NOT_FOUND: no such node. ERR_CONFLICT: its room
 * is not free, or the owner has a lease. ERR_INVALID: it makes no sense there. Closed nodes and faulty
 * GPUs are no obstacle. */
[[nodiscard]] int place_restore(struct place *p, const struct place_lease *lease);

/* NULL: none. */
const struct place_lease *place_lease_find(const struct place *p, uint64_t owner);
/* The lease after `previous` in no particular order; NULL starts, NULL ends. */
const struct place_lease *place_lease_next(const struct place *p,
                                           const struct place_lease *previous);

/* Free on nodes that take something new. */
struct place_available {
    int64_t cpu, memory;
    int64_t milli;   /* of GPUs without MIG */
    unsigned idle;   /* GPUs that may be given whole */
    unsigned slices; /* of GPUs with MIG */
};
struct place_available place_available(const struct place *p);

/* What is broken, as text; NULL: nothing. For tests: it looks at everything. */
const char *place_check(const struct place *p);

#endif
