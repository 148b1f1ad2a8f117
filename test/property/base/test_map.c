/* SPDX-License-Identifier: Apache-2.0 */
/* Random inserts and removals against an array of flags. */
#include "base/map.h"
#include "test.h"

enum { KEYS = 300, STEPS = 20000 };

struct item {
    char name[24];
    bool present;
    struct map_node node;
};

static struct item items[KEYS];

static void check_walk(const struct map *m, uint64_t seed, int step)
{
    bool seen[KEYS] = {0};
    size_t count = 0;
    for (struct map_node *node = map_next(m, NULL); node; node = map_next(m, node)) {
        size_t i = (size_t)(container_of(node, struct item, node) - items);
        PROPERTY(items[i].present && !seen[i], seed, step);
        seen[i] = true;
        count++;
    }
    PROPERTY(count == m->count, seed, step);
}

static void test_against_flags(void **state)
{
    uint64_t seed = test_seed(1), chance = seed;
    struct map m;
    map_init(&m);
    for (int i = 0; i < KEYS; i++) /* one empty key, and prefixes of one another */
        snprintf(items[i].name, sizeof(items[i].name), "%.*s", i % 20, "aaaaaaaaaaaaaaaaaaaa");
    for (int i = 20; i < KEYS; i++)
        snprintf(items[i].name, sizeof(items[i].name), "key-%d", i);
    for (int step = 0; step < STEPS; step++) {
        struct item *item = &items[test_below(&chance, KEYS)];
        struct map_node *found = map_find(&m, str_from(item->name));
        PROPERTY(found == (item->present ? &item->node : NULL), seed, step);
        if (item->present)
            map_remove(&m, &item->node);
        else
            map_insert(&m, str_from(item->name), &item->node);
        item->present = !item->present;
        if (step % 64 == 0)
            check_walk(&m, seed, step);
    }
    map_fini(&m);
    assert_null(map_find(&m, STR("x")));
    assert_null(map_next(&m, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_against_flags)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
