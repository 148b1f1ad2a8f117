/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a policy is worth: the production pool in virtual time, in front of replicas that prefill one
 * prompt after the other and keep a real prefix cache (least recently used goes first), under
 * conversations of several turns that share a few system prompts. Deterministic; the figures are
 * printed, their ratios are asserted with a margin.
 */
#include "base/check.h"
#include "base/hash.h"
#include "base/rng.h"
#include "core/pool/pool.h"
#include "test.h"

enum {
    REPLICAS = 8,
    SLOTS = 16,
    BLOCK_TOKENS = 128,
    CONTEXT_BLOCKS = 64,
    SYSTEM_BLOCKS = 8, /* of a prompt: the system prompt */
    SYSTEMS = 4,
    CHATS = 1500,
    CACHE_BLOCKS = 1024, /* of a replica */
    PREFILL_PER_SECOND = 8000,
    RING = 1 << 20,
    SAMPLES = CHATS * 12,
};

#define STEP     MSEC(20) /* decoding one token */
#define THINKING 8.0      /* seconds between turns, on average */

enum event { SAYS, FIRST_BYTE, FINISHES };

struct chat {
    struct heap_node node;
    struct pool_request request;
    nsec at; /* of its next event */
    enum event event;
    int number, turns;
    unsigned tokens, output; /* context so far; of the next answer */
    unsigned real_cached;
    uint64_t blocks[CONTEXT_BLOCKS];
};

struct engine {
    nsec prefill_free;
    unsigned running;
    /* Last use of every block, and the order of uses: outdated places in it are skipped. */
    uint32_t stamp[CHATS + SYSTEMS][CONTEXT_BLOCKS], clock;
    struct use {
        int chat, block;
        uint32_t stamp;
    } ring[RING];
    size_t head, tail;
    unsigned cached, cache_max;
};

struct figures {
    double p50, p90, hits;
    int served, refused;
};

struct world {
    struct pool pool;
    struct prefix index;
    uint64_t memory[1 << 16];
    struct chat chats[CHATS];
    struct engine engines[REPLICAS];
    struct heap events;
    struct heap_node *nodes[CHATS];
    struct rng rng;
    nsec now, samples[SAMPLES];
    size_t sample_count;
    uint64_t prompt_tokens, cached_tokens;
    int refused;
};

static bool earlier(const struct heap_node *a, const struct heap_node *b)
{
    const struct chat *x = container_of(a, struct chat, node);
    const struct chat *y = container_of(b, struct chat, node);
    return x->at != y->at ? x->at < y->at : x->number < y->number;
}

static void plan(struct world *w, struct chat *c, enum event event, nsec at)
{
    c->event = event;
    c->at = at;
    heap_insert(&w->events, &c->node);
}

static unsigned between(struct world *w, unsigned least, unsigned most)
{
    return least + (unsigned)rng_below(&w->rng, most - least + 1);
}

/* ---- an engine's cache ---- */

static int owner(const struct chat *c, int block)
{
    return block < SYSTEM_BLOCKS ? CHATS + c->number % SYSTEMS : c->number;
}

static void use_block(struct engine *e, int chat, int block)
{
    e->cached += e->stamp[chat][block] == 0;
    e->stamp[chat][block] = ++e->clock;
    e->ring[e->head++ % RING] = (struct use){chat, block, e->clock};
    CHECK(e->head - e->tail < RING);
    while (e->cached > e->cache_max) {
        struct use old = e->ring[e->tail++ % RING];
        if (e->stamp[old.chat][old.block] != old.stamp)
            continue;
        e->stamp[old.chat][old.block] = 0;
        e->cached--;
    }
}

static void use_context(struct engine *e, const struct chat *c)
{
    int blocks = (int)(c->tokens / BLOCK_TOKENS);
    for (int i = blocks - 1; i >= 0; i--) /* the beginning of a prompt is worth the most */
        use_block(e, owner(c, i), i);
}

static unsigned cached_tokens(const struct engine *e, const struct chat *c)
{
    unsigned blocks = 0;
    while (blocks < c->tokens / BLOCK_TOKENS && e->stamp[owner(c, (int)blocks)][blocks])
        blocks++;
    return blocks * BLOCK_TOKENS;
}

