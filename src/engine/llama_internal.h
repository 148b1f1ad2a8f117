/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the llama model: llama_load.c opens and closes it, llama_model.c computes. Thread rule: as
 * model.h says.
 */
#ifndef FAIRWAY_ENGINE_LLAMA_INTERNAL_H
#define FAIRWAY_ENGINE_LLAMA_INTERNAL_H

#include <llama.h>

#include "engine/llama_model.h"

struct llama {
    struct model model;
    struct llama_options options;
    struct llama_model *weights;     /* own */
    struct llama_context *context;   /* own */
    struct llama_context *embedder;  /* own; NULL until the first vector is asked for */
    const struct llama_vocab *vocab; /* borrow of weights */
    struct llama_batch batch;        /* own */
    size_t batch_max;
    int32_t *ends;             /* own */
    struct str begin;          /* text of the token that begins every text; borrow of weights */
    const char *template_text; /* borrow of weights; NULL: the model has none */
    bool template_known;       /* libllama knows its format */
    struct buf default_system; /* what goes before a conversation without a system text */
    bool shared;               /* the sequences share one pool of KV cells */
    char description[256];
};

[[nodiscard]] int llama_load(struct model *m, struct err *err);
void llama_unload(struct llama *l);
bool llama_open_embedder(struct llama *l);

#endif
