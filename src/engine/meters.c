/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/meters.h"

#include <stdio.h>

static struct metric_family *family(struct metrics *registry, enum metric_type type,
                                    const char *name, const char *help, const char *second_label)
{
    struct metric_spec spec = {
        .type = type, .name = name, .help = help, .labels = {"model_name", second_label}};
    if (type == METRIC_HISTOGRAM) {
        spec.buckets = metric_buckets_latency;
        spec.bucket_count = metric_buckets_latency_count;
    }
    return metrics_family(registry, &spec);
}

static struct metric *single(struct metrics *registry, struct str model, enum metric_type type,
                             const char *name, const char *help)
{
    return metric_series(family(registry, type, name, help, NULL), &model);
}

static struct metric *token_histogram(struct metrics *registry, struct str model)
{
    struct metric_spec spec = {.type = METRIC_HISTOGRAM,
                               .name = "vllm:inter_token_latency_seconds",
                               .help = "Time between two tokens of a sequence.",
                               .labels = {"model_name"},
                               .buckets = metric_buckets_token,
                               .bucket_count = metric_buckets_token_count};
    return metric_series(metrics_family(registry, &spec), &model);
}

static void init_histograms(struct meters *m, struct metrics *r, struct str model)
{
    const enum metric_type type = METRIC_HISTOGRAM;
    m->duration = single(r, model, type, "inference_duration_seconds",
                         "Time from a request's arrival to the end of its answer.");
    m->end_to_end = single(r, model, type, "vllm:e2e_request_latency_seconds",
                           "Time from a sequence's arrival to its end.");
    m->first_token = single(r, model, type, "vllm:time_to_first_token_seconds",
                            "Time from a sequence's arrival to its first token.");
    m->queue_time = single(r, model, type, "vllm:request_queue_time_seconds",
                           "Time that a sequence waited for a slot.");
    m->between_tokens = token_histogram(r, model);
}

static void init_gauges(struct meters *m, struct metrics *r, struct str model)
{
    const enum metric_type type = METRIC_GAUGE;
    m->queue_length =
        single(r, model, type, "inference_queue_length", "Sequences that wait for a slot.");
    m->running = single(r, model, type, "vllm:num_requests_running", "Sequences in a slot.");
    m->waiting =
        single(r, model, type, "vllm:num_requests_waiting", "Sequences that wait for a slot.");
    m->kv_usage = single(r, model, type, "vllm:kv_cache_usage_perc",
                         "Share of the KV cells that running sequences hold, 0 to 1.");
    m->slots = single(r, model, type, "fairway_engine_slots", "Sequences that may run at a time.");
    m->peak = single(r, model, type, "fairway_engine_running_peak",
                     "Most sequences that ever ran at a time.");
}

static void init_counters(struct meters *m, struct metrics *r, struct str model)
{
    const enum metric_type type = METRIC_COUNTER;
    m->prompt_tokens =
        single(r, model, type, "vllm:prompt_tokens_total", "Prompt tokens of started sequences.");
    m->generated_tokens =
        single(r, model, type, "vllm:generation_tokens_total", "Tokens generated.");
    m->prefix_queries = single(r, model, type, "vllm:prefix_cache_queries_total",
                               "Prompt tokens that were looked up among the cells at hand.");
    m->prefix_hits = single(r, model, type, "vllm:prefix_cache_hits_total",
                            "Prompt tokens whose cells were at hand.");
    m->preemptions = single(r, model, type, "vllm:num_preemptions_total",
                            "Sequences that gave back their KV cells to others for a while.");
    m->steps = single(r, model, type, "fairway_engine_steps_total", "Steps of the decode thread.");
    m->busy = single(r, model, type, "fairway_engine_busy_seconds_total",
                     "Time that the decode thread spent computing.");
}

static struct metric *init_gpu(struct metrics *registry, struct str gpu_id)
{
    struct metric_spec spec = {
        .type = METRIC_GAUGE,
        .name = "gpu_utilization",
        .help = "Share of the time since the last scrape that the GPU computed, 0 to 1.",
        .labels = {"gpu_id"}};
    struct metric_family *f = metrics_family(registry, &spec);
    return gpu_id.ptr ? metric_series(f, &gpu_id) : NULL;
}

void meters_init(struct meters *m, struct metrics *registry, struct str model, struct str gpu_id)
{
    *m = (struct meters){.model = model};
    m->requests = family(registry, METRIC_COUNTER, "inference_requests_total",
                         "Requests answered, by HTTP status (499: the client left).", "status");
    m->finished = family(registry, METRIC_COUNTER, "vllm:request_success_total",
                         "Sequences ended, by reason.", "finished_reason");
    init_histograms(m, registry, model);
    init_gauges(m, registry, model);
    init_counters(m, registry, model);
    m->gpu = init_gpu(registry, gpu_id);
}

void meters_update(struct meters *m, const struct scheduler_stats *now, nsec time)
{
    const struct scheduler_stats *last = &m->last;
    if (m->gpu && time > m->updated)
        metric_set(m->gpu, MIN((double)(now->busy - last->busy) / (double)(time - m->updated), 1));
    m->updated = time;
    metric_set(m->queue_length, now->waiting);
    metric_set(m->waiting, now->waiting);
    metric_set(m->running, now->running);
    metric_set(m->peak, now->running_peak);
    metric_set(m->slots, now->slots);
    metric_set(m->kv_usage, now->kv_total ? (double)now->kv_used / now->kv_total : 0);
    metric_add(m->prompt_tokens, (double)(now->prompt_tokens - last->prompt_tokens));
    metric_add(m->prefix_queries, (double)(now->prompt_tokens - last->prompt_tokens));
    metric_add(m->prefix_hits, (double)(now->cached_tokens - last->cached_tokens));
    metric_add(m->preemptions, (double)(now->preemptions - last->preemptions));
    metric_add(m->steps, (double)(now->steps - last->steps));
    metric_add(m->busy, nsec_to_seconds(now->busy - last->busy));
    m->last = *now;
}

void meters_request(struct meters *m, int status, nsec took)
{
    char text[8];
    int len = snprintf(text, sizeof(text), "%d", status);
    struct str values[] = {m->model, {text, (size_t)len}};
    metric_add(metric_series(m->requests, values), 1);
    metric_observe(m->duration, nsec_to_seconds(took));
}

void meters_sequence(struct meters *m, const struct job_times *times, uint64_t drawn,
                     const char *finish)
{
    struct str values[] = {m->model, str_from(finish)};
    metric_add(metric_series(m->finished, values), 1);
    metric_add(m->generated_tokens, (double)drawn);
    if (times->started)
        metric_observe(m->queue_time, nsec_to_seconds(times->started - times->queued));
    metric_observe(m->end_to_end, nsec_to_seconds(times->ended - times->queued));
    if (times->first)
        metric_observe(m->first_token, nsec_to_seconds(times->first - times->queued));
}
