/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http:// and https:// URLs of servers: "https://engine.example:8443/base". No user, query or fragment.
 * Ownership: the parts borrow from the text. Thread rule: none.
 */
#ifndef FAIRWAY_NET_URL_H
#define FAIRWAY_NET_URL_H

#include "base/err.h"
#include "base/str.h"

struct url {
    bool tls;
    struct str authority; /* host and port as written: what Host says */
    struct str host;      /* a name or a numeric address, without brackets */
    bool numeric;
    uint16_t port;
    struct str path; /* without '/' at its end; empty: none */
};

/* ERR_INVALID for anything else. */
[[nodiscard]] int url_parse(struct str text, struct url *ret_url);

#endif
