/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/sampler.h"

#include <math.h>

#include "base/check.h"
#include "base/rng.h"

double sampler_uniform(uint64_t seed, uint32_t choice, uint64_t position)
{
    return (double)(rng_at(rng_at(seed, choice), position) >> 11) * 0x1p-53;
}

static bool before(struct sampler_candidate a, struct sampler_candidate b)
{
    return a.logit > b.logit || (a.logit == b.logit && a.token < b.token);
}

static void sift_down(struct sampler_candidate *heap, size_t count, size_t at)
{
    struct sampler_candidate item = heap[at];
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= count)
            break;
        if (child + 1 < count && before(heap[child + 1], heap[child]))
            child++;
        if (!before(heap[child], item))
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = item;
}

static void make_heap(struct sampler_candidate *heap, size_t count)
{
    for (size_t i = count / 2; i-- > 0;)
        sift_down(heap, count, i);
}

/* Takes the best of a heap and leaves it in the place that became free, at the end. */
static struct sampler_candidate pop(struct sampler_candidate *heap, size_t count)
{
    struct sampler_candidate best = heap[0];
    heap[0] = heap[count - 1];
    heap[count - 1] = best;
    sift_down(heap, count - 1, 0);
    return best;
}

/* The row with penalties and biases, without NaN. */
static void adjust(const struct sampler_params *p, const struct sampler_input *in,
                   struct sampler_candidate *out)
{
    for (size_t i = 0; i < in->vocabulary; i++) {
        float logit = in->logits[i];
        out[i] = (struct sampler_candidate){isnan(logit) ? -INFINITY : logit, (int32_t)i};
    }
    for (size_t i = 0; i < in->count_count; i++) {
        const struct sampler_count *c = &in->counts[i];
        CHECK(c->token >= 0 && (size_t)c->token < in->vocabulary);
        out[c->token].logit -=
            p->frequency_penalty * (float)c->times + (c->times ? p->presence_penalty : 0);
    }
    for (size_t i = 0; i < p->bias_count; i++)
        if (p->biases[i].token >= 0 && (size_t)p->biases[i].token < in->vocabulary)
            out[p->biases[i].token].logit += p->biases[i].bias;
}

static struct sampler_candidate best_of(const struct sampler_candidate *items, size_t count)
{
    struct sampler_candidate best = items[0];
    for (size_t i = 1; i < count; i++)
        if (before(items[i], best))
            best = items[i];
    return best;
}

/* exp of the difference to the best logit, so that it cannot overflow. */
static double weight(struct sampler_candidate c, float best, float temperature)
{
    return exp(((double)c.logit - best) / temperature);
}

/*
 * Keeps what min_p lets through, in order of token id; returns how many. Without min_p a floor so
 * low that it changes no draw (1e-13 of the best one's weight) spares most of a large vocabulary
 * the exp().
 */
static size_t keep_min_p(const struct sampler_params *p, struct sampler_candidate *items,
                         size_t count, float best)
{
    double least = best + p->temperature * log(fmax(p->min_p, 1e-13));
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (items[i].logit >= least)
            items[kept++] = items[i];
    return kept;
}

static double total_weight(const struct sampler_candidate *items, size_t count, float best,
                           float temperature)
{
    double total = 0;
    for (size_t i = 0; i < count; i++)
        total += weight(items[i], best, temperature);
    return total;
}

/*
 * Moves what top_k and then top_p let through to the end of `items`, best last. Returns how many.
 * top_p is a share of what top_k left; without top_k, no more is sorted than top_p keeps.
 */
static size_t keep_top(const struct sampler_params *p, struct sampler_candidate *items,
                       size_t count, float best)
{
    size_t limit = p->top_k && p->top_k < count ? p->top_k : count;
    size_t sorted = 0;
    make_heap(items, count);
    if (limit < count)
        for (; sorted < limit; sorted++)
            pop(items, count - sorted);
    if (p->top_p >= 1)
        return limit;
    double total = total_weight(items + count - limit, limit, best, p->temperature);
    double sum = 0;
    for (size_t kept = 0; kept < limit; kept++) {
        if (kept == sorted)
            pop(items, count - sorted++);
        sum += weight(items[count - 1 - kept], best, p->temperature);
        if (sum >= p->top_p * total)
            return kept + 1;
    }
    return limit;
}

int32_t sampler_draw(const struct sampler_params *p, const struct sampler_input *in,
                     struct sampler_candidate *scratch)
{
    CHECK(in->vocabulary > 0);
    adjust(p, in, scratch);
    struct sampler_candidate best = best_of(scratch, in->vocabulary);
    if (p->temperature <= 0 || p->top_k == 1 || isinf(best.logit))
        return best.token;
    size_t count = keep_min_p(p, scratch, in->vocabulary, best.logit);
    struct sampler_candidate *kept = scratch;
    if ((p->top_k && p->top_k < count) || p->top_p < 1) {
        size_t top = keep_top(p, scratch, count, best.logit);
        kept = scratch + count - top;
        count = top;
    }
    double target = sampler_uniform(p->seed, p->choice, in->position) *
                    total_weight(kept, count, best.logit, p->temperature);
    double sum = 0;
    for (size_t i = count; i-- > 0;) {
        sum += weight(kept[i], best.logit, p->temperature);
        if (sum > target)
            return kept[i].token;
    }
    return best.token; /* rounding only */
}

float sampler_logprobs(const float *logits, size_t vocabulary, int32_t token,
                       struct sampler_logprob *top, size_t top_count)
{
    CHECK(top_count <= SAMPLER_TOP_MAX && top_count <= vocabulary);
    CHECK(token >= 0 && (size_t)token < vocabulary);
    struct sampler_candidate best[SAMPLER_TOP_MAX + 1] = {{0}};
    size_t held = 0;
    size_t wanted = MAX(top_count, 1);
    for (size_t i = 0; i < vocabulary; i++) {
        struct sampler_candidate c = {logits[i], (int32_t)i};
        if (held == wanted && !before(c, best[held - 1]))
            continue;
        size_t at = held < wanted ? held++ : held - 1;
        for (; at > 0 && before(c, best[at - 1]); at--)
            best[at] = best[at - 1];
        best[at] = c;
    }
    double sum = 0;
    for (size_t i = 0; i < vocabulary; i++)
        sum += exp((double)logits[i] - best[0].logit);
    double base = best[0].logit + log(sum);
    for (size_t i = 0; i < top_count; i++)
        top[i] = (struct sampler_logprob){best[i].token, (float)(best[i].logit - base)};
    return (float)(logits[token] - base);
}
