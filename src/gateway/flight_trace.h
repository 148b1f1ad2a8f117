/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A flight's place in a distributed trace: three spans, made only when it is over.
 *
 *   inference    from the request's first byte to the end of its response
 *     schedule   waiting in the queue, and the choice of the replica
 *     generate   the call to the replica (the one that answered, or the last); its id goes out as traceparent
 *
 * Thread rule: on the worker's thread.
 */
#ifndef FAIRWAY_GATEWAY_FLIGHT_TRACE_H
#define FAIRWAY_GATEWAY_FLIGHT_TRACE_H

#include "observe/tracer.h"

struct flight;

struct flight_trace {
    struct trace_context own; /* of the span `inference` */
    uint64_t parent;          /* the caller's span; 0: none */
    nsec began;               /* wall clock, as all here */
};

/* Of one call to a replica. */
struct flight_trace_call {
    uint64_t span;
    nsec began;
};

/* tracer may be NULL: ids are passed on, nothing is kept. */
void flight_trace_begin(struct flight_trace *t, const struct tracer *tracer, struct str traceparent,
                        struct rng *random);
/* A call begins; the header to send with it. */
char *flight_trace_call(const struct flight_trace *t, struct flight_trace_call *call,
                        struct rng *random, char traceparent[TRACEPARENT_MAX]);
void flight_trace_end(const struct flight *f, struct tracer *tracer);

#endif
