/* SPDX-License-Identifier: Apache-2.0 */
/* Random inserts, removals and key changes against a search over all. */
#include "base/heap.h"
#include "test.h"

enum { ITEMS = 200, STEPS = 20000 };

struct item {
    uint64_t key;
    struct heap_node node;
};

static struct item items[ITEMS];
static struct heap heap;

static bool before(const struct heap_node *a, const struct heap_node *b)
{
    return container_of(a, const struct item, node)->key <
           container_of(b, const struct item, node)->key;
}

static uint64_t least_key(void)
{
    uint64_t least = UINT64_MAX;
    for (int i = 0; i < ITEMS; i++)
        if (heap_has(&items[i].node))
            least = MIN(least, items[i].key);
    return least;
}

static void change_something(uint64_t *chance)
{
    struct item *item = &items[test_below(chance, ITEMS)];
    uint64_t key = test_below(chance, 100); /* many equal keys */
    if (!heap_has(&item->node)) {
        item->key = key;
        heap_insert(&heap, &item->node);
    } else if (test_below(chance, 2)) {
        item->key = key;
        heap_changed(&heap, &item->node);
    } else {
        heap_remove(&heap, &item->node);
    }
}

static void check_heap(uint64_t seed, int step)
{
    size_t members = 0;
    for (int i = 0; i < ITEMS; i++)
        members += heap_has(&items[i].node);
    PROPERTY(members == heap.count, seed, step);
    struct heap_node *top = heap_top(&heap);
    PROPERTY((top == NULL) == (members == 0), seed, step);
    if (top)
        PROPERTY(container_of(top, struct item, node)->key == least_key(), seed, step);
}

static void run(uint64_t seed)
{
    uint64_t chance = seed;
    for (int step = 0; step < STEPS; step++) {
        change_something(&chance);
        check_heap(seed, step);
    }
    uint64_t last = 0;
    while (heap.count) {
        struct item *top = container_of(heap_top(&heap), struct item, node);
        PROPERTY(top->key >= last, seed, STEPS);
        last = top->key;
        heap_remove(&heap, &top->node);
    }
    heap_fini(&heap);
}

static void test_growing(void **state)
{
    heap_init(&heap, before);
    run(test_seed(1));
}

static void test_fixed(void **state)
{
    struct heap_node *nodes[ITEMS];
    heap_init_fixed(&heap, before, nodes, ITEMS);
    run(test_seed(2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_growing),
        cmocka_unit_test(test_fixed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
