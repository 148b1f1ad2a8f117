/* SPDX-License-Identifier: Apache-2.0 */
/* The kind Model: what to serve, on what, and how many times. Field meanings: model.c, or
 * `fairway explain model`. */
#ifndef FAIRWAY_API_MODEL_H
#define FAIRWAY_API_MODEL_H

#include "api/resource.h"
#include "api/resources.h"
#include "base/time.h"

enum model_engine {
    MODEL_ENGINE_LLAMA,
    MODEL_ENGINE_VLLM,
    MODEL_ENGINE_SIMULATE,
    MODEL_ENGINE_CUSTOM,
    MODEL_ENGINE_REMOTE
};

enum model_fairness { MODEL_FAIR_TOKENS, MODEL_FAIR_REQUESTS, MODEL_FIFO };

struct model_spec {
    struct {
        struct str uri, digest;
    } source;
    struct {
        int type; /* enum model_engine */
        struct str image;
        struct schema_strings command, args;
        struct schema_map env;
        int64_t context_length; /* 0: the engine decides */
        int64_t max_concurrent_requests;
        /* of a remote one */
        struct schema_strings urls;
        struct str model; /* its name there; empty: the Model's own */
        struct str api_key_file, api_key_env, ca_file;
    } engine;
    struct resources resources; /* of a replica */
    struct str tenant;          /* empty: the default queue */
    int64_t priority;
    int64_t replicas; /* of a remote engine: see model_settle */
    struct {
        int64_t max_length;
        nsec max_wait;
        int fairness; /* enum model_fairness */
    } queue;
    struct {
        struct schema_strings aliases;
        int policy; /* its name: model_policy_name */
        int64_t weight;
        struct schema_strings fallback;
        int64_t hedge_percent;
    } traffic;
    struct {
        int64_t input, cached_input, output; /* millionths of money for a million tokens */
    } price;
    struct {
        nsec startup, period;
        int64_t failures;
    } probes;
};

struct model {
    struct resource resource;
    struct model_spec spec;
};

extern const struct resource_kind model_kind;

/* A remote engine has a replica for each of its URLs, or none: any number but 0 becomes theirs. */
void model_settle(struct model *m);

const char *model_policy_name(int policy); /* of core/route */

static inline struct model *model_from(struct resource *resource)
{
    CHECK(resource->type == &model_kind);
    return container_of(resource, struct model, resource);
}

#endif
