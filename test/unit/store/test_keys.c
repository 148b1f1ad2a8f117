/* SPDX-License-Identifier: Apache-2.0 */
#include "store/keys.h"

#include <sqlite3.h>

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

static void create(const char *name, char key[KEY_TEXT_MAX])
{
    const struct key_info wanted = {str_from(name), STR("team"), SEC(5), SEC(60)};
    if (keys_create(t.store, &wanted, key, &t.err))
        fail_msg("%s", t.err.message);
}

static struct key_table *load(void)
{
    struct key_table *table = NULL;
    assert_int_equal(key_table_load(t.store, &table, &t.err), 0);
    return table;
}

static void test_shape(void **state)
{
    char a[KEY_TEXT_MAX], b[KEY_TEXT_MAX];
    create("a", a);
    create("b", b);
    assert_int_equal(strlen(a), 46);
    assert_memory_equal(a, "fw-", 3);
    assert_int_equal(
        strspn(a + 3, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"), 43);
    assert_string_not_equal(a, b);
}

static void test_life(void **state)
{
    char keys[50][KEY_TEXT_MAX], name[16];
    for (int i = 0; i < 50; i++) {
        snprintf(name, sizeof(name), "user-%02d", i);
        create(name, keys[i]);
    }
    store_close(t.store); /* the secret is the store's, not the process' */
    test_store_open(&t);
    assert_int_equal(keys_delete(t.store, STR("user-07"), &t.err), 0);
    assert_int_equal(keys_delete(t.store, STR("user-07"), &t.err), ERR_NOT_FOUND);
    struct key_table *table = load();
    assert_int_equal(key_table_count(table), 49);
    for (int i = 0; i < 50; i++) {
        const struct key_info *found = key_table_find(table, str_from(keys[i]));
        snprintf(name, sizeof(name), "user-%02d", i);
        assert_true(i == 7 ? !found : found && str_eq(found->name, str_from(name)));
        assert_true(!found || (str_eq(found->tenant, STR("team")) && found->expires == SEC(60)));
    }
    assert_null(key_table_find(table, STR_NONE));
    assert_null(key_table_find(table, STR("fw-")));
    assert_null(key_table_find(table, str_sub(str_from(keys[0]), 0, 45)));
    keys[0][10] ^= 1;
    assert_null(key_table_find(table, str_from(keys[0])));
    key_table_free(table);
}

static void test_names(void **state)
{
    char key[KEY_TEXT_MAX] = "untouched";
    struct key_info wanted = {STR("Bad Name"), STR("team"), 0, NSEC_NEVER};
    assert_int_equal(keys_create(t.store, &wanted, key, &t.err), ERR_INVALID);
    wanted = (struct key_info){STR("good"), STR("Bad Team"), 0, NSEC_NEVER};
    assert_int_equal(keys_create(t.store, &wanted, key, &t.err), ERR_INVALID);
    assert_string_equal(key, "untouched");
    create("a", key);
    wanted = (struct key_info){STR("a"), STR("team"), 0, NSEC_NEVER};
    assert_int_equal(keys_create(t.store, &wanted, key, &t.err), ERR_CONFLICT);
    assert_string_equal(t.err.message, "there is a key named a; delete it first");
    struct key_info *list;
    size_t count;
    create("0", key);
    assert_int_equal(keys_list(t.store, &t.arena, &list, &count, &t.err), 0);
    assert_int_equal(count, 2);
    assert_true(str_eq(list[0].name, STR("0")) && list[0].created == SEC(5));
}

/* The file does not hold the key, and its hashes are of no use with another store's secret. */
static void test_what_is_stored(void **state)
{
    char key[KEY_TEXT_MAX];
    create("a", key);
    struct key_table *table = load();
    struct test_store other;
    test_store_init(&other);
    sqlite3 *handle;
    char sql[256];
    assert_int_equal(sqlite3_open(other.path, &handle), SQLITE_OK);
    snprintf(sql, sizeof(sql), "ATTACH '%s' AS o; INSERT INTO keys SELECT * FROM o.keys", t.path);
    assert_int_equal(sqlite3_exec(handle, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(handle);
    struct key_table *stolen;
    assert_int_equal(key_table_load(other.store, &stolen, &t.err), 0);
    assert_int_equal(key_table_count(stolen), 1);
    assert_non_null(key_table_find(table, str_from(key)));
    assert_null(key_table_find(stolen, str_from(key)));
    key_table_free(stolen);
    key_table_free(table);
    test_store_fini(&other);

    struct buf file;
    buf_init(&file, 16 << 20);
    char path[128];
    snprintf(path, sizeof(path), "%s-wal", t.path);
    FILE *wal = fopen(path, "rb");
    assert_non_null(wal);
    for (size_t n = 1; n > 0;) {
        char *room = buf_reserve(&file, 65536);
        n = fread(room, 1, 65536, wal);
        buf_commit(&file, n);
    }
    fclose(wal);
    assert_true(file.len > 0);
    assert_int_equal(str_find(buf_str(&file), str_from(key)), file.len);
    buf_fini(&file);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_shape),
        TEST(test_life),
        TEST(test_names),
        TEST(test_what_is_stored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