/* ---- requests ---- */

static void on_dispatch(struct world *w, struct chat *c, uint64_t replica)
{
    struct engine *e = &w->engines[replica - 1];
    c->real_cached = cached_tokens(e, c);
    w->prompt_tokens += c->tokens;
    w->cached_tokens += c->real_cached;
    nsec begin = MAX(w->now, e->prefill_free);
    e->prefill_free =
        begin + SEC((nsec)(c->tokens - c->real_cached)) / PREFILL_PER_SECOND + MSEC(2);
    use_context(e, c);
    e->running++;
    plan(w, c, FIRST_BYTE, e->prefill_free);
}

static void take_decisions(struct world *w)
{
    struct pool_decision d;
    while (pool_next(&w->pool, w->now, &d)) {
        struct chat *c = container_of(d.request, struct chat, request);
        if (d.kind == POOL_DISPATCH)
            on_dispatch(w, c, d.replica);
        else
            w->refused++; /* this chat is over */
    }
}

static struct engine *engine_of(struct world *w, const struct chat *c)
{
    return &w->engines[w->pool.route.replicas[c->request.legs[0].place].spec.id - 1];
}

static void on_first_byte(struct world *w, struct chat *c)
{
    pool_first_byte(&w->pool, &c->request, 0, w->now);
    w->samples[w->sample_count++] = w->now - c->request.entry.arrived;
    nsec step = STEP + STEP * engine_of(w, c)->running / SLOTS; /* a full batch is half as fast */
    plan(w, c, FINISHES, w->now + step * c->output);
}

static void on_finish(struct world *w, struct chat *c)
{
    struct engine *e = engine_of(w, c);
    c->tokens += c->output;
    use_context(e, c);
    e->running--;
    pool_cached(&w->pool, &c->request, c->real_cached);
    pool_finish(&w->pool, &c->request, ROUTE_OK, w->now);
    if (--c->turns > 0)
        plan(w, c, SAYS, w->now + (nsec)(rng_exponential(&w->rng, THINKING) * 1e9));
}

static void on_says(struct world *w, struct chat *c)
{
    c->tokens = MIN(c->tokens + between(w, 50, 400), (CONTEXT_BLOCKS - 4) * BLOCK_TOKENS);
    c->output = between(w, 40, 200);
    c->request.entry = (struct queue_entry){
        .band = QUEUE_BAND_NORMAL, .tokens = c->tokens, .deadline = NSEC_NEVER};
    c->request.route = (struct route_request){
        .prompt_tokens = c->tokens,
        .output_tokens = 120,
        .session = hash_combine((uint64_t)c->number, 5),
        .blocks = c->blocks,
        .block_count = c->tokens / BLOCK_TOKENS,
        .block_tokens = BLOCK_TOKENS,
    };
    pool_arrive(&w->pool, &c->request, w->now);
}

static void one_event(struct world *w)
{
    struct chat *c = container_of(heap_top(&w->events), struct chat, node);
    w->now = c->at;
    heap_remove(&w->events, &c->node);
    switch (c->event) {
    case SAYS:
        on_says(w, c);
        break;
    case FIRST_BYTE:
        on_first_byte(w, c);
        break;
    case FINISHES:
        on_finish(w, c);
    }
    take_decisions(w);
}

/* ---- runs ---- */

static void begin(struct world *w, const struct route_policy *policy, double chats_per_second,
                  unsigned cache_blocks)
{
    memset(w, 0, sizeof(*w));
    w->rng = rng_from(11);
    heap_init_fixed(&w->events, earlier, w->nodes, CHATS);
    prefix_init(&w->index, w->memory, sizeof(w->memory));
    struct pool_options options = pool_options_default();
    options.queue.max_length = 200;
    options.route.policy = policy;
    options.route.prefix = &w->index;
    pool_init(&w->pool, &options);
    for (uint64_t i = 1; i <= REPLICAS; i++) {
        const struct route_spec spec = {.id = i, .slots = SLOTS};
        assert_int_equal(pool_replica_put(&w->pool, &spec, 0), 0);
        w->engines[i - 1].cache_max = cache_blocks;
    }
    double at = 0;
    for (int i = 0; i < CHATS; i++) {
        struct chat *c = &w->chats[i];
        at += rng_exponential(&w->rng, 1 / chats_per_second);
        c->number = i;
        c->turns = (int)between(w, 2, 10);
        c->tokens = SYSTEM_BLOCKS * BLOCK_TOKENS + between(w, 100, 4000);
        for (int k = 0; k < CONTEXT_BLOCKS; k++)
            c->blocks[k] = hash_combine((uint64_t)owner(c, k), (uint64_t)k);
        plan(w, c, SAYS, (nsec)(at * 1e9));
    }
}

