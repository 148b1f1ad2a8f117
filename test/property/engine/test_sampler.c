/* SPDX-License-Identifier: Apache-2.0 */
/* The sampler against one that sorts the whole vocabulary and says everything the long way. */
#include "engine/sampler.h"

#include <math.h>

#include "base/check.h"
#include "test.h"

enum { ROUNDS = 4000, VOCABULARY = 40 };

struct entry {
    int32_t token;
    double logit, weight;
};

static int by_rank(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->logit != y->logit)
        return x->logit > y->logit ? -1 : 1;
    return x->token - y->token;
}

static float chance_float(uint64_t *chance, float from, float to)
{
    return from + (to - from) * (float)test_below(chance, 10001) / 10000;
}

static void random_params(uint64_t *chance, struct sampler_params *p)
{
    p->temperature = test_below(chance, 6) ? chance_float(chance, 0.1f, 2) : 0;
    p->top_k = test_below(chance, 2) ? (uint32_t)test_below(chance, VOCABULARY + 5) : 0;
    p->top_p = test_below(chance, 2) ? chance_float(chance, 0.01f, 1) : 1;
    p->min_p = test_below(chance, 3) ? 0 : chance_float(chance, 0, 0.5f);
    p->frequency_penalty = test_below(chance, 2) ? chance_float(chance, -2, 2) : 0;
    p->presence_penalty = test_below(chance, 2) ? chance_float(chance, -2, 2) : 0;
    p->seed = test_random(chance);
    p->choice = (uint32_t)test_below(chance, 4);
}

static int32_t oracle(const struct sampler_params *p, const struct sampler_input *in)
{
    struct entry all[VOCABULARY];
    for (size_t i = 0; i < VOCABULARY; i++) {
        float logit = in->logits[i];
        for (size_t c = 0; c < in->count_count; c++)
            if (in->counts[c].token == (int32_t)i)
                logit -= p->frequency_penalty * (float)in->counts[c].times + p->presence_penalty;
        for (size_t b = 0; b < p->bias_count; b++)
            if (p->biases[b].token == (int32_t)i)
                logit += p->biases[b].bias;
        all[i] = (struct entry){(int32_t)i, logit, 0};
    }
    qsort(all, VOCABULARY, sizeof(all[0]), by_rank);
    if (p->temperature <= 0)
        return all[0].token;
    size_t likely = 0;
    double total = 0, sum = 0;
    for (size_t i = 0; i < VOCABULARY; i++) {
        all[i].weight = exp((all[i].logit - all[0].logit) / p->temperature);
        likely += all[i].weight >= fmax(p->min_p, 1e-13); /* the floor */
    }
    size_t kept = p->top_k ? MIN(p->top_k, likely) : likely;
    for (size_t i = 0; i < kept; i++)
        total += all[i].weight;
    size_t nucleus = 0;
    while (nucleus < kept && sum < (double)p->top_p * total)
        sum += all[nucleus++].weight;
    double target = sampler_uniform(p->seed, p->choice, in->position) * sum;
    /* Without a cut the order of the draw is that of the ids. */
    bool cut = kept < likely || p->top_p < 1;
    sum = 0;
    for (size_t i = 0; i < nucleus; i++) {
        sum += all[i].weight;
        if (cut && sum > target)
            return all[i].token;
    }
    double by_id[VOCABULARY] = {0};
    for (size_t i = 0; i < nucleus; i++)
        by_id[all[i].token] = all[i].weight;
    sum = 0;
    for (int32_t token = VOCABULARY - 1; token >= 0; token--)
        if ((sum += by_id[token]) > target)
            return token;
    return all[0].token;
}

static void test_draw_against_oracle(void **state)
{
    uint64_t seed = test_seed(1), chance = seed;
    int differ = 0;
    for (int round = 0; round < ROUNDS; round++) {
        float logits[VOCABULARY];
        struct sampler_candidate scratch[VOCABULARY];
        struct sampler_count counts[3];
        struct sampler_bias biases[2];
        struct sampler_params params = {.biases = biases, .bias_count = test_below(&chance, 3)};
        struct sampler_input in = {.logits = logits, .vocabulary = VOCABULARY, .counts = counts};
        random_params(&chance, &params);
        for (size_t i = 0; i < VOCABULARY; i++)
            logits[i] = test_below(&chance, 8) ? chance_float(&chance, -6, 6) : 1; /* some ties */
        in.count_count = test_below(&chance, 4);
        for (size_t i = 0; i < in.count_count; i++)
            counts[i] =
                (struct sampler_count){(int32_t)(i * 7), 1 + (uint32_t)test_below(&chance, 3)};
        for (size_t i = 0; i < params.bias_count; i++)
            biases[i] = (struct sampler_bias){(int32_t)test_below(&chance, VOCABULARY),
                                              test_below(&chance, 2) ? -INFINITY : 3};
        in.position = test_below(&chance, 5000);
        int32_t got = sampler_draw(&params, &in, scratch);
        PROPERTY(got == sampler_draw(&params, &in, scratch), seed, round);
        differ += got != oracle(&params, &in);
    }
    /* Sums in another order may round across a border, one time in a million. */
    PROPERTY(differ <= 1, seed, differ);
}

static void test_logprobs_against_oracle(void **state)
{
    uint64_t seed = test_seed(2), chance = seed;
    for (int round = 0; round < ROUNDS; round++) {
        float logits[VOCABULARY];
        struct entry all[VOCABULARY];
        struct sampler_logprob top[SAMPLER_TOP_MAX];
        size_t count = test_below(&chance, SAMPLER_TOP_MAX + 1);
        double sum = 0;
        for (int32_t i = 0; i < VOCABULARY; i++) {
            logits[i] = test_below(&chance, 8) ? chance_float(&chance, -9, 9) : 2;
            all[i] = (struct entry){i, logits[i], 0};
            sum += exp(logits[i]);
        }
        int32_t token = (int32_t)test_below(&chance, VOCABULARY);
        float own = sampler_logprobs(logits, VOCABULARY, token, top, count);
        PROPERTY(fabs(own - (logits[token] - log(sum))) < 1e-4, seed, round);
        qsort(all, VOCABULARY, sizeof(all[0]), by_rank);
        for (size_t i = 0; i < count; i++)
            PROPERTY(top[i].token == all[i].token &&
                         fabs(top[i].logprob - (all[i].logit - log(sum))) < 1e-4,
                     seed, round);
    }
}

/* Frequencies of draws follow the probabilities (chi-squared with 3 degrees of freedom). */
static void test_draws_follow_the_probabilities(void **state)
{
    enum { DRAWS = 20000 };
    const float logits[4] = {logf(0.5f), logf(0.25f), logf(0.15f), logf(0.1f)};
    const double expected[4] = {0.5, 0.25, 0.15, 0.1};
    struct sampler_candidate scratch[4];
    struct sampler_params params = {.temperature = 1, .top_p = 1, .seed = test_seed(3)};
    int seen[4] = {0};
    for (uint64_t i = 0; i < DRAWS; i++) {
        struct sampler_input in = {.logits = logits, .vocabulary = 4, .position = i};
        seen[sampler_draw(&params, &in, scratch)]++;
    }
    double chi = 0;
    for (int i = 0; i < 4; i++)
        chi += pow(seen[i] - expected[i] * DRAWS, 2) / (expected[i] * DRAWS);
    PROPERTY(chi < 21.1, params.seed, 0); /* p = 0.0001 */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_draw_against_oracle),
        cmocka_unit_test(test_logprobs_against_oracle),
        cmocka_unit_test(test_draws_follow_the_probabilities),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
