/* SPDX-License-Identifier: Apache-2.0 */
#include "store/usage_report.h"

#include "test.h"

enum { ROUNDS = 500, ROWS_MOST = 8, TEXT_MOST = 12 };

static struct arena arena;

static int set_up(void **state)
{
    arena_init(&arena, SIZE_MAX);
    return 0;
}

static int tear_down(void **state)
{
    arena_fini(&arena);
    return 0;
}

/* ASCII with all that JSON escapes. */
static struct str any_text(uint64_t *state)
{
    size_t len = test_below(state, TEXT_MOST + 1);
    char *text = arena_alloc(&arena, len + 1);
    for (size_t i = 0; i < len; i++)
        text[i] = (char)test_below(state, 128);
    return (struct str){text, len};
}

static int64_t any_number(uint64_t *state)
{
    return (int64_t)(test_random(state) >> (1 + test_below(state, 63)));
}

static struct usage any_row(uint64_t *state)
{
    return (struct usage){
        .day = any_number(state),
        .tenant = any_text(state),
        .model = any_text(state),
        .requests = any_number(state),
        .input_tokens = any_number(state),
        .cached_tokens = any_number(state),
        .output_tokens = any_number(state),
        .cost = any_number(state),
    };
}

static void assert_same(const struct usage *a, const struct usage *b)
{
    assert_true(str_eq(a->tenant, b->tenant) && str_eq(a->model, b->model));
    assert_true(a->day == b->day && a->requests == b->requests && a->cost == b->cost);
    assert_true(a->input_tokens == b->input_tokens && a->cached_tokens == b->cached_tokens &&
                a->output_tokens == b->output_tokens);
}

static void test_what_is_written_is_read(void **state)
{
    uint64_t seed = test_seed(1);
    for (int round = 0; round < ROUNDS; round++) {
        struct usage rows[ROWS_MOST];
        struct usage_report wrote = {any_text(&seed), (uint64_t)any_number(&seed), rows,
                                     test_below(&seed, ROWS_MOST + 1)},
                            got;
        struct json_writer w;
        struct buf text;
        struct err err;
        for (size_t i = 0; i < wrote.count; i++)
            rows[i] = any_row(&seed);
        buf_init(&text, SIZE_MAX / 2);
        json_writer_init(&w, &text, 0);
        usage_report_write(&wrote, &w);
        assert_int_equal(usage_report_read(&arena, buf_str(&text), &got, &err), 0);
        assert_true(str_eq(got.sender, wrote.sender) && got.sequence == wrote.sequence);
        assert_int_equal(got.count, wrote.count);
        for (size_t i = 0; i < got.count; i++)
            assert_same(&got.rows[i], &rows[i]);
        buf_fini(&text);
        arena_reset(&arena);
    }
}

static void test_refusals(void **state)
{
    static const char *const bad[] = {
        "",
        "[]",
        "{\"sequence\":1,\"rows\":[]}",
        "{\"sender\":\"x\",\"rows\":[]}",
        "{\"sender\":\"x\",\"sequence\":-1,\"rows\":[]}",
        "{\"sender\":\"x\",\"sequence\":1}",
        "{\"sender\":\"x\",\"sequence\":1,\"rows\":[1]}",
        ("{\"sender\":\"x\",\"sequence\":1,\"rows\":[{\"tenant\":\"t\",\"model\":\"m\",\"day\":1,"
         "\"requests\":1,\"inputTokens\":1,\"cachedTokens\":0,\"outputTokens\":1,\"cost\":-1}]}"),
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct usage_report report;
        struct err err;
        assert_int_not_equal(usage_report_read(&arena, str_from(bad[i]), &report, &err), 0);
    }
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_what_is_written_is_read), TEST(test_refusals)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
