/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who has what of this machine, and who waits for it: core/sched over one node, with the GPUs of the last reading, and a queue
 * for each tenant that has a GPU quota.
 *
 * Everything that runs here as a process is a guest: a replica of a Model, or a Job with all its members. Guests come with a
 * request, and are told when they have room (start) and when they have to leave it (evict).
 *
 * Rules:
 * - A GPU is known by its UUID and keeps its place among the node's as long as it is there. One that is no longer found is faulty.
 * - A tenant without a GPU quota, and who names no tenant, is of the default queue, which has whatever is in nobody's quota.
 *   A quota that is taken away becomes 0, and may borrow.
 * - What is given stays given when the machine turns out to have less; then it takes nothing new.
 * - Quotas are of GPUs (thousandths); CPU and memory go by room alone.
 *
 * Ownership: guests are the caller's memory from cluster_submit or cluster_restore until cluster_leave.
 * Thread rule: on the controller's loop.
 */
#ifndef FAIRWAY_CONTROLLER_CLUSTER_H
#define FAIRWAY_CONTROLLER_CLUSTER_H

#include "base/json.h"
#include "core/sched/defrag.h"
#include "gpu/inventory.h"

enum { CLUSTER_GUESTS_MAX = 2048, CLUSTER_LEASES_MAX = 2 * CLUSTER_GUESTS_MAX };

struct cluster;
struct metrics;

struct cluster_guest {
    struct sched_workload work;
    struct str name;                        /* borrow: "model/chat", "job/train" */
    void (*start)(struct cluster_guest *g); /* it has room: cluster_devices */
    void (*evict)(struct cluster_guest *g); /* it has to end, and then to say so: cluster_ended */
};

struct cluster *cluster_new(struct metrics *metrics); /* borrow */
void cluster_free(struct cluster *c);                 /* NULL is fine */

/* ---- the machine and the quotas ---- */

struct cluster_machine {
    const struct gpu_inventory *gpus;
    int64_t cpu, memory; /* thousandths, MiB */
    bool closed;         /* takes nothing new */
};
void cluster_set_machine(struct cluster *c, const struct cluster_machine *machine, nsec now);

struct cluster_quota {
    struct str tenant;
    int64_t nominal, borrowing,
        lending; /* thousandths of GPUs; the latter two: or QUOTA_NO_LIMIT */
    uint32_t weight;
};
/* All of them; a tenant that is not among them has none any more. */
void cluster_set_quotas(struct cluster *c, const struct cluster_quota *quotas, size_t count,
                        nsec now);

int cluster_queue(const struct cluster *c, struct str tenant); /* empty: the default one */
/* The number of a GPU model that the machine has or had; PLACE_NONE: none such. `ctx` is the cluster. */
int cluster_gpu_model(void *ctx, struct str name);
/* Bytes that guests have, of those that may be evicted for inference and of those that may not. */
struct cluster_memory {
    uint64_t kept, preemptible;
};
struct cluster_memory cluster_memory(const struct cluster *c);
bool cluster_has_gpus(const struct cluster *c);

/* ---- guests ---- */

/* As sched_submit; the amount against the quota follows from the request. */
[[nodiscard]] int cluster_submit(struct cluster *c, struct cluster_guest *g, nsec now);
/* It ran before this controller, with these leases (cluster_lease_read). As sched_restore. */
[[nodiscard]] int cluster_restore(struct cluster *c, struct cluster_guest *g,
                                  struct place_lease *leases, size_t count, nsec now);
/* As sched_ended. */
void cluster_ended(struct cluster *c, struct cluster_guest *g, enum sched_end end, nsec now);
/* It is no guest any more, and nothing of it runs. Fine if it is none. */
void cluster_leave(struct cluster *c, struct cluster_guest *g, nsec now);

/* Decides, and tells the guests. Returns when to come again. */
nsec cluster_step(struct cluster *c, nsec now);

/* ---- what they have ---- */

/* What CUDA_VISIBLE_DEVICES is to be of this member: UUIDs, or "" of none. */
enum { CLUSTER_DEVICES_MAX = PLACE_GPUS_MAX * (GPU_UUID_MAX + 1) };
void cluster_devices(const struct cluster *c, const struct cluster_guest *g, unsigned member,
                     char ret_text[CLUSTER_DEVICES_MAX]);
/* JSON that cluster_lease_read understands, whatever the order of the GPUs then. */
void cluster_lease_write(const struct cluster *c, const struct cluster_guest *g, unsigned member,
                         struct buf *out);
/* ERR_NOT_FOUND: it speaks of a GPU that is not there. ERR_INVALID. */
[[nodiscard]] int cluster_lease_read(const struct cluster *c, const struct json *lease,
                                     struct place_lease *ret_lease);

/* Calls for each lease on the GPU (by its UUID): whose it is, which member, thousandths. */
void cluster_each_on_gpu(const struct cluster *c, const char *uuid,
                         void (*found)(void *ctx, struct cluster_guest *g, unsigned member,
                                       const struct place_lease *lease),
                         void *ctx);

/* Who should move so that more of the GPUs can be used: sched_defrag. Carried out by nobody. */
void cluster_proposals(struct cluster *c, nsec now, struct sched_proposals *ret_proposals);
/* Of an id in them. NULL: no such guest. */
const struct cluster_guest *cluster_guest_find(const struct cluster *c, uint64_t id);
/* Of a bit in a lease's `gpus`. */
const char *cluster_gpu_uuid(const struct cluster *c, unsigned gpu);

/* Why it is not running, for people; "" if it is. */
enum { CLUSTER_WHY_MAX = 1024 };
void cluster_why(struct cluster *c, const struct cluster_guest *g, nsec now,
                 char ret_text[CLUSTER_WHY_MAX]);

#endif
