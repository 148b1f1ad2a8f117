/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The header by which a load balancer tells whose connection it passes on: PROXY protocol, versions 1 and 2 (HAProxy's
 * proxy-protocol.txt). Bytes in, facts out; no input or output. Extensions (TLVs) of version 2 are skipped.
 */
#ifndef FAIRWAY_NET_PROXY_PROTOCOL_H
#define FAIRWAY_NET_PROXY_PROTOCOL_H

#include "base/err.h"
#include "base/str.h"

enum {
    PROXY_HEADER_MAX = 4096, /* of version 2, whose own limit is 64 KiB */
    PROXY_PEER_MAX = 64,
};

struct proxy_header {
    size_t length; /* of the header, in bytes */
    char peer
        [PROXY_PEER_MAX]; /* "192.0.2.1:4711", "[2001:db8::1]:4711", "unix"; "": of no one but the balancer itself */
};

/* Looks at the first bytes of a connection: 0; ERR_AGAIN when more are needed; ERR_PARSE when they begin no header. */
[[nodiscard]] int proxy_parse(struct str bytes, struct proxy_header *ret_header);

#endif
