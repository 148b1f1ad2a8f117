/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the fake upstream answers, byte for byte: it sends this, and the loader checks that all of it came through.
 * Thread rule: none.
 */
#ifndef FAIRWAY_BENCH_ANSWERS_H
#define FAIRWAY_BENCH_ANSWERS_H

#include <assert.h>
#include <stdio.h>

/* STREAM_EVENTS: of a stream at most, and of one whose request does not say. */
enum { STREAM_EVENTS = 64, STREAM_BODY_MAX = 16 * 1024, EVENT_MAX = 256 };

static const char plain_answer[] =
    "{\"id\":\"chatcmpl-5f0c2b7e9a1d4c3f8b6e\",\"object\":\"chat.completion\","
    "\"created\":1767225600,\"model\":\"bench\",\"choices\":[{\"index\":0,\"message\":"
    "{\"role\":\"assistant\",\"content\":\"A graphics processor runs the same small program "
    "on thousands of data items at once, which is what drawing a picture needs and what "
    "multiplying the matrices of a language model needs too. It has many simple cores, fast "
    "memory beside them, and little patience for branches. Batches suit it better.\"},"
    "\"logprobs\":null,\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":24,"
    "\"completion_tokens\":57,\"total_tokens\":81}}";

static_assert(sizeof(plain_answer) - 1 == 575);

/* Event number i of `count`; the last one brings the stream's end with it. Returns its length. */
static inline size_t stream_event(unsigned i, unsigned count, char text[EVENT_MAX])
{
    int len =
        snprintf(text, EVENT_MAX,
                 "data: {\"id\":\"chatcmpl-5f0c2b7e9a1d4c3f8b6e\",\"object\":"
                 "\"chat.completion.chunk\",\"created\":1767225600,\"model\":\"bench\","
                 "\"choices\":[{\"index\":0,\"delta\":{\"content\":\" word%u\"},"
                 "\"finish_reason\":%s}]}\n\n%s",
                 i, i + 1 < count ? "null" : "\"stop\"", i + 1 < count ? "" : "data: [DONE]\n\n");
    return (size_t)len;
}

#endif
