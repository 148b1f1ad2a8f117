/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/answer.h"

#include "base/check.h"
#include "base/mem.h"

/* Far above what can be held: a stop string, a character and one token's text. */
enum { HELD_MAX = 1 << 20 };

int answer_init(struct answer *a, struct arena *arena, const struct str *stops, size_t stop_count)
{
    *a = (struct answer){0};
    buf_init(&a->held, HELD_MAX);
    return stop_init(&a->stop, arena, stops, stop_count);
}

void answer_fini(struct answer *a)
{
    buf_fini(&a->held);
    mem_free(a->tokens);
}

/* Lets the stop strings see the text that was added to `held` from `before` on. */
static void look_for_stops(struct answer *a, size_t before)
{
    CHECK(!a->held.error);
    stop_put(&a->stop, str_sub(buf_str(&a->held), before, a->held.len));
}

void answer_put(struct answer *a, const struct answer_token *token, struct str piece)
{
    CHECK(!a->stop.matched);
    size_t before = a->held.len;
    utf8_hold_put(&a->characters, piece, &a->held);
    look_for_stops(a, before);
    if (a->count == a->cap) {
        a->cap = a->cap ? 2 * a->cap : 8;
        a->tokens = mem_resize(a->tokens, a->cap * sizeof(a->tokens[0]));
    }
    a->tokens[a->count] = *token;
    a->tokens[a->count++].text_end = a->dropped + a->held.len;
}

void answer_end(struct answer *a)
{
    size_t before = a->held.len;
    utf8_hold_end(&a->characters, &a->held);
    look_for_stops(a, before);
    stop_end(&a->stop);
}

void answer_ready(const struct answer *a, size_t *ret_bytes, size_t *ret_tokens)
{
    size_t tokens = 0;
    while (tokens < a->count && a->tokens[tokens].text_end <= a->stop.released)
        tokens++;
    /* The token whose text a stop string cut is shown if any of it is. */
    if (a->stop.matched && tokens < a->count) {
        size_t begin = tokens ? a->tokens[tokens - 1].text_end : a->last_end;
        tokens += begin < a->stop.released;
    }
    *ret_tokens = tokens;
    *ret_bytes = a->stop.released - a->dropped;
}

void answer_drop(struct answer *a, size_t bytes, size_t tokens)
{
    CHECK(tokens <= a->count);
    buf_drop_front(&a->held, bytes);
    a->dropped += bytes;
    if (tokens == 0)
        return;
    a->last_end = a->tokens[tokens - 1].text_end;
    a->count -= tokens;
    memmove(a->tokens, a->tokens + tokens, a->count * sizeof(a->tokens[0]));
}
