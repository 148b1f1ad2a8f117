/* SPDX-License-Identifier: Apache-2.0 */
#include "api/routes_json.h"

#include "test.h"

enum { BUDGET = 1 << 20 };

static struct arena arena;
static struct buf out;
static struct err err;

static int set_up(void **state)
{
    arena_init(&arena, BUDGET);
    buf_init(&out, BUDGET);
    err = (struct err){0};
    return 0;
}

static int tear_down(void **state)
{
    arena_fini(&arena);
    buf_fini(&out);
    return 0;
}

static int read_text(const char *text, struct routes **ret_routes)
{
    struct json *tree;
    if (json_parse(&arena, str_from(text), &tree, &err))
        fail_msg("%s", err.message);
    return routes_read_json(tree, NULL, ret_routes, &err);
}

static struct routes *read_valid(const char *text)
{
    struct routes *r = NULL;
    if (read_text(text, &r))
        fail_msg("%s", err.message);
    return r;
}

static const char *write_text(const struct routes *r)
{
    struct json_writer w;
    json_writer_init(&w, &out, 0);
    routes_write_json(r, &w);
    return buf_cstr(&out);
}

static void test_an_empty_snapshot(void **state)
{
    struct routes *r = routes_new(7), *copy;
    const char *text = write_text(r);
    assert_string_equal(
        text, "{\"version\":7,\"models\":[],\"authorities\":[],\"tenants\":[],\"used\":[]}");
    copy = read_valid(text);
    assert_int_equal(copy->version, 7);
    assert_true(!copy->models && !copy->tenants && !copy->used);
    routes_unref(r);
    routes_unref(copy);
}

static void test_the_text(void **state)
{
    struct routes *r = routes_new(1);
    struct routes_model *m = routes_add_model(r, STR("chat"));
    routes_add_alias(r, m, STR("b"));
    routes_add_alias(r, m, STR("a"));
    routes_add_fallback(r, m, STR("small"));
    m->fairness = QUEUE_FIFO;
    m->hedge_ratio = 0.05;
    m->revision = UINT64_C(1) << 53; /* the last that every reader has exactly */
    m->created = -(INT64_C(1) << 53) - 1;
    struct routes_replica *replica = routes_add_replica(r, m, UINT64_MAX, STR("127.0.0.1"), 8000);
    replica->upstream = upstream_new(STR("http://gpu1/openai/v1"), NULL, STR("sk-1"));
    replica->draining = true;
    const char *text = write_text(r);
    assert_string_equal(
        text,
        "{\"version\":1,\"models\":[{\"name\":\"chat\",\"engineName\":\"chat\",\"expecting\":false,"
        "\"revision\":9007199254740992,\"resumes\":false,\"queueMaxLength\":0,\"queueMaxWaitNs\":0,"
        "\"fairness\":\"none\",\"policy\":\"\",\"weight\":0,\"hedgeRatio\":0.05,\"inputPrice\":0,"
        "\"cachedInputPrice\":0,\"outputPrice\":0,\"created\":\"-9007199254740993\",\"aliases\":["
        "\"a\",\"b\"],"
        "\"fallbacks\":[\"small\"],\"replicas\":[{\"id\":\"18446744073709551615\","
        "\"host\":\"127.0.0.1\",\"port\":8000,\"revision\":0,\"slots\":0,\"draining\":true,"
        "\"upstream\":{\"url\":\"http://gpu1/openai/v1\",\"key\":\"sk-1\"}}]}],"
        "\"authorities\":[],\"tenants\":[],\"used\":[]}");
    routes_unref(r);
}

