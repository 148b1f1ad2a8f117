/* SPDX-License-Identifier: Apache-2.0 */
/* Results as JSON. */
#include "base/json.h"
#include "sim/result.h"

/* What there is to say; the rest is noise of adding up. */
static double rounded(double value)
{
    double sign = value < 0 ? -1 : 1;
    return sign * (double)(int64_t)(sign * value * 1000 + 0.5) / 1000;
}

static void put_double(struct json_writer *w, const char *key, double value)
{
    json_member_double(w, str_from(key), rounded(value));
}

static void put_waits(struct json_writer *w, const struct hist *h)
{
    json_key(w, STR("waitSeconds"));
    json_object(w);
    json_member_u64(w, STR("count"), h->count);
    put_double(w, "p50", nsec_to_seconds((nsec)hist_quantile(h, 0.5)));
    put_double(w, "p95", nsec_to_seconds((nsec)hist_quantile(h, 0.95)));
    put_double(w, "p99", nsec_to_seconds((nsec)hist_quantile(h, 0.99)));
    put_double(w, "max", nsec_to_seconds((nsec)hist_quantile(h, 1)));
    json_end(w);
}

static void put_figures(struct json_writer *w, const struct sim_result *r)
{
    struct sim_figure figures[SIM_FIGURES_MAX];
    int count = sim_figures(r, figures);
    json_key(w, STR("figures"));
    json_object(w);
    for (int i = 0; i < count; i++)
        put_double(w, figures[i].key, figures[i].value);
    json_end(w);
}

static void put_class(struct json_writer *w, const struct sim_class *c)
{
    json_object(w);
    json_member_str(w, STR("name"), c->name);
    json_member_str(w, STR("kind"), c->service ? STR("service") : STR("job"));
    if (c->queue.len)
        json_member_str(w, STR("queue"), c->queue);
    json_member_u64(w, STR("arrived"), c->arrived);
    json_member_u64(w, STR("started"), c->started);
    json_member_u64(w, STR("placedAtOnce"), c->placed_at_once);
    json_member_u64(w, c->service ? STR("withdrawn") : STR("completed"),
                    c->service ? c->withdrawn : c->completed);
    json_member_u64(w, STR("running"), c->running);
    json_member_u64(w, STR("waiting"), c->waiting);
    json_member_u64(w, STR("evicted"), c->evicted);
    put_waits(w, &c->wait);
    put_double(w, "usefulGpuHours", sim_gpu_hours(c->useful));
    put_double(w, "lostGpuHours", sim_gpu_hours(c->lost));
    put_double(w, "startingGpuHours", sim_gpu_hours(c->starting));
    json_end(w);
}

/* In the order in which classes first name them. */
static void put_queues(struct json_writer *w, const struct sim_result *r)
{
    json_key(w, STR("queues"));
    json_array(w);
    for (size_t i = 0; i < r->class_count; i++) {
        struct str queue = r->classes[i].queue;
        bool seen = !queue.len;
        for (size_t k = 0; k < i; k++)
            seen |= str_eq(r->classes[k].queue, queue);
        if (seen)
            continue;
        struct hist all, waits;
        hist_init(&all);
        for (int services = 0; services <= 1; services++)
            if (sim_waits(r, queue, services, &waits) && waits.count)
                hist_merge(&all, &waits);
        json_object(w);
        json_member_str(w, STR("name"), queue);
        put_waits(w, &all);
        json_end(w);
    }
    json_end(w);
}

static void put_bins(struct json_writer *w, const struct sim_result *r)
{
    json_key(w, STR("series"));
    json_array(w);
    for (int i = 0; i < r->bin_count; i++) {
        const struct sim_bin *b = &r->bins[i];
        json_object(w);
        put_double(w, "atSeconds", nsec_to_seconds(r->bin * i));
        put_double(w, "gpus", b->gpus);
        put_double(w, "jobGpus", b->jobs);
        put_double(w, "serviceGpus", b->services);
        put_double(w, "waitingJobs", b->waiting_jobs);
        put_double(w, "waitingReplicas", b->waiting_replicas);
        put_double(w, "freeGpus", b->free);
        put_double(w, "fragmentedGpus", b->fragmented);
        json_end(w);
    }
    json_end(w);
}

static void put_run(struct json_writer *w, const struct sim_result *r)
{
    json_object(w);
    json_member_str(w, STR("policy"), str_from(r->policy));
    json_member_u64(w, STR("seed"), r->seed);
    put_double(w, "durationSeconds", nsec_to_seconds(r->duration));
    json_member_u64(w, STR("nodes"), r->nodes);
    json_member_u64(w, STR("gpus"), r->gpus);
    put_double(w, "gpuHours", sim_gpu_hours(r->capacity));
    put_double(w, "givenGpuHours", sim_gpu_hours(r->given));
    put_figures(w, r);
    json_key(w, STR("classes"));
    json_array(w);
    for (size_t i = 0; i < r->class_count; i++)
        put_class(w, &r->classes[i]);
    json_end(w);
    put_queues(w, r);
    put_bins(w, r);
    json_end(w);
}

void sim_report_json(const struct sim_result *const *runs, size_t count, struct buf *out)
{
    struct json_writer w;
    json_writer_init(&w, out, 2);
    if (count == 1) {
        put_run(&w, runs[0]);
    } else {
        json_object(&w);
        json_key(&w, STR("runs"));
        json_array(&w);
        for (size_t i = 0; i < count; i++)
            put_run(&w, runs[i]);
        json_end(&w);
        json_end(&w);
    }
    buf_put_char(out, '\n');
}
