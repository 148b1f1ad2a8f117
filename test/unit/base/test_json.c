/* SPDX-License-Identifier: Apache-2.0 */
#include <float.h>
#include <math.h>

#include "base/json.h"
#include "test.h"

static struct arena arena;

static int set_up(void **state)
{
    arena_init(&arena, 1 << 20);
    return 0;
}

static int tear_down(void **state)
{
    arena_fini(&arena);
    return 0;
}

static struct json *parse(const char *text)
{
    struct json *root = NULL;
    struct err err;
    if (json_parse(&arena, str_from(text), &root, &err))
        fail_msg("%s: %s", text, err.message);
    return root;
}

static const char *nested(char open, int depth)
{
    static char text[1024];
    memset(text, open, (size_t)depth);
    memset(text + depth, open == '[' ? ']' : '}', (size_t)depth);
    text[2 * depth] = 0;
    return text;
}

static bool accepts(struct str text)
{
    struct json *root;
    struct arena own;
    arena_init(&own, 1 << 20);
    int error = json_parse(&own, text, &root, NULL);
    assert_true(error == 0 || error == ERR_PARSE);
    arena_fini(&own);
    return error == 0;
}

/* Both readers, the scanner on the text as a member's value. */
static bool both_accept(struct str text)
{
    struct buf body;
    buf_init(&body, 1 << 20);
    buf_put(&body, STR("{\"a\":"));
    buf_put(&body, text);
    buf_put(&body, STR("}"));
    size_t offset;
    bool scanned = json_scan(buf_str(&body), NULL, 0, &offset) == 0;
    bool parsed = accepts(text);
    buf_fini(&body);
    if (scanned != parsed)
        fail_msg("%.*s: scanner says %d, parser says %d", STR_ARG(text), scanned, parsed);
    return parsed;
}

