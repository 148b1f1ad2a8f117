/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine's HTTP service: the OpenAI routes, `/generate`, tokenize, health and metrics over one
 * scheduler.
 *
 * A request becomes one job per choice; their news are written as they come. A client that reads
 * slowly leaves its news untaken, which pauses its sequences alone; one that leaves cancels them.
 * An answer's head is written with its first token, so that what fails before has a status of its
 * own.
 *
 * Thread rule: everything on the loop's thread.
 */
#ifndef FAIRWAY_ENGINE_SERVICE_H
#define FAIRWAY_ENGINE_SERVICE_H

#include "engine/scheduler.h"
#include "net/http_server.h"
#include "observe/metrics.h"

struct service;

struct service_faults {
    double fail;
    uint64_t crash_after, seed;
};

struct service_options {
    struct scheduler *scheduler;
    struct model *model;
    struct str name;   /* of the model */
    struct str gpu_id; /* what it computes on; ptr NULL: no GPU */
    struct metrics *metrics;
    struct service_faults faults;
    void (*idle)(void *ctx); /* after service_drain: no request is left */
    void *ctx;
};

struct service *service_new(const struct service_options *options);
void service_free(struct service *s); /* no request may be left */

/* For http_server_options. */
struct http_service service_http(struct service *s);

void service_ready(struct service *s); /* the model is loaded */
/* Says "not ready" and takes no more requests; `idle` is called when the last one has ended. */
void service_drain(struct service *s);
/* Ends what still runs with an error, without waiting for the decode thread. */
void service_cut(struct service *s);

#endif
