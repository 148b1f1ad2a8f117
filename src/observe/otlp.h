/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sends a tracer's spans to an OpenTelemetry collector (OTLP over HTTP, JSON encoding), in batches,
 * from a thread of its own.
 *
 * Bounded: what waits is the tracer's ring and one batch. A batch that the collector does not take
 * after a few tries is lost and counted; the service never waits. Idle, the thread sleeps.
 *
 * Ownership: the tracer is borrowed and must outlive the exporter. Thread rule: any thread;
 * otlp_stop and then otlp_free once, by one.
 */
#ifndef FAIRWAY_OBSERVE_OTLP_H
#define FAIRWAY_OBSERVE_OTLP_H

#include "base/buf.h"
#include "base/err.h"
#include "observe/tracer.h"

struct otlp;

struct otlp_options {
    const char *endpoint;     /* "http://127.0.0.1:4318"; "/v1/traces" is added */
    const char *service_name; /* "fairway-gateway" */
    size_t batch_max;         /* spans a request carries at most; 0: 512 */
    nsec batch_delay;         /* the first span of a batch waits this long for others; 0: 1 s */
    nsec retry_delay;         /* before the second try, doubled each time; 0: 500 ms */
};

/* OTEL_EXPORTER_OTLP_ENDPOINT, or NULL when it is unset or empty: then nothing is to be exported. */
const char *otlp_endpoint_from_env(void);

[[nodiscard]] int otlp_start(struct tracer *tracer, const struct otlp_options *options,
                             struct otlp **ret_exporter, struct err *err);

/* Sends what waits, for at most `grace`; what is left then is lost. The thread has ended when it
 * returns. */
void otlp_stop(struct otlp *exporter, nsec grace);
void otlp_free(struct otlp *exporter); /* stopped */

uint64_t otlp_sent(const struct otlp *exporter); /* spans that the collector took */
uint64_t otlp_lost(const struct otlp *exporter); /* spans that were dropped here or in the ring */

/* One request's body. */
void otlp_encode(const char *service_name, const struct span *spans, size_t count, struct buf *out);

#endif
