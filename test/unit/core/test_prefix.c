/* SPDX-License-Identifier: Apache-2.0 */
#include "core/route/prefix.h"

#include "test.h"

enum { BLOCK = 16, CELLS = 4096 };

static uint64_t memory[CELLS];
static uint16_t matched[PREFIX_PLACES_MAX];

static struct prefix make(void)
{
    struct prefix x;
    prefix_init(&x, memory, sizeof(memory));
    return x;
}

static unsigned hash(const char *text, uint64_t seed, uint64_t *ret_blocks)
{
    return prefix_hash_blocks(str_from(text), BLOCK, seed, ret_blocks, 8);
}

static int match(const struct prefix *x, const uint64_t *blocks, unsigned count, int place)
{
    prefix_match(x, blocks, count, matched);
    return matched[place];
}

static void test_hashes_are_chained_and_whole_blocks_only(void **state)
{
    uint64_t a[8], b[8];
    assert_int_equal(hash("0123456789abcdef0123456789abcdef01234", 1, a), 2);
    assert_int_not_equal(a[0], a[1]); /* the same bytes, at another place */
    assert_int_equal(hash("0123456789abcdefXXXX456789abcdef", 1, b), 2);
    assert_int_equal(a[0], b[0]);
    assert_int_not_equal(a[1], b[1]);
    assert_int_equal(hash("0123456789abcde", 1, b), 0);
    assert_int_equal(prefix_hash_blocks(STR("0123456789abcdef0123456789abcdef"), BLOCK, 1, b, 1),
                     1);
}

static void test_tenants_share_nothing(void **state)
{
    uint64_t a[8], b[8];
    hash("0123456789abcdef", 1, a);
    hash("0123456789abcdef", 2, b);
    assert_int_not_equal(a[0], b[0]);
}

/* The same on every machine: a figure that was written down once. */
static void test_hashes_do_not_depend_on_the_machine(void **state)
{
    uint64_t a[8];
    hash("0123456789abcdef", 42, a);
    assert_int_equal(a[0], UINT64_C(0xB53B5ABD1D608F47));
}

static void test_longest_run_from_the_start(void **state)
{
    struct prefix x = make();
    uint64_t blocks[5] = {11, 22, 33, 44, 55};
    for (int i = 0; i < 5; i++)
        blocks[i] *= UINT64_C(0x9E3779B97F4A7C15);
    assert_int_equal(prefix_insert(&x, 3, blocks, 5), 0);
    assert_int_equal(prefix_insert(&x, 7, blocks, 2), 0);
    assert_int_equal(match(&x, blocks, 5, 3), 5);
    assert_int_equal(matched[7], 2);
    assert_int_equal(matched[0], 0);
    prefix_drop(&x, 3, blocks, 3, 5);
    assert_int_equal(match(&x, blocks, 5, 3), 3);
    assert_int_equal(prefix_insert(&x, 3, blocks, 5), 3);
    assert_int_equal(match(&x, blocks, 5, 3), 5);
    assert_int_equal(match(&x, blocks, 4, 3), 4);
}

/* Entries are thrown out one by one; without tolerance one of them would cut a long prompt short. */
static void test_a_few_blocks_may_be_missing(void **state)
{
    struct prefix x = make();
    uint64_t blocks[20];
    for (uint64_t i = 0; i < 20; i++)
        blocks[i] = (i + 1) * UINT64_C(0x9E3779B97F4A7C15);
    prefix_insert(&x, 3, blocks, 20);
    prefix_drop(&x, 3, blocks, 5, 5 + PREFIX_GAP_MAX);
    assert_int_equal(match(&x, blocks, 20, 3), 20);
    prefix_drop(&x, 3, blocks, 10, 11 + PREFIX_GAP_MAX);
    assert_int_equal(match(&x, blocks, 20, 3), 10);
    assert_int_equal(match(&x, blocks, 8, 3), 5);
    assert_int_equal(prefix_insert(&x, 3, blocks, 20), 10);
}

/* Places are used again: the next replica must not inherit what the last one had. */
static void test_a_removed_replica_is_forgotten_at_once(void **state)
{
    struct prefix x = make();
    uint64_t blocks[8];
    unsigned count = hash("0123456789abcdef0123456789abcdef0123456789abcdef", 1, blocks);
    for (int life = 0; life < 500; life++) {
        assert_int_equal(prefix_insert(&x, 5, blocks, count), 0);
        assert_int_equal(match(&x, blocks, count, 5), (int)count);
        prefix_forget(&x, 5);
        assert_int_equal(match(&x, blocks, count, 5), 0);
    }
    assert_in_range(x.sweeps, 1, 500 / 60); /* columns are cleaned many at a time */
    assert_int_equal(x.words, 1);
}

static void test_it_widens_with_the_pool(void **state)
{
    struct prefix x = make();
    const uint64_t block = UINT64_C(1) << 40;
    for (int place = 0; place < PREFIX_PLACES_MAX; place++) {
        prefix_insert(&x, place, &block, 1);
        assert_int_equal(match(&x, &block, 1, place), 1);
    }
    assert_int_equal(x.words, 4);
    assert_int_equal(matched[130], 1);
}

/* Unbounded index: here everything else is thrown out in time, but not what is asked for. */
static void test_a_bounded_index_keeps_what_is_used(void **state)
{
    struct prefix x;
    prefix_init(&x, memory, PREFIX_MEMORY_LEAST);
    uint64_t random = 1, hot = test_random(&random);
    prefix_insert(&x, 1, &hot, 1);
    for (int i = 0; i < 10000; i++) {
        prefix_insert(&x, 1, &hot, 1);
        uint64_t once = test_random(&random);
        prefix_insert(&x, 2, &once, 1);
        assert_int_equal(match(&x, &hot, 1, 1), 1);
    }
    assert_true(x.evicted > 9900);
}

static void test_no_index_knows_nothing(void **state)
{
    const uint64_t block = 1;
    assert_int_equal(prefix_insert(NULL, 0, &block, 1), 0);
    assert_int_equal(match(NULL, &block, 1, 0), 0);
    prefix_drop(NULL, 0, &block, 0, 1);
    prefix_forget(NULL, 0);
}

static void test_memory_for_so_many_blocks(void **state)
{
    assert_int_equal(prefix_memory(65536), 65536 * 16);
    assert_int_equal(prefix_memory(1), 128);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hashes_are_chained_and_whole_blocks_only),
        cmocka_unit_test(test_tenants_share_nothing),
        cmocka_unit_test(test_hashes_do_not_depend_on_the_machine),
        cmocka_unit_test(test_longest_run_from_the_start),
        cmocka_unit_test(test_a_few_blocks_may_be_missing),
        cmocka_unit_test(test_a_removed_replica_is_forgotten_at_once),
        cmocka_unit_test(test_it_widens_with_the_pool),
        cmocka_unit_test(test_a_bounded_index_keeps_what_is_used),
        cmocka_unit_test(test_no_index_knows_nothing),
        cmocka_unit_test(test_memory_for_so_many_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
