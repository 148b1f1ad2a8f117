/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a Model resource means on this machine: the command to run, how often, and what it needs.
 *
 * Ownership: everything lives in the wish's arena. Thread rule: one thread at a time.
 */
#ifndef FAIRWAY_CONTROLLER_WISH_H
#define FAIRWAY_CONTROLLER_WISH_H

#include "api/model.h"
#include "base/arena.h"
#include "base/err.h"
#include "controller/cluster.h"

struct wish {
    struct arena arena;
    struct model *model; /* the decoded resource */
    const char **args;   /* the engine's command; NULL-terminated; "{port}" stands for its port */
    const char **env;    /* "NAME=value", on top of our own; NULL-terminated */
    uint64_t revision;   /* hash of what needs a new process when it changes */
    uint64_t weights;    /* bytes of the model file; 0: unknown */
    uint64_t kv;         /* bytes of keys and values that the engine will reserve; 0: unknown */
};

/* Copies a stored Model. On failure the model exists but cannot run, and err says why. */
[[nodiscard]] int wish_read(struct wish *w, const struct resource *stored, const char *engine_path,
                            struct err *err);
void wish_fini(struct wish *w);

/*
 * May one more replica ask for room? `held`: what others have; `limit`: what all may use, 0: the whole machine.
 * ERR_UNAVAILABLE with the arithmetic in err when this machine has not the memory, even if all that may be evicted were.
 */
[[nodiscard]] int wish_check_memory(const struct wish *w, struct cluster_memory held,
                                    uint64_t limit, struct err *err);

/* What one replica needs: weights and KV cache, or the memory that its resources ask for if that is more. */
uint64_t wish_memory(const struct wish *w);

struct machine_memory {
    uint64_t total, available; /* bytes; 0: unknown */
};
struct machine_memory machine_memory(void);

#endif
