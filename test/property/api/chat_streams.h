/* SPDX-License-Identifier: Apache-2.0 */
/* Random chat streams of an engine, and what every stream that is made of them must look like. */
#ifndef FAIRWAY_TEST_CHAT_STREAMS_H
#define FAIRWAY_TEST_CHAT_STREAMS_H

#include "base/buf.h"
#include "base/json.h"
#include "net/sse.h"
#include "test.h"

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

static inline void put_chat_stream(struct buf *out)
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

/* Each event is a name and JSON of that type. */
static inline bool is_well_formed(struct str out)
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

/* As the gateway does it: bytes come in pieces, whole events are passed on. */
static inline void pass_in_pieces(void (*pass)(void *stream, struct str events, struct buf *out),
                                  void *stream, struct str bytes, struct buf *out)
{
    struct buf held;
    buf_init(&held, bytes.len);
    while (bytes.len) {
        size_t piece = 1 + test_below(&chance, test_below(&chance, 2) ? 5 : 200);
        buf_put(&held, str_sub(bytes, 0, piece));
        bytes = str_sub(bytes, piece, bytes.len);
        size_t whole = sse_whole_events(buf_str(&held), 0);
        pass(stream, str_sub(buf_str(&held), 0, whole), out);
        buf_drop_front(&held, whole);
    }
    pass(stream, buf_str(&held), out);
    buf_fini(&held);
}

#endif
