/* SPDX-License-Identifier: Apache-2.0 */
#include "api/openai_resume.h"

#include "base/json.h"

enum { HEAD_MAX = 1024, TOKENS_MAX = 1 << 20 };

void openai_resume_init(struct openai_resume_state *r)
{
    *r = (struct openai_resume_state){0};
    buf_init(&r->head, HEAD_MAX);
    buf_init(&r->tokens, TOKENS_MAX);
}

void openai_resume_fini(struct openai_resume_state *r)
{
    buf_fini(&r->head);
    buf_fini(&r->tokens);
}

bool openai_resume_possible(const struct openai_resume_state *r)
{
    return r->head.len > 0 && !r->lost && !r->head.error && !r->tokens.error;
}

enum { MEMBER_ID, MEMBER_CREATED, MEMBER_SEED, MEMBER_SHOWN, MEMBER_TOKENS, MEMBERS };

static void note_head(struct openai_resume_state *r, const struct json_span *members)
{
    static const char *const names[] = {"\"id\":", ",\"created\":", ",\"seed\":"};
    if (r->head.len || !members[MEMBER_ID].value.ptr)
        return;
    for (size_t i = MEMBER_ID; i <= MEMBER_SEED; i++) {
        buf_put(&r->head, str_from(names[i]));
        buf_put(&r->head, members[i].value);
    }
}

/* `object` is the value of a field `fairway`. */
static void note(struct openai_resume_state *r, struct str object)
{
    struct json_span members[MEMBERS] = {
        {.key = STR("id")},    {.key = STR("created")},   {.key = STR("seed")},
        {.key = STR("shown")}, {.key = STR("token_ids")},
    };
    size_t offset;
    if (json_scan(object, members, MEMBERS, &offset) || !members[MEMBER_TOKENS].value.ptr ||
        json_raw_u64(members[MEMBER_SHOWN].value, &r->shown)) {
        r->lost = true;
        return;
    }
    note_head(r, members);
    struct str ids = members[MEMBER_TOKENS].value;
    ids = str_trim(str_sub(ids, 1, ids.len - 1)); /* without the brackets */
    if (ids.len && r->tokens.len)
        buf_put_char(&r->tokens, ',');
    buf_put(&r->tokens, ids);
}

/* Inside a JSON text the quotes of such a field would be escaped: what is found is a field. */
void openai_resume_pass(struct openai_resume_state *r, struct str events, struct buf *out)
{
    static const struct str field = STR(",\"fairway\":{"), end = STR("]}");
    r->finished |= str_find(events, STR("\"finish_reason\":\"")) < events.len;
    for (;;) {
        size_t at = str_find(events, field);
        buf_put(out, str_sub(events, 0, at));
        if (at == events.len)
            return;
        struct str object = str_sub(events, at + field.len - 1, events.len);
        size_t length = str_find(object, end) + end.len;
        if (length > object.len) {
            r->lost = true;
            length = object.len;
        }
        note(r, str_sub(object, 0, length));
        events = str_sub(object, length, object.len);
    }
}

void openai_resume_write(const struct openai_resume_state *r, struct buf *out)
{
    buf_put(out, STR("\"fairway_resume\":{"));
    buf_put(out, buf_str(&r->head));
    buf_put(out, STR(",\"shown\":"));
    buf_put_u64(out, r->shown);
    buf_put(out, STR(",\"token_ids\":["));
    buf_put(out, buf_str(&r->tokens));
    buf_put(out, STR("]},"));
}
