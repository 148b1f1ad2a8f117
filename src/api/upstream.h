/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How to speak to an engine that somebody else runs, beside its address: TLS, name, path and key. The key is a secret: it goes
 * into requests to that engine and nowhere else.
 *
 * Ownership: reference counted; snapshots of routes, pools and verdicts share it. Thread rule: any thread; nothing changes
 * once it is made.
 */
#ifndef FAIRWAY_API_UPSTREAM_H
#define FAIRWAY_API_UPSTREAM_H

#include <stdatomic.h>

#include "net/tls_client.h"
#include "net/url.h"

struct http_call_request;

struct upstream {
    atomic_uint refs;
    struct tls_client *tls;   /* ref; NULL: plain */
    char *text;               /* own: the URL; the parts below borrow from it */
    struct url url;           /* its path without "/v1" at the end */
    struct str authorization; /* own: "Bearer KEY"; empty: it wants no key */
};

/* With one reference. `url` is a valid one; tls is for those that begin with https://; key: empty: none. */
struct upstream *upstream_new(struct str url, struct tls_client *tls, struct str key);
/* NULL when a header can carry the key, else what is wrong with it. */
const char *upstream_check_key(struct str key);
struct str upstream_key(const struct upstream *u); /* borrow; empty: none */
struct upstream *upstream_ref(struct upstream *u); /* NULL is fine, here and below */
void upstream_unref(struct upstream *u);

/* Fills in, borrowed, what a call to it has beside address, method, target and headers. */
void upstream_prepare(const struct upstream *u, struct http_call_request *request);

#endif
