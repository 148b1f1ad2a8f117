/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host names to numeric addresses, off the loop's thread.
 *
 * Ownership: a look-up belongs to the loop from start until `done` returns or cancel. loop_free waits for look-ups that were
 * cancelled but still run. Thread rule: on the loop's thread; `done` never comes inside resolve_start.
 */
#ifndef FAIRWAY_NET_RESOLVE_H
#define FAIRWAY_NET_RESOLVE_H

#include <stddef.h>

#include "base/str.h"
#include "net/loop.h"

enum { RESOLVE_ADDRESS_MAX = 46, RESOLVE_ADDRESSES_MAX = 16 }; /* further ones are left out */

struct resolve;

struct resolve_answer {
    const char *failure; /* why there is none; NULL: there is at least one */
    char addresses[RESOLVE_ADDRESSES_MAX][RESOLVE_ADDRESS_MAX];
    size_t count;
};

struct resolve *resolve_start(struct loop *loop, struct str name,
                              void (*done)(void *ctx, const struct resolve_answer *answer),
                              void *ctx);
void resolve_cancel(struct resolve *r); /* `done` does not come any more */

#endif