/* Of an older writer: what it does not say is as the constructors make it. Of a newer one: what we do not know. */
static void test_missing_and_unknown_members(void **state)
{
    struct routes *r = read_valid(
        "{\"version\": 3, \"new\": {\"a\": [1]}, \"models\": [{\"name\": \"m\", \"new\": null}],"
        " \"tenants\": [{\"name\": \"t\", \"new\": 1}], \"used\": [{\"tenant\": \"u\"}]}");
    const struct routes_model *m = r->models;
    assert_true(str_eq(m->name, STR("m")) && str_eq(m->engine_name, STR("m")) && !m->next);
    assert_true(!m->aliases && !m->fallbacks && !m->replicas && !m->expecting && !m->policy.len);
    const struct routes_tenant *t = r->tenants;
    assert_true(str_eq(t->name, STR("t")) && t->weight == 1 && t->priority == QUEUE_BAND_NORMAL);
    assert_true(!t->models && !t->queue_length && !t->limits.concurrency);
    assert_true(str_eq(r->used->tenant, STR("u")) && r->used->usage.month_spend == 0);
    routes_unref(r);
}

static void test_whole_numbers(void **state)
{
    struct routes *r = read_valid(
        "{\"version\": 18446744073709551615, \"models\": [{\"name\": \"m\", \"created\": -5,"
        " \"revision\": \"9007199254740993\", \"queueMaxWaitNs\": \"9223372036854775807\","
        " \"weight\": 4294967295}]}");
    assert_true(r->version == UINT64_MAX);
    assert_true(r->models->revision == UINT64_C(9007199254740993));
    assert_true(r->models->queue_max_wait == INT64_MAX && r->models->created == -5);
    assert_int_equal(r->models->weight, UINT32_MAX);
    routes_unref(r);
}

#define REPLICA(members)                                                                       \
    "{\"version\": 1, \"authorities\": [\"\"], \"models\": [{\"name\": \"m\", \"replicas\": [" \
    "{\"id\": 1, \"host\": \"h\", \"port\": 1}, {\"id\": 2, \"host\": \"h\"" members "}]}]}"
#define MODEL(members)  "{\"version\": 1, \"models\": [{\"name\": \"m\"" members "}]}"
#define TENANT(members) "{\"version\": 1, \"tenants\": [{\"name\": \"t\"" members "}]}"

