/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/stop.h"

#include "base/check.h"
#include "base/err.h"

struct stop_string {
    struct str text;
    uint32_t *fallback; /* [i]: longest proper prefix of text that text[0..i] ends with */
    uint32_t matched;   /* longest prefix of text that the input so far ends with */
};

/* The longest prefix that the input ends with after one more byte. */
static uint32_t advance(const struct stop_string *s, uint32_t matched, char c)
{
    while (matched > 0 && s->text.ptr[matched] != c)
        matched = s->fallback[matched - 1];
    return s->text.ptr[matched] == c ? matched + 1 : 0;
}

int stop_init(struct stop *stop, struct arena *arena, const struct str *strings, size_t count)
{
    *stop = (struct stop){.strings = arena_array(arena, count, sizeof(struct stop_string))};
    if (!stop->strings)
        return ERR_NO_MEMORY;
    for (size_t i = 0; i < count; i++) {
        struct stop_string *s = &stop->strings[i];
        CHECK(strings[i].len > 0);
        s->text = arena_dup(arena, strings[i]);
        s->fallback = arena_array(arena, s->text.len, sizeof(uint32_t));
        if (!s->text.ptr || !s->fallback)
            return ERR_NO_MEMORY;
        for (size_t at = 1; at < s->text.len; at++)
            s->fallback[at] = advance(s, s->fallback[at - 1], s->text.ptr[at]);
    }
    stop->count = count;
    return 0;
}

/* Longest prefix of a stop string at the end of the text; ends the text when one is whole. */
static size_t put_byte(struct stop *stop, char c)
{
    size_t held = 0;
    stop->seen++;
    for (size_t i = 0; i < stop->count; i++) {
        struct stop_string *s = &stop->strings[i];
        s->matched = advance(s, s->matched, c);
        if (s->matched == s->text.len) {
            size_t begin = stop->seen - s->text.len;
            stop->released = stop->matched ? MIN(stop->released, begin) : begin;
            stop->matched = true;
        }
        held = MAX(held, s->matched);
    }
    return held;
}

void stop_put(struct stop *stop, struct str piece)
{
    size_t held = stop->seen - stop->released;
    for (size_t i = 0; i < piece.len && !stop->matched; i++)
        held = put_byte(stop, piece.ptr[i]);
    if (!stop->matched)
        stop->released = stop->seen - held;
}

void stop_end(struct stop *stop)
{
    if (!stop->matched)
        stop->released = stop->seen;
}
