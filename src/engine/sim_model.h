/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A simulated model (model.h): steps take the time that a profile says, in real time; the text is
 * words that follow from the seed, the position and the token before, so that the same request
 * gives the same text on every replica of the same seed.
 *
 * Tokens: a word of a small list, or up to three bytes of any other text. Ownership and thread
 * rule: as model.h says.
 */
#ifndef FAIRWAY_ENGINE_SIM_MODEL_H
#define FAIRWAY_ENGINE_SIM_MODEL_H

#include "engine/model.h"
#include "engine/sim_profile.h"

/* profile->slots must be set. */
struct model *sim_model_new(const struct sim_profile *profile, uint32_t length_max,
                            uint32_t prefill_max);

#endif
