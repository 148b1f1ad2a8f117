/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A gateway's side of sharing limits and slots with others: each GATEWAY_SYNC_PERIOD it reports to the controller and follows
 * its orders (api/gateway_sync.h); what was used goes to the ledger each second. Without the controller the gateway goes on
 * with what it has, and keeps what was used until it is delivered.
 *
 * Ownership: the joint's own thread; the gateway is borrowed until join_end. Thread rule: the thread that began it.
 */
#ifndef FAIRWAY_CLI_JOIN_H
#define FAIRWAY_CLI_JOIN_H

#include "cli/client.h"
#include "gateway/gateway.h"

struct join;
struct metrics;

struct join_options {
    struct client_options controller;
    struct gateway *gateway; /* borrow */
    const char *address;     /* where it listens, for people */
    struct metrics *metrics; /* borrow */
    bool
        insists; /* goes on also if the controller refuses it: what is used must reach the ledger */
};

/* The first report is made when it returns. Fails if the controller refuses it, unless it insists; one that does not answer is
 * asked again, for ever. Token and file of the controller's options are borrowed, too. */
[[nodiscard]] int join_begin(const struct join_options *options, struct join **ret_join,
                             struct err *err);
/* After the gateway's drain: delivers what is left and leaves. NULL is fine. */
void join_end(struct join *j);

#endif
