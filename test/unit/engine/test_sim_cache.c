/* SPDX-License-Identifier: Apache-2.0 */
/* The prefix cache of simulated engines: what is known, what goes first, and what a model makes of it. */
#include "engine/sim_cache.h"
#include "engine/sim_model.h"
#include "test.h"

enum { BLOCK = SIM_CACHE_BLOCK, LENGTH = 16 * BLOCK };

static int32_t tokens[LENGTH];

/* A prompt: `shared` tokens that all have, then its own. */
static void prompt(uint32_t shared, int32_t own)
{
    for (uint32_t i = 0; i < LENGTH; i++)
        tokens[i] = i < shared ? (int32_t)i : own * LENGTH + (int32_t)i;
}

static void compute(struct sim_cache *c, uint32_t sequence, uint32_t from, uint32_t count)
{
    for (uint32_t i = from; i < count; i++)
        sim_cache_computed(c, sequence, i, tokens[i]);
}

/* Reads the first `count` tokens. Returns how many were known. */
static uint32_t read_prompt(struct sim_cache *c, uint32_t count)
{
    uint32_t known = sim_cache_begin(c, 0, tokens, count);
    compute(c, 0, known, count);
    return known;
}

static void test_what_was_computed_is_known(void **state)
{
    struct sim_cache *c = sim_cache_new(100 * BLOCK, 2, LENGTH);
    prompt(0, 1);
    assert_int_equal(sim_cache_begin(c, 0, tokens, 4 * BLOCK + 5), 0);
    compute(c, 0, 0, 2 * BLOCK + 3);
    assert_int_equal(sim_cache_begin(c, 1, tokens, 4 * BLOCK + 5), 2 * BLOCK);
    compute(c, 0, 2 * BLOCK + 3, 4 * BLOCK + 5);
    assert_int_equal(sim_cache_begin(c, 1, tokens, 4 * BLOCK + 5), 4 * BLOCK);
    assert_int_equal(sim_cache_begin(c, 1, tokens, 4 * BLOCK),
                     3 * BLOCK); /* the last is computed */
    assert_int_equal(sim_cache_begin(c, 1, tokens, 1), 0);
    sim_cache_free(c);
}

static void test_only_equal_beginnings_are_shared(void **state)
{
    struct sim_cache *c = sim_cache_new(100 * BLOCK, 1, LENGTH);
    prompt(3 * BLOCK, 1);
    assert_int_equal(read_prompt(c, 6 * BLOCK), 0);
    prompt(3 * BLOCK, 2);
    assert_int_equal(read_prompt(c, 6 * BLOCK), 3 * BLOCK);
    assert_int_equal(sim_cache_held(c), 9 * BLOCK);
    tokens[0] = -1; /* equal blocks behind another one are others */
    assert_int_equal(read_prompt(c, 6 * BLOCK), 0);
    sim_cache_free(c);
}

static void test_the_longest_unused_goes_first_from_its_end(void **state)
{
    struct sim_cache *c = sim_cache_new(8 * BLOCK, 1, LENGTH);
    prompt(0, 1);
    read_prompt(c, 4 * BLOCK);
    prompt(0, 2);
    read_prompt(c, 4 * BLOCK);
    assert_int_equal(sim_cache_held(c), 8 * BLOCK);
    prompt(0, 3);
    read_prompt(c, 2 * BLOCK);
    assert_int_equal(sim_cache_held(c), 8 * BLOCK);
    prompt(0, 1);
    assert_int_equal(sim_cache_begin(c, 0, tokens, LENGTH), 2 * BLOCK); /* used now */
    prompt(0, 4);
    read_prompt(c, 4 * BLOCK);
    prompt(0, 2);
    assert_int_equal(sim_cache_begin(c, 0, tokens, LENGTH), 0);
    prompt(0, 1);
    assert_int_equal(sim_cache_begin(c, 0, tokens, LENGTH), 2 * BLOCK);
    sim_cache_free(c);
}

/* Whatever happens: never more than there is room for, and nothing that was not computed. */
static void test_random_prompts(void **state)
{
    uint64_t seed = test_seed(7), random = seed;
    struct sim_cache *c = sim_cache_new(20 * BLOCK + 3, 1, LENGTH);
    bool computed[8][LENGTH / BLOCK] = {0};
    for (int step = 0; step < 5000; step++) {
        int32_t own = (int32_t)test_below(&random, 8);
        uint32_t count = 1 + (uint32_t)test_below(&random, LENGTH);
        prompt(0, own + 1);
        uint32_t known = sim_cache_begin(c, 0, tokens, count);
        PROPERTY(known < count && known % BLOCK == 0, seed, step);
        for (uint32_t i = 0; i < known / BLOCK; i++)
            PROPERTY(computed[own][i], seed, step);
        compute(c, 0, known, count);
        for (uint32_t i = 0; i < count / BLOCK; i++)
            computed[own][i] = true;
        PROPERTY(sim_cache_held(c) <= 20 * BLOCK, seed, step);
        if (count / BLOCK <= 20) /* what was read just now is there */
            PROPERTY(sim_cache_begin(c, 0, tokens, count) == (count - 1) / BLOCK * BLOCK, seed,
                     step);
    }
    sim_cache_free(c);
}

static struct model *new_model(uint64_t cache)
{
    const struct sim_profile profile = {
        .prefill = 1e9, .decode = 1e6, .slots = 2, .cache = cache, .seed = 1};
    return sim_model_new(&profile, LENGTH, LENGTH);
}

static void read_by(struct model *m, uint32_t sequence, uint32_t count)
{
    struct model_token batch[LENGTH];
    for (uint32_t i = 0; i < count; i++)
        batch[i] = (struct model_token){
            .token = tokens[i], .position = i, .sequence = sequence, .output = i + 1 == count};
    assert_int_equal(m->ops->decode(m, batch, count), 0);
}

static void test_a_model_with_a_cache(void **state)
{
    struct model *m = new_model(100 * BLOCK);
    prompt(0, 1);
    assert_int_equal(m->ops->recall(m, 0, tokens, 5 * BLOCK, 0), 0);
    read_by(m, 0, 5 * BLOCK);
    assert_int_equal(m->ops->recall(m, 1, tokens, 5 * BLOCK, 0), 4 * BLOCK);
    /* What a slot has is not asked: the cache is all there is. */
    prompt(0, 2);
    assert_int_equal(m->ops->recall(m, 0, tokens, 5 * BLOCK, 3), 0);
    m->ops->free(m);
}

static void test_a_model_without(void **state)
{
    struct model *m = new_model(0);
    prompt(0, 1);
    read_by(m, 0, 5 * BLOCK);
    assert_int_equal(m->ops->recall(m, 0, tokens, 5 * BLOCK, 7), 7);
    m->ops->free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_computed_is_known),
        cmocka_unit_test(test_only_equal_beginnings_are_shared),
        cmocka_unit_test(test_the_longest_unused_goes_first_from_its_end),
        cmocka_unit_test(test_random_prompts),
        cmocka_unit_test(test_a_model_with_a_cache),
        cmocka_unit_test(test_a_model_without),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
