/* SPDX-License-Identifier: Apache-2.0 */
#include "base/yaml.h"
#include "test.h"

static struct arena arena;
static struct buf out;

static int set_up(void **state)
{
    arena_init(&arena, 16 << 20);
    buf_init(&out, 16 << 20);
    return 0;
}

static int tear_down(void **state)
{
    arena_fini(&arena);
    buf_fini(&out);
    return 0;
}

static const struct json *parse(struct str text)
{
    struct json *documents = NULL;
    struct err err;
    if (yaml_parse(&arena, text, &documents, &err))
        fail_msg("%.*s: %s", STR_ARG(text), err.message);
    return documents;
}

/* All documents as compact JSON. */
static const char *as_json(struct str text)
{
    struct json_writer w;
    buf_clear(&out);
    json_writer_init(&w, &out, 0);
    json_tree(&w, parse(text));
    return buf_cstr(&out);
}

static const char *error_of(struct str text)
{
    static struct err err;
    struct json *documents;
    if (yaml_parse(&arena, text, &documents, &err) == 0)
        fail_msg("accepted: %.*s", STR_ARG(text));
    return err.message;
}

static void test_manifest(void **state)
{
    struct str text = STR("# a model\n"
                          "apiVersion: fairway.dev/v1\n"
                          "kind: Model\n"
                          "metadata: {name: chat, labels: {team: \"a\"}}\n"
                          "spec:\n"
                          "  replicas: 3\n"
                          "  args:\n"
                          "  - --x\n"
                          "  - 'it''s'\n"
                          "  text: |\n"
                          "    one\n"
                          "    two\n"
                          "  folded: >-\n"
                          "    one\n"
                          "    two\n");
    assert_string_equal(as_json(text),
                        "[{\"apiVersion\":\"fairway.dev/v1\",\"kind\":\"Model\","
                        "\"metadata\":{\"name\":\"chat\",\"labels\":{\"team\":\"a\"}},"
                        "\"spec\":{\"replicas\":3,\"args\":[\"--x\",\"it's\"],"
                        "\"text\":\"one\\ntwo\\n\",\"folded\":\"one two\"}}]");
    const struct json *root = parse(text)->first;
    assert_int_equal(root->line, 2);
    assert_int_equal(json_get(root, STR("metadata"))->line, 4);
    assert_int_equal(json_get(json_get(root, STR("spec")), STR("replicas"))->line, 6);
}

