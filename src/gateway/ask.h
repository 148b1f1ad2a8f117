/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a client asks of a model: its body read in place, its model found, and what must be changed before a replica gets it.
 *
 * What Fairway does not know goes to the model that the body names, or, whatever the body is, to the one that the header
 * x-fairway-model names.
 *
 * Changes: an alias becomes the model's name; a stream must report its usage (stream_options.include_usage), which is taken
 * out of the answer again if the client did not ask for it. A body of another dialect becomes OpenAI's first.
 *
 * Ownership: the exchange's bytes are borrowed; see flight_request. Thread rule: on the worker's thread.
 */
#ifndef FAIRWAY_GATEWAY_ASK_H
#define FAIRWAY_GATEWAY_ASK_H

#include "gateway/flight.h"

enum ask_kind {
    ASK_PLAIN,          /* no stream unless it says so */
    ASK_STREAM_OPTIONS, /* likewise; knows stream_options */
    ASK_GENERATE,       /* a stream unless it says no */
    ASK_COUNT,          /* of tokens: none are used */
    ASK_OTHER,          /* passed through: the engine knows what it is */
};

/* False when the request was refused and answered. */
bool ask_read(struct worker *w, struct http_exchange *x, enum ask_kind kind,
              const struct table_tenant *tenant, struct flight_request *ret_request);

#endif
