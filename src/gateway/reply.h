/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers that the gateway makes itself: JSON bodies, and errors in the dialect of the URL. Each ends the exchange.
 * Thread rule: on the worker's thread.
 */
#ifndef FAIRWAY_GATEWAY_REPLY_H
#define FAIRWAY_GATEWAY_REPLY_H

#include "api/api_error.h"
#include "gateway/rate_headers.h"
#include "net/http_server.h"

void reply_json(struct http_exchange *x, int status, struct str body);
void reply_text(struct http_exchange *x, int status, struct str content_type, struct str body);

/* An error that needs no more than words. */
void reply_refusal(struct http_exchange *x, int status, struct str code, struct str param,
                   struct str message);
void reply_unknown_model(struct http_exchange *x, struct str name);

/* retry_after 0: no Retry-After. Otherwise whole seconds, rounded up, and x-should-retry: true. `rates` NULL: no such headers. */
void reply_error(struct http_exchange *x, const struct api_error *e, nsec retry_after,
                 struct str request_id, const struct rate_headers *rates);

#endif
