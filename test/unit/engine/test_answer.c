/* SPDX-License-Identifier: Apache-2.0 */
/* Which text and which tokens are shown when. */
#include "engine/answer.h"
#include "test.h"

struct fixture {
    struct arena arena;
    struct answer answer;
};

static void begin(struct fixture *f, const struct str *stops, size_t count)
{
    arena_init(&f->arena, 1 << 16);
    assert_int_equal(answer_init(&f->answer, &f->arena, stops, count), 0);
}

static void end(struct fixture *f)
{
    answer_fini(&f->answer);
    arena_fini(&f->arena);
}

static void put(struct fixture *f, int32_t token, const char *piece)
{
    answer_put(&f->answer, &(struct answer_token){.token = token}, str_from(piece));
}

/* Takes what is ready and compares. */
static void shows(struct fixture *f, const char *text, size_t tokens)
{
    size_t bytes, count;
    answer_ready(&f->answer, &bytes, &count);
    assert_int_equal(count, tokens);
    assert_int_equal(bytes, strlen(text));
    assert_true(str_eq(str_sub(buf_str(&f->answer.held), 0, bytes), str_from(text)));
    answer_drop(&f->answer, bytes, count);
}

static void test_text_flows(void **state)
{
    struct fixture f;
    begin(&f, NULL, 0);
    put(&f, 1, "Once");
    shows(&f, "Once", 1);
    put(&f, 2, " upon");
    put(&f, 3, "");
    put(&f, 4, " a");
    shows(&f, " upon a", 3);
    answer_end(&f.answer);
    shows(&f, "", 0);
    end(&f);
}

static void test_characters_are_held_back(void **state)
{
    struct fixture f;
    begin(&f, NULL, 0);
    put(&f, 1, "a\xE2");
    shows(&f, "a", 1);
    put(&f, 2, "\x82");
    shows(&f, "", 1); /* nothing of it can be seen, but its turn has come */
    put(&f, 3, "\xAC!");
    shows(&f, "\xE2\x82\xAC!", 1);
    put(&f, 4, "\xF0\x9F");
    answer_end(&f.answer);
    shows(&f, "\xEF\xBF\xBD", 1);
    end(&f);
}

static void test_a_stop_string_cuts_text_and_tokens(void **state)
{
    const struct str stops[] = {STR("###"), STR("END")};
    struct fixture f;
    begin(&f, stops, 2);
    put(&f, 1, "one #");
    shows(&f, "one ", 0); /* the token's last character may begin a stop string */
    put(&f, 2, " two");
    shows(&f, "# two", 2);
    put(&f, 3, " E");
    put(&f, 4, "N");
    shows(&f, " ", 0);
    put(&f, 5, "D more");
    assert_true(f.answer.stop.matched);
    shows(&f, "", 1); /* the token that the cut goes through; not the two behind it */
    end(&f);
}

static void test_held_text_comes_at_the_end(void **state)
{
    const struct str stops[] = {STR("never")};
    struct fixture f;
    begin(&f, stops, 1);
    put(&f, 1, "nev");
    shows(&f, "", 0);
    answer_end(&f.answer);
    shows(&f, "nev", 1);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_flows),
        cmocka_unit_test(test_characters_are_held_back),
        cmocka_unit_test(test_a_stop_string_cuts_text_and_tokens),
        cmocka_unit_test(test_held_text_comes_at_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
