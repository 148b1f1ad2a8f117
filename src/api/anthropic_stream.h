/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stream of the Anthropic wire format, made of an OpenAI-compatible engine's:
 *
 *   message_start  { content_block_start  content_block_delta...  content_block_stop }...  message_delta  message_stop
 *
 * The block changes when text follows a tool call, or another tool call begins. How the message ended and its usage are said at
 * the end, so message_start counts 0 tokens. An error of the engine, or what has no form here (a tool call without a name, one
 * that is gone back to, too many blocks), becomes one event `error`; after it comes nothing more.
 *
 * Invariant: the bytes that come out do not depend on how the engine's events were grouped. Bounded: less than 6 bytes come out for
 * one of the engine's, beside a few hundred for each of the at most ANTHROPIC_BLOCKS_MAX blocks and for begin and end.
 *
 * Ownership: the struct is the caller's memory, all zero to begin with, and owns nothing. Thread rule: one thread at a time.
 */
#ifndef FAIRWAY_API_ANTHROPIC_STREAM_H
#define FAIRWAY_API_ANTHROPIC_STREAM_H

#include "api/chat_stream.h"
#include "api/openai_reply.h"

enum { ANTHROPIC_BLOCKS_MAX = 256 };

enum anthropic_block { ANTHROPIC_NO_BLOCK, ANTHROPIC_TEXT, ANTHROPIC_TOOL };

struct anthropic_stream {
    struct chat_stream chat; /* as far as the engine's is read */
    enum anthropic_block open;
    uint64_t index; /* of the open block, or of the next one */
};

/* Whole events of the engine. */
void anthropic_stream_pass(struct anthropic_stream *s, struct str events, struct buf *out);

/* The engine has said all. */
void anthropic_stream_end(struct anthropic_stream *s, const struct openai_usage *usage,
                          struct buf *out);

#endif
