/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/sim_model.h"

#include <errno.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/rng.h"
#include "engine/sim_cache.h"

/* Token 0 ends an answer. The words begin with a space, as in real vocabularies; one has characters
 * of several bytes, so that clients see those too. */
static const struct str words[] = {
    STR(""),        STR(" the"),     STR(" model"),   STR(" answers"), STR(" with"),
    STR(" words"),  STR(" from"),    STR(" a"),       STR(" seed"),    STR(" and"),
    STR(" every"),  STR(" token"),   STR(" takes"),   STR(" its"),     STR(" time"),
    STR(" queue"),  STR(" fair"),    STR(" way"),     STR(" light"),   STR(" river"),
    STR(" stone"),  STR(" quiet"),   STR(" morning"), STR(" café"),    STR(" north"),
    STR(" signal"), STR(" harbour"), STR(" engine"),  STR(" green"),   STR(" paper"),
    STR(" number"), STR("."),
};

enum {
    PACKED = 1 << 30, /* a token of bytes: PACKED | length << 24 | bytes */
    QUANTUM = 32,
};

struct sim {
    struct model model;
    struct sim_profile profile;
    struct sim_cache *cache; /* own; NULL: none */
    float *rows;             /* own; a row of logits for each token of a batch */
    uint64_t generated;
    nsec step_end; /* when the last step ended, as it should have */
};

static int load(struct model *m, struct err *err)
{
    static const int32_t end = 0;
    struct sim *s = container_of(m, struct sim, model);
    nsec until = clock_now() + s->profile.startup;
    struct timespec t = {until / NSEC_PER_SEC, until % NSEC_PER_SEC};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
        ;
    m->info.ends = &end;
    m->info.end_count = 1;
    m->info.description = STR("simulated");
    return 0;
}

static void free_model(struct model *m)
{
    struct sim *s = container_of(m, struct sim, model);
    sim_cache_free(s->cache);
    mem_free(s->rows);
    mem_free(s);
}

/* The word that the text begins with; 0 if none. */
static int32_t find_word(struct str text)
{
    for (size_t i = 1; i < ARRAY_LEN(words); i++)
        if (str_starts(text, words[i]))
            return (int32_t)i;
    return 0;
}

static int32_t take_token(struct str *text)
{
    int32_t token = find_word(*text);
    size_t len = words[token].len;
    if (token == 0) {
        len = MIN(text->len, 3);
        token = PACKED | (int32_t)(len << 24);
        for (size_t i = 0; i < len; i++)
            token |= (int32_t)((unsigned char)text->ptr[i] << (8 * i));
    }
    *text = str_sub(*text, len, text->len);
    return token;
}

static int tokenize(struct model *m, struct str text, bool special, int32_t *ret_tokens, size_t cap,
                    size_t *ret_count)
{
    size_t count = 0;
    while (text.len > 0) {
        int32_t token = take_token(&text);
        if (count < cap)
            ret_tokens[count] = token;
        count++;
    }
    *ret_count = count;
    return count > cap ? ERR_TOO_BIG : 0;
}

static bool is_token(struct model *m, int32_t token)
{
    size_t len = (size_t)token >> 24 & 63;
    if (token >= PACKED)
        return len >= 1 && len <= 3;
    return token >= 0 && token < (int32_t)ARRAY_LEN(words);
}

static size_t piece(struct model *m, int32_t token, char *ret_bytes)
{
    if (!is_token(m, token))
        return 0;
    if (token < PACKED) {
        if (words[token].len)
            memcpy(ret_bytes, words[token].ptr, words[token].len);
        return words[token].len;
    }
    size_t len = (size_t)token >> 24 & 63;
    for (size_t i = 0; i < len; i++)
        ret_bytes[i] = (char)(token >> (8 * i));
    return len;
}

static int chat(struct model *m, const struct model_message *messages, size_t count,
                struct buf *out)
{
    for (size_t i = 0; i < count; i++) {
        buf_put(out, messages[i].role);
        buf_put(out, STR(": "));
        buf_put(out, messages[i].content);
        buf_put_char(out, '\n');
    }
    buf_put(out, STR("assistant:"));
    return out->error;
}

/* The time of a step: reading prompts, and one token of each that generates, go one after the
 * other. A sequence that has a single token in the batch generates. */
