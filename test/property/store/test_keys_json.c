/* SPDX-License-Identifier: Apache-2.0 */
/* Random tables of keys, and what is read of their text: the same, entry by entry. */
#include "store/keys_internal.h"
#include "store/keys_json.h"
#include "test.h"

enum { TABLES = 1000, KEYS_MAX = 20, BUDGET = 1 << 20 };

static uint64_t chance;

static void draw_bytes(unsigned char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        bytes[i] = (unsigned char)test_random(&chance);
}

static int64_t draw_time(void)
{
    static const int64_t edges[] = {0, -1, INT64_MIN, NSEC_NEVER, SEC(1), INT64_C(1) << 53};
    return test_below(&chance, 2) ? edges[test_below(&chance, ARRAY_LEN(edges))]
                                  : (int64_t)test_random(&chance);
}

static struct str draw_text(void)
{
    static const struct str texts[] = {STR(""), STR("team"), STR("\"\\\n"), STR("\xC3\xA9\0x")};
    return texts[test_below(&chance, ARRAY_LEN(texts))];
}

static struct key_table *draw_table(void)
{
    struct key_table *t = key_table_new();
    t->count = test_below(&chance, KEYS_MAX);
    t->entries = arena_array(&t->arena, t->count, sizeof(struct key_entry));
    draw_bytes(t->secret, sizeof(t->secret));
    for (size_t i = 0; i < t->count; i++) {
        draw_bytes(t->entries[i].hash, KEY_HASH_SIZE);
        t->entries[i].info = (struct key_info){draw_text(), draw_text(), draw_time(), draw_time()};
    }
    key_table_seal(t);
    return t;
}

static bool same_entry(const struct key_entry *a, const struct key_entry *b)
{
    return !memcmp(a->hash, b->hash, KEY_HASH_SIZE) && str_eq(a->info.name, b->info.name) &&
           str_eq(a->info.tenant, b->info.tenant) && a->info.created == b->info.created &&
           a->info.expires == b->info.expires;
}

static bool same_table(const struct key_table *a, const struct key_table *b)
{
    bool is_same = a->count == b->count && !memcmp(a->secret, b->secret, STORE_SECRET_SIZE);
    for (size_t i = 0; is_same && i < a->count; i++)
        is_same = same_entry(&a->entries[i], &b->entries[i]);
    return is_same;
}

static void test_what_is_read_is_what_was_written(void **state)
{
    uint64_t seed = test_seed(1);
    chance = seed;
    for (int step = 0; step < TABLES; step++) {
        struct key_table *table = draw_table(), *copy;
        struct json_writer w;
        struct arena arena;
        struct json *tree;
        struct buf out;
        struct err err;
        arena_init(&arena, BUDGET);
        buf_init(&out, BUDGET);
        json_writer_init(&w, &out, 0);
        key_table_write_json(table, &w);
        PROPERTY(json_parse(&arena, buf_str(&out), &tree, &err) == 0, seed, step);
        if (key_table_read_json(tree, &copy, &err))
            fail_msg("%s: seed %llu, step %d", err.message, (unsigned long long)seed, step);
        buf_fini(&out);
        arena_fini(&arena);
        PROPERTY(same_table(table, copy), seed, step);
        key_table_free(table);
        key_table_free(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_what_is_read_is_what_was_written)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
