/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which traces are kept, and the bounded ring in which their finished spans wait for the exporter.
 *
 * Kept: a share of all traces, decided by the trace id alone (so that every process decides alike)
 * or by the caller's traceparent; and, whatever was decided, every trace of this process that
 * failed or was slow. When the ring is full the oldest span gives way and is counted.
 *
 * Ownership: spans are copied. Thread rule: any thread for everything.
 */
#ifndef FAIRWAY_OBSERVE_TRACER_H
#define FAIRWAY_OBSERVE_TRACER_H

#include "observe/trace.h"

struct tracer;

struct tracer_options {
    double ratio;    /* share of new traces to sample, 0 to 1 */
    nsec slow;       /* a trace that took at least this long is kept; NSEC_NEVER: none is */
    size_t capacity; /* of the ring, in spans */
};

struct tracer *tracer_new(const struct tracer_options *options);
void tracer_free(struct tracer *t); /* NULL is fine */

/* Head sampling of a new trace. (A received one keeps its caller's decision.) */
bool tracer_samples(const struct tracer *t, struct trace_id id);

/* The finished spans of one request; spans[0] is the one that spans all of it. */
void tracer_record(struct tracer *t, const struct span *spans, size_t count);

/* Moves up to max of the oldest spans out; returns how many. */
size_t tracer_take(struct tracer *t, struct span *ret_spans, size_t max);
size_t tracer_waiting(struct tracer *t);
uint64_t tracer_dropped(struct tracer *t); /* overwritten before anyone took them */

/* Calls wake(arg), on the recording thread, when the ring stops being empty and each time
 * `batch` spans have come together. NULL: nobody. When it returns, no old call is running. */
void tracer_on_spans(struct tracer *t, size_t batch, void (*wake)(void *arg), void *arg);

#endif
