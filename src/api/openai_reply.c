/* SPDX-License-Identifier: Apache-2.0 */
#include "api/openai_reply.h"

#include "base/json.h"
#include "base/utf8.h"

static void put_text(struct json_writer *w, const char *key, struct str value)
{
    json_key(w, str_from(key));
    json_str(w, value);
}

static void put_count(struct json_writer *w, const char *key, uint64_t value)
{
    json_key(w, str_from(key));
    json_u64(w, value);
}

static void put_text_or_null(struct json_writer *w, const char *key, const char *value)
{
    json_key(w, str_from(key));
    if (value)
        json_str(w, str_from(value));
    else
        json_null(w);
}

/* ---- log probabilities ---- */

/* A token's own fields: its text (mended where it is cut inside a character) and its bytes. */
static void put_likely(struct json_writer *w, const struct openai_likely *likely)
{
    put_text(w, "token", likely->text);
    json_key(w, STR("logprob"));
    json_double(w, likely->logprob);
    json_key(w, STR("bytes"));
    json_array(w);
    for (size_t i = 0; i < likely->text.len; i++)
        json_u64(w, (unsigned char)likely->text.ptr[i]);
    json_end(w);
}

static void put_chat_logprobs(struct json_writer *w, const struct openai_choice *choice)
{
    json_object(w);
    json_key(w, STR("content"));
    json_array(w);
    for (size_t i = 0; i < choice->logprob_count; i++) {
        const struct openai_logprob *l = &choice->logprobs[i];
        json_object(w);
        put_likely(w, &l->drawn);
        json_key(w, STR("top_logprobs"));
        json_array(w);
        for (size_t k = 0; k < l->top_count; k++) {
            json_object(w);
            put_likely(w, &l->top[k]);
            json_end(w);
        }
        json_end(w);
        json_end(w);
    }
    json_end(w);
    json_key(w, STR("refusal"));
    json_null(w);
    json_end(w);
}

/* Is an earlier one of the same text in the list? A JSON object must not say a key twice. */
static bool repeats(const struct openai_likely *top, size_t at)
{
    for (size_t i = 0; i < at; i++)
        if (str_eq(top[i].text, top[at].text))
            return true;
    return false;
}

static void put_text_logprobs(struct json_writer *w, const struct openai_choice *choice)
{
    json_object(w);
    json_key(w, STR("tokens"));
    json_array(w);
    for (size_t i = 0; i < choice->logprob_count; i++)
        json_str(w, choice->logprobs[i].drawn.text);
    json_end(w);
    json_key(w, STR("token_logprobs"));
    json_array(w);
    for (size_t i = 0; i < choice->logprob_count; i++)
        json_double(w, choice->logprobs[i].drawn.logprob);
    json_end(w);
    json_key(w, STR("top_logprobs"));
    json_array(w);
    for (size_t i = 0; i < choice->logprob_count; i++) {
        const struct openai_logprob *l = &choice->logprobs[i];
        json_object(w);
        for (size_t k = 0; k < l->top_count; k++) {
            if (repeats(l->top, k) || !utf8_valid(l->top[k].text))
                continue; /* cut characters would all have the same key */
            json_key(w, l->top[k].text);
            json_double(w, l->top[k].logprob);
        }
        json_end(w);
    }
    json_end(w);
    json_key(w, STR("text_offset"));
    json_array(w);
    for (size_t i = 0; i < choice->logprob_count; i++)
        json_u64(w, choice->logprobs[i].offset);
    json_end(w);
    json_end(w);
}

static void put_logprobs(struct json_writer *w, enum openai_kind kind,
                         const struct openai_choice *choice)
{
    json_key(w, STR("logprobs"));
    if (!choice->logprobs)
        json_null(w);
    else if (kind == OPENAI_CHAT)
        put_chat_logprobs(w, choice);
    else
        put_text_logprobs(w, choice);
}

/* ---- answers ---- */

static void put_head(struct json_writer *w, const struct openai_reply *reply, const char *object)
{
    put_text(w, "id", reply->id);
    put_text(w, "object", str_from(object));
    json_key(w, STR("created"));
    json_int(w, reply->created);
    put_text(w, "model", reply->model);
    put_text(w, "system_fingerprint", reply->fingerprint);
}

static void put_usage(struct json_writer *w, const struct openai_usage *usage)
{
    json_key(w, STR("usage"));
    json_object(w);
    put_count(w, "prompt_tokens", usage->prompt_tokens);
    put_count(w, "completion_tokens", usage->completion_tokens);
    put_count(w, "total_tokens", usage->prompt_tokens + usage->completion_tokens);
    json_key(w, STR("prompt_tokens_details"));
    json_object(w);
    put_count(w, "cached_tokens", usage->cached_tokens);
    json_end(w);
    json_end(w);
}

static void put_message(struct json_writer *w, struct str text)
{
    json_key(w, STR("message"));
    json_object(w);
    put_text(w, "role", STR("assistant"));
    put_text(w, "content", text);
    json_key(w, STR("refusal"));
    json_null(w);
    json_end(w);
}

