/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which answer belongs to a URL: the table of routes, the checks before a request becomes a flight, the simple answers.
 * Thread rule: on the worker's thread.
 */
#ifndef FAIRWAY_GATEWAY_ENDPOINT_H
#define FAIRWAY_GATEWAY_ENDPOINT_H

#include "net/http_server.h"

struct worker;

struct http_service endpoint_service(struct worker *w);

#endif
