/* SPDX-License-Identifier: Apache-2.0 */
/* Does a request fit a node, and on which GPUs? Shared by the files of core/place. Pure. */
#ifndef FAIRWAY_CORE_PLACE_FIT_H
#define FAIRWAY_CORE_PLACE_FIT_H

#include "core/place/policy.h"

bool place_request_is_valid(const struct place_request *r);

/* Fills gpus of the case. */
bool place_fits(struct place_case *c);
/* As if it were for the GPUs alone. */
bool place_fits_gpus(struct place_case *c);

/* Those of `gpus` that go together with the i-th. */
uint16_t place_gpus_together(const struct place_case *c, uint16_t gpus, unsigned i);
uint16_t place_accepted(const struct place_case *c, uint16_t gpus);

/* Thousandths of a GPU that shares may still have. */
int place_room(const struct place_gpu *gpu);

#endif
