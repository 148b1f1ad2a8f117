/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GPUs that are made up, from one line: for demonstrations, tests and what-if questions.
 *
 *   8xH100-80G,4xA10-24G
 *
 * Parts are separated by commas: a number, "x", and a model: a well-known one (gpu/model.h), or any
 * name with its memory behind it ("NAME-24G"). GPUs of one part are joined by NVLink if their model
 * usually is; all are of one NUMA node. UUIDs follow from the node's name and the place in the line,
 * and begin with eight zeros: no real one is like that.
 *
 * Pure.
 */
#ifndef FAIRWAY_GPU_SIMULATED_H
#define FAIRWAY_GPU_SIMULATED_H

#include "gpu/inventory.h"

/* ERR_INVALID: the line makes no sense; the message names the part, and what would be right. */
[[nodiscard]] int gpu_simulated_parse(struct str line, struct str node,
                                      struct gpu_inventory *ret_inventory, struct err *err);

#endif
