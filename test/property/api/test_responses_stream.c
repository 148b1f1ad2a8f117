/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random streams of an engine, cut anywhere: the client's bytes are those of the stream in one piece, well formed, and the last
 * event holds what the deltas said.
 */
#include "api/responses_stream.h"
#include "chat_streams.h"

enum { STREAMS = 3000, BUDGET = 1 << 20 };

#define REQUEST STR("{\"model\":\"m\",\"input\":\"x\",\"temperature\":0.5}")

static void finish(struct responses_stream *s, struct buf *out)
{
    const struct openai_usage usage = {
        .prompt_tokens = 3, .completion_tokens = 4, .cached_tokens = 1};
    responses_stream_end(s, &usage, out);
    responses_stream_fini(s);
}

static void pass_at_once(struct str bytes, struct buf *out)
{
    struct responses_stream s;
    responses_stream_init(&s, REQUEST);
    responses_stream_pass(&s, bytes, out);
    finish(&s, out);
}

static void pass(void *stream, struct str events, struct buf *out)
{
    responses_stream_pass(stream, events, out);
}

static void pass_cut(struct str bytes, struct buf *out)
{
    struct responses_stream s;
    responses_stream_init(&s, REQUEST);
    pass_in_pieces(pass, &s, bytes, out);
    finish(&s, out);
}

/* Events number themselves; the values of the items in the last one are the deltas, put together. */
struct told {
    uint64_t events;
    bool failed;
    struct buf deltas, values; /* without quotes */
};

static void tell_output(struct told *t, const struct json *response)
{
    json_each(item, json_get(response, STR("output")))
    {
        const struct json *content = json_get(item, STR("content"));
        const struct json *value =
            content ? json_get(content->first, STR("text")) : json_get(item, STR("arguments"));
        assert_non_null(value);
        buf_put(&t->values, str_sub(value->raw, 1, value->raw.len - 1));
    }
}

static void tell(struct told *t, struct str out, uint64_t seed, int step)
{
    struct str data;
    while (chat_next_data(&out, &data)) {
        struct arena arena;
        struct json *event;
        int64_t number;
        arena_init(&arena, BUDGET);
        PROPERTY(json_parse(&arena, data, &event, NULL) == 0, seed, step);
        PROPERTY(json_i64(json_get(event, STR("sequence_number")), &number) == 0 &&
                     (uint64_t)number == t->events,
                 seed, step);
        t->events++;
        const struct json *delta = json_get(event, STR("delta"));
        const struct json *type = json_get(event, STR("type"));
        if (delta)
            buf_put(&t->deltas, str_sub(delta->raw, 1, delta->raw.len - 1));
        t->failed |= str_eq(type->text, STR("error"));
        if (str_eq(type->text, STR("response.completed")))
            tell_output(t, json_get(event, STR("response")));
        arena_fini(&arena);
    }
}

static void check_told(struct str out, uint64_t seed, int step)
{
    struct told t = {.events = 0};
    buf_init(&t.deltas, BUDGET);
    buf_init(&t.values, BUDGET);
    tell(&t, out, seed, step);
    PROPERTY(t.failed || str_eq(buf_str(&t.deltas), buf_str(&t.values)), seed, step);
    buf_fini(&t.deltas);
    buf_fini(&t.values);
}

static void test_cut_anywhere(void **state)
{
    uint64_t seed = test_seed(1);
    chance = seed;
    for (int step = 0; step < STREAMS; step++) {
        struct buf stream, at_once, in_pieces;
        buf_init(&stream, BUDGET);
        buf_init(&at_once, BUDGET);
        buf_init(&in_pieces, BUDGET);
        put_chat_stream(&stream);
        pass_at_once(buf_str(&stream), &at_once);
        pass_cut(buf_str(&stream), &in_pieces);
        PROPERTY(str_eq(buf_str(&at_once), buf_str(&in_pieces)), seed, step);
        PROPERTY(is_well_formed(buf_str(&at_once)), seed, step);
        check_told(buf_str(&at_once), seed, step);
        buf_fini(&stream);
        buf_fini(&at_once);
        buf_fini(&in_pieces);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cut_anywhere)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
