/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by http_client.c (endpoints and their connections) and http_call.c (requests and their answers). */
#ifndef FAIRWAY_NET_HTTP_CLIENT_INTERNAL_H
#define FAIRWAY_NET_HTTP_CLIENT_INTERNAL_H

#include "base/list.h"
#include "base/map.h"
#include "net/http_client.h"
#include "net/stream.h"
#include "net/tls_client.h"

struct http_client {
    struct loop *loop;
    struct http_client_options options;
    struct map endpoints;
    unsigned calls;
};

enum { ENDPOINT_HOST_MAX = 64 };

/* A connection: in an endpoint's idle list, or with a call. */
struct link {
    struct list in_idle;
    struct http_client *client;
    struct endpoint *endpoint;
    struct stream *stream;
    struct http_call *call; /* NULL: idle */
    struct loop_timer idle_timer;
    bool reused;
};

/* ---- http_client.c ---- */
/* With one user more. */
struct endpoint *endpoint_get(struct http_client *client, const struct http_call_request *r);
void endpoint_release(struct endpoint *e);

/* For the call: the idle one that was used last (NULL: none), or a new one, which calls call_on_connected. */
struct link *link_take_idle(struct endpoint *e, struct http_call *call);
struct link *link_open(struct endpoint *e, struct http_call *call);
void link_park(struct link *link); /* its call is over: for the next one */
void link_close(struct link *link);

/* ---- http_call.c ---- */
void call_on_connected(struct http_call *call);
void call_on_bytes(struct http_call *call, struct str bytes);
void call_on_ended(struct http_call *call, int error);

#endif