static void test_accepts(void **state)
{
    static const struct str texts[] = {
        STR("null"),
        STR("true"),
        STR("false"),
        STR("0"),
        STR("-0"),
        STR("-1"),
        STR("12"),
        STR("0.5"),
        STR("1e5"),
        STR("1E+5"),
        STR("1e-5"),
        STR("0e1"),
        STR("-0.0e-0"),
        STR("123456789012345678901234567890"),
        STR("1e400"),
        STR("-1e400"),
        STR("1e-400"),
        STR("-0.0000000000000000000000000000000000000000000000000000000000000000000000000000001"),
        STR("\"\""),
        STR("\"a\""),
        STR("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""),
        STR("\"\\u0000\""),
        STR("\"\\u00e9\\u20AC\""),
        STR("\"\\ud83d\\ude00\""),
        STR("\"\x7F\""),
        STR("\"\xC2\x80\""),
        STR("\"\xE0\xA0\x80\xED\x9F\xBF\xEE\x80\x80\""),
        STR("\"\xF0\x90\x80\x80\xF4\x8F\xBF\xBF\""),
        STR("\"\\uFFFE\\uFFFF\""),
        STR("[]"),
        STR("{}"),
        STR("[[],{}]"),
        STR("[1,2]"),
        STR(" \t\r\n[ 1 , 2 ] \n"),
        STR("{\"a\":1,\"a\":2}"),
        STR("{\"\":0}"),
        STR("{\"a\":{\"b\":[true,{\"c\":null}]}}"),
        STR("{\"\\u0061\":1}"),
        STR("[\"a\",\"b\"]"),
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        if (!both_accept(texts[i]))
            fail_msg("refused: %.*s", STR_ARG(texts[i]));
}

static void test_refuses(void **state)
{
    static const struct str texts[] = {
        STR(""),
        STR(" "),
        STR("nul"),
        STR("nulll"),
        STR("True"),
        STR("NaN"),
        STR("Infinity"),
        STR("-Infinity"),
        STR("+1"),
        STR("-"),
        STR("-a"),
        STR("01"),
        STR("-01"),
        STR("00"),
        STR("1."),
        STR(".5"),
        STR("1.e3"),
        STR("1e"),
        STR("1e+"),
        STR("0x1"),
        STR("1_000"),
        STR("1 2"),
        STR("1,"),
        STR("--1"),
        STR("0.1.2"),
        STR("1eE2"),
        STR("\xEF\xBC\x91"),
        STR("\""),
        STR("\"a"),
        STR("\"\\\""),
        STR("\"\\x\""),
        STR("\"\\u12\""),
        STR("\"\\u12G4\""),
        STR("\"\\U0041\""),
        STR("\"\\\0\""),
        STR("\"\\ud800\""),
        STR("\"\\udc00\""),
        STR("\"\\ud800\\u0041\""),
        STR("\"\\ud800x\""),
        STR("\"\\ud800\\\""),
        STR("\"\n\""),
        STR("\"\t\""),
        STR("\"\0\""),
        STR("\"\x1F\""),
        STR("\"\x80\""),
        STR("\"\xBF\""),
        STR("\"\xC0\x80\""),
        STR("\"\xC1\xBF\""),
        STR("\"\xC3\""),
        STR("\"\xC3(\""),
        STR("\"\xE0\x80\x80\""),
        STR("\"\xE0\x9F\xBF\""),
        STR("\"\xE2\x82\""),
        STR("\"\xE2(\xA1\""),
        STR("\"\xED\xA0\x80\""),
        STR("\"\xF0\x80\x80\x80\""),
        STR("\"\xF0\x9F\x98\""),
        STR("\"\xF4\x90\x80\x80\""),
        STR("\"\xF5\x80\x80\x80\""),
        STR("\"\xFF\""),
        STR("\xEF\xBB\xBF{}"),
        STR("'a'"),
        STR("a"),
        STR("["),
        STR("]"),
        STR("[1"),
        STR("[1,"),
        STR("[1,]"),
        STR("[,1]"),
        STR("[1,,2]"),
        STR("[1 2]"),
        STR("[1:2]"),
        STR("[1}"),
        STR("{"),
        STR("}"),
        STR("{]"),
        STR("{1:2}"),
        STR("{a:1}"),
        STR("{\"a\"}"),
        STR("{\"a\":}"),
        STR("{\"a\" 1}"),
        STR("{\"a\":1,}"),
        STR("{,}"),
        STR("{\"a\":1 \"b\":2}"),
        STR("{\"a\"::1}"),
        STR("{\"a\":1]"),
        STR("{\"a\",1}"),
        STR("{null:1}"),
        STR("[] []"),
        STR("{}}"),
        STR("[]]"),
        STR("// x\n1"),
        STR("/**/1"),
        STR("[1]//"),
        STR("#"),
        STR("\v1"),
        STR("\xC2\xA0"
            "1"),
        STR("1\0"),
        STR("[\"a\"b]"),
        STR("<null>"),
        STR("[\"\xF0\x9F\x98\x80"),
        STR("*"),
        STR("&"),
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        if (both_accept(texts[i]))
            fail_msg("accepted number %zu: %.*s", i, STR_ARG(texts[i]));
}

static void test_depth_limit(void **state)
{
    assert_true(accepts(str_from(nested('[', JSON_DEPTH_MAX))));
    assert_false(accepts(str_from(nested('[', JSON_DEPTH_MAX + 1))));
    struct err err;
    struct json *root;
    assert_int_equal(json_parse(&arena, str_from(nested('[', 200)), &root, &err), ERR_PARSE);
    assert_string_equal(err.message, "line 1, column 129: nested too deeply");
}

/* The special byte at every place of strings of every length: the eight-byte step and its rest. */
static void test_special_byte_anywhere(void **state)
{
    char text[64];
    for (size_t len = 1; len < 40; len++) {
        for (size_t at = 0; at < len; at++) {
            static const char specials[] = {0x1F, 0, '\n', '"', '\\', (char)0x80, (char)0xFF};
            for (size_t s = 0; s < sizeof(specials); s++) {
                memset(text, 'x', sizeof(text));
                text[0] = text[len + 1] = '"';
                assert_true(accepts((struct str){text, len + 2}));
                text[1 + at] = specials[s];
                assert_false(accepts((struct str){text, len + 2}));
            }
            memset(text + 1, '~', len);
            text[1 + at] = ' ';
            assert_true(accepts((struct str){text, len + 2}));
        }
    }
}

static void test_error_places(void **state)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"{\"a\": 1,\n \"b\" 2}", "line 2, column 6: expected ':' after a key"},
        {"[1, 2", "line 1, column 6: unexpected end"},
        {"[1 2]", "line 1, column 4: expected ',' or ']'"},
        {"{\"a\":1]", "line 1, column 7: expected ',' or '}'"},
        {"{} x", "line 1, column 4: text after the value"},
        {"[01]", "line 1, column 3: a number must not begin with 0"},
        {"\n\n\"\\q\"", "line 3, column 2: bad escape in a string"},
        {"", "line 1, column 1: unexpected end"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err;
        struct json *root;
        assert_int_equal(json_parse(&arena, str_from(cases[i].text), &root, &err), ERR_PARSE);
        assert_string_equal(err.message, cases[i].message);
    }
}

static void test_tree(void **state)
{
    const struct json *root =
        parse("{\"a\": [1, \"x\\n\", true, null],\n\"b\": {}, \"a\\u0062\": -2.5}");
    assert_int_equal(root->type, JSON_OBJECT);
    assert_int_equal(root->count, 3);
    const struct json *a = json_get(root, STR("a"));
    assert_int_equal(a->count, 4);
    assert_true(a->first->number == 1 && str_eq(a->first->raw, STR("1")));
    assert_true(str_eq(a->first->next->text, STR("x\n")));
    assert_true(str_eq(a->first->next->raw, STR("\"x\\n\"")));
    assert_true(a->first->next->next->boolean);
    assert_int_equal(a->first->next->next->next->type, JSON_NULL);
    assert_null(a->first->next->next->next->next);
    assert_int_equal(json_get(root, STR("b"))->line, 2);
    assert_true(json_get(root, STR("ab"))->number == -2.5);
    assert_null(json_get(root, STR("c")));
    assert_null(json_get(NULL, STR("a")));
    assert_null(json_get(a, STR("a")));
    assert_true(json_get(parse("{\"k\":1,\"k\":2}"), STR("k"))->number == 2);
}

static void test_tree_budget(void **state)
{
    struct arena small;
    arena_init(&small, 256);
    struct json *root;
    struct err err;
    assert_int_equal(json_parse(&small, STR("[1,2,3,4,5,6,7,8,9]"), &root, &err), ERR_NO_MEMORY);
    assert_string_equal(err.message, "line 1: the document needs too much memory");
    arena_fini(&small);
}

static void test_integers(void **state)
{
    static const struct {
        const char *text;
        int error;
        int64_t value;
    } cases[] = {
        {"9223372036854775807", 0, INT64_MAX},
        {"-9223372036854775808", 0, INT64_MIN},
        {"9223372036854775808", ERR_INVALID, 0},
        {"100.0", 0, 100},
        {"1e3", 0, 1000},
        {"-0", 0, 0},
        {"1.5", ERR_INVALID, 0},
        {"1e300", ERR_INVALID, 0},
        {"1e999", ERR_INVALID, 0},
        {"\"1\"", ERR_INVALID, 0},
        {"null", ERR_INVALID, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t value = -7;
        assert_int_equal(json_i64(parse(cases[i].text), &value), cases[i].error);
        assert_true(value == (cases[i].error ? -7 : cases[i].value));
    }
    assert_int_equal(json_i64(NULL, &(int64_t){0}), ERR_INVALID);
}

static void test_scan(void **state)
{
    struct json_span spans[] = {{.key = STR("model")},
                                {.key = STR("stream")},
                                {.key = STR("messages")},
                                {.key = STR("absent")},
                                {.key = STR("n")}};
    struct str body =
        STR(" {\"messages\" : [{\"model\":\"inner\"}, [1,2]] ,\"n\": 1, \"str\\u0065am\":true,"
            "\"model\":\"a\", \"model\" : \"b\", \"x\":{\"n\":9}}\n");
    size_t offset;
    assert_int_equal(json_scan(body, spans, ARRAY_LEN(spans), &offset), 0);
    assert_true(str_eq(spans[0].value, STR("\"b\"")));
    assert_true(str_eq(spans[1].value, STR("true")));
    assert_true(str_eq(spans[2].value, STR("[{\"model\":\"inner\"}, [1,2]]")));
    assert_null(spans[3].value.ptr);
    assert_true(str_eq(spans[4].value, STR("1")));
    assert_true(spans[2].value.ptr > body.ptr && spans[2].value.ptr < body.ptr + body.len);
}

static void test_scan_offsets(void **state)
{
    static const struct {
        struct str body;
        size_t offset;
    } cases[] = {
        {STR(""), 0},
        {STR("[1]"), 0},
        {STR(" 1"), 1},
        {STR("{"), 1},
        {STR("{\"a\":1"), 6},
        {STR("{\"a\":1}x"), 7},
        {STR("{\"a\":tru}"), 8},
        {STR("{\"a\":\"\xFF\"}"), 6},
        {STR("{\"a\":01}"), 6},
        {STR("{\"a\" 1}"), 5},
        {STR("{\"a\":\"b"), 7},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        size_t offset = 99;
        assert_int_equal(json_scan(cases[i].body, NULL, 0, &offset), ERR_PARSE);
        assert_int_equal(offset, cases[i].offset);
    }
}

static void test_raw_values(void **state)
{
    struct str text;
    assert_int_equal(json_raw_str(&arena, STR("\"a\\u20acb\\n\""), &text), 0);
    assert_true(str_eq(text, STR("a\xE2\x82\xAC"
                                 "b\n")));
    assert_int_equal(json_raw_str(&arena, STR("\"\""), &text), 0);
    assert_int_equal(text.len, 0);
    static const struct str no_string[] = {STR(""), STR("null"), STR("\"a"), STR("\"a\" "),
                                           STR("1")};
    for (size_t i = 0; i < ARRAY_LEN(no_string); i++)
        assert_int_equal(json_raw_str(&arena, no_string[i], &text), ERR_INVALID);
    struct arena none;
    arena_init(&none, 1);
    assert_int_equal(json_raw_str(&none, STR("\"abc\""), &text), ERR_NO_MEMORY);

    bool boolean;
    assert_int_equal(json_raw_bool(STR("true"), &boolean), 0);
    assert_true(boolean);
    assert_int_equal(json_raw_bool(STR("false"), &boolean), 0);
    assert_false(boolean);
    assert_int_equal(json_raw_bool(STR("null"), &boolean), ERR_INVALID);

    uint64_t integer = 5;
    static const struct str no_integer[] = {STR(""),     STR("-1"),    STR("1.5"),
                                            STR("null"), STR("\"1\""), STR("18446744073709551616"),
                                            STR("01"),   STR("1e99")};
    for (size_t i = 0; i < ARRAY_LEN(no_integer); i++)
        assert_int_equal(json_raw_u64(no_integer[i], &integer), ERR_INVALID);
    assert_int_equal(integer, 5);
    assert_int_equal(json_raw_u64(STR("18446744073709551615"), &integer), 0);
    assert_true(integer == UINT64_MAX);
    assert_int_equal(json_raw_u64(STR("2.56e2"), &integer), 0);
    assert_true(integer == 256);

    double number;
    assert_int_equal(json_raw_double(STR("-2.5e-3"), &number), 0);
    assert_true(number == -2.5e-3);
    assert_int_equal(json_raw_double(STR("1e999"), &number), ERR_INVALID);
    assert_int_equal(json_raw_double(STR("nan"), &number), ERR_INVALID);
}

static void test_writer(void **state)
{
    struct buf out;
    buf_init(&out, 4096);
    struct json_writer w;
    for (int indent = 0; indent <= 2; indent += 2) {
        buf_clear(&out);
        json_writer_init(&w, &out, indent);
        json_object(&w);
        json_key(&w, STR("a"));
        json_array(&w);
        json_u64(&w, UINT64_MAX);
        json_int(&w, INT64_MIN);
        json_bool(&w, true);
        json_null(&w);
        json_end(&w);
        json_key(&w, STR("e\"\n"));
        json_object(&w);
        json_end(&w);
        json_key(&w, STR("raw"));
        json_raw(&w, STR("[ ]"));
        json_end(&w);
        const char *expected =
            indent ? "{\n  \"a\": [\n    18446744073709551615,\n    -9223372036854775808,\n"
                     "    true,\n    null\n  ],\n  \"e\\\"\\n\": {},\n  \"raw\": [ ]\n}"
                   : "{\"a\":[18446744073709551615,-9223372036854775808,true,null],"
                     "\"e\\\"\\n\":{},\"raw\":[ ]}";
        assert_string_equal(buf_cstr(&out), expected);
    }
    buf_fini(&out);
}

static void test_written_strings(void **state)
{
    static const struct {
        struct str text, written;
    } cases[] = {
        {STR(""), STR("\"\"")},
        {STR("\b\t\n\v\f\r\x1f\"\\/\x7f"), STR("\"\\b\\t\\n\\u000b\\f\\r\\u001f\\\"\\\\/\x7f\"")},
        {STR("a\0b"), STR("\"a\\u0000b\"")},
        {STR("\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80"),
         STR("\"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\"")},
        {STR("a\xFFz\xE2\x82"), STR("\"a\xEF\xBF\xBDz\xEF\xBF\xBD\xEF\xBF\xBD\"")},
        {STR("\xED\xA0\x80"), STR("\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"")},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf out;
        buf_init(&out, 256);
        json_put_str(&out, cases[i].text);
        if (!str_eq(buf_str(&out), cases[i].written))
            fail_msg("case %zu: %.*s", i, STR_ARG(buf_str(&out)));
        buf_fini(&out);
    }
}

static void test_written_doubles(void **state)
{
    static const struct {
        double value;
        const char *text;
    } cases[] = {{0, "0"},
                 {-0.0, "-0"},
                 {0.1, "0.1"},
                 {1.0 / 3, "0.3333333333333333"},
                 {0.1 + 0.2, "0.30000000000000004"},
                 {1e21, "1e+21"},
                 {-2.5, "-2.5"},
                 {5e-324, "5e-324"},
                 {DBL_MAX, "1.7976931348623157e+308"},
                 {DBL_MIN, "2.2250738585072014e-308"},
                 {INFINITY, "null"},
                 {NAN, "null"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf out;
        buf_init(&out, 64);
        struct json_writer w;
        json_writer_init(&w, &out, 0);
        json_double(&w, cases[i].value);
        assert_string_equal(buf_cstr(&out), cases[i].text);
        buf_fini(&out);
    }
}

static void test_tree_is_written_as_it_was(void **state)
{
    const char *text =
        "{\"a\":[1,1e999,0.10,\"\xE2\x82\xAC\",{}],\"b\":{\"c\":[]},\"d\":null,\"e\":false}";
    struct buf out;
    buf_init(&out, 4096);
    struct json_writer w;
    json_writer_init(&w, &out, 0);
    json_tree(&w, parse(text));
    assert_string_equal(buf_cstr(&out), text);
    buf_clear(&out);
    json_writer_init(&w, &out, 0);
    json_tree(&w, NULL);
    assert_string_equal(buf_cstr(&out), "null");
    buf_clear(&out);
    json_writer_init(&w, &out, 0);
    json_tree(&w, &(struct json){.type = JSON_NUMBER, .number = 1.5});
    assert_string_equal(buf_cstr(&out), "1.5");
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepts),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_depth_limit),
        cmocka_unit_test(test_special_byte_anywhere),
        cmocka_unit_test(test_error_places),
        cmocka_unit_test(test_tree),
        cmocka_unit_test(test_tree_budget),
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_scan),
        cmocka_unit_test(test_scan_offsets),
        cmocka_unit_test(test_raw_values),
        cmocka_unit_test(test_writer),
        cmocka_unit_test(test_written_strings),
        cmocka_unit_test(test_written_doubles),
        cmocka_unit_test(test_tree_is_written_as_it_was),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
