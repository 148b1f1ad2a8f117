/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random snapshots with every field: what is read is what was written. Random damage to their text: a value of the wrong type is
 * refused with its path, and nothing whatever is taken halfway.
 */
#include "api/routes_json.h"

#include <unistd.h>

#include "unit/net/certificates.h"

enum { SNAPSHOTS = 1500, DAMAGED = 4000, BUDGET = 4 << 20, TRUSTS = 3 };

static uint64_t chance;
static struct tls_client *trusts[TRUSTS];

/* ---- random snapshots ---- */

static uint64_t number(void)
{
    static const uint64_t edges[] = {
        0, 1, UINT64_MAX, INT64_MAX, UINT64_C(1) << 53, (UINT64_C(1) << 53) + 1, UINT32_MAX};
    if (test_below(&chance, 3) == 0)
        return edges[test_below(&chance, ARRAY_LEN(edges))];
    return test_random(&chance) >> test_below(&chance, 64);
}

static uint64_t at_most(uint64_t max)
{
    uint64_t n = number();
    return test_below(&chance, 10) == 0 ? max : n <= max ? n : n % (max + 1);
}

static bool coin(void)
{
    return test_below(&chance, 2);
}

static struct str text(void)
{
    static const struct str texts[] = {
        STR(""),
        STR("chat"),
        STR("a\"b\\c/"),
        STR("\xE2\x82\xAC\xF0\x9F\x99\x82"),
        STR("nul\0nul"),
        STR("line\r\n\ttab"),
        STR("\x01\x1f\x7f"),
        STR("</script>"),
        STR("1e3"),
        STR("null"),
        STR("\xC3\xA9\xEF\xBF\xBD"),
        STR(" "),
    };
    return texts[test_below(&chance, ARRAY_LEN(texts))];
}

static struct upstream *upstream(void)
{
    static const char *const urls[] = {"http://gpu1", "https://gpu1:8443/openai/v1/",
                                       "http://[::1]:80/v1", "https://10.0.0.1/a%20b"};
    struct str url = str_from(urls[test_below(&chance, ARRAY_LEN(urls))]);
    struct tls_client *trust = trusts[test_below(&chance, TRUSTS)];
    return upstream_new(url, str_starts(url, STR("https:")) ? trust : NULL,
                        coin() ? STR("sk-\"\\~!") : STR_NONE);
}

static void add_replica(struct routes *r, struct routes_model *m)
{
    struct routes_replica *replica = routes_add_replica(r, m, at_most(UINT64_MAX - 1) + 1, text(),
                                                        (uint16_t)(at_most(UINT16_MAX - 1) + 1));
    replica->revision = number();
    replica->slots = (unsigned)at_most(UINT32_MAX);
    replica->draining = coin();
    replica->upstream = coin() ? upstream() : NULL;
}

static void add_model(struct routes *r, int n)
{
    struct str any = text();
    struct str name = arena_printf(&r->arena, "%d%.*s", n, STR_ARG(any)); /* one of its own */
    struct routes_model *m = routes_add_model(r, name);
    if (coin())
        routes_set_engine_name(r, m, text());
    m->expecting = coin();
    m->revision = number();
    m->resumes = coin();
    m->queue_max_length = number();
    m->queue_max_wait = (nsec)at_most(INT64_MAX);
    m->fairness = (enum queue_fairness)test_below(&chance, QUEUE_FIFO + 1);
    m->policy = arena_dup(&r->arena, text());
    m->weight = (unsigned)at_most(UINT32_MAX);
    m->hedge_ratio = (double)number() / (double)(number() | 1);
    m->price = (struct routes_price){number(), number(), number()};
    m->created = (int64_t)number();
    for (uint64_t i = test_below(&chance, 4); i; i--)
        routes_add_alias(r, m, text());
    for (uint64_t i = test_below(&chance, 4); i; i--)
        routes_add_fallback(r, m, text());
    for (uint64_t i = test_below(&chance, 4); i; i--)
        add_replica(r, m);
}

static void add_tenant(struct routes *r)
{
    struct routes_tenant *t = routes_add_tenant(r, text());
    t->weight = (unsigned)at_most(QUEUE_WEIGHT_MAX - 1) + 1;
    t->priority = (enum queue_band)test_below(&chance, QUEUE_BANDS);
    t->queue_length = number();
#define X(name, member, text) t->limits.member = at_most(LIMIT_VALUE_MAX);
    LIMIT_KINDS(X)
#undef X
    for (uint64_t i = test_below(&chance, 4); i; i--)
        routes_allow_model(r, t, text());
}

