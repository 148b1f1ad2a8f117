/* SPDX-License-Identifier: Apache-2.0 */
/* A table with every type, at work. */
#include "api/schema.h"

#include "base/time.h"
#include "base/yaml.h"
#include "test.h"

struct part {
    struct str id;
    int64_t size;
};

struct whole {
    struct str text, fixed;
    int64_t number, bytes, cpu, price;
    bool flag;
    nsec wait;
    int choice;
    struct schema_map map;
    struct schema_strings list;
    struct part part;
    struct schema_objects parts;
};

static const char *check_id(struct str text)
{
    return str_starts(text, STR("id-")) ? NULL : "must begin with id-";
}

static void check_part(const void *object, struct schema_report *r)
{
    const struct part *p = object;
    if (p->size == 13)
        schema_problem(r, "size", "brings bad luck");
}

static const struct schema_field part_fields[] = {
    {.name = "id",
     .type = SCHEMA_STRING,
     .offset = offsetof(struct part, id),
     .description = "Its name.",
     .required = true,
     .check = check_id},
    {.name = "size",
     .type = SCHEMA_INT,
     .offset = offsetof(struct part, size),
     .description = "Its size.",
     .max = 100},
};
static const struct schema part_schema = {
    .name = "part",
    .description = "A part.",
    .size = sizeof(struct part),
    .fields = part_fields,
    .field_count = ARRAY_LEN(part_fields),
    .check = check_part,
};

static const char *const colours[] = {"red", "green", "blue", NULL};

#define FIELD(member, type_) \
    .name = #member, .type = type_, .offset = offsetof(struct whole, member), .description = "D."

static const struct schema_field fields[] = {
    {FIELD(text, SCHEMA_STRING), .max = 5},
    {FIELD(fixed, SCHEMA_STRING), .immutable = true},
    {FIELD(number, SCHEMA_INT), .fallback = "7", .min = -5, .max = 10},
    {FIELD(bytes, SCHEMA_BYTES), .min = 1024},
    {FIELD(cpu, SCHEMA_MILLI)},
    {FIELD(price, SCHEMA_MONEY)},
    {FIELD(flag, SCHEMA_BOOL), .fallback = "true"},
    {FIELD(wait, SCHEMA_DURATION), .fallback = "1m30s", .min = NSEC_PER_SEC, .max = SEC(3600)},
    {FIELD(choice, SCHEMA_ENUM), .fallback = "green", .values = colours},
    {FIELD(map, SCHEMA_MAP), .max = 2, .check = check_id},
    {FIELD(list, SCHEMA_STRINGS), .max = 3, .check = check_id},
    {FIELD(part, SCHEMA_OBJECT), .object = &part_schema},
    {FIELD(parts, SCHEMA_OBJECTS), .max = 3, .object = &part_schema},
};
static const struct schema schema = {
    .name = "Whole",
    .description = "All types.",
    .size = sizeof(struct whole),
    .fields = fields,
    .field_count = ARRAY_LEN(fields),
};

static struct arena arena;
static struct schema_report report;
static struct err err;
static struct buf out;

static int set_up(void **state)
{
    arena_init(&arena, 1 << 20);
    buf_init(&out, 1 << 20);
    return 0;
}

static int tear_down(void **state)
{
    arena_fini(&arena);
    buf_fini(&out);
    return 0;
}

static int decode(const char *text, struct whole *whole)
{
    struct json *documents;
    if (yaml_parse(&arena, str_from(text), &documents, &err))
        fail_msg("%s", err.message);
    schema_report_init(&report, &arena);
    schema_decode(&schema, documents->first, whole, &report);
    err.message[0] = 0;
    return schema_report_result(&report, &err);
}

static void test_defaults(void **state)
{
    struct whole w;
    assert_int_equal(decode("part: {id: id-1}\n", &w), 0);
    assert_true(w.text.len == 0 && w.number == 7 && w.bytes == 0 && w.cpu == 0 && w.flag);
    assert_true(w.wait == SEC(90) && w.choice == 1 && w.map.count == 0 && w.list.count == 0);
    assert_true(str_eq(w.part.id, STR("id-1")) && w.part.size == 0 && w.parts.count == 0);
}