static void test_scalar_types(void **state)
{
    static const struct {
        const char *yaml, *json;
    } cases[] = {
        {"null", "null"},
        {"Null", "null"},
        {"~", "null"},
        {"nUll", "\"nUll\""},
        {"true", "true"},
        {"TRUE", "true"},
        {"False", "false"},
        {"yes", "\"yes\""},
        {"on", "\"on\""},
        {"0", "0"},
        {"-12", "-12"},
        {"+12", "12"},
        {"012", "12"},
        {"0x1F", "31"},
        {"0o17", "15"},
        {"0xFFFFFFFFFFFFFFFF", "18446744073709551615"},
        {"123456789012345678901234567890", "123456789012345678901234567890"},
        {"1.50", "1.50"},
        {".5", "0.5"},
        {"5.", "5"},
        {"-0.0", "-0.0"},
        {"1e3", "1e+3"},
        {"1.5E-7", "1.5e-7"},
        {"-.5e2", "-0.5e+2"},
        {"0x", "\"0x\""},
        {"0xG", "\"0xG\""},
        {"0o8", "\"0o8\""},
        {"-0x1", "\"-0x1\""},
        {".", "\".\""},
        {"+", "\"+\""},
        {"1e", "\"1e\""},
        {"1_000", "\"1_000\""},
        {"12:30:45", "\"12:30:45\""},
        {"2026-01-31", "\"2026-01-31\""},
        {"1.2.3", "\"1.2.3\""},
        {"20Gi", "\"20Gi\""},
        {"\"12\"", "\"12\""},
        {"'true'", "\"true\""},
        {"!!str 12", "\"12\""},
        {"! 12", "\"12\""},
        {"\"\\u20ac\\x41\\0\"", "\"\xE2\x82\xAC"
                                "A\\u0000\""},
        {"<<", "\"<<\""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct str doc = arena_printf(&arena, "- %s\n", cases[i].yaml);
        struct str expected = arena_printf(&arena, "[[%s]]", cases[i].json);
        assert_string_equal(as_json(doc), expected.ptr);
        struct json *root; /* raw numbers must be JSON */
        assert_int_equal(json_parse(&arena, buf_str(&out), &root, NULL), 0);
    }
}

static void test_streams(void **state)
{
    assert_string_equal(as_json(STR("")), "[]");
    assert_string_equal(as_json(STR_NONE), "[]");
    assert_string_equal(as_json(STR("# nothing\n")), "[]");
    assert_string_equal(as_json(STR("a: 1\n---\n---\n# x\n---\nb: 2\n...\n---\nnull\n")),
                        "[{\"a\":1},{\"b\":2},null]");
    assert_string_equal(as_json(STR("{\"a\": [1, {\"b\": null}]}")), "[{\"a\":[1,{\"b\":null}]}]");
    assert_string_equal(as_json(STR("a:\nb: {}\n12: x\n? k\n: v\n")),
                        "[{\"a\":null,\"b\":{},\"12\":\"x\",\"k\":\"v\"}]");
}

static void test_aliases(void **state)
{
    assert_string_equal(as_json(STR("a: &x {k: [1, 2]}\nb: *x\nc: [*x, &y 5, *y]\n")),
                        "[{\"a\":{\"k\":[1,2]},\"b\":{\"k\":[1,2]},\"c\":[{\"k\":[1,2]},5,5]}]");
    assert_string_equal(as_json(STR("- &x 1\n- &x 2\n- *x\n")), "[[1,2,2]]");
    assert_string_equal(error_of(STR("a: *x\n")), "line 1, column 4: unknown anchor: x");
    assert_string_equal(error_of(STR("&x a: 1\nb: 2\n")),
                        "line 1, column 1: a key cannot have an anchor: a");
    assert_string_equal(error_of(STR("- &x k\n- {*x : 1}\n")),
                        "line 2, column 4: an alias cannot be a key: x");
    assert_string_equal(error_of(STR("a: &x [1, *x]\n")),
                        "line 1, column 11: alias inside what it stands for: x");
    assert_string_equal(error_of(STR("a: &x 1\n---\nb: *x\n")),
                        "line 3, column 4: unknown anchor: x");
}

static void test_billion_laughs(void **state)
{
    char opening[64], closing[64];
    memset(opening, '[', sizeof(opening));
    memset(closing, ']', sizeof(closing));
    buf_clear(&out);
    buf_put(&out, STR("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"));
    for (int i = 1; i < 10; i++)
        buf_printf(&out, "a%d: &a%d [*a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d]\n", i, i,
                   i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
    assert_non_null(strstr(error_of(buf_str(&out)), "aliases stand for too much"));

    for (int depth = JSON_DEPTH_MAX - 65; depth <= JSON_DEPTH_MAX - 64; depth++) {
        buf_clear(&out); /* a depth of 64, used again inside another one */
        buf_printf(&out, "a: &x %.*s%.*s\n", 64, opening, 64, closing);
        buf_printf(&out, "b: %.*s*x%.*s\n", depth, opening, depth, closing);
        if (depth == JSON_DEPTH_MAX - 65)
            parse(buf_str(&out));
        else
            assert_non_null(strstr(error_of(buf_str(&out)), "nested too deeply"));
    }
}

static void put_many(const char *format, int count)
{
    buf_clear(&out);
    for (int i = 0; i < count; i++) {
        char text[64];
        size_t len = 0;
        for (const char *f = format; *f; f++) /* '#' stands for the number */
            len += (size_t)(*f == '#' ? snprintf(text + len, sizeof(text) - len, "%d", i)
                                      : snprintf(text + len, sizeof(text) - len, "%c", *f));
        buf_put(&out, (struct str){text, len});
    }
}

static void test_limits(void **state)
{
    put_many("k#: 1\n", YAML_MEMBERS_MAX);
    assert_int_equal(parse(buf_str(&out))->first->count, YAML_MEMBERS_MAX);
    put_many("k#: 1\n", YAML_MEMBERS_MAX + 1);
    assert_non_null(strstr(error_of(buf_str(&out)), "line 1025, column 1: too many keys"));
    put_many("- &a# 1\n", YAML_ANCHORS_MAX + 1);
    assert_non_null(strstr(error_of(buf_str(&out)), "too many anchors"));
    put_many("--- #\n", YAML_DOCUMENTS_MAX);
    assert_int_equal(parse(buf_str(&out))->count, YAML_DOCUMENTS_MAX);
    put_many("--- #\n", YAML_DOCUMENTS_MAX + 1);
    assert_non_null(strstr(error_of(buf_str(&out)), "too many documents"));
    put_many("[", JSON_DEPTH_MAX + 1);
    assert_non_null(strstr(error_of(buf_str(&out)), "nested too deeply"));
    struct arena small;
    struct json *documents;
    struct err err;
    arena_init(&small, 512);
    assert_int_equal(yaml_parse(&small, STR("[1,2,3,4,5,6,7,8,9]"), &documents, &err),
                     ERR_NO_MEMORY);
    arena_fini(&small);
}

static void test_errors(void **state)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"a: 1\nb: 2\na: 3\n", "line 3, column 1: key given twice: a"},
        {"{a: 1, \"a\": 2}", "line 1, column 8: key given twice: a"},
        {"a: [1\nb: 2\n", "line 2, column 2: did not find expected ',' or ']'"},
        {"a: 1\n\tb: 2\n", "line 2, column 1: found a tab character that violates indentation"},
        {"? [a]\n: 1\n", "line 1, column 3: a key must be text"},
        {"a: !!binary xx\n", "line 1, column 4: unsupported tag tag:yaml.org,2002:binary"},
        {"a: !x {}\n", "line 1, column 4: unsupported tag !x"},
        {"a: .inf\n", "line 1, column 4: not a number that can be used: .inf"},
        {"a: -.INF\n", "line 1, column 4: not a number that can be used: -.INF"},
        {"a: .nan\n", "line 1, column 4: not a number that can be used: .nan"},
        {"a: 0x10000000000000000\n",
         "line 1, column 4: not a number that can be used: 0x10000000000000000"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_string_equal(error_of(str_from(cases[i].text)), cases[i].message);
    assert_non_null(strstr(error_of(STR("a: \xFF\n")), "byte 3: "));
    assert_non_null(strstr(error_of(STR("a: \x01\n")), "byte 3: "));
}

static void test_written(void **state)
{
    const struct json *root = parse(
        STR("{a: {b: [1, [2, [x]], {c: d, e: [{f: 1}]}], g: {}, h: []}, i: null, j: true, k: 1.5,"
            "l: [\"\", ' x', 'a: b', 'a #b', yes, 'true', '12', '1e3', '0x1F', '2026-01-31', '- x',"
            "\"q\\\"\\\\\\n\\x7f\\u2028\\uFEFF\", 20Gi, 2m30s, 'hf://o/n.gguf', 'sha256:ab', 'a "
            "b', '*x']}"));
    buf_clear(&out);
    yaml_write(&out, root->first);
    assert_string_equal(buf_cstr(&out), "a:\n"
                                        "  b:\n"
                                        "  - 1\n"
                                        "  - - 2\n"
                                        "    - - x\n"
                                        "  - c: d\n"
                                        "    e:\n"
                                        "    - f: 1\n"
                                        "  g: {}\n"
                                        "  h: []\n"
                                        "i: null\n"
                                        "j: true\n"
                                        "k: 1.5\n"
                                        "l:\n"
                                        "- \"\"\n"
                                        "- \" x\"\n"
                                        "- \"a: b\"\n"
                                        "- \"a #b\"\n"
                                        "- \"yes\"\n"
                                        "- \"true\"\n"
                                        "- \"12\"\n"
                                        "- \"1e3\"\n"
                                        "- \"0x1F\"\n"
                                        "- \"2026-01-31\"\n"
                                        "- \"- x\"\n"
                                        "- \"q\\\"\\\\\\n\\u007f\\u2028\\ufeff\"\n"
                                        "- 20Gi\n"
                                        "- 2m30s\n"
                                        "- hf://o/n.gguf\n"
                                        "- sha256:ab\n"
                                        "- a b\n"
                                        "- \"*x\"\n");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_manifest),       TEST(test_scalar_types), TEST(test_streams), TEST(test_aliases),
        TEST(test_billion_laughs), TEST(test_limits),       TEST(test_errors),  TEST(test_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
