/* SPDX-License-Identifier: Apache-2.0 */
/* The kind Node: a machine and what it has. Field meanings: node.c, or `fairway explain node`. */
#ifndef FAIRWAY_API_NODE_H
#define FAIRWAY_API_NODE_H

#include "api/resource.h"

struct node_spec {
    bool cordon;
    int64_t cpu;    /* thousandths of a processor; 0: unknown */
    int64_t memory; /* bytes; 0: unknown */
};

struct node {
    struct resource resource;
    struct node_spec spec;
};

extern const struct resource_kind node_kind;

static inline struct node *node_from(struct resource *resource)
{
    CHECK(resource->type == &node_kind);
    return container_of(resource, struct node, resource);
}

#endif
