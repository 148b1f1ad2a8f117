/* SPDX-License-Identifier: Apache-2.0 */
#include "observe/metrics.h"

#include <math.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "observe/metrics_internal.h"

/* Longer label values are cut: the memory of a series has a bound too. */
enum { VALUE_MAX = 256 };

const double metric_buckets_latency[] = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
                                         1,     2.5,    5,     10,   20,    30,   60,  120};
const size_t metric_buckets_latency_count = ARRAY_LEN(metric_buckets_latency);
const double metric_buckets_token[] = {0.001, 0.0025, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05,
                                       0.075, 0.1,    0.15,  0.25, 0.5,   1,    2.5};
const size_t metric_buckets_token_count = ARRAY_LEN(metric_buckets_token);

struct metrics *metrics_new(void)
{
    struct metrics *m = NEW(struct metrics);
    pthread_mutex_init(&m->mutex, NULL);
    list_init(&m->families);
    map_init(&m->by_name);
    return m;
}

static void free_key(struct metric *series)
{
    mem_free((void *)(uintptr_t)series->node.key.ptr);
}

static void free_all_series(struct list *list)
{
    list_each(series, list, struct metric, link)
    {
        free_key(series);
        mem_free(series);
    }
}

void metrics_free(struct metrics *m)
{
    list_each(family, &m->families, struct metric_family, link)
    {
        free_all_series(&family->live);
        free_all_series(&family->removed);
        map_fini(&family->by_values);
        mem_free(family);
    }
    map_fini(&m->by_name);
    pthread_mutex_destroy(&m->mutex);
    mem_free(m);
}

/* ---- families ---- */

static size_t count_labels(const struct metric_spec *spec)
{
    size_t count = 0;
    while (count < METRIC_LABELS_MAX && spec->labels[count])
        count++;
    return count;
}

static bool same_spec(const struct metric_family *f, const struct metric_spec *spec)
{
    if (f->spec.type != spec->type || f->spec.bucket_count != spec->bucket_count ||
        f->label_count != count_labels(spec))
        return false;
    for (size_t i = 0; i < spec->bucket_count; i++)
        if (f->spec.buckets[i] != spec->buckets[i])
            return false;
    for (size_t i = 0; i < f->label_count; i++)
        if (strcmp(f->spec.labels[i], spec->labels[i]) != 0)
            return false;
    return true;
}

static struct metric_family *new_family(struct metrics *m, const struct metric_spec *spec)
{
    CHECK(spec->bucket_count <= METRIC_BUCKETS_MAX);
    CHECK((spec->type == METRIC_HISTOGRAM) == (spec->bucket_count > 0));
    for (size_t i = 1; i < spec->bucket_count; i++)
        CHECK(spec->buckets[i - 1] < spec->buckets[i]);
    struct metric_family *f = NEW(struct metric_family);
    f->registry = m;
    f->spec = *spec;
    f->label_count = count_labels(spec);
    list_init(&f->live);
    list_init(&f->removed);
    map_init(&f->by_values);
    list_append(&m->families, &f->link);
    map_insert(&m->by_name, str_from(spec->name), &f->node);
    return f;
}

struct metric_family *metrics_family(struct metrics *m, const struct metric_spec *spec)
{
    pthread_mutex_lock(&m->mutex);
    struct map_node *found = map_find(&m->by_name, str_from(spec->name));
    struct metric_family *f =
        found ? container_of(found, struct metric_family, node) : new_family(m, spec);
    CHECK(same_spec(f, spec));
    pthread_mutex_unlock(&m->mutex);
    return f;
}

/* ---- series ---- */

static void put_key_value(struct buf *key, struct str value)
{
    value = utf8_cut(value, VALUE_MAX);
    while (value.len > 0) {
        size_t length = utf8_length(value.ptr, value.ptr + value.len);
        buf_put(key, length ? str_sub(value, 0, length) : STR("\xEF\xBF\xBD"));
        value = str_sub(value, MAX(length, (size_t)1), value.len);
    }
    buf_put_char(key, METRIC_VALUE_END);
}

static size_t bucket_counts(const struct metric_family *f)
{
    return f->spec.bucket_count ? f->spec.bucket_count + 1 : 0;
}

static void reset(struct metric *series)
{
    atomic_store_explicit(&series->value, 0, memory_order_relaxed);
    for (size_t i = 0; i < bucket_counts(series->family); i++)
        atomic_store_explicit(&series->buckets[i], 0, memory_order_relaxed);
}

