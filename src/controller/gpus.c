/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/gpus.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "gpu/nvml.h"
#include "observe/metrics.h"

/* ---- what is measured; NaN: not known ---- */

static double scaled(int64_t value, double unit)
{
    return value == GPU_UNKNOWN ? NAN : (double)value / unit;
}

static double memory(const struct gpu_device *d)
{
    return scaled(d->memory, 1);
}

static double memory_used(const struct gpu_device *d)
{
    return scaled(d->memory_used, 1);
}

static double utilisation(const struct gpu_device *d)
{
    return scaled(d->utilisation, 100);
}

static double temperature(const struct gpu_device *d)
{
    return scaled(d->temperature, 1);
}

static double power(const struct gpu_device *d)
{
    return scaled(d->power, 1000);
}

static double healthy(const struct gpu_device *d)
{
    return !d->faulty;
}

static const struct {
    const char *name, *help;
    double (*value)(const struct gpu_device *d);
} measures[] = {
    {"fairway_gpu_memory_bytes", "The memory of a GPU.", memory},
    {"fairway_gpu_memory_used_bytes", "How much of it is taken, by whomever.", memory_used},
    {"fairway_gpu_utilisation_ratio", "Share of the time in which something was computed.",
     utilisation},
    {"fairway_gpu_temperature_celsius", "Its temperature.", temperature},
    {"fairway_gpu_power_watts", "What it draws.", power},
    {"fairway_gpu_healthy", "1: in order, 0: faulty.", healthy},
};

struct gpus {
    pthread_mutex_t mutex; /* over all below but the families */
    pthread_cond_t changed;
    pthread_t thread;
    bool threaded, stopping, ended;
    bool abandoned; /* the thread frees it */
    bool read;      /* inventory is that of a reading */
    void (*tell)(void *ctx);
    void *ctx;
    struct gpu_inventory inventory;
    struct metric_family *families[ARRAY_LEN(measures)]; /* borrow; not used once it is stopping */
};

/* Until *flag is set, or for so long. Holds the mutex. */
static void wait_for(struct gpus *g, const bool *flag, nsec patience)
{
    nsec until = clock_now() + patience;
    const struct timespec t = {until / NSEC_PER_SEC, until % NSEC_PER_SEC};
    while (!*flag && !pthread_cond_timedwait(&g->changed, &g->mutex, &t))
        ;
}

/* ---- publishing ---- */

struct labels {
    char index[16];
    struct str values[2];
};

static void put_labels(const struct gpu_device *d, struct labels *l)
{
    snprintf(l->index, sizeof(l->index), "%d", d->index);
    l->values[0] = str_from(l->index);
    l->values[1] = str_from(d->uuid);
}

static void measure(struct gpus *g, const struct gpu_device *d)
{
    struct labels labels;
    put_labels(d, &labels);
    for (size_t i = 0; i < ARRAY_LEN(measures); i++) {
        double value = measures[i].value(d);
        if (isnan(value))
            metric_remove(g->families[i], labels.values);
        else
            metric_set(metric_series(g->families[i], labels.values), value);
    }
}

static void forget(struct gpus *g, const struct gpu_device *d)
{
    struct labels labels;
    put_labels(d, &labels);
    for (size_t i = 0; i < ARRAY_LEN(measures); i++)
        metric_remove(g->families[i], labels.values);
}

/* The device of the last reading in that place, if it is the same one. */
static const struct gpu_device *same(const struct gpu_inventory *in, const struct gpu_device *d)
{
    const struct gpu_device *there = &in->devices[d->index];
    return d->index < in->count && !strcmp(there->uuid, d->uuid) ? there : NULL;
}

static void log_changes(const struct gpus *g, const struct gpu_inventory *now)
{
    const struct gpu_inventory *before = &g->inventory;
    if (!g->read || before->state != now->state || before->count != now->count ||
        strcmp(before->problem, now->problem) != 0)
        log_info("GPUs", log_str("state", gpu_state_text(now->state)), log_int("count", now->count),
                 log_str("problem", now->problem));
    for (int i = 0; i < now->count; i++) {
        const struct gpu_device *d = &now->devices[i], *old = same(before, d);
        if (d->faulty && !(old && old->faulty))
            log_warn("a GPU is faulty", log_int("gpu", d->index), log_str("uuid", d->uuid),
                     log_str("reason", d->reason));
    }
}