static nsec step_time(const struct sim *s, const struct model_token *batch, size_t count,
                      uint64_t *ret_generated)
{
    uint64_t read = 0, generated = 0;
    for (size_t i = 0; i < count; i++) {
        bool single = (i == 0 || batch[i - 1].sequence != batch[i].sequence) &&
                      (i + 1 == count || batch[i + 1].sequence != batch[i].sequence);
        generated += single && batch[i].output;
        read += !(single && batch[i].output);
    }
    *ret_generated = generated;
    double seconds = (double)read / s->profile.prefill + (generated ? 1 / s->profile.decode : 0);
    return (nsec)(seconds * 1e9);
}

/* Sleeps to the end of the step. The engine's own time between steps counts in, as it is part of
 * what a profile was measured with. */
static void pass_time(struct sim *s, nsec step)
{
    nsec now = clock_now();
    bool goes_on = now - s->step_end < MSEC(5);
    s->step_end = (goes_on ? s->step_end : now) + step;
    struct timespec t = {s->step_end / NSEC_PER_SEC, s->step_end % NSEC_PER_SEC};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
        ;
}

static void hang(void)
{
    for (;;)
        nanosleep(&(struct timespec){3600, 0}, NULL);
}

/* One word is far likelier than the others, which still have an order. */
static void fill_row(const struct sim *s, const struct model_token *token, float *row)
{
    uint64_t key = rng_at(rng_at(s->profile.seed, token->position), (uint64_t)token->token);
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        row[i] = (float)(rng_at(key, i) >> 40) * 0x1p-24f;
    row[1 + rng_at(key, 1000) % (ARRAY_LEN(words) - 1)] += 24;
    row[0] = s->profile.answer && rng_at(key, 1001) % s->profile.answer == 0 ? 48 : -48;
}

static int decode(struct model *m, const struct model_token *batch, size_t count)
{
    struct sim *s = container_of(m, struct sim, model);
    uint64_t generated;
    pass_time(s, step_time(s, batch, count, &generated));
    s->generated += generated;
    if (s->profile.hang_after && s->generated >= s->profile.hang_after)
        hang();
    for (size_t i = 0; s->cache && i < count; i++)
        sim_cache_computed(s->cache, batch[i].sequence, batch[i].position, batch[i].token);
    for (size_t i = 0; i < count; i++)
        if (batch[i].output)
            fill_row(s, &batch[i], s->rows + i * ARRAY_LEN(words));
    return 0;
}

static const float *logits(struct model *m, size_t index)
{
    return container_of(m, struct sim, model)->rows + index * ARRAY_LEN(words);
}

static bool forget(struct model *m, uint32_t sequence, uint32_t from)
{
    return true; /* nothing is kept but time */
}

static uint32_t recall(struct model *m, uint32_t sequence, const int32_t *tokens, uint32_t count,
                       uint32_t known)
{
    struct sim *s = container_of(m, struct sim, model);
    return s->cache ? sim_cache_begin(s->cache, sequence, tokens, count) : known;
}

static int embed(struct model *m, const int32_t *tokens, size_t from, size_t count, float *sums)
{
    struct sim *s = container_of(m, struct sim, model);
    pass_time(s, (nsec)((double)count / s->profile.prefill * 1e9));
    for (size_t i = 0; i < count; i++)
        for (uint32_t k = 0; k < m->info.embedding_width; k++)
            sums[k] += (float)(rng_at((uint64_t)tokens[from + i], k) >> 40) * 0x1p-24f - 0.5f;
    return 0;
}

static const struct model_ops ops = {.load = load,
                                     .free = free_model,
                                     .tokenize = tokenize,
                                     .is_token = is_token,
                                     .piece = piece,
                                     .chat = chat,
                                     .decode = decode,
                                     .logits = logits,
                                     .forget = forget,
                                     .recall = recall,
                                     .embed = embed};

struct model *sim_model_new(const struct sim_profile *profile, uint32_t length_max,
                            uint32_t prefill_max)
{
    struct sim *s = NEW(struct sim);
    uint32_t slots = (uint32_t)profile->slots;
    CHECK(slots > 0);
    s->profile = *profile;
    s->model.ops = &ops;
    s->model.info = (struct model_info){
        .vocabulary = ARRAY_LEN(words),
        .length_max = length_max,
        .kv_total =
            (uint32_t)MAX(profile->kv ? profile->kv : (uint64_t)slots * length_max, length_max),
        .sequences = slots,
        .quantum = QUANTUM,
        .embedding_width = 32,
        .piece_max = 16,
    };
    if (profile->cache)
        s->cache = sim_cache_new(MAX(profile->cache, SIM_CACHE_BLOCK), slots, length_max);
    s->rows = mem_array((slots + MAX(prefill_max, QUANTUM)) * ARRAY_LEN(words), sizeof(float));
    return &s->model;
}
