/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The prefix cache of a simulated model, as engines with paged KV memory have it: computed tokens
 * are kept in blocks, each under a hash that stands for it and everything before it, until others
 * need the room. Sequences with equal beginnings share blocks. Pure.
 *
 * Rules: a block is known once it was computed, never before; what was not used for longest goes
 * first, and of one sequence the end before the beginning, which more have in common; the last token
 * of a prompt is never taken from the cache, as its logits are wanted. Hashes are trusted to differ.
 *
 * Invariants: at most `cells` tokens are held. Ownership: all memory is the cache's. Thread rule: one
 * thread at a time.
 */
#ifndef FAIRWAY_ENGINE_SIM_CACHE_H
#define FAIRWAY_ENGINE_SIM_CACHE_H

#include <stddef.h>
#include <stdint.h>

enum { SIM_CACHE_BLOCK = 16 }; /* tokens */

struct sim_cache;

/* `cells`: at least a block's. Sequences have ids below `sequences` and at most `length_max` tokens. */
struct sim_cache *sim_cache_new(uint64_t cells, uint32_t sequences, uint32_t length_max);
void sim_cache_free(struct sim_cache *c); /* NULL is fine */

/* A sequence begins anew with these tokens. Returns how many of them need not be computed. */
uint32_t sim_cache_begin(struct sim_cache *c, uint32_t sequence, const int32_t *tokens,
                         uint32_t count);
/* Its next token was computed. The first one stands where sim_cache_begin said. */
void sim_cache_computed(struct sim_cache *c, uint32_t sequence, uint32_t position, int32_t token);

/* Tokens held. */
uint64_t sim_cache_held(const struct sim_cache *c);

#endif
