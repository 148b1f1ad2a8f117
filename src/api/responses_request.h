/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests of OpenAI's Responses format (POST /v1/responses), stateless, as bodies for an engine's /v1/chat/completions.
 *
 * Invariant: what a client asks for is in the body that comes out, or the request was refused with a message that names the
 * field. Nothing is stored: an earlier answer is sent along as items of `input`; what refers to a stored one is refused. Left out
 * are hints that cannot change an answer, and items of type reasoning. Texts are carried over as they are written.
 *
 * Ownership: everything is borrowed for the call; the error's texts live in the arena. Thread rule: none.
 */
#ifndef FAIRWAY_API_RESPONSES_REQUEST_H
#define FAIRWAY_API_RESPONSES_REQUEST_H

#include "api/api_error.h"
#include "base/arena.h"
#include "base/err.h"

/* Errors: translate_body. */
[[nodiscard]] int responses_to_chat(struct str body, struct arena *arena, struct buf *out,
                                    struct api_error *ret_error);

#endif