static int compare(const void *a, const void *b)
{
    const nsec *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static struct figures run(const struct route_policy *policy, double chats_per_second,
                          unsigned cache_blocks)
{
    static struct world w;
    begin(&w, policy, chats_per_second, cache_blocks);
    while (heap_top(&w.events))
        one_event(&w);
    pool_fini(&w.pool);
    qsort(w.samples, w.sample_count, sizeof(nsec), compare);
    struct figures f = {
        .p50 = nsec_to_seconds(w.samples[w.sample_count / 2]),
        .p90 = nsec_to_seconds(w.samples[w.sample_count * 9 / 10]),
        .hits = (double)w.cached_tokens / (double)w.prompt_tokens,
        .served = (int)w.sample_count,
        .refused = w.refused,
    };
    print_message("%5.1f chats/s  cache %4u  %-12s  TTFT p50 %6.0f ms  p90 %6.0f ms  cached %2.0f "
                  "%%  served %d"
                  "  refused %d\n",
                  chats_per_second, cache_blocks, policy->name, f.p50 * 1e3, f.p90 * 1e3,
                  f.hits * 100, f.served, f.refused);
    return f;
}

static void test_medium_load(void **state)
{
    struct figures turns = run(&route_round_robin, 2.2, CACHE_BLOCKS),
                   load = run(&route_least_load, 2.2, CACHE_BLOCKS),
                   two = run(&route_power_of_two, 2.2, CACHE_BLOCKS),
                   session = run(&route_session, 2.2, CACHE_BLOCKS),
                   prefix = run(&route_prefix, 2.2, CACHE_BLOCKS);
    assert_true(prefix.p50 < 0.7 * load.p50 && prefix.p90 < 0.7 * load.p90);
    assert_true(prefix.p50 < 0.7 * turns.p50 && prefix.p90 < 0.7 * turns.p90);
    assert_true(prefix.p90 < two.p90 && prefix.p90 <= 1.1 * session.p90);
    assert_true(prefix.hits > 1.5 * load.hits);
}

static void test_low_load(void **state)
{
    struct figures load = run(&route_least_load, 0.3, CACHE_BLOCKS),
                   prefix = run(&route_prefix, 0.3, CACHE_BLOCKS);
    assert_true(prefix.p50 <= 1.02 * load.p50 && prefix.p90 <= 1.02 * load.p90);
}

/* What the index believes of them is wrong: it must do no harm. */
static void test_engines_without_a_prefix_cache(void **state)
{
    struct figures load = run(&route_least_load, 2.2, 0), prefix = run(&route_prefix, 2.2, 0);
    assert_true(prefix.p50 <= 1.05 * load.p50 && prefix.p90 <= 1.05 * load.p90);
}

static void test_small_caches(void **state)
{
    struct figures load = run(&route_least_load, 2.2, CACHE_BLOCKS / 2),
                   prefix = run(&route_prefix, 2.2, CACHE_BLOCKS / 2);
    assert_true(prefix.p50 < 0.5 * load.p50 && prefix.p90 < 0.9 * load.p90);
}

static void test_overload(void **state)
{
    struct figures load = run(&route_least_load, 12, CACHE_BLOCKS),
                   prefix = run(&route_prefix, 12, CACHE_BLOCKS);
    assert_true(prefix.p50 <= 1.05 * load.p50 && prefix.p90 <= 1.05 * load.p90);
    assert_true(prefix.served >= 0.98 * load.served);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_low_load),     cmocka_unit_test(test_medium_load),
        cmocka_unit_test(test_small_caches), cmocka_unit_test(test_engines_without_a_prefix_cache),
        cmocka_unit_test(test_overload),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
