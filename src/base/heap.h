/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Intrusive binary min-heap: the array holds pointers to nodes inside the caller's objects, and
 * each node knows its place, so that any one can be removed or moved in O(log n).
 *
 * Ownership: nodes are the caller's; the array is the heap's (heap_init: grows on the heap;
 * heap_init_fixed: the caller's array, for pure code; inserting into a full one is a broken
 * invariant). Thread rule: one thread at a time.
 */
#ifndef FAIRWAY_BASE_HEAP_H
#define FAIRWAY_BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/check.h"

struct heap_node {
    size_t place; /* index + 1; 0 = in no heap */
};

typedef bool heap_before_fn(const struct heap_node *a, const struct heap_node *b);

struct heap {
    struct heap_node **nodes;
    size_t count, cap;
    heap_before_fn *before; /* strict order: is a before b? */
    bool fixed;
};

void heap_init(struct heap *h, heap_before_fn *before);
void heap_init_fixed(struct heap *h, heap_before_fn *before, struct heap_node **nodes, size_t cap);
void heap_fini(struct heap *h);

void heap_insert(struct heap *h, struct heap_node *node);
void heap_remove(struct heap *h, struct heap_node *node);  /* must be in this heap */
void heap_changed(struct heap *h, struct heap_node *node); /* its key changed: put it right */

static inline bool heap_has(const struct heap_node *node)
{
    return node->place != 0;
}

/* The least node; NULL when empty. */
static inline struct heap_node *heap_top(const struct heap *h)
{
    return h->count ? h->nodes[0] : NULL;
}

#endif
