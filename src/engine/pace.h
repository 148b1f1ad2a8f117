/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many prompt tokens a step may read so that running streams keep their rhythm: measured speeds
 * in, a budget out. Pure.
 *
 * Thread rule: one thread at a time.
 */
#ifndef FAIRWAY_ENGINE_PACE_H
#define FAIRWAY_ENGINE_PACE_H

#include <stdint.h>

#include "base/time.h"

struct pace {
    double generate; /* seconds of a step that only generates; 0: not measured yet */
    double prefill;  /* seconds per prompt token; 0: not measured yet */
};

/* A step of `prompt_tokens` and `generated` tokens took so long. */
void pace_note(struct pace *pace, uint32_t prompt_tokens, uint32_t generated, nsec took);

/*
 * Prompt tokens for the next step: what fits beside generating into `target`, at least `least` (a
 * prompt always advances), at most `most`; all of it when nobody generates.
 */
uint32_t pace_budget(const struct pace *pace, nsec target, uint32_t generating, uint32_t least,
                     uint32_t most);

#endif
