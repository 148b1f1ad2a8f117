/* SPDX-License-Identifier: Apache-2.0 */
#include "observe/tracer.h"

#include <pthread.h>

#include "base/check.h"
#include "base/mem.h"

struct tracer {
    struct tracer_options options;
    pthread_mutex_t mutex; /* for all below */
    struct span *ring;     /* own */
    size_t first, count;
    uint64_t dropped;
    size_t batch;
    void (*wake)(void *arg);
    void *arg;
};

struct tracer *tracer_new(const struct tracer_options *options)
{
    CHECK(options->capacity > 0);
    struct tracer *t = NEW(struct tracer);
    t->options = *options;
    t->ring = mem_array(options->capacity, sizeof(struct span));
    pthread_mutex_init(&t->mutex, NULL);
    return t;
}

void tracer_free(struct tracer *t)
{
    if (!t)
        return;
    pthread_mutex_destroy(&t->mutex);
    mem_free(t->ring);
    mem_free(t);
}

bool tracer_samples(const struct tracer *t, struct trace_id id)
{
    return (double)(id.low >> 11) * 0x1p-53 < t->options.ratio;
}

static bool worth_keeping(const struct tracer *t, const struct span *spans, size_t count)
{
    bool keep = spans[0].context.sampled || spans[0].end - spans[0].start >= t->options.slow;
    for (size_t i = 0; i < count; i++)
        keep |= spans[i].failed;
    return keep;
}

static void put(struct tracer *t, const struct span *span)
{
    size_t capacity = t->options.capacity;
    if (t->count == capacity) {
        t->first = (t->first + 1) % capacity;
        t->count--;
        t->dropped++;
    }
    t->ring[(t->first + t->count) % capacity] = *span;
    t->count++;
    if (t->wake && (t->count == 1 || t->count == t->batch))
        t->wake(t->arg);
}

void tracer_record(struct tracer *t, const struct span *spans, size_t count)
{
    if (count == 0 || !worth_keeping(t, spans, count))
        return;
    pthread_mutex_lock(&t->mutex);
    for (size_t i = 0; i < count; i++)
        put(t, &spans[i]);
    pthread_mutex_unlock(&t->mutex);
}

size_t tracer_take(struct tracer *t, struct span *ret_spans, size_t max)
{
    pthread_mutex_lock(&t->mutex);
    size_t taken = MIN(max, t->count);
    for (size_t i = 0; i < taken; i++)
        ret_spans[i] = t->ring[(t->first + i) % t->options.capacity];
    t->first = (t->first + taken) % t->options.capacity;
    t->count -= taken;
    pthread_mutex_unlock(&t->mutex);
    return taken;
}

size_t tracer_waiting(struct tracer *t)
{
    pthread_mutex_lock(&t->mutex);
    size_t count = t->count;
    pthread_mutex_unlock(&t->mutex);
    return count;
}

uint64_t tracer_dropped(struct tracer *t)
{
    pthread_mutex_lock(&t->mutex);
    uint64_t dropped = t->dropped;
    pthread_mutex_unlock(&t->mutex);
    return dropped;
}

void tracer_on_spans(struct tracer *t, size_t batch, void (*wake)(void *arg), void *arg)
{
    pthread_mutex_lock(&t->mutex);
    t->batch = batch;
    t->wake = wake;
    t->arg = arg;
    pthread_mutex_unlock(&t->mutex);
}
