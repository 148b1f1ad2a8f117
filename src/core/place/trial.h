/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What would fit if something were different: questions about nodes, not decisions. A caller may give
 * leases back to a node of the state and take them again (place_node_give_back, place_node_take) to ask
 * what would be without them: views and scores do not notice, and must not be used meanwhile.
 */
#ifndef FAIRWAY_CORE_PLACE_TRIAL_H
#define FAIRWAY_CORE_PLACE_TRIAL_H

#include "core/place/place.h"

/* By the view: as the state is. */
bool place_fits_now(const struct place *p, int slot, const struct place_request *request);
/* How many such requests find room on the node, at most `most`, and where (without owners; NULL: no
 * matter). All are alike, so none of them can be in another's way. */
unsigned place_members(const struct place *p, const struct place_node *node,
                       const struct place_request *request, unsigned most,
                       struct place_lease *ret_leases);

void place_node_take(struct place_node *n, const struct place_lease *l);
void place_node_give_back(struct place_node *n, const struct place_lease *l);

/* The node's slot of a lease that is held. */
static inline int place_lease_slot(const struct place_lease *l)
{
    return container_of(l, const struct place_holding, lease)->node;
}

#endif
