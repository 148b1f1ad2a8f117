/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A replica that somebody else runs: one URL of a Model whose engine is remote. It is "started" by reading its key and "ended"
 * by forgetting it; in between its name is looked up and its health probed.
 *
 * A probe is GET /health; where there is none or a key is used, and before a replica is taken for ready, GET /v1/models too. A name is
 * looked up anew now and then and after a failure; a new address is a new run.
 *
 * Ownership: a remote belongs to its managed_replica. Thread rule: on the controller's loop.
 */
#ifndef FAIRWAY_CONTROLLER_REMOTE_H
#define FAIRWAY_CONTROLLER_REMOTE_H

#include "base/err.h"
#include "base/str.h"
#include "base/time.h"

struct managed_model;
struct managed_replica;
struct upstream;

bool model_is_remote(const struct managed_model *m);

/* Gives the replica the first URL that no other one of its revision has, with its key and authorities. */
[[nodiscard]] int remote_start(struct managed_replica *r, struct err *err);
void remote_free(struct managed_replica *r); /* no effect without a remote */
/* Reads key and authorities again, if the Model's are still this replica's. On failure the old ones stay in use. */
void remote_reload(struct managed_replica *r);

void remote_probe(struct managed_replica *r); /* replica_probe_ended follows, never inside */
nsec remote_probe_delay(const struct managed_replica *r); /* until the next one */

struct str remote_url(const struct managed_replica *r);
struct str remote_address(const struct managed_replica *r); /* numeric; empty: not known yet */
struct upstream *remote_upstream(const struct managed_replica *r); /* borrow */
const char *remote_problem(const struct managed_replica *r);       /* of the last probe; "": none */

#endif
