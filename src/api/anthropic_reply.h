/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers of the Anthropic wire format, made of an OpenAI-compatible engine's: a whole message, a count of tokens, errors. Streams:
 * anthropic_stream.h.
 *
 * `input_tokens` is what was not in the engine's cache, `cache_read_input_tokens` what was, as the format has it.
 *
 * Ownership: everything is borrowed for the call; the output is appended to a buf, whose sticky error says if it did not fit.
 * Thread rule: none; all functions work on their arguments only.
 */
#ifndef FAIRWAY_API_ANTHROPIC_REPLY_H
#define FAIRWAY_API_ANTHROPIC_REPLY_H

#include "api/api_error.h"
#include "api/chat_answer.h"
#include "api/openai_reply.h"
#include "base/err.h"
#include "base/json.h"

/* {"type":"error","error":{"type":"not_found_error","message":"..."}} */
void anthropic_write_error(const struct api_error *e, struct buf *out);
/* The same as the last event of a stream. */
void anthropic_write_error_event(const struct api_error *e, struct buf *out);

/* The engine's answers with the status 200, whole. ERR_PARSE: it is not what was asked for; nothing was written. */
[[nodiscard]] int anthropic_write_message(struct str answer, struct buf *out);
[[nodiscard]] int anthropic_write_count(struct str answer, struct buf *out);

/* ---- for anthropic_stream.c too ---- */

/* Writes the members stop_reason and stop_sequence. */
void anthropic_put_end(struct json_writer *w, const struct chat_end *end);
/* Writes the member usage. */
void anthropic_put_usage(struct json_writer *w, const struct openai_usage *usage);

#endif