/* Memory for one more series, with no key: new, or that of the one removed longest ago. NULL when
 * `limit` are in use. */
static struct metric *take_series(struct metric_family *f, size_t limit)
{
    if (f->made < limit) {
        struct metric *series = mem_alloc(sizeof(*series) + bucket_counts(f) * sizeof(uint64_t));
        series->family = f;
        f->made++;
        return series;
    }
    struct metric *series = list_first(&f->removed, struct metric, link);
    if (series) {
        list_remove(&series->link);
        map_remove(&f->by_values, &series->node);
        free_key(series);
    }
    return series;
}

static struct metric *find_series(const struct metric_family *f, struct str key)
{
    struct map_node *found = map_find(&f->by_values, key);
    return found ? container_of(found, struct metric, node) : NULL;
}

static struct metric *find_or_make(struct metric_family *f, struct str key, size_t limit)
{
    struct metric *series = find_series(f, key);
    if (series && !series->is_removed)
        return series;
    if (series) {
        list_remove(&series->link);
    } else {
        series = take_series(f, limit);
        if (!series)
            return NULL;
        char *copy = mem_alloc(key.len + 1);
        memcpy(copy, key.ptr ? key.ptr : "", key.len);
        map_insert(&f->by_values, (struct str){copy, key.len}, &series->node);
    }
    reset(series);
    series->is_removed = false;
    list_append(&f->live, &series->link);
    return series;
}

static struct metric *make_other(struct metric_family *f, struct buf *key)
{
    buf_clear(key);
    for (size_t i = 0; i < f->label_count; i++)
        put_key_value(key, STR("other"));
    struct metric *series = find_or_make(f, buf_str(key), METRIC_SERIES_MAX);
    CHECK(series);
    return series;
}

static void make_key(const struct metric_family *f, const struct str *values, struct buf *key)
{
    buf_init(key, METRIC_LABELS_MAX * (3 * VALUE_MAX + 1));
    for (size_t i = 0; i < f->label_count; i++)
        put_key_value(key, values[i]);
}

struct metric *metric_series(struct metric_family *family, const struct str *values)
{
    struct buf key;
    make_key(family, values, &key);
    pthread_mutex_lock(&family->registry->mutex);
    /* One place is kept for "other". */
    struct metric *series = find_or_make(family, buf_str(&key), METRIC_SERIES_MAX - 1);
    if (!series)
        series = make_other(family, &key);
    pthread_mutex_unlock(&family->registry->mutex);
    buf_fini(&key);
    return series;
}

void metric_remove(struct metric_family *family, const struct str *values)
{
    struct buf key;
    make_key(family, values, &key);
    pthread_mutex_lock(&family->registry->mutex);
    struct metric *series = find_series(family, buf_str(&key));
    if (series && !series->is_removed) {
        series->is_removed = true;
        list_remove(&series->link);
        list_append(&family->removed, &series->link);
    }
    pthread_mutex_unlock(&family->registry->mutex);
    buf_fini(&key);
}

/* ---- updates ---- */

static void add(struct metric *metric, double amount)
{
    double old = atomic_load_explicit(&metric->value, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&metric->value, &old, old + amount,
                                                  memory_order_relaxed, memory_order_relaxed))
        ;
}

void metric_add(struct metric *metric, double amount)
{
    enum metric_type type = metric->family->spec.type;
    CHECK(type == METRIC_GAUGE || (type == METRIC_COUNTER && amount >= 0));
    add(metric, amount);
}

void metric_set(struct metric *metric, double value)
{
    CHECK(metric->family->spec.type == METRIC_GAUGE);
    atomic_store_explicit(&metric->value, value, memory_order_relaxed);
}

void metric_observe(struct metric *metric, double value)
{
    const struct metric_spec *spec = &metric->family->spec;
    CHECK(spec->type == METRIC_HISTOGRAM);
    if (isnan(value))
        return; /* unknown: it belongs into no bucket and would spoil the sum */
    size_t i = 0;
    while (i < spec->bucket_count && value > spec->buckets[i])
        i++;
    atomic_fetch_add_explicit(&metric->buckets[i], 1, memory_order_relaxed);
    add(metric, value);
}

double metric_value(const struct metric *metric)
{
    if (metric->family->spec.type != METRIC_HISTOGRAM)
        return atomic_load_explicit(&metric->value, memory_order_relaxed);
    uint64_t count = 0;
    for (size_t i = 0; i < bucket_counts(metric->family); i++)
        count += atomic_load_explicit(&metric->buckets[i], memory_order_relaxed);
    return (double)count;
}