static struct routes *random_routes(void)
{
    struct routes *r = routes_new(number());
    for (int i = (int)test_below(&chance, 4); i; i--)
        add_model(r, i);
    for (uint64_t i = test_below(&chance, 4); i; i--)
        add_tenant(r);
    for (uint64_t i = test_below(&chance, 4); i; i--) {
        const struct limit_usage usage = {(int64_t)number(), (int64_t)number(), number(), number(),
                                          number()};
        routes_add_used(r, text(), &usage);
    }
    return r;
}

/* ---- the comparison ---- */

static bool same_names(const struct routes_alias *a, const struct routes_alias *b)
{
    for (; a && b && str_eq(a->name, b->name); a = a->next)
        b = b->next;
    return !a && !b;
}

static bool same_upstream(const struct upstream *a, const struct upstream *b)
{
    if (!a || !b)
        return a == b;
    bool is_same = !strcmp(a->text, b->text) && str_eq(a->authorization, b->authorization) &&
                   str_eq(a->url.authority, b->url.authority) && str_eq(a->url.path, b->url.path) &&
                   a->url.port == b->url.port;
    return is_same &&
           (a->tls ? b->tls && str_eq(tls_client_pem(a->tls), tls_client_pem(b->tls)) : !b->tls);
}

static bool same_replicas(const struct routes_replica *a, const struct routes_replica *b)
{
    for (; a && b; a = a->next, b = b->next)
        if (a->id != b->id || !str_eq(a->host, b->host) || a->port != b->port ||
            a->revision != b->revision || a->slots != b->slots || a->draining != b->draining ||
            !same_upstream(a->upstream, b->upstream))
            return false;
    return !a && !b;
}

static bool same_model(const struct routes_model *a, const struct routes_model *b)
{
    return str_eq(a->name, b->name) && str_eq(a->engine_name, b->engine_name) &&
           a->expecting == b->expecting && a->revision == b->revision && a->resumes == b->resumes &&
           a->queue_max_length == b->queue_max_length && a->queue_max_wait == b->queue_max_wait &&
           a->fairness == b->fairness && str_eq(a->policy, b->policy) && a->weight == b->weight &&
           a->hedge_ratio == b->hedge_ratio && a->price.input == b->price.input &&
           a->price.cached_input == b->price.cached_input && a->price.output == b->price.output &&
           a->created == b->created && same_names(a->aliases, b->aliases) &&
           same_names(a->fallbacks, b->fallbacks) && same_replicas(a->replicas, b->replicas);
}

static bool same_tenant(const struct routes_tenant *a, const struct routes_tenant *b)
{
#define X(name, member, text) a->limits.member == b->limits.member &&
    return LIMIT_KINDS(X) str_eq(a->name, b->name) && a->weight == b->weight &&
           a->priority == b->priority && a->queue_length == b->queue_length &&
           same_names(a->models, b->models);
#undef X
}

static bool same_used(const struct routes_used *a, const struct routes_used *b)
{
    return str_eq(a->tenant, b->tenant) && a->usage.day == b->usage.day &&
           a->usage.month == b->usage.month && a->usage.day_tokens == b->usage.day_tokens &&
           a->usage.day_spend == b->usage.day_spend && a->usage.month_spend == b->usage.month_spend;
}

static bool same_routes(const struct routes *a, const struct routes *b)
{
    const struct routes_model *m = a->models, *n = b->models;
    const struct routes_tenant *t = a->tenants, *s = b->tenants;
    const struct routes_used *u = a->used, *v = b->used;
    for (; m && n && same_model(m, n); m = m->next)
        n = n->next;
    for (; t && s && same_tenant(t, s); t = t->next)
        s = s->next;
    for (; u && v && same_used(u, v); u = u->next)
        v = v->next;
    return !m && !n && !t && !s && !u && !v && a->version == b->version;
}

/* ---- the tests ---- */

/* One snapshot, its text and what is made of them. */
struct trial {
    struct routes *routes, *copy;
    struct arena arena;
    struct buf text;
    struct json *tree;
    struct err err;
};

static void begin(struct trial *t)
{
    struct json_writer w;
    *t = (struct trial){.routes = random_routes()};
    arena_init(&t->arena, BUDGET);
    buf_init(&t->text, BUDGET);
    json_writer_init(&w, &t->text, (int)test_below(&chance, 3));
    routes_write_json(t->routes, &w);
    assert_int_equal(t->text.error, 0);
}

static int parse(struct trial *t)
{
    return json_parse(&t->arena, buf_str(&t->text), &t->tree, &t->err);
}

static void drop_text(struct trial *t)
{
    buf_fini(&t->text);
    arena_fini(&t->arena);
}

static void end(struct trial *t)
{
    drop_text(t);
    routes_unref(t->routes);
    routes_unref(t->copy);
}

