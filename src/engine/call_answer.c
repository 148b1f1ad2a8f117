/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/mem.h"
#include "engine/service_internal.h"

static const struct http_header json_type = {STR("Content-Type"), STR("application/json")};

/* ---- log probabilities ---- */

static struct str piece_of(struct service *s, struct arena *arena, int32_t token)
{
    char bytes[MODEL_PIECE_MAX];
    size_t len = s->options.model->ops->piece(s->options.model, token, bytes);
    return arena_dup(arena, (struct str){bytes, len});
}

/* NULL when the arena is full: then the answer goes without them. */
static const struct openai_logprob *logprobs_of(struct choice *choice, struct arena *arena,
                                                const struct answer_token *tokens, size_t count)
{
    struct service *s = choice->call->service;
    size_t top = MIN(choice->call->request.top_logprobs, s->options.model->info.vocabulary);
    struct openai_logprob *list = arena_array(arena, count, sizeof(*list));
    for (size_t i = 0; i < count && list; i++) {
        struct openai_likely *likely = arena_array(arena, top, sizeof(*likely));
        if (!likely)
            return NULL;
        for (size_t k = 0; k < top; k++)
            likely[k] = (struct openai_likely){piece_of(s, arena, tokens[i].top[k].token),
                                               tokens[i].top[k].logprob};
        list[i].drawn =
            (struct openai_likely){piece_of(s, arena, tokens[i].token), tokens[i].logprob};
        list[i].top = likely;
        list[i].top_count = top;
        list[i].offset = choice->offset;
        choice->offset += list[i].drawn.text.len;
    }
    return list;
}

/* ---- streams ---- */

static void open_stream(struct call *call)
{
    const struct http_header headers[] = {
        {STR("Content-Type"), STR("text/event-stream; charset=utf-8")},
        {STR("Cache-Control"), STR("no-cache")},
        {STR("X-Request-Id"), call->reply.id},
    };
    http_respond_begin(call->x, 200, headers, ARRAY_LEN(headers));
    call->streaming = true;
}

/* Sends the scratch. */
static void send_scratch(struct call *call)
{
    struct buf *out = &call->service->scratch;
    if (out->len > 0 && http_respond_write(call->x, buf_str(out)) == ERR_FULL)
        call->blocked = true;
    buf_clear(out);
}

/* NULL: nobody asked, or the arena is full, so that nobody can go on from here. */
static const struct openai_progress *progress_of(struct choice *choice, struct arena *arena,
                                                 const struct job_news *news)
{
    struct openai_progress *p =
        choice->call->progress ? ARENA_NEW(arena, struct openai_progress) : NULL;
    int32_t *tokens = p ? arena_array(arena, news->count, sizeof(int32_t)) : NULL;
    if (!tokens)
        return NULL;
    for (size_t i = 0; i < news->count; i++)
        tokens[i] = news->tokens[i].token;
    *p = (struct openai_progress){tokens, news->count, choice->shown};
    return p;
}

/* What the client of a resumed answer has already is left out. */
static struct str text_to_show(struct choice *choice, struct str text)
{
    size_t known = MIN(choice->skip, text.len);
    choice->skip -= known;
    choice->shown += text.len - known;
    return str_sub(text, known, text.len);
}

static void stream_news(struct choice *choice, const struct job_news *news)
{
    struct call *call = choice->call;
    struct openai_choice chunk = {.index = (uint32_t)(choice - call->choices),
                                  .text = text_to_show(choice, news->text)};
    if (news->end != JOB_RUNNING)
        chunk.finish = news->end == JOB_STOP ? "stop" : "length";
    if (chunk.text.len == 0 && news->count == 0 && !chunk.finish)
        return;
    struct arena arena;
    arena_init(&arena, ANSWER_MAX);
    chunk.progress = progress_of(choice, &arena, news);
    if (call->request.logprobs) {
        chunk.logprobs = logprobs_of(choice, &arena, news->tokens, news->count);
        chunk.logprob_count = news->count;
    }
    if (!call->streaming)
        open_stream(call);
    openai_write_chunk(&call->reply, &chunk, !choice->opened, call->request.include_usage,
                       &call->service->scratch);
    choice->opened = true;
    send_scratch(call);
    arena_fini(&arena);
}

