/* SPDX-License-Identifier: Apache-2.0 */
#include "store/keys_json.h"

#include "store_test.h"

static struct test_store t;

static int set_up(void **state)
{
    test_store_init(&t);
    return 0;
}

static int tear_down(void **state)
{
    test_store_fini(&t);
    return 0;
}

static struct str text_of(const struct key_table *table, struct buf *out)
{
    struct json_writer w;
    buf_init(out, 1 << 20);
    json_writer_init(&w, out, 0);
    key_table_write_json(table, &w);
    return buf_str(out);
}

static int read_text(struct str text, struct key_table **ret_table)
{
    struct json *tree;
    if (json_parse(&t.arena, text, &tree, &t.err))
        fail_msg("%s", t.err.message);
    return key_table_read_json(tree, ret_table, &t.err);
}

/* Another process lets in whom this one lets in, and has not seen a key. */
static void test_the_same_keys_are_found(void **state)
{
    char keys[20][KEY_TEXT_MAX], name[16];
    struct key_table *table, *copy;
    struct buf out;
    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof(name), "user-%02d", i);
        const struct key_info wanted = {str_from(name), STR("team"), SEC(5) + i,
                                        i % 2 ? NSEC_NEVER : SEC(60)};
        assert_int_equal(keys_create(t.store, &wanted, keys[i], &t.err), 0);
    }
    assert_int_equal(key_table_load(t.store, &table, &t.err), 0);
    struct str text = text_of(table, &out);
    for (int i = 0; i < 20; i++)
        assert_int_equal(str_find(text, str_from(keys[i] + 3)), text.len);
    assert_int_equal(read_text(text, &copy), 0);
    buf_fini(&out);
    arena_reset(&t.arena); /* nothing is borrowed from the tree */
    assert_int_equal(key_table_count(copy), 20);
    for (int i = 0; i < 20; i++) {
        const struct key_info *a = key_table_find(table, str_from(keys[i])),
                              *b = key_table_find(copy, str_from(keys[i]));
        assert_true(a && b && str_eq(a->name, b->name) && str_eq(a->tenant, b->tenant));
        assert_true(a->created == b->created && a->expires == b->expires);
    }
    keys[0][10] ^= 1;
    assert_null(key_table_find(copy, str_from(keys[0])));
    key_table_free(table);
    key_table_free(copy);
}

static void test_no_keys(void **state)
{
    struct key_table *table, *copy;
    struct buf out;
    assert_int_equal(key_table_load(t.store, &table, &t.err), 0);
    assert_int_equal(read_text(text_of(table, &out), &copy), 0);
    assert_int_equal(key_table_count(copy), 0);
    assert_null(key_table_find(copy, STR("fw-")));
    key_table_free(table);
    key_table_free(copy);
    buf_fini(&out);
}

#define HEX_ZEROS   "0000000000000000000000000000000000000000000000000000000000000000"
#define HEX_ONES    "00000000000000000000000000000000000000000000000000000000000000ff"
#define KEY         "{\"hash\": \"" HEX_ONES "\", \"name\": \"n\", \"tenant\": \"t\""
#define TABLE(keys) "{\"secret\": \"" HEX_ZEROS "\", \"new\": 1, \"keys\": [" keys "]}"

/* Read in whatever order, it is by hash that keys are found. */
static void test_order_and_defaults(void **state)
{
    struct key_table *table;
    assert_int_equal(read_text(STR(TABLE(KEY ", \"new\": []}, {\"hash\": \"" HEX_ZEROS
                                             "\", \"name\": \"z\", \"tenant\": \"t\"}")),
                               &table),
                     0);
    assert_int_equal(key_table_count(table), 2);
    assert_true(str_eq(key_table_at(table, 0)->name, STR("z")));
    assert_true(key_table_at(table, 1)->created == 0);
    assert_true(key_table_at(table, 1)->expires == NSEC_NEVER);
    key_table_free(table);
}

static void test_what_is_wrong_is_named(void **state)
{
    static const struct {
        const char *text, *message;
    } wrong[] = {
        {"7", "must be an object"},
        {"{}", "secret: is missing"},
        {"{\"secret\": \"" HEX_ZEROS "\"}", "keys: is missing"},
        {"{\"secret\": \"00\", \"keys\": []}", "secret: must be 32 bytes in hexadecimal"},
        {"{\"secret\": \"" HEX_ZEROS "\", \"keys\": {\"a\": 1}}", "keys: must be a list"},
        {TABLE("1"), "keys[0]: must be an object"},
        {TABLE(KEY "}, {}"), "keys[1].hash: is missing"},
        {TABLE("{\"hash\": \"x" HEX_ONES "\"}"), "keys[0].hash: must be 32 bytes in hexadecimal"},
        {TABLE("{\"hash\": \"" HEX_ONES "\", \"name\": 1}"), "keys[0].name: must be text"},
        {TABLE(KEY ", \"expiresNs\": \"soon\"}"),
         "keys[0].expiresNs: must be a whole number of 64 bits"},
    };
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct key_table *table = NULL;
        assert_int_equal(read_text(str_from(wrong[i].text), &table), ERR_INVALID);
        assert_string_equal(t.err.message, wrong[i].message);
        assert_null(table);
    }
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_the_same_keys_are_found),
        TEST(test_no_keys),
        TEST(test_order_and_defaults),
        TEST(test_what_is_wrong_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
