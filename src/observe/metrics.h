/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metrics registry with Prometheus text format 0.0.4 (and OpenMetrics 1.0) output.
 *
 * A family has a name, a help text and label names; a series is a family with label values. A
 * family holds at most METRIC_SERIES_MAX series; further label values are counted under "other"
 * (each value replaced by "other"). Hot paths keep the `struct metric *` of their series: updating
 * one is a relaxed atomic, never a look-up or a lock.
 *
 * Label values are cut at 256 bytes; invalid UTF-8 in them becomes U+FFFD.
 *
 * Ownership: everything belongs to the registry and lives as long as it. What a metric_spec points
 * to is borrowed for as long: static data. Thread rule: any thread
 * for everything.
 */
#ifndef FAIRWAY_OBSERVE_METRICS_H
#define FAIRWAY_OBSERVE_METRICS_H

#include "base/buf.h"
#include "base/str.h"

enum { METRIC_SERIES_MAX = 1000, METRIC_LABELS_MAX = 8, METRIC_BUCKETS_MAX = 32 };

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };
enum metrics_format { METRICS_PROMETHEUS, METRICS_OPENMETRICS };

struct metrics;
struct metric_family;
struct metric;

struct metric_spec {
    enum metric_type type;
    const char *name, *help;
    const char *labels[METRIC_LABELS_MAX]; /* NULL-terminated */
    const double *buckets; /* METRIC_HISTOGRAM: upper bounds, ascending, without +Inf */
    size_t bucket_count;
};

/* Bucket bounds in seconds that suit requests to language models: 1 ms ... 120 s, and 1 ms ... 2.5
 * s between tokens. */
extern const double metric_buckets_latency[];
extern const size_t metric_buckets_latency_count;
extern const double metric_buckets_token[];
extern const size_t metric_buckets_token_count;

struct metrics *metrics_new(void);
void metrics_free(struct metrics *m);

/* A second call with the same name gives the same family (the specs must agree: invariant). */
struct metric_family *metrics_family(struct metrics *m, const struct metric_spec *spec);
/* One value per label name, in order. The first use makes the series. */
struct metric *metric_series(struct metric_family *family, const struct str *values);
/* Drops the series from the output. Pointers to it stay valid memory, but drop them: once the family
 * is full, the series removed longest ago becomes another one. */
void metric_remove(struct metric_family *family, const struct str *values);

void metric_add(struct metric *metric, double amount);    /* counter (>= 0) or gauge */
void metric_set(struct metric *metric, double value);     /* gauge */
void metric_observe(struct metric *metric, double value); /* NaN is left out */
double metric_value(const struct metric *metric);         /* counter, gauge; histogram: count */

void metrics_write(struct metrics *m, enum metrics_format format, struct buf *out);

/* What a scraper with this Accept header is given, and the Content-Type that goes with it. */
enum metrics_format metrics_format_for(struct str accept);
const char *metrics_content_type(enum metrics_format format);

#endif
