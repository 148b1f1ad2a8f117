/* SPDX-License-Identifier: Apache-2.0 */
/* Which idle slot a prompt takes: what it knows against what is lost of others. */
#include "engine/scheduler_internal.h"
#include "test.h"

enum { SLOTS = 3, LONG = 1000 };

struct fixture {
    struct slot items[SLOTS];
    struct slots slots;
    int32_t conversation[LONG], prompt[LONG];
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    f->slots = (struct slots){.items = f->items, .count = SLOTS};
    for (int i = 0; i < LONG; i++)
        f->conversation[i] = f->prompt[i] = i;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

/* Slot i holds the first `cached` tokens of the conversation; of the prompt the first `common` are the same. */
static struct slot *find(struct fixture *f, int i, uint32_t cached, uint32_t common, uint32_t count,
                         uint32_t *ret_known)
{
    f->items[i].tokens = f->conversation;
    f->items[i].cached = cached;
    f->items[i].left_at = 1;
    if (common < LONG)
        f->prompt[common] = -1;
    return slots_find(&f->slots, f->prompt, count, ret_known);
}

static void test_a_conversation_goes_on_in_its_slot(void **state)
{
    struct fixture *f = *state;
    uint32_t known;
    assert_ptr_equal(find(f, 1, 900, LONG, LONG, &known), &f->items[1]);
    assert_int_equal(known, 900);
}

/* The same instructions before another question: the conversation keeps its cells as long as others are free. */
static void test_a_short_common_beginning_takes_an_empty_slot(void **state)
{
    struct fixture *f = *state;
    uint32_t known;
    assert_ptr_equal(find(f, 0, 900, 100, 400, &known), &f->items[1]);
    assert_int_equal(known, 0);
}

static void test_a_common_beginning_that_is_most_of_the_prompt_is_used(void **state)
{
    struct fixture *f = *state;
    uint32_t known;
    assert_ptr_equal(find(f, 2, 900, 100, 150, &known), &f->items[2]);
    assert_int_equal(known, 100);
}

static void test_one_that_is_most_of_what_the_slot_has_is_used(void **state)
{
    struct fixture *f = *state;
    uint32_t known;
    assert_ptr_equal(find(f, 2, 150, 100, LONG, &known), &f->items[2]);
    assert_int_equal(known, 100);
}

/* The last token is computed in any case: its logits are wanted. */
static void test_a_prompt_that_is_there_whole(void **state)
{
    struct fixture *f = *state;
    uint32_t known;
    assert_ptr_equal(find(f, 0, 500, LONG, 500, &known), &f->items[0]);
    assert_int_equal(known, 499);
}

static void test_without_an_empty_one_the_longest_idle_gives_up_its_cells(void **state)
{
    struct fixture *f = *state;
    uint32_t known;
    for (int i = 0; i < SLOTS; i++)
        f->items[i] = (struct slot){.tokens = f->conversation, .cached = 900, .left_at = 9 - i};
    f->prompt[50] = -1;
    assert_ptr_equal(slots_find(&f->slots, f->prompt, 400, &known), &f->items[2]);
    assert_int_equal(known, 50); /* what it has of it is used all the same */
    f->items[2].job = (struct job *)f;
    assert_ptr_equal(slots_find(&f->slots, f->prompt, 400, &known), &f->items[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(test_a_conversation_goes_on_in_its_slot),
        TEST(test_a_short_common_beginning_takes_an_empty_slot),
        TEST(test_a_common_beginning_that_is_most_of_the_prompt_is_used),
        TEST(test_one_that_is_most_of_what_the_slot_has_is_used),
        TEST(test_a_prompt_that_is_there_whole),
        TEST(test_without_an_empty_one_the_longest_idle_gives_up_its_cells),
#undef TEST
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
