/* SPDX-License-Identifier: Apache-2.0 */
#include <stdalign.h>

#include "base/arena.h"
#include "base/err.h"
#include "test.h"

static void test_allocations(void **state)
{
    struct arena a;
    arena_init(&a, 1 << 20);
    char *memory[200];
    for (size_t i = 0; i < ARRAY_LEN(memory); i++) {
        memory[i] = arena_alloc(&a, i * 7);
        assert_non_null(memory[i]);
        assert_int_equal((uintptr_t)memory[i] % alignof(max_align_t), 0);
        for (size_t k = 0; k < i * 7; k++)
            assert_int_equal(memory[i][k], 0);
        memset(memory[i], (int)i, i * 7);
    }
    for (size_t i = 0; i < ARRAY_LEN(memory); i++)
        for (size_t k = 0; k < i * 7; k++)
            assert_int_equal((unsigned char)memory[i][k], i);
    assert_true(str_eq(arena_printf(&a, "%d-%s", 5, "x"), STR("5-x")));
    struct str copy = arena_dup(&a, STR("abc"));
    assert_string_equal(copy.ptr, "abc");
    assert_int_equal(copy.len, 3);
    assert_string_equal(arena_dup(&a, STR_NONE).ptr, "");
    arena_fini(&a);
}

static void test_cap(void **state)
{
    struct arena a;
    arena_init(&a, 100);
    assert_null(arena_alloc(&a, 101));
    assert_null(arena_alloc(&a, SIZE_MAX));
    assert_null(arena_array(&a, SIZE_MAX / 2, 4));
    assert_non_null(arena_alloc(&a, 64));
    assert_null(arena_alloc(&a, 64));
    assert_null(arena_dup(&a, (struct str){(const char *)&a, 64}).ptr);
    assert_null(arena_printf(&a, "%064d", 1).ptr);
    arena_reset(&a);
    assert_non_null(arena_alloc(&a, 64));
    arena_fini(&a);
}

static char order[8];

static void hook(void *argument)
{
    strcat(order, argument);
}

static void test_hooks_run_last_first(void **state)
{
    static char first[] = "a", second[] = "b";
    struct arena a;
    arena_init(&a, 1000);
    assert_int_equal(arena_on_fini(&a, hook, first), 0);
    assert_int_equal(arena_on_fini(&a, hook, second), 0);
    arena_reset(&a);
    assert_string_equal(order, "ba");
    arena_fini(&a);
    assert_string_equal(order, "ba");
    arena_init(&a, 1);
    assert_int_equal(arena_on_fini(&a, hook, first), ERR_NO_MEMORY);
    arena_fini(&a);
    assert_string_equal(order, "ba");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_allocations),
        cmocka_unit_test(test_cap),
        cmocka_unit_test(test_hooks_run_last_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
