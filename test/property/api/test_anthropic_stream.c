/* SPDX-License-Identifier: Apache-2.0 */
/* Random streams of an engine, cut anywhere: the client's bytes are those of the stream in one piece, and well formed. */
#include "api/anthropic_stream.h"
#include "chat_streams.h"

enum { STREAMS = 3000, BUDGET = 1 << 20 };

static void finish(struct anthropic_stream *s, struct buf *out)
{
    const struct openai_usage usage = {
        .prompt_tokens = 3, .completion_tokens = 4, .cached_tokens = 1};
    anthropic_stream_end(s, &usage, out);
}

static void pass(void *stream, struct str events, struct buf *out)
{
    anthropic_stream_pass(stream, events, out);
}

static void test_cut_anywhere(void **state)
{
    uint64_t seed = test_seed(1);
    chance = seed;
    for (int step = 0; step < STREAMS; step++) {
        struct buf stream, at_once, in_pieces;
        struct anthropic_stream s = {0}, cut = {0};
        buf_init(&stream, BUDGET);
        buf_init(&at_once, BUDGET);
        buf_init(&in_pieces, BUDGET);
        put_chat_stream(&stream);
        anthropic_stream_pass(&s, buf_str(&stream), &at_once);
        finish(&s, &at_once);
        pass_in_pieces(pass, &cut, buf_str(&stream), &in_pieces);
        finish(&cut, &in_pieces);
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