static void put_choice(struct json_writer *w, enum openai_kind kind,
                       const struct openai_choice *choice)
{
    json_object(w);
    put_count(w, "index", choice->index);
    if (kind == OPENAI_CHAT)
        put_message(w, choice->text);
    else
        put_text(w, "text", choice->text);
    put_logprobs(w, kind, choice);
    put_text_or_null(w, "finish_reason", choice->finish);
    json_end(w);
}

void openai_write_reply(const struct openai_reply *reply, const struct openai_choice *choices,
                        size_t count, const struct openai_usage *usage, struct buf *out)
{
    struct json_writer w;
    json_writer_init(&w, out, 0);
    json_object(&w);
    if (reply->kind == OPENAI_GENERATE) {
        put_text(&w, "id", reply->id);
        put_text(&w, "model", reply->model);
        put_text(&w, "text", choices[0].text);
        put_text_or_null(&w, "finish_reason", choices[0].finish);
    } else {
        put_head(&w, reply, reply->kind == OPENAI_CHAT ? "chat.completion" : "text_completion");
        json_key(&w, STR("choices"));
        json_array(&w);
        for (size_t i = 0; i < count; i++)
            put_choice(&w, reply->kind, &choices[i]);
        json_end(&w);
    }
    put_usage(&w, usage);
    json_end(&w);
}

/* ---- streams ---- */

static void put_delta(struct json_writer *w, const struct openai_choice *choice, bool opens)
{
    json_key(w, STR("delta"));
    json_object(w);
    if (opens)
        put_text(w, "role", STR("assistant"));
    if (opens || choice->text.len > 0)
        put_text(w, "content", choice->text);
    json_end(w);
}

/* An event's data must not have line ends inside: each line gets its own "data:". */
static void put_text_event(struct str text, struct buf *out)
{
    struct str line;
    if (text.len == 0)
        return;
    for (;;) {
        size_t end = 0;
        while (end < text.len && text.ptr[end] != '\n' && text.ptr[end] != '\r')
            end++;
        line = str_sub(text, 0, end);
        buf_put(out, STR("data: "));
        buf_put(out, line);
        buf_put_char(out, '\n');
        if (end == text.len)
            break;
        bool pair = text.ptr[end] == '\r' && end + 1 < text.len && text.ptr[end + 1] == '\n';
        text = str_sub(text, end + (pair ? 2 : 1), text.len);
    }
    buf_put_char(out, '\n');
}

/* The gateway takes it out again: it stands at the end, and its ids at its own end. */
static void put_progress(struct json_writer *w, const struct openai_reply *reply,
                         const struct openai_progress *p, bool opens)
{
    json_key(w, STR("fairway"));
    json_object(w);
    if (opens) {
        json_member_str(w, STR("id"), reply->id);
        json_member_int(w, STR("created"), reply->created);
        json_member_int(w, STR("seed"), reply->seed);
    }
    json_member_u64(w, STR("shown"), p->shown);
    json_key(w, STR("token_ids"));
    json_array(w);
    for (size_t i = 0; i < p->count; i++)
        json_int(w, p->tokens[i]);
    json_end(w);
    json_end(w);
}

void openai_write_chunk(const struct openai_reply *reply, const struct openai_choice *choice,
                        bool opens, bool usage, struct buf *out)
{
    struct json_writer w;
    if (reply->kind == OPENAI_GENERATE) {
        put_text_event(choice->text, out);
        return;
    }
    bool chat = reply->kind == OPENAI_CHAT;
    buf_put(out, STR("data: "));
    json_writer_init(&w, out, 0);
    json_object(&w);
    put_head(&w, reply, chat ? "chat.completion.chunk" : "text_completion");
    json_key(&w, STR("choices"));
    json_array(&w);
    json_object(&w);
    put_count(&w, "index", choice->index);
    if (chat)
        put_delta(&w, choice, opens);
    else
        put_text(&w, "text", choice->text);
    put_logprobs(&w, reply->kind, choice);
    put_text_or_null(&w, "finish_reason", choice->finish);
    json_end(&w);
    json_end(&w);
    if (usage) {
        json_key(&w, STR("usage"));
        json_null(&w);
    }
    if (choice->progress)
        put_progress(&w, reply, choice->progress, opens);
    json_end(&w);
    buf_put(out, STR("\n\n"));
}

void openai_write_usage_chunk(const struct openai_reply *reply, const struct openai_usage *usage,
                              struct buf *out)
{
    struct json_writer w;
    buf_put(out, STR("data: "));
    json_writer_init(&w, out, 0);
    json_object(&w);
    put_head(&w, reply, reply->kind == OPENAI_CHAT ? "chat.completion.chunk" : "text_completion");
    json_key(&w, STR("choices"));
    json_array(&w);
    json_end(&w);
    put_usage(&w, usage);
    json_end(&w);
    buf_put(out, STR("\n\n"));
}

void openai_write_done(struct buf *out)
{
    buf_put(out, STR("data: [DONE]\n\n"));
}

void openai_write_error_event(const struct api_error *error, struct buf *out)
{
    buf_put(out, STR("data: "));
    api_error_write(error, out);
    buf_put(out, STR("\n\n"));
}
