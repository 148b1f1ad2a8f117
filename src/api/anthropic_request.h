/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests of the Anthropic wire format (POST /v1/messages and /v1/messages/count_tokens) as bodies for an
 * OpenAI-compatible engine (/v1/chat/completions and /tokenize).
 *
 * Invariant: what a client asks for is in the body that comes out, or the request was refused with a message that names the
 * field; only hints that cannot change an answer (cache_control, service_tier) are left out. Texts are carried over as they are
 * written, without being decoded. A stream is asked to report its usage.
 *
 * Ownership: everything is borrowed for the call; the error's texts live in the arena. Thread rule: none.
 */
#ifndef FAIRWAY_API_ANTHROPIC_REQUEST_H
#define FAIRWAY_API_ANTHROPIC_REQUEST_H

#include "api/api_error.h"
#include "base/arena.h"
#include "base/err.h"

enum anthropic_kind {
    ANTHROPIC_MESSAGES = 1 << 0,
    ANTHROPIC_COUNT = 1 << 1, /* count_tokens */
};

/* ERR_INVALID, ERR_PARSE, ERR_NO_MEMORY or ERR_TOO_BIG: the error's status and message are filled in, and what `out` holds is
 * of no use. */
[[nodiscard]] int anthropic_to_openai(enum anthropic_kind kind, struct str body,
                                      struct arena *arena, struct buf *out,
                                      struct api_error *ret_error);

#endif
