/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers of OpenAI's Responses format, made of an engine's chat answers. Streams: responses_stream.h.
 *
 * A response repeats what was asked for (instructions, tools and so on), as the format has it, except members over
 * RESPONSES_ECHO_MAX bytes. Ids are made of the engine's own id, so they stay when another replica goes on with the answer.
 *
 * Ownership: everything is borrowed for the call; the output is appended to a buf, whose sticky error says if it did not fit.
 * Thread rule: none; all functions work on their arguments only.
 */
#ifndef FAIRWAY_API_RESPONSES_REPLY_H
#define FAIRWAY_API_RESPONSES_REPLY_H

#include "api/chat_answer.h"
#include "api/openai_usage.h"

enum { RESPONSES_ECHO_MAX = 256 * 1024, RESPONSES_ID_MAX = 48 };

/* The engine's answer with the status 200, whole; `request` is the client's body. ERR_PARSE: it is not what was asked for; what was
 * written is of no use. */
[[nodiscard]] int responses_write(struct str request, struct str answer, struct buf *out);

/* ---- for responses_stream.c too ---- */

struct responses_head {
    struct str request; /* the client's body */
    uint64_t id;        /* hash of the engine's id */
    struct str model;   /* raw; ptr NULL: not known */
    uint64_t created;   /* Unix seconds */
};

enum responses_status { RESPONSES_IN_PROGRESS, RESPONSES_COMPLETED, RESPONSES_INCOMPLETE };

/* How an answer with this finish_reason (raw) ended. */
enum responses_status responses_status_of(struct str finish);

/* A response as a value. `output`: its items, raw and with commas between them. usage NULL: not known yet. */
void responses_put(struct json_writer *w, const struct responses_head *head,
                   enum responses_status status, struct str finish, struct str output,
                   const struct openai_usage *usage);

/* "msg_0123456789abcdef_2" */
char *responses_item_id(char id[RESPONSES_ID_MAX], const char *prefix, uint64_t of, uint64_t index);

/* Items as values; texts are raw JSON strings. */
void responses_put_message(struct json_writer *w, const char *id, bool is_done, struct str text);
void responses_put_part(struct json_writer *w, struct str text);
void responses_put_call(struct json_writer *w, const char *id, bool is_done, struct str call_id,
                        struct str name, struct str arguments);

#endif