/* Apart from what changes all the time. */
static bool differs(const struct gpu_inventory *a, const struct gpu_inventory *b)
{
    if (a->state != b->state || a->count != b->count)
        return true;
    for (int i = 0; i < b->count; i++) {
        const struct gpu_device *x = &a->devices[i], *y = &b->devices[i];
        if (x->faulty != y->faulty || x->mig != y->mig || x->memory != y->memory ||
            strcmp(x->uuid, y->uuid) != 0 || strcmp(x->model, y->model) != 0)
            return true;
    }
    return false;
}

static void publish(struct gpus *g, const struct gpu_inventory *now)
{
    bool changed = false;
    pthread_mutex_lock(&g->mutex);
    if (!g->stopping) {
        changed = !g->read || differs(&g->inventory, now);
        log_changes(g, now);
        for (int i = 0; i < g->inventory.count; i++)
            if (!same(now, &g->inventory.devices[i]))
                forget(g, &g->inventory.devices[i]);
        for (int i = 0; i < now->count; i++)
            measure(g, &now->devices[i]);
        g->inventory = *now;
        g->read = true;
        if (changed)
            g->tell(g->ctx); /* under the mutex: never after gpus_stop */
        pthread_cond_broadcast(&g->changed);
    }
    pthread_mutex_unlock(&g->mutex);
}

bool gpus_last(struct gpus *g, nsec patience, struct gpu_inventory *ret_inventory)
{
    pthread_mutex_lock(&g->mutex);
    wait_for(g, &g->read, patience);
    bool read = g->read;
    if (read)
        *ret_inventory = g->inventory;
    pthread_mutex_unlock(&g->mutex);
    return read;
}

/* ---- the thread ---- */

static bool is_stopped_meanwhile(struct gpus *g)
{
    pthread_mutex_lock(&g->mutex);
    wait_for(g, &g->stopping, GPUS_PERIOD);
    bool stopping = g->stopping;
    pthread_mutex_unlock(&g->mutex);
    return stopping;
}

static void destroy(struct gpus *g)
{
    pthread_cond_destroy(&g->changed);
    pthread_mutex_destroy(&g->mutex);
    mem_free(g);
}

static void *watch(void *arg)
{
    struct gpus *g = arg;
    struct gpu_inventory now;
    struct nvml *n = nvml_open(&(struct nvml_options){0});
    do {
        nvml_read(n, &now);
        publish(g, &now);
    } while (!is_stopped_meanwhile(g));
    nvml_close(n);
    pthread_mutex_lock(&g->mutex);
    g->ended = true;
    bool abandoned = g->abandoned;
    pthread_cond_broadcast(&g->changed);
    pthread_mutex_unlock(&g->mutex);
    if (abandoned)
        destroy(g);
    return NULL;
}

static struct gpus *new_gpus(struct metrics *metrics)
{
    struct gpus *g = NEW(struct gpus);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&g->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&g->mutex, NULL);
    for (size_t i = 0; i < ARRAY_LEN(measures); i++) {
        const struct metric_spec spec = {.type = METRIC_GAUGE,
                                         .name = measures[i].name,
                                         .help = measures[i].help,
                                         .labels = {"gpu", "uuid"}};
        g->families[i] = metrics_family(metrics, &spec);
    }
    return g;
}

struct gpus *gpus_start(const struct gpus_options *options)
{
    struct gpus *g = new_gpus(options->metrics);
    g->tell = options->changed;
    g->ctx = options->ctx;
    g->threaded = !options->simulated;
    if (options->simulated) {
        publish(g, options->simulated);
    } else {
        int error = pthread_create(&g->thread, NULL, watch, g);
        CHECK(!error);
    }
    return g;
}

void gpus_stop(struct gpus *g)
{
    if (!g)
        return;
    pthread_t thread = g->thread;
    pthread_mutex_lock(&g->mutex);
    g->stopping = true;
    pthread_cond_broadcast(&g->changed);
    if (g->threaded)
        wait_for(g, &g->ended, GPUS_STOP_MAX);
    bool threaded = g->threaded, abandoned = threaded && !g->ended;
    g->abandoned = abandoned;
    pthread_mutex_unlock(&g->mutex);
    if (abandoned) {
        pthread_detach(thread);
        return;
    }
    if (threaded)
        pthread_join(thread, NULL);
    destroy(g);
}
