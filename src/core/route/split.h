/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One of several by weight, the same one for the same key: weighted rendezvous hashing (Schindelhauer and Schomaker, "Weighted
 * distributed hash tables", SPAA 2005). Pure.
 *
 * Over random keys each is chosen in proportion to its weight. A weight that changes moves keys to or from its owner only.
 */
#ifndef FAIRWAY_CORE_SPLIT_H
#define FAIRWAY_CORE_SPLIT_H

#include <stddef.h>
#include <stdint.h>

struct split_part {
    uint64_t id; /* what it is, not where it stands: a hash of its name */
    unsigned weight;
};

/* The place of the chosen one; `count` if no weight is above 0. */
size_t split_choose(const struct split_part *parts, size_t count, uint64_t key);

#endif
