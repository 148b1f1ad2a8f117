/* SPDX-License-Identifier: Apache-2.0 */
/* What request codecs (api/translate.h) make of a body, or how they refuse it. */
#ifndef FAIRWAY_TEST_TRANSLATING_H
#define FAIRWAY_TEST_TRANSLATING_H

#include "api/translate.h"
#include "test.h"

enum { BUDGET = 1 << 20 };

typedef int translating(struct str body, struct arena *arena, struct buf *out,
                        struct api_error *ret_error);

static inline void expect_body(translating *translate, const char *body, const char *wanted)
{
    struct api_error error = {0};
    struct arena arena;
    struct buf out;
    arena_init(&arena, BUDGET);
    buf_init(&out, BUDGET);
    if (translate(str_from(body), &arena, &out, &error))
        fail_msg("%s\n  refused: %.*s", body, STR_ARG(error.message));
    if (!str_eq(buf_str(&out), str_from(wanted)))
        fail_msg("%s\n  gives  %.*s\n  wanted %s", body, STR_ARG(buf_str(&out)), wanted);
    buf_fini(&out);
    arena_fini(&arena);
}

/* The message that refuses it begins with the place. */
static inline void expect_no_body(translating *translate, const char *body, const char *begin)
{
    struct api_error error = {0};
    struct arena arena;
    struct buf out;
    arena_init(&arena, BUDGET);
    buf_init(&out, BUDGET);
    if (!translate(str_from(body), &arena, &out, &error))
        fail_msg("%s\n  is not refused: %.*s", body, STR_ARG(buf_str(&out)));
    assert_int_equal(error.status, 400);
    if (!str_starts(error.message, str_from(begin)))
        fail_msg("%s\n  says %.*s\n  wanted %s", body, STR_ARG(error.message), begin);
    buf_fini(&out);
    arena_fini(&arena);
}

#endif
