/* SPDX-License-Identifier: Apache-2.0 */
#include "api/chat_answer.h"

bool chat_is_text(struct str raw)
{
    return raw.len > 2 && raw.ptr[0] == '"';
}

int chat_read_choice(struct str choices, struct str member, struct str *ret_said,
                     struct chat_end *ret_end)
{
    enum { SAID, FINISH, STOP, MEMBERS };
    struct json_span members[MEMBERS] = {
        [SAID] = {.key = member},
        [FINISH] = {.key = STR("finish_reason")},
        [STOP] = {.key = STR("stop_reason")},
    };
    size_t offset;
    /* One choice was asked for: without the brackets it is an object. */
    if (choices.len < 2 || choices.ptr[0] != '[' ||
        json_scan(str_trim(str_sub(choices, 1, choices.len - 1)), members, MEMBERS, &offset))
        return ERR_PARSE;
    *ret_said = members[SAID].value;
    *ret_end = (struct chat_end){
        .finish = chat_is_text(members[FINISH].value) ? members[FINISH].value : STR_NONE,
        .stop = chat_is_text(members[STOP].value) ? members[STOP].value : STR_NONE,
    };
    return 0;
}

bool chat_has_text(const struct json *node)
{
    return node && node->type == JSON_STRING && node->text.len > 0;
}

/* ---- errors ---- */

struct api_error chat_error_of(int status, struct str answer, struct arena *arena)
{
    struct api_error e = {.status = status, .message = STR("The engine refused the request.")};
    struct json_span error = {.key = STR("error")}, message = {.key = STR("message")};
    struct str text, said = answer;
    size_t offset;
    /* {"error": {"message": ...}}, or {"message": ...} as some engines write it. */
    if (!json_scan(answer, &error, 1, &offset) && error.value.ptr)
        said = error.value;
    if (!json_scan(said, &message, 1, &offset) && message.value.ptr)
        said = message.value;
    if (!json_raw_str(arena, said, &text))
        e.message = text;
    return e;
}

/* The engine's word for it, back to the status that it would have had. */
int chat_error_status(struct str answer)
{
    static const int statuses[] = {400, 401, 403, 404, 429, 503};
    struct json_span error = {.key = STR("error")}, type = {.key = STR("type")};
    size_t offset;
    if (json_scan(answer, &error, 1, &offset) || !error.value.ptr ||
        json_scan(error.value, &type, 1, &offset) || !chat_is_text(type.value))
        return 500;
    struct str word = str_sub(type.value, 1, type.value.len - 1);
    for (size_t i = 0; i < ARRAY_LEN(statuses); i++)
        if (str_eq(word, str_from(api_error_type(statuses[i]))))
            return statuses[i];
    return 500;
}

/* ---- streams ---- */

bool chat_next_data(struct str *events, struct str *ret_data)
{
    while (events->len > 0) {
        size_t end = 0;
        while (end < events->len && events->ptr[end] != '\n' && events->ptr[end] != '\r')
            end++;
        struct str line = str_sub(*events, 0, end);
        *events = str_sub(*events, end + 1, events->len);
        if (str_starts(line, STR("data:"))) {
            *ret_data = str_trim(str_sub(line, 5, line.len));
            return true;
        }
    }
    return false;
}