static const struct {
    const char *text, *message;
} wrong[] = {
    {"[]", "must be an object"},
    {"{}", "version: is missing"},
    {"{\"version\": 1.0}", "version: must be a whole number from 0 to 18446744073709551615"},
    {"{\"version\": \"18446744073709551616\"}",
     "version: must be a whole number from 0 to 18446744073709551615"},
    {"{\"version\": 1, \"models\": {}}", "models: must be a list"},
    {"{\"version\": 1, \"models\": [{}]}", "models[0].name: is missing"},
    {"{\"version\": 1, \"models\": [{\"name\": \"a\"}, {\"name\": \"b\"}, {\"name\": \"a\"}]}",
     "models[2].name: is that of another model too"},
    {MODEL(", \"expecting\": 1"), "models[0].expecting: must be true or false"},
    {MODEL(", \"policy\": null"), "models[0].policy: must be text"},
    {MODEL(", \"weight\": 4294967296"),
     "models[0].weight: must be a whole number from 0 to 4294967295"},
    {MODEL(", \"queueMaxWaitNs\": 9223372036854775808"),
     "models[0].queueMaxWaitNs: must be a whole number from 0 to 9223372036854775807"},
    {MODEL(", \"created\": \"-9223372036854775809\""),
     "models[0].created: must be a whole number of 64 bits"},
    {MODEL(", \"fairness\": 0"), "models[0].fairness: must be one of tokens, requests, none"},
    {MODEL(", \"fairness\": \"fair\""),
     "models[0].fairness: must be one of tokens, requests, none"},
    {MODEL(", \"hedgeRatio\": 1e999"), "models[0].hedgeRatio: must be a number, 0 or more"},
    {MODEL(", \"hedgeRatio\": -0.1"), "models[0].hedgeRatio: must be a number, 0 or more"},
    {MODEL(", \"aliases\": [\"a\", 2]"), "models[0].aliases[1]: must be text"},
    {TENANT(", \"weight\": 0"), "tenants[0].weight: must be a whole number from 1 to 1000000"},
    {TENANT(", \"priority\": \"urgent\""), "tenants[0].priority: must be one of high, normal, low"},
    {TENANT(", \"tokensPerDay\": \"1000000000000000001\""),
     "tenants[0].tokensPerDay: must be a whole number from 0 to 1000000000000000000"},
    {TENANT(", \"models\": \"m\""), "tenants[0].models: must be a list"},
    {"{\"version\": 1, \"used\": [{\"tenant\": 1}]}", "used[0].tenant: must be text"},
    {REPLICA(""), "models[0].replicas[1].port: is missing"},
    {REPLICA(", \"port\": 65536"),
     "models[0].replicas[1].port: must be a whole number from 1 to 65535"},
    {REPLICA(", \"port\": 1, \"id\": 0"),
     "models[0].replicas[1].id: must be a whole number from 1 to 18446744073709551615"},
    {REPLICA(", \"port\": 1, \"upstream\": 1"),
     "models[0].replicas[1].upstream: must be an object"},
    {REPLICA(", \"port\": 1, \"upstream\": {}"), "models[0].replicas[1].upstream.url: is missing"},
    {REPLICA(", \"port\": 1, \"upstream\": {\"url\": \"gpu1:8000\"}"),
     "models[0].replicas[1].upstream.url: must be an http:// or https:// URL"},
    {REPLICA(", \"port\": 1, \"upstream\": {\"url\": \"http://gpu1\", \"key\": \"a\\r\\nb: c\"}"),
     "models[0].replicas[1].upstream.key: an API key is one word of printable ASCII"},
    {REPLICA(", \"port\": 1, \"upstream\": {\"url\": \"https://gpu1\"}"),
     "models[0].replicas[1].upstream.authorities: must be a place in the snapshot's list of 1"},
    {REPLICA(", \"port\": 1, \"upstream\": {\"url\": \"https://gpu1\", \"authorities\": 1}"),
     "models[0].replicas[1].upstream.authorities: must be a place in the snapshot's list of 1"},
    {"{\"version\": 1, \"authorities\": [\"\", \"x\"]}",
     "authorities[1]: TLS: cannot use the certificates of the authorities that were sent: none are "
     "there"},
};

static void test_what_is_wrong_is_named(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct routes *r = NULL;
        assert_int_equal(read_text(wrong[i].text, &r), ERR_INVALID);
        assert_string_equal(err.message, wrong[i].message);
        assert_null(r);
        assert_int_equal(read_text(wrong[i].text, &r), err.code);
    }
}

/* The clients of connections to remote engines are told apart by whom they trust. */
static void test_trust_is_shared_with_the_snapshot_before(void **state)
{
    struct json *tree;
    struct routes *next;
    const char *text = REPLICA(", \"port\": 1, \"upstream\": {\"url\": \"https://gpu1\","
                               " \"key\": \"k\", \"authorities\": 0}");
    struct routes *first = read_valid(text), *other = read_valid(text);
    const struct upstream *u = first->models->replicas->next->upstream;
    assert_true(u->tls && str_eq(u->authorization, STR("Bearer k")));
    assert_int_equal(json_parse(&arena, str_from(text), &tree, &err), 0);
    assert_int_equal(routes_read_json(tree, first, &next, &err), 0);
    assert_ptr_equal(next->models->replicas->next->upstream->tls, u->tls);
    assert_ptr_not_equal(other->models->replicas->next->upstream->tls, u->tls);
    routes_unref(first);
    routes_unref(other);
    routes_unref(next);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_an_empty_snapshot),           TEST(test_the_text),
        TEST(test_missing_and_unknown_members), TEST(test_whole_numbers),
        TEST(test_what_is_wrong_is_named),      TEST(test_trust_is_shared_with_the_snapshot_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