static void end_stream(struct call *call)
{
    struct buf *out = &call->service->scratch;
    if (call->request.include_usage)
        openai_write_usage_chunk(&call->reply, &call->usage, out);
    openai_write_done(out);
    send_scratch(call);
    http_respond_end(call->x);
    call_close(call, 200);
}

/* ---- whole answers ---- */

static void keep_news(struct choice *choice, const struct job_news *news)
{
    buf_put(&choice->text, news->text);
    if (!choice->call->request.logprobs || news->count == 0)
        return;
    choice->tokens = mem_resize(choice->tokens,
                                (choice->token_count + news->count) * sizeof(struct answer_token));
    memcpy(choice->tokens + choice->token_count, news->tokens,
           news->count * sizeof(struct answer_token));
    choice->token_count += news->count;
}

static void write_vectors(struct call *call, struct buf *out)
{
    const float **vectors = arena_array(&call->arena, call->count, sizeof(*vectors));
    CHECK(vectors);
    for (size_t i = 0; i < call->count; i++)
        vectors[i] = call->choices[i].vector;
    openai_write_embeddings(call->reply.model, vectors, call->count,
                            call->service->options.model->info.embedding_width,
                            call->request.base64, call->usage.prompt_tokens, out);
}

static void write_choices(struct call *call, struct buf *out)
{
    struct openai_choice *choices = arena_array(&call->arena, call->count, sizeof(*choices));
    CHECK(choices);
    for (size_t i = 0; i < call->count; i++) {
        struct choice *choice = &call->choices[i];
        choices[i] = (struct openai_choice){
            .index = (uint32_t)i, .text = buf_str(&choice->text), .finish = choice->finish};
        if (!call->request.logprobs)
            continue;
        choices[i].logprobs =
            logprobs_of(choice, &call->arena, choice->tokens, choice->token_count);
        choices[i].logprob_count = choice->token_count;
    }
    openai_write_reply(&call->reply, choices, call->count, &call->usage, out);
}

void answer_complete(struct call *call)
{
    struct buf *out = &call->service->scratch;
    if (call->streaming) {
        end_stream(call);
        return;
    }
    if (call->kind == OPENAI_EMBEDDING)
        write_vectors(call, out);
    else
        write_choices(call, out);
    const struct http_header headers[] = {json_type, {STR("X-Request-Id"), call->reply.id}};
    int status = out->error ? 500 : 200;
    http_respond(call->x, status, headers, ARRAY_LEN(headers), buf_str(out));
    buf_clear(out);
    call_close(call, status);
}

/* ---- both ---- */

/* An error after the head went out is an event, and no "[DONE]" follows. */
static void fail(struct call *call, const struct api_error *error)
{
    if (!call->streaming) {
        service_error(call->service, call->x, error);
    } else {
        openai_write_error_event(error, &call->service->scratch);
        send_scratch(call);
        http_respond_end(call->x);
    }
    call_close(call, error->status);
}

/* A gateway that can go on elsewhere is told by a broken stream, as when a replica dies. */
void answer_cut(struct call *call)
{
    if (call->streaming && call->progress) {
        http_respond_abort(call->x);
        call_close(call, 503);
        return;
    }
    fail(call, &(struct api_error){.status = 503,
                                   .message = STR("This replica is shutting down."),
                                   .code = STR("shutting_down")});
}

static void note_times(struct choice *choice, const struct job_news *news)
{
    struct call *call = choice->call;
    for (size_t i = 0; i < news->count; i++) {
        if (call->first_token == 0)
            call->first_token = news->tokens[i].at - call->began;
        if (choice->last_token)
            metric_observe(call->service->meters.between_tokens,
                           nsec_to_seconds(news->tokens[i].at - choice->last_token));
        choice->last_token = news->tokens[i].at;
    }
}

void answer_news(struct choice *choice, const struct job_news *news)
{
    struct call *call = choice->call;
    note_times(choice, news);
    if (news->end == JOB_FAILED)
        fail(call, &(struct api_error){.status = 500,
                                       .message = STR("The model could not compute this.")});
    else if (news->end == JOB_DRAINED)
        answer_cut(call);
    else if (call->request.stream)
        stream_news(choice, news);
    else
        keep_news(choice, news);
}
