/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A snapshot of routes as JSON, for gateways in other processes: what is read is what was written, field by field, lists in their
 * order.
 *
 * Invariants: what a newer writer adds is ignored, what an older one left out is as routes.h makes it, and anything else that
 * is wrong is an error with the member's path; what is read breaks none of the rules of routes.h, core/queue and core/limit.
 * The text has the keys of remote engines in it: it belongs on a private channel, and into no log.
 * Ownership: the snapshot that is read is the caller's, with one reference; it borrows nothing from the tree. Thread rule: none.
 */
#ifndef FAIRWAY_API_ROUTES_JSON_H
#define FAIRWAY_API_ROUTES_JSON_H

#include "api/routes.h"
#include "base/json.h"

/* One object. */
void routes_write_json(const struct routes *r, struct json_writer *w);

/* former: the snapshot before, whose trust in authorities is shared, so that connections to remote engines stay in use; NULL: none. */
[[nodiscard]] int routes_read_json(const struct json *object, const struct routes *former,
                                   struct routes **ret_routes, struct err *err);

#endif
