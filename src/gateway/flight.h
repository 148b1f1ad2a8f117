/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request's journey through the gateway: waits in its model's pool, goes to a replica, streams back.
 *
 *   WAITING --dispatch--> CALLING --first bytes--> ANSWERING --> (ended)
 *      ^                     |
 *      +----- retry ---------+              |
 *      +------------- resume ---------------+       any state --reject, client left, upstream broke--> (ended)
 *
 * Rules:
 * - Until the first byte of an answer has been passed on, a replica's failure (connection, 429, 502, 503, 504) means another
 *   replica. After it: another replica goes on with the next token (openai_resume.h), and the client sees one stream; where
 *   that cannot be, one error event, then the end.
 * - Only whole events are passed on, so that an error event never lands in the middle of one.
 * - An answer that is no stream is passed on when it is complete; so a replica that dies while it writes one is no loss.
 * - A stream that waits longer than `keepalive` gets its head and a comment; errors are then events too.
 * - A slow client pauses its own upstream connection only.
 *
 * Ownership: a flight belongs to its worker and frees itself at its end. Thread rule: on the worker's thread.
 */
#ifndef FAIRWAY_GATEWAY_FLIGHT_H
#define FAIRWAY_GATEWAY_FLIGHT_H

#include "api/openai_usage.h"
#include "gateway/dialect.h"
#include "gateway/rate_headers.h"
#include "gateway/worker.h"

struct flight;

enum { BYTES_PER_TOKEN = 4 }; /* of a text, for estimates only */

struct flight_request {
    struct http_exchange *exchange;
    const struct table_entry *target;
    struct str upstream_path; /* of the exchange or static */
    struct buf
        take_body; /* an edited body, if its max is not 0; else the exchange's is sent as it is */
    const struct table_tenant *tenant; /* of the worker's present table */
    const struct dialect *dialect;     /* that the client speaks */
    bool stream;                       /* the client asked for a stream */
    bool usage_asked;                  /* the stream's report of usage is for the client too */
    bool resumable; /* a stream that another replica could go on with, if the engine can */
    bool generates; /* else nothing is used if nothing is reported */
    enum queue_band band;
    uint64_t input_tokens, output_tokens; /* estimates */
    uint64_t session;                     /* hash; 0: none */
    uint64_t *take_blocks; /* hashes of the prompt's blocks (core/route/prefix.h); NULL: none */
    unsigned block_count;
    struct limit_hold hold; /* of its tenant's limits: open */
    struct rate_headers rates;
};

/* Takes the exchange over: answers it, whatever happens. */
void flight_start(struct worker *w, struct flight_request *take_request);

/* From the HTTP service; x's data is the flight. */
void flight_departed(struct flight *f);
void flight_writable(struct flight *f);

#endif
