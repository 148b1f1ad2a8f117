/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A model (model.h) computed by libllama.
 *
 * Results that can be repeated: micro-batches stay under 64 tokens, because the CPU kernels round
 * differently above; and where kv_total covers every sequence at full length, each has memory of its
 * own, so that its neighbours change neither the order of its sums nor its text. With less memory
 * the sequences share one pool of cells.
 *
 * Ownership: options are copied by llama_model_new. Thread rule: as model.h says.
 */
#ifndef FAIRWAY_ENGINE_LLAMA_MODEL_H
#define FAIRWAY_ENGINE_LLAMA_MODEL_H

#include "engine/model.h"

struct llama_options {
    const char *path; /* borrow, until load returns */
    uint32_t sequences;
    uint32_t length_max;  /* cut to what the model was trained for */
    uint32_t kv_total;    /* cells; 0: as many as LLAMA_KV_BYTES hold, but not more than of use */
    uint32_t micro_batch; /* tokens of one pass */
    uint32_t prefill_max; /* prompt tokens of one decode */
    uint32_t threads;
};

enum { LLAMA_KV_BYTES = 512 << 20 };

struct model *llama_model_new(const struct llama_options *options);

#endif
