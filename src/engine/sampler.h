/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a row of logits to the next token.
 *
 * The same row, parameters, history and position give the same token anywhere: the random number is
 * a function of (seed, choice, position), not of a generator's state, so that an answer can be
 * repeated, or taken up in the middle by another replica.
 *
 * Order: frequency and presence penalties, logit bias, temperature, min_p, top_k, top_p, draw.
 * Ties go to the lower token id. Log probabilities are those of the model's own row, before all of
 * this.
 *
 * Ownership: params borrow their biases; the scratch is the caller's. Thread rule: none; all
 * functions work on their arguments only.
 */
#ifndef FAIRWAY_ENGINE_SAMPLER_H
#define FAIRWAY_ENGINE_SAMPLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SAMPLER_TOP_MAX = 20 };

struct sampler_bias {
    int32_t token;
    float bias; /* -INFINITY bans the token */
};

struct sampler_params {
    float temperature;       /* 0: the likeliest token */
    uint32_t top_k;          /* 0: all */
    float top_p, min_p;      /* 1 and 0: all */
    float frequency_penalty; /* taken off per earlier appearance in the answer */
    float presence_penalty;  /* taken off once */
    uint64_t seed;
    uint32_t choice;                   /* which of a request's n answers */
    const struct sampler_bias *biases; /* borrow */
    size_t bias_count;
};

/* How often a token appeared in the answer so far. */
struct sampler_count {
    int32_t token;
    uint32_t times;
};

struct sampler_candidate {
    float logit;
    int32_t token;
};

struct sampler_input {
    const float *logits;
    size_t vocabulary;
    const struct sampler_count *counts; /* of distinct tokens */
    size_t count_count;
    uint64_t position; /* tokens before this one, the prompt's included */
};

/* `scratch` has room for `vocabulary` candidates. */
int32_t sampler_draw(const struct sampler_params *params, const struct sampler_input *input,
                     struct sampler_candidate *scratch);

struct sampler_logprob {
    int32_t token;
    float logprob;
};

/* The token's own log probability, and into `top` the `top_count` likeliest tokens in order. */
float sampler_logprobs(const float *logits, size_t vocabulary, int32_t token,
                       struct sampler_logprob *top, size_t top_count);

/* Uniform in [0, 1). */
double sampler_uniform(uint64_t seed, uint32_t choice, uint64_t position);

#endif