static void test_what_is_read_is_what_was_written(void **state)
{
    uint64_t seed = test_seed(1);
    chance = seed;
    for (int step = 0; step < SNAPSHOTS; step++) {
        struct trial t;
        begin(&t);
        const struct routes *former = step % 50 ? t.routes : NULL; /* the system's are many */
        PROPERTY(parse(&t) == 0, seed, step);
        if (routes_read_json(t.tree, former, &t.copy, &t.err))
            fail_msg("%s: seed %llu, step %d", t.err.message, (unsigned long long)seed, step);
        drop_text(&t); /* nothing is borrowed from it */
        PROPERTY(same_routes(t.routes, t.copy), seed, step);
        end(&t);
    }
}

/* Counts down to one of the nodes below, and to its path. */
static struct json *find_node(struct json *node, uint64_t *left, char path[256])
{
    struct json *found = NULL;
    size_t len = strlen(path), i = 0;
    bool is_list = node->type == JSON_ARRAY;
    if (node->type != JSON_OBJECT && !is_list)
        return NULL;
    for (struct json *child = node->first; child && !found; child = child->next, i++) {
        if (is_list)
            snprintf(path + len, 256 - len, "[%zu]", i);
        else
            snprintf(path + len, 256 - len, "%s%.*s", len ? "." : "", STR_ARG(child->key));
        found = (*left)-- == 0 ? child : find_node(child, left, path);
    }
    if (!found)
        path[len] = 0;
    return found;
}

/* Nothing may be null, and nothing but an object an object. */
static void make_wrong(struct json *node)
{
    node->type = node->type == JSON_OBJECT || coin() ? JSON_NULL : JSON_OBJECT;
    node->count = 0;
    node->first = NULL;
}

static void test_a_wrong_type_is_refused_with_its_path(void **state)
{
    uint64_t seed = test_seed(2);
    chance = seed;
    for (int step = 0; step < DAMAGED; step++) {
        struct trial t;
        struct json *node;
        char path[256] = "";
        uint64_t left = test_below(&chance, 200);
        begin(&t);
        PROPERTY(parse(&t) == 0, seed, step);
        while (!(node = find_node(t.tree, &left, path)))
            left = test_below(&chance, 5); /* an empty snapshot has so many */
        make_wrong(node);
        int error = routes_read_json(t.tree, t.routes, &t.copy, &t.err);
        size_t len = strlen(path);
        PROPERTY(error == ERR_INVALID && !t.copy, seed, step);
        PROPERTY(!strncmp(t.err.message, path, len) && t.err.message[len] == ':', seed, step);
        end(&t);
    }
}

static void damage(struct buf *text)
{
    for (uint64_t i = test_below(&chance, 4) + 1; i; i--) {
        size_t at = test_below(&chance, text->len);
        char *digit = memchr(text->ptr + at, '0' + (int)test_below(&chance, 10), text->len - at);
        if (digit)
            *digit = "0123456789-.e\"[]{},"[test_below(&chance, 19)];
        else
            text->ptr[at] = (char)test_random(&chance);
    }
}

static void test_damaged_text(void **state)
{
    uint64_t seed = test_seed(3);
    chance = seed;
    int refused = 0, accepted = 0;
    for (int step = 0; step < DAMAGED; step++) {
        struct trial t;
        begin(&t);
        damage(&t.text);
        if (!parse(&t)) {
            int error = routes_read_json(t.tree, t.routes, &t.copy, &t.err);
            PROPERTY(error ? !t.copy && t.err.code == error && t.err.message[0] : t.copy != NULL,
                     seed, step);
            *(error ? &refused : &accepted) += 1;
        }
        end(&t);
    }
    assert_true(refused > DAMAGED / 50 && accepted > DAMAGED / 50); /* damage of all sorts */
}

static int set_up(void **state)
{
    char folder[] = "/tmp/fairway-test-XXXXXX", certificate[64], key[64];
    struct err err;
    assert_non_null(mkdtemp(folder));
    snprintf(certificate, sizeof(certificate), "%s/tls.crt", folder);
    snprintf(key, sizeof(key), "%s/tls.key", folder);
    for (int i = 0; i < TRUSTS; i++) {
        certificate_make(certificate, key, i ? "one" : "another", NULL, 3600);
        assert_int_equal(tls_client_new(i ? certificate : NULL, &trusts[i], &err), 0);
    }
    unlink(certificate);
    unlink(key);
    rmdir(folder);
    return 0;
}

static int tear_down(void **state)
{
    for (int i = 0; i < TRUSTS; i++)
        tls_client_unref(trusts[i]);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_read_is_what_was_written),
        cmocka_unit_test(test_a_wrong_type_is_refused_with_its_path),
        cmocka_unit_test(test_damaged_text),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
