/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/meters.h"

#include <stdatomic.h>
#include <stdio.h>

#include "base/mem.h"
#include "observe/metrics.h"

static struct metric *series(struct metrics *m, const struct metric_spec *spec, struct str model)
{
    return metric_series(metrics_family(m, spec), &model);
}

static struct metric *histogram(struct metrics *m, struct str model, const char *name,
                                const char *help, const double *buckets, size_t count)
{
    const struct metric_spec spec = {METRIC_HISTOGRAM, name, help, {"model_name"}, buckets, count};
    return series(m, &spec, model);
}

static struct metric *plain(struct metrics *m, struct str model, enum metric_type type,
                            const char *name, const char *help)
{
    const struct metric_spec spec = {type, name, help, {"model_name"}, NULL, 0};
    return series(m, &spec, model);
}

/* A counter with one label more. */
static struct metric *by(struct metrics *m, struct str model, const char *name, const char *help,
                         const char *label, const char *value)
{
    const struct metric_spec spec = {METRIC_COUNTER, name, help, {"model_name", label}, NULL, 0};
    const struct str values[] = {model, str_from(value)};
    return metric_series(metrics_family(m, &spec), values);
}

static struct metric *rejected(struct metrics *m, struct str model, const char *reason)
{
    return by(m, model, "fairway_requests_rejected_total",
              "Requests that the queue refused, by reason", "reason", reason);
}

static struct metric *prefix_blocks(struct metrics *m, struct str model, const char *event)
{
    return by(m, model, "fairway_prefix_blocks_total",
              "Blocks of prompts in the index of the policy prefix, by what happened to them",
              "event", event);
}

static struct metric *queue_wait(struct metrics *m, struct str model, const char *priority)
{
    const struct metric_spec spec = {METRIC_HISTOGRAM,
                                     "fairway_queue_wait_seconds",
                                     "From arrival to dispatch to a replica, by priority",
                                     {"model_name", "priority"},
                                     metric_buckets_latency,
                                     metric_buckets_latency_count};
    const struct str values[] = {model, str_from(priority)};
    return metric_series(metrics_family(m, &spec), values);
}

struct model_meters *model_meters_new(struct metrics *registry, struct str model)
{
    struct model_meters *m = NEW(struct model_meters);
    const double *latency = metric_buckets_latency, *token = metric_buckets_token;
    size_t n = metric_buckets_latency_count, n_token = metric_buckets_token_count;
    m->registry = registry;
    m->name = mem_alloc(model.len + 1);
    memcpy(m->name, model.ptr, model.len);
    m->duration = histogram(registry, model, "inference_duration_seconds",
                            "From a request's first byte to the end of its response", latency, n);
    m->first_token =
        histogram(registry, model, "fairway_time_to_first_token_seconds",
                  "From a request's first byte to the first streamed chunk", latency, n);
    m->inter_token = histogram(registry, model, "fairway_inter_token_seconds",
                               "Between two chunks of a stream", token, n_token);
    m->queue_wait[QUEUE_BAND_HIGH] = queue_wait(registry, model, "high");
    m->queue_wait[QUEUE_BAND_NORMAL] = queue_wait(registry, model, "normal");
    m->queue_wait[QUEUE_BAND_LOW] = queue_wait(registry, model, "low");
    m->queue_length = plain(registry, model, METRIC_GAUGE, "inference_queue_length",
                            "Requests that wait for a replica");
    m->running = plain(registry, model, METRIC_GAUGE, "fairway_requests_running",
                       "Requests that a replica is serving");
    m->slots = plain(registry, model, METRIC_GAUGE, "fairway_slots",
                     "Concurrent requests that the ready replicas take");
    m->prefix_blocks = plain(registry, model, METRIC_GAUGE, "fairway_prefix_index_blocks",
                             "Blocks of prompts that the router knows a replica has");
    m->prefix_capacity = plain(registry, model, METRIC_GAUGE, "fairway_prefix_index_capacity",
                               "Blocks that the index of prompts has room for; 0: no index");
    m->retries = plain(registry, model, METRIC_COUNTER, "fairway_retries_total",
                       "Requests sent to another replica after one failed");
    m->broken_streams =
        plain(registry, model, METRIC_COUNTER, "fairway_streams_broken_total",
              "Streams that ended with an error event because their replica failed");
    m->resumed_streams = plain(registry, model, METRIC_COUNTER, "fairway_streams_resumed_total",
                               "Streams that another replica went on with after theirs had failed");
    m->hedges = plain(registry, model, METRIC_COUNTER, "fairway_hedges_total",
                      "Requests sent to a second replica because the first was late");
    m->hedges_won = plain(registry, model, METRIC_COUNTER, "fairway_hedges_won_total",
                          "Of those: the second replica answered first");
    m->fallbacks = plain(registry, model, METRIC_COUNTER, "fairway_fallbacks_total",
                         "Requests for this model that went on to the next in its chain");
    m->prefix_inserted = prefix_blocks(registry, model, "inserted");
    m->prefix_evicted = prefix_blocks(registry, model, "evicted");
    m->prefix_dropped = prefix_blocks(registry, model, "dropped");
    m->rejected_full = rejected(registry, model, "full");
    m->rejected_timeout = rejected(registry, model, "timeout");
    m->rejected_unavailable = rejected(registry, model, "unavailable");
    return m;
}

void model_meters_free(struct model_meters *m)
{
    if (!m)
        return;
    mem_free(m->name);
    mem_free(m);
}

static struct metric *requests_series(const struct model_meters *m, int status)
{
    char text[4];
    snprintf(text, sizeof(text), "%03d", status % 1000);
    const struct metric_spec spec = {METRIC_COUNTER,
                                     "inference_requests_total",
                                     "Requests to models, by HTTP status of the answer",
                                     {"model_name", "status"},
                                     NULL,
                                     0};
    const struct str values[] = {str_from(m->name), str_from(text)};
    return metric_series(metrics_family(m->registry, &spec), values);
}

void model_meters_count(struct model_meters *m, int status)
{
    struct metric *_Atomic *place = &m->by_status[(unsigned)status % MODEL_METERS_STATUS_MAX];
    struct metric *series = atomic_load_explicit(place, memory_order_acquire);
    if (!series) { /* two workers may both look it up: they find the same one */
        series = requests_series(m, status);
        atomic_store_explicit(place, series, memory_order_release);
    }
    metric_add(series, 1);
}
