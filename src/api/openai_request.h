/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests of the OpenAI wire format, checked: what comes out is within its limits, and what a
 * client asked for is either there or was refused with a message that names the field. Fields
 * that nobody knows are ignored, as the format's servers do.
 *
 * Also `/generate` (prompt, max_tokens, temperature, top_p ...) and vLLM's `/tokenize` and
 * `/detokenize`.
 *
 * Ownership: strings and arrays live in the arena or borrow the body. Thread rule: none; all
 * functions work on their arguments only.
 */
#ifndef FAIRWAY_API_OPENAI_REQUEST_H
#define FAIRWAY_API_OPENAI_REQUEST_H

#include "api/api_error.h"
#include "base/arena.h"
#include "base/err.h"

enum openai_kind {
    OPENAI_CHAT = 1 << 0,
    OPENAI_COMPLETION = 1 << 1,
    OPENAI_EMBEDDING = 1 << 2,
    OPENAI_GENERATE = 1 << 3,
    OPENAI_TOKENIZE = 1 << 4,
    OPENAI_DETOKENIZE = 1 << 5,
};

enum {
    OPENAI_N_MAX = 128,
    OPENAI_PROMPTS_MAX = 2048,
    OPENAI_STOPS_MAX = 16,
    OPENAI_STOP_LENGTH_MAX = 1024,
    OPENAI_TOP_LOGPROBS_MAX = 20,
    OPENAI_BIASES_MAX = 1024,
};

struct openai_message {
    struct str role, content;
};

/* A text, or tokens if `tokens` is not NULL. */
struct openai_prompt {
    struct str text;
    const int32_t *tokens;
    size_t count;
};

struct openai_bias {
    int32_t token;
    float bias;
};

/*
 * An answer that another replica began (`fairway_resume`): it goes on behind what the client has,
 * under the same id. The gateway has all of it from the chunks' field `fairway`.
 */
struct openai_resume {
    bool given;
    struct str id;
    int64_t created;
    uint64_t shown; /* bytes of text that the client has; it may be more than the tokens' text */
    const int32_t *tokens;
    size_t count;
};

struct openai_request {
    struct str model; /* ptr NULL: not named */
    struct openai_message *messages;
    size_t message_count;
    struct openai_prompt *prompts; /* also: the texts to embed */
    size_t prompt_count;

    uint32_t n;
    uint32_t max_tokens; /* 0: as many as the context holds */
    double temperature, top_p, min_p, frequency_penalty, presence_penalty;
    uint32_t top_k;
    bool has_seed;
    int64_t seed;
    struct str *stops;
    size_t stop_count;
    struct openai_bias *biases;
    size_t bias_count;
    bool logprobs; /* of the tokens drawn, with top_logprobs likeliest beside each */
    uint32_t top_logprobs;
    bool ignore_eos;
    bool stream, include_usage;
    bool base64;            /* embeddings as base64 of little-endian floats */
    bool no_special_tokens; /* tokenize */
    struct openai_resume resume;
};

/* The error's status and message are filled in on failure; the code returned is ERR_INVALID,
 * ERR_PARSE or ERR_NO_MEMORY. */
[[nodiscard]] int openai_parse(enum openai_kind kind, struct str body, struct arena *arena,
                               struct openai_request *ret_request, struct api_error *ret_error);

#endif
