/* SPDX-License-Identifier: Apache-2.0 */
/* Random streams of an engine, cut anywhere: the client's bytes are those of the stream in one piece, and well formed. */
#include "api/anthropic_stream.h"
#include "base/json.h"
#include "net/sse.h"
#include "test.h"

enum { STREAMS = 3000, BUDGET = 1 << 20 };

static uint64_t chance;

static const char *pick(const char *const texts[], size_t count)
{
    return texts[test_below(&chance, count)];
}

#define PICK(texts) pick(texts, ARRAY_LEN(texts))

static void put_delta(struct buf *out, unsigned *calls)
{
    static const char *const texts[] = {"", "a", "\\n\\n", "\\u00e4 \\\"data: x\\\"",
                                        "{\\\"error\\\":1}"};
    static const char *const begins[] = {"\"role\":\"assistant\",\"content\":null",
                                         "\"content\":\"\"", ""};
    switch (test_below(&chance, 4)) {
    case 0:
        buf_printf(out,
                   "\"tool_calls\":[{\"index\":%u,\"id\":\"i\",\"function\":{\"name\":\"f\","
                   "\"arguments\":\"%s\"}}]",
                   (*calls)++, PICK(texts));
        break;
    case 1:
        if (*calls) {
            buf_printf(out, "\"tool_calls\":[{\"index\":%u,\"function\":{\"arguments\":\"%s\"}}]",
                       *calls - 1, PICK(texts));
            break;
        }
        [[fallthrough]];
    case 2:
        buf_put(out, str_from(PICK(begins)));
        break;
    default:
        buf_printf(out, "\"content\":\"%s\"", PICK(texts));
    }
}

static void put_stream(struct buf *out)
{
    static const char *const ends[] = {"\n\n", "\r\n\r\n", "\r\r"};
    static const char *const others[] = {": comment", "data: [DONE]",
                                         "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1}}",
                                         "event: x", "data: {\"error\":{\"message\":\"m\"}}"};
    static const char *const finishes[] = {"", ",\"finish_reason\":null",
                                           ",\"finish_reason\":\"stop\"",
                                           ",\"finish_reason\":\"stop\",\"stop_reason\":\"x\""};
    unsigned calls = 0;
    for (uint64_t count = test_below(&chance, 12); count; count--) {
        if (test_below(&chance, 6) == 0) {
            buf_put(out, str_from(PICK(others)));
        } else {
            buf_put(out, STR("data: {\"id\":\"c\",\"choices\":[{\"delta\":{"));
            put_delta(out, &calls);
            buf_printf(out, "}%s}]}", PICK(finishes));
        }
        buf_put(out, str_from(PICK(ends)));
    }
}

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

/* Each event is a name and JSON of that type. */
static bool is_well_formed(struct str out)
{
    struct str line, name = STR_NONE;
    while (str_split(&out, '\n', &line)) {
        struct json_span type = {.key = STR("type")};
        size_t offset;
        if (str_starts(line, STR("event: "))) {
            name = str_sub(line, 7, line.len);
        } else if (str_starts(line, STR("data: "))) {
            if (json_scan(str_sub(line, 6, line.len), &type, 1, &offset) ||
                !str_eq(str_sub(type.value, 1, type.value.len - 1), name))
                return false;
        } else if (line.len) {
            return false;
        }
    }
    return true;
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
        put_stream(&stream);
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