static void test_everything_given(void **state)
{
    struct whole w;
    const char *text = "text: hello\n"
                       "fixed: x\n"
                       "number: -5\n"
                       "bytes: 1.5Gi\n"
                       "cpu: 500m\n"
                       "flag: false\n"
                       "wait: 10s\n"
                       "choice: blue\n"
                       "map: {id-a: b, id-c: ''}\n"
                       "list: [id-1, id-2]\n"
                       "part: {id: id-1, size: 5}\n"
                       "parts:\n- {id: id-2}\n- {id: id-3, size: 6}\n";
    assert_int_equal(decode(text, &w), 0);
    assert_true(str_eq(w.text, STR("hello")) && w.number == -5 && w.bytes == INT64_C(3) << 29);
    assert_true(w.cpu == 500 && !w.flag && w.wait == SEC(10) && w.choice == 2);
    assert_true(w.map.count == 2 && str_eq(w.map.items[0].key, STR("id-a")) &&
                str_eq(w.map.items[0].value, STR("b")) && w.map.items[1].value.len == 0);
    assert_true(w.list.count == 2 && str_eq(w.list.items[1], STR("id-2")));
    const struct part *parts = w.parts.items;
    assert_true(w.parts.count == 2 && parts[0].size == 0 && parts[1].size == 6);

    struct json_writer writer;
    json_writer_init(&writer, &out, 0);
    schema_encode(&schema, &w, &writer);
    assert_string_equal(buf_cstr(&out),
                        "{\"text\":\"hello\",\"fixed\":\"x\",\"number\":-5,\"bytes\":\"1536Mi\","
                        "\"cpu\":\"500m\",\"flag\":false,\"wait\":\"10s\",\"choice\":\"blue\","
                        "\"map\":{\"id-a\":\"b\",\"id-c\":\"\"},\"list\":[\"id-1\",\"id-2\"],"
                        "\"part\":{\"id\":\"id-1\",\"size\":5},"
                        "\"parts\":[{\"id\":\"id-2\"},{\"id\":\"id-3\",\"size\":6}]}");
}

static void test_problems(void **state)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"\nnumbr: 1\n", "line 2: numbr: unknown field; did you mean \"number\"?"},
        {"PART: 1\n", "line 1: PART: unknown field; did you mean \"part\"?"},
        {"zzzzzz: 1\n",
         "line 1: zzzzzz: unknown field; known are: text, fixed, number, bytes, cpu, price, "
         "flag, wait, choice, map, list, part, parts"},
        {"part: {id: id-1, sise: 1}\n", "line 1: part.sise: unknown field; did you mean \"size\"?"},
        {"text: hello!\n", "line 1: text: must have at most 5 characters"},
        {"text: 12\n", "line 1: text: must be text; put it in quotes: \"12\""},
        {"text: true\n", "line 1: text: must be text, not a boolean"},
        {"text:\n", "line 1: text: is empty; give it a value or leave it out"},
        {"number: 11\n", "line 1: number: must be between -5 and 10"},
        {"number: 1.5\n", "line 1: number: must be a whole number, not a number"},
        {"number: three\n", "line 1: number: must be a whole number, not \"three\""},
        {"number: [1]\n", "line 1: number: must be a whole number, not a list"},
        {"bytes: 5\n", "line 1: bytes: must be at least 1024"},
        {"bytes: lots\n", "line 1: bytes: must be an amount like 20Gi or 500M, not \"lots\""},
        {"cpu: {}\n", "line 1: cpu: must be an amount like 2 or 500m, not an object"},
        {"flag: 1\n", "line 1: flag: must be true or false, not a number"},
        {"wait: 10\n", "line 1: wait: must be a duration like 10s or 2m30s, not a number"},
        {"wait: 2h\n", "line 1: wait: must be at most 1h0m"},
        {"wait: 1ms\n", "line 1: wait: must be at least 1s"},
        {"choice: pink\n", "line 1: choice: must be one of red, green, blue, not \"pink\""},
        {"map: []\n", "line 1: map: must be an object, not a list"},
        {"map:\n  id-a: 1\n", "line 2: map.id-a: must be text; put it in quotes: \"1\""},
        {"map: {b: c}\n", "line 1: map: \"b\" must begin with id-"},
        {"map: {id-1: x, id-2: x, id-3: x}\n", "line 1: map: must have at most 2 entries"},
        {"list: id-1\n", "line 1: list: must be a list, not \"id-1\""},
        {"list:\n- id-1\n- x\n", "line 3: list[1]: \"x\" must begin with id-"},
        {"list: [id-1, id-1, id-1, id-1]\n", "line 1: list: must have at most 3 items"},
        {"parts:\n- {id: id-1}\n- {id: x}\n", "line 3: parts[1].id: \"x\" must begin with id-"},
        {"parts:\n- {id: id-1}\n- 5\n", "line 3: parts[1]: must be an object, not a number"},
        {"parts: [{size: 101, id: id-1}]\n", "line 1: parts[0].size: must be between 0 and 100"},
        {"parts:\n- id: id-1\n  size: 13\n", "line 3: parts[0].size: brings bad luck"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct whole w;
        char text[256];
        bool has_part = strncmp(cases[i].text, "part:", 5) == 0;
        snprintf(text, sizeof(text), "%s%s", cases[i].text, has_part ? "" : "part: {id: id-1}\n");
        assert_int_equal(decode(text, &w), ERR_INVALID);
        assert_string_equal(err.message, cases[i].message);
    }
}

