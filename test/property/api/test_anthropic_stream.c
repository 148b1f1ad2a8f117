/* SPDX-License-Identifier: Apache-2.0 */
/* Random streams of an engine, cut anywhere: the client's bytes are those of the stream in one piece, and well formed. */
#include "api/anthropic_stream.h"
#include "chat_streams.h"
#include "net/sse.h"

enum { STREAMS = 3000, BUDGET = 1 << 20 };

static void finish(struct anthropic_stream *s, struct buf *out)
{
    const struct openai_usage usage = {
        .prompt_tokens = 3, .completion_tokens = 4, .cached_tokens = 1};
    anthropic_stream_end(s, &usage, out);
}

/* As the gateway does it: bytes come in pieces, whole events are passed on. */
static void pass_in_pieces(struct str bytes, struct buf *out)
{
    struct anthropic_stream s = {0};
    struct buf held;
    buf_init(&held, BUDGET);
    while (bytes.len) {
        size_t piece = 1 + test_below(&chance, test_below(&chance, 2) ? 5 : 200);
        buf_put(&held, str_sub(bytes, 0, piece));
        bytes = str_sub(bytes, piece, bytes.len);
        size_t whole = sse_whole_events(buf_str(&held), 0);
        anthropic_stream_pass(&s, str_sub(buf_str(&held), 0, whole), out);
        buf_drop_front(&held, whole);
    }
    anthropic_stream_pass(&s, buf_str(&held), out);
    finish(&s, out);
    buf_fini(&held);
}

static void test_cut_anywhere(void **state)
{
    uint64_t seed = test_seed(1);
    chance = seed;
    for (int step = 0; step < STREAMS; step++) {
        struct buf stream, at_once, in_pieces;
        struct anthropic_stream s = {0};
        buf_init(&stream, BUDGET);
        buf_init(&at_once, BUDGET);
        buf_init(&in_pieces, BUDGET);
        put_chat_stream(&stream);
        anthropic_stream_pass(&s, buf_str(&stream), &at_once);
        finish(&s, &at_once);
        pass_in_pieces(buf_str(&stream), &in_pieces);
        PROPERTY(str_eq(buf_str(&at_once), buf_str(&in_pieces)), seed, step);
        PROPERTY(is_well_formed(buf_str(&at_once)), seed, step);
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
