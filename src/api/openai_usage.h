/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The usage that an engine reports in its answer, read from the bytes as they pass: of a whole
 * answer, or of the events of a stream. Engines of any make: prompt_tokens, completion_tokens and
 * prompt_tokens_details.cached_tokens as OpenAI writes them.
 *
 * Ownership: none; everything is borrowed for the call. Thread rule: none.
 */
#ifndef FAIRWAY_API_OPENAI_USAGE_H
#define FAIRWAY_API_OPENAI_USAGE_H

#include "api/openai_reply.h"

/* Of a whole JSON answer. False when it reports none. */
bool openai_read_usage(struct str answer, struct openai_usage *ret_usage);

/*
 * Of the first event that reports one, among whole events of a stream. `ret_alone`: the part of
 * `events` that is this event, if it says nothing else (its choices are empty); else empty.
 */
bool openai_find_usage(struct str events, struct openai_usage *ret_usage, struct str *ret_alone);

#endif
