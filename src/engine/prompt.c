/* SPDX-License-Identifier: Apache-2.0 */
/* Prompts and conversations to tokens. */
#include "engine/service_internal.h"

int service_too_long(struct arena *arena, uint32_t most, bool at_least, size_t count,
                     struct str param, struct api_error *error)
{
    *error =
        (struct api_error){.status = 400, .param = param, .code = STR("context_length_exceeded")};
    error->message = arena_printf(arena,
                                  "This model's maximum context length is %u tokens. However, your "
                                  "prompt has %s%zu tokens, and the answer needs room too. Please "
                                  "shorten the prompt.",
                                  most, at_least ? "at least " : "", count);
    return ERR_INVALID;
}

static int text_tokens(struct service *s, struct arena *arena, struct str text, bool special,
                       struct str param, int32_t **ret_tokens, size_t *ret_count,
                       struct api_error *error)
{
    struct model *model = s->options.model;
    const struct model_info *info = &model->info;
    /* So long a text has more tokens than fit, whatever it says: not worth the tokenizer's time. */
    if (text.len / info->piece_max > info->length_max)
        return service_too_long(arena, info->length_max, true, text.len / info->piece_max, param,
                                error);
    size_t room = MIN(text.len + 8, (size_t)info->length_max + 1);
    int32_t *tokens = arena_array(arena, room, sizeof(*tokens));
    if (!tokens) {
        *error = (struct api_error){.status = 413, .message = STR("The prompt is too long.")};
        return ERR_TOO_BIG;
    }
    if (model->ops->tokenize(model, text, special, tokens, room, ret_count))
        return service_too_long(arena, info->length_max, false, *ret_count, param, error);
    *ret_tokens = tokens;
    return 0;
}

static int chat_tokens(struct service *s, struct arena *arena, const struct openai_request *request,
                       int32_t **ret_tokens, size_t *ret_count, struct api_error *error)
{
    struct model *model = s->options.model;
    size_t count = request->message_count, total = 1 << 16;
    struct model_message *messages = arena_array(arena, count, sizeof(*messages));
    if (!messages) {
        *error = (struct api_error){.status = 413, .message = STR("There are too many messages.")};
        return ERR_TOO_BIG;
    }
    for (size_t i = 0; i < count; i++) {
        messages[i] =
            (struct model_message){request->messages[i].role, request->messages[i].content};
        total += 2 * (messages[i].role.len + messages[i].content.len) + 256;
    }
    struct buf text;
    buf_init(&text, total);
    int result = model->ops->chat(model, messages, count, &text);
    if (result)
        *error = (struct api_error){
            .status = 400,
            .message = STR("The model's chat template does not accept this conversation."),
            .param = STR("messages"),
            .code = STR("invalid_value")};
    else
        result = text_tokens(s, arena, buf_str(&text), true, STR("messages"), ret_tokens, ret_count,
                             error);
    buf_fini(&text);
    return result;
}

static int given_tokens(struct service *s, struct arena *arena, const struct openai_prompt *prompt,
                        struct str param, int32_t **ret_tokens, size_t *ret_count,
                        struct api_error *error)
{
    struct model *model = s->options.model;
    for (size_t i = 0; i < prompt->count; i++) {
        if (model->ops->is_token(model, prompt->tokens[i]))
            continue;
        *error = (struct api_error){.status = 400, .param = param, .code = STR("invalid_value")};
        error->message =
            arena_printf(arena, "Invalid value for '%.*s': %d is no token of this model.",
                         STR_ARG(param), (int)prompt->tokens[i]);
        return ERR_INVALID;
    }
    *ret_tokens = arena_array(arena, prompt->count, sizeof(int32_t));
    *ret_count = prompt->count;
    if (!*ret_tokens || prompt->count > model->info.length_max)
        return service_too_long(arena, model->info.length_max, false, prompt->count, param, error);
    memcpy(*ret_tokens, prompt->tokens, prompt->count * sizeof(int32_t));
    return 0;
}

int service_tokens(struct service *s, struct arena *arena, const struct openai_request *request,
                   const struct openai_prompt *prompt, struct str param, int32_t **ret_tokens,
                   size_t *ret_count, struct api_error *error)
{
    int result;
    if (!prompt)
        return chat_tokens(s, arena, request, ret_tokens, ret_count, error);
    if (prompt->tokens)
        return given_tokens(s, arena, prompt, param, ret_tokens, ret_count, error);
    result = text_tokens(s, arena, prompt->text, !request->no_special_tokens, param, ret_tokens,
                         ret_count, error);
    if (!result && *ret_count == 0 && !request->no_special_tokens) {
        *error = (struct api_error){.status = 400, .param = param, .code = STR("invalid_value")};
        error->message =
            arena_printf(arena, "Invalid value for '%.*s': it must not be empty.", STR_ARG(param));
        return ERR_INVALID;
    }
    return result;
}