static void test_required_in_an_absent_object(void **state)
{
    struct whole w;
    assert_int_equal(decode("\ntext: a\n", &w), ERR_INVALID);
    assert_string_equal(err.message, "line 2: part.id: is required");
}

static void test_twice(void **state)
{
    struct whole w;
    struct json *root;
    assert_int_equal(json_parse(&arena,
                                STR("{\"part\":{\"id\":\"id-1\"},\n\"text\":\"a\",\"text\":\"b\"}"),
                                &root, NULL),
                     0);
    schema_report_init(&report, &arena);
    schema_decode(&schema, root, &w, &report);
    assert_int_equal(schema_report_result(&report, &err), ERR_INVALID);
    assert_string_equal(err.message, "line 2: text: is given twice");
}

static void test_many_problems(void **state)
{
    struct whole w;
    buf_put(&out, STR("part: {id: id-1}\n"));
    for (int i = 0; i < 30; i++)
        buf_printf(&out, "unknown-field-%d: 1\n", i);
    assert_int_equal(decode(buf_cstr(&out), &w), ERR_INVALID);
    assert_int_equal(report.count, 30);
    assert_non_null(strstr(err.message, "line 2: unknown-field-0: "));
    struct str text = str_from(err.message);
    assert_true(str_ends(text, STR(" more)")));
}

static void test_memory_budget(void **state)
{
    struct arena small;
    struct whole w;
    struct json *documents;
    assert_int_equal(
        yaml_parse(&arena, STR("list: [id-1, id-2, id-3]\npart: {id: id-1}\n"), &documents, NULL),
        0);
    arena_init(&small, 40);
    schema_report_init(&report, &small);
    schema_decode(&schema, documents->first, &w, &report);
    assert_int_equal(schema_report_result(&report, &err), ERR_NO_MEMORY);
    arena_fini(&small);
}

static void test_immutable(void **state)
{
    struct whole a, b;
    assert_int_equal(decode("fixed: x\npart: {id: id-1}\n", &a), 0);
    assert_int_equal(decode("fixed: y\ntext: new\npart: {id: id-1}\n", &b), 0);
    schema_report_init(&report, &arena);
    schema_check_change(&schema, &a, &a, &report);
    assert_int_equal(report.count, 0);
    schema_check_change(&schema, &a, &b, &report);
    assert_int_equal(schema_report_result(&report, &err), ERR_INVALID);
    assert_string_equal(err.message, "fixed: cannot be changed");
    assert_int_equal(decode("part: {id: id-1}\n", &b), 0);
    schema_report_init(&report, &arena);
    schema_check_change(&schema, &b, &a, &report); /* from nothing to something */
    assert_int_equal(report.count, 0);
}

static void test_explain(void **state)
{
    assert_int_equal(schema_explain(&schema, STR("part"), &out, &err), 0);
    assert_string_equal(buf_cstr(&out), "Whole.part  (object)\n\nD.\n\nFIELDS\n"
                                        "  id  (string; required)\n      Its name.\n"
                                        "  size  (integer; at most 100)\n      Its size.\n");
    buf_clear(&out);
    assert_int_equal(schema_explain(&schema, STR("wait"), &out, &err), 0);
    assert_string_equal(buf_cstr(&out), "Whole.wait  (duration, like 10s or 2m30s; default 1m30s; "
                                        "at least 1s; at most 1h0m)\n\nD.\n");
    buf_clear(&out);
    assert_int_equal(schema_explain(&schema, STR_NONE, &out, &err), 0);
    assert_non_null(strstr(buf_cstr(&out), "  choice  (one of red, green, blue; default green)\n"));
    assert_int_equal(schema_explain(&schema, STR("part.sise"), &out, &err), ERR_NOT_FOUND);
    assert_string_equal(err.message, "Whole has no field \"part.sise\"; did you mean \"size\"?");
    assert_int_equal(schema_explain(&schema, STR("text.x"), &out, &err), ERR_NOT_FOUND);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_defaults),      TEST(test_everything_given),
        TEST(test_problems),      TEST(test_required_in_an_absent_object),
        TEST(test_twice),         TEST(test_many_problems),
        TEST(test_memory_budget), TEST(test_immutable),
        TEST(test_explain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
