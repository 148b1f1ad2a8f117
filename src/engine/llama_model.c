/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/llama_model.h"

#include <llama.h>
#include <math.h>

#include "base/check.h"
#include "base/mem.h"
#include "engine/llama_internal.h"

static const struct model_ops ops;

struct model *llama_model_new(const struct llama_options *options)
{
    struct llama *l = NEW(struct llama);
    l->model.ops = &ops;
    l->options = *options;
    return &l->model;
}

static void free_model(struct model *m)
{
    struct llama *l = container_of(m, struct llama, model);
    llama_unload(l);
    mem_free(l);
}

static int tokenize(struct model *m, struct str text, bool special, int32_t *ret_tokens, size_t cap,
                    size_t *ret_count)
{
    struct llama *l = container_of(m, struct llama, model);
    if (special && l->begin.len > 0 && str_starts(text, l->begin))
        special = false;
    if (text.len > INT32_MAX)
        return ERR_TOO_BIG;
    int32_t count = llama_tokenize(l->vocab, text.ptr ? text.ptr : "", (int32_t)text.len,
                                   ret_tokens, (int32_t)MIN(cap, INT32_MAX), special, true);
    *ret_count = (size_t)(count < 0 ? -(int64_t)count : count);
    return count < 0 ? ERR_TOO_BIG : 0;
}

static bool is_token(struct model *m, int32_t token)
{
    return token >= 0 && (uint32_t)token < m->info.vocabulary;
}

static size_t piece(struct model *m, int32_t token, char *ret_bytes)
{
    struct llama *l = container_of(m, struct llama, model);
    if (!is_token(m, token))
        return 0;
    int32_t len = llama_token_to_piece(l->vocab, token, ret_bytes, MODEL_PIECE_MAX, 0, false);
    return len > 0 ? (size_t)len : 0;
}

static int decode(struct model *m, const struct model_token *batch, size_t count)
{
    struct llama *l = container_of(m, struct llama, model);
    CHECK(count <= l->batch_max);
    struct llama_batch *b = &l->batch;
    b->n_tokens = (int32_t)count;
    for (size_t i = 0; i < count; i++) {
        b->token[i] = batch[i].token;
        b->pos[i] = (llama_pos)batch[i].position;
        b->n_seq_id[i] = 1;
        b->seq_id[i][0] = (llama_seq_id)batch[i].sequence;
        b->logits[i] = (int8_t)batch[i].output;
    }
    int result = llama_decode(l->context, *b);
    if (result == 0)
        return 0;
    /* Passes before the failing one may have left cells: none of this batch may stay. */
    llama_memory_t memory = llama_get_memory(l->context);
    for (size_t i = 0; i < count; i++)
        llama_memory_seq_rm(memory, b->seq_id[i][0], b->pos[i], -1);
    return result == 1 ? ERR_FULL : ERR_INTERNAL;
}

static const float *logits(struct model *m, size_t index)
{
    struct llama *l = container_of(m, struct llama, model);
    const float *row = llama_get_logits_ith(l->context, (int32_t)index);
    CHECK(row);
    return row;
}

static bool forget(struct model *m, uint32_t sequence, uint32_t from)
{
    struct llama *l = container_of(m, struct llama, model);
    llama_memory_t memory = llama_get_memory(l->context);
    if (llama_memory_seq_rm(memory, (llama_seq_id)sequence, (llama_pos)from, -1))
        return true;
    llama_memory_seq_rm(memory, (llama_seq_id)sequence, -1, -1);
    return false;
}

/* Vectors are rare: their context is made at the first one. */
static int embed(struct model *m, const int32_t *tokens, size_t from, size_t count, float *sums)
{
    struct llama *l = container_of(m, struct llama, model);
    if (!l->embedder && !llama_open_embedder(l))
        return ERR_NO_MEMORY;
    llama_memory_t memory = llama_get_memory(l->embedder);
    if (from == 0)
        llama_memory_clear(memory, false);
    struct llama_batch *b = &l->batch;
    CHECK(count <= l->batch_max);
    b->n_tokens = (int32_t)count;
    for (size_t i = 0; i < count; i++) {
        b->token[i] = tokens[from + i];
        b->pos[i] = (llama_pos)(from + i);
        b->n_seq_id[i] = 1;
        b->seq_id[i][0] = 0;
        b->logits[i] = true;
    }
    if (llama_decode(l->embedder, *b) != 0)
        return ERR_INTERNAL;
    for (size_t i = 0; i < count; i++) {
        const float *state = llama_get_embeddings_ith(l->embedder, (int32_t)i);
        if (!state)
            return ERR_INTERNAL;
        for (uint32_t k = 0; k < m->info.embedding_width; k++)
            sums[k] += state[k];
    }
    return 0;
}

/* libllama's formats, or chatml when the template is none of them or the model has none. */
static int apply_template(const struct llama *l, const struct llama_chat_message *messages,
                          size_t count, struct buf *out)
{
    const char *text = l->template_known ? l->template_text : "chatml";
    for (int32_t room = 4096;;) {
        char *at = buf_reserve(out, (size_t)room);
        if (!at)
            return ERR_TOO_BIG;
        int32_t len = llama_chat_apply_template(text, messages, count, true, at, room);
        if (len < 0)
            return ERR_INVALID;
        if (len <= room) {
            buf_commit(out, (size_t)len);
            return 0;
        }
        room = len;
    }
}

static int chat(struct model *m, const struct model_message *messages, size_t count,
                struct buf *out)
{
    struct llama *l = container_of(m, struct llama, model);
    struct arena arena;
    size_t total = count * sizeof(struct llama_chat_message) + (1 << 16);
    for (size_t i = 0; i < count; i++)
        total += messages[i].role.len + messages[i].content.len + 64;
    arena_init(&arena, total);
    struct llama_chat_message *list = arena_array(&arena, count, sizeof(*list));
    CHECK(list);
    for (size_t i = 0; i < count; i++) {
        list[i].role = arena_dup(&arena, messages[i].role).ptr;
        list[i].content = arena_dup(&arena, messages[i].content).ptr;
        CHECK(list[i].role && list[i].content);
    }
    if (l->default_system.len > 0 && (count == 0 || !str_eq(messages[0].role, STR("system"))))
        buf_put(out, buf_str(&l->default_system));
    int error = apply_template(l, list, count, out);
    arena_fini(&arena);
    return error;
}

static const struct model_ops ops = {.load = llama_load,
                                     .free = free_model,
                                     .tokenize = tokenize,
                                     .is_token = is_token,
                                     .piece = piece,
                                     .chat = chat,
                                     .decode = decode,
                                     .logits = logits,
                                     .forget = forget,
                                     .embed = embed};
