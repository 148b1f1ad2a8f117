/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the cluster: cluster.c (machine, quotas, guests), cluster_why.c (why a guest waits). */
#ifndef FAIRWAY_CONTROLLER_CLUSTER_INTERNAL_H
#define FAIRWAY_CONTROLLER_CLUSTER_INTERNAL_H

#include "api/resource.h"
#include "controller/cluster.h"

enum {
    CLUSTER_NODE = 1,                         /* the id of this machine */
    CLUSTER_QUEUES_MAX = QUOTA_NODES_MAX - 1, /* the root is none */
    CLUSTER_GPUS = 0,                         /* the class of all GPUs in the quotas */
};

struct cluster_queue {
    char tenant[RESOURCE_NAME_MAX + 1]; /* "" of the default one, which is the first */
    int node;                           /* in the quota tree */
    int64_t nominal;
    bool has_quota; /* now */
};

struct cluster {
    struct place place;
    struct quota quota;
    struct sched sched;
    struct place_node_spec node;              /* as it was put last */
    char uuids[PLACE_GPUS_MAX][GPU_UUID_MAX]; /* of its GPUs */
    char models[PLACE_MODELS_MAX][GPU_MODEL_MAX];
    int model_count;
    int root;
    struct cluster_queue queues[CLUSTER_QUEUES_MAX];
    int queue_count;
};

void cluster_share_out(struct cluster *c);

#endif
