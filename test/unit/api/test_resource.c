/* SPDX-License-Identifier: Apache-2.0 */
#include "api/model.h"
#include "api/node.h"
#include "api/tenant.h"
#include "base/yaml.h"
#include "core/route/route.h"
#include "test.h"

static struct arena arena;
static struct buf out;
static struct err err;
static struct resource **resources;
static size_t count;

static int set_up(void **state)
{
    arena_init(&arena, 1 << 20);
    buf_init(&out, 1 << 20);
    return 0;
}

static int tear_down(void **state)
{
    arena_fini(&arena);
    buf_fini(&out);
    return 0;
}

static void read_good(const char *text)
{
    if (resource_read(&arena, str_from(text), &resources, &count, &err))
        fail_msg("%s", err.message);
}

static void check_bad(const char *text, const char *message)
{
    assert_int_equal(resource_read(&arena, str_from(text), &resources, &count, &err), ERR_INVALID);
    assert_string_equal(err.message, message);
}

#define HEAD "apiVersion: fairway.dev/v1\nkind: Model\nmetadata: {name: chat}\nspec:\n"

static void test_smallest_model(void **state)
{
    read_good(HEAD "  source: {uri: \"hf://org/name/file.gguf\"}\n");
    assert_int_equal(count, 1);
    const struct model *m = model_from(resources[0]);
    assert_true(str_eq(m->resource.metadata.name, STR("chat")));
    assert_true(str_eq(m->spec.source.uri, STR("hf://org/name/file.gguf")));
    assert_int_equal(m->spec.engine.type, MODEL_ENGINE_LLAMA);
    assert_int_equal(m->spec.engine.max_concurrent_requests, 32);
    assert_int_equal(m->spec.engine.context_length, 0);
    assert_int_equal(m->spec.replicas, 1);
    assert_int_equal(m->spec.queue.max_length, 1000);
    assert_true(m->spec.queue.max_wait == SEC(120));
    assert_true(m->spec.probes.startup == SEC(600) && m->spec.probes.period == SEC(2));
    assert_int_equal(m->spec.probes.failures, 3);
}

static const char full[] =
    "{\"apiVersion\":\"fairway.dev/v1\",\"kind\":\"Model\",\"metadata\":{\"name\":\"chat\","
    "\"labels\":{\"team\":\"a\"},\"annotations\":{\"example.com/note\":\"x y\"},\"generation\":3,"
    "\"resourceVersion\":\"17\",\"creationTimestamp\":\"2026-01-31T12:00:00.000Z\",\"uid\":\"u-1\"}"
    ","
    "\"status\":{\"observedGeneration\":3,\"replicas\":2,\"readyReplicas\":1,\"conditions\":[{"
    "\"type\":\"Ready\",\"status\":\"False\",\"reason\":\"Starting\",\"message\":\"1 of 2\","
    "\"lastTransitionTime\":\"2026-01-31T12:00:01.000Z\"}]},"
    "\"spec\":{\"source\":{\"uri\":\"file:///m.gguf\",\"digest\":\"sha256:"
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"},"
    "\"engine\":{\"type\":\"vllm\",\"image\":\"vllm:1\",\"command\":[\"serve\"],\"args\":[\"--x\","
    "\"1\"],"
    "\"env\":{\"HOME\":\"/h\"},\"contextLength\":4096,\"maxConcurrentRequests\":8},"
    "\"resources\":{\"gpus\":1,\"cpu\":\"1500m\",\"memory\":\"32Gi\"},\"priority\":100,"
    "\"replicas\":0,"
    "\"queue\":{\"maxLength\":0,\"maxWait\":\"1m30s\",\"fairness\":\"requests\"},"
    "\"traffic\":{\"aliases\":[\"gpt-small\"],\"policy\":\"session\",\"weight\":100},\"price\":{"
    "\"input\":\"0."
    "15\",\"output\":2},"
    "\"probes\":{\"startup\":\"5m\",\"period\":\"500ms\",\"failures\":2}}}";

static void test_full_model_there_and_back(void **state)
{
    struct json_writer w;
    read_good(full);
    const struct model *m = model_from(resources[0]);
    assert_int_equal(m->spec.resources.cpu, 1500);
    assert_true(m->spec.resources.memory == INT64_C(32) << 30);
    const struct resource_condition *condition = m->resource.status.conditions.items;
    assert_int_equal(condition->status, CONDITION_FALSE);
    json_writer_init(&w, &out, 0);
    resource_encode(resources[0], &w);
    assert_string_equal(buf_cstr(&out), full);
    buf_clear(&out);
    json_writer_init(&w, &out, 0);
    resource_encode_metadata(resources[0], &w);
    assert_string_equal(buf_cstr(&out), "{\"name\":\"chat\",\"labels\":{\"team\":\"a\"},"
                                        "\"annotations\":{\"example.com/note\":\"x y\"}}");
}

static void test_node(void **state)
{
    read_good("apiVersion: fairway.dev/v1\nkind: Node\nmetadata: {name: n1}\nspec:\n"
              "  cpu: 16\n  memory: 128Gi\n---\n" HEAD "  engine: {type: simulate}\n");
    assert_int_equal(count, 2);
    const struct node *n = node_from(resources[0]);
    assert_true(n->spec.cpu == 16000 && n->spec.memory == INT64_C(128) << 30 && !n->spec.cordon);
}

#define TENANT "apiVersion: fairway.dev/v1\nkind: Tenant\nmetadata: {name: team}\n"

static void test_policies_are_those_of_the_router(void **state)
{
    const struct schema_field *traffic = schema_find(model_kind.spec->object, STR("traffic"));
    const struct schema_field *policy = schema_find(traffic->object, STR("policy"));
    for (size_t i = 0; policy->values[i]; i++) {
        assert_non_null(route_policy_find(str_from(policy->values[i])));
        assert_string_equal(model_policy_name((int)i), policy->values[i]);
    }
}

static void test_tenant(void **state)
{
    read_good(TENANT "spec:\n  weight: 4\n  priority: high\n  models: [chat, gpt-small]\n"
                     "  limits: {requestsPerMinute: 60, concurrency: 8, budgetPerDay: 12.50}\n");
    const struct tenant_spec *spec = &tenant_from(resources[0])->spec;
    assert_true(spec->weight == 4 && spec->priority == TENANT_PRIORITY_HIGH);
    assert_true(spec->models.count == 2 && spec->limits.concurrency == 8);
    assert_true(spec->limits.requests_per_minute == 60 && spec->limits.tokens_per_minute == 0);
    assert_true(spec->limits.budget_per_day == 12500000);
    read_good(TENANT);
    spec = &tenant_from(resources[0])->spec;
    assert_true(spec->weight == 1 && spec->priority == TENANT_PRIORITY_NORMAL);
    assert_true(spec->gpu_quota.gpus == TENANT_NO_QUOTA && spec->gpu_quota.lend == TENANT_NO_QUOTA);
    check_bad(TENANT "spec: {weight: 0}\n", "line 4: spec.weight: must be between 1 and 1000");
    check_bad(TENANT "spec:\n  limits: {budgetPerDay: much}\n",
              "line 5: spec.limits.budgetPerDay: must be an amount of money like 0.15, not "
              "\"much\"");
}

static void encode_spec(void)
{
    struct json_writer w;
    buf_clear(&out);
    json_writer_init(&w, &out, 0);
    resource_encode_spec(resources[0], &w);
}

/* A limit of nothing is not the same as none. */
static void test_gpu_quota(void **state)
{
    static const char *const quotas[] = {
        "\"gpuQuota\":{\"gpus\":4,\"borrow\":0,\"lend\":\"500m\"}}",
        "\"gpuQuota\":{\"gpus\":0}}",
    };
    for (size_t i = 0; i < ARRAY_LEN(quotas); i++) {
        struct str manifest = arena_printf(&arena, TENANT "spec: {%s\n", quotas[i]);
        read_good(manifest.ptr);
        encode_spec();
        assert_non_null(strstr(buf_cstr(&out), quotas[i]));
    }
    const struct tenant_gpu_quota *quota = &tenant_from(resources[0])->spec.gpu_quota;
    assert_true(quota->gpus == 0 && quota->borrow == TENANT_NO_QUOTA);
    read_good(TENANT);
    encode_spec();
    assert_null(strstr(buf_cstr(&out), "gpuQuota"));
    check_bad(TENANT "spec:\n  gpuQuota: {borrow: 0, lend: 2}\n",
              "line 5: spec.gpuQuota.borrow: is for a quota; add gpus (0: all is borrowed)\n"
              "line 5: spec.gpuQuota.lend: is for a quota; add gpus");
    check_bad(TENANT "spec:\n  gpuQuota: {gpus: -1}\n",
              "line 5: spec.gpuQuota.gpus: must be an amount like 2 or 500m, not a number");
}

/* What the controller tells beside the fields of the table may stand in a manifest too. */
static void test_status_of_the_system_is_no_obstacle(void **state)
{
    read_good(HEAD "  engine: {type: simulate}\nstatus: {phase: Ready, replicas: 1, later: [1]}\n");
    assert_int_equal(resources[0]->status.replicas, 1);
}

static void test_refused(void **state)
{
    check_bad("metadata: {name: x}\n", "kind: is required; known are: Model, Job, Node, Tenant");
    check_bad("kind: Modell\n",
              "line 1: kind: unknown kind \"Modell\"; known are: Model, Job, Node, Tenant");
    check_bad("[1]\n", "line 1: a resource must be an object");
    check_bad("kind: Model\napiVersion: v2\nmetadata: {name: Chat!}\n",
              "line 2: apiVersion: must be one of fairway.dev/v1, not \"v2\"\n"
              "line 3: metadata.name: \"Chat!\" must be 1 to 63 characters a-z, 0-9 or '-', "
              "without '-' at either end\n"
              "line 1: spec.source.uri: is required for the engine llama");
    check_bad(HEAD "  source: {uri: ftp://x}\n",
              "line 5: spec.source.uri: \"ftp://x\" must begin with hf://, oci://, file:///, "
              "https:// or http://");
    check_bad(HEAD "  engine:\n    type: simulate\n    tpye: x\n",
              "line 7: spec.engine.tpye: unknown field; did you mean \"type\"?");
    check_bad(HEAD "  engine: {type: simulate}\n  resources:\n    gpus: 1\n    gpuShare: 500\n",
              "line 8: spec.resources.gpuShare: cannot go together with gpus; choose one");
    check_bad(HEAD "  engine: {type: custom}\n",
              "line 5: spec.engine.command: is required for the engine custom, or else image");
    check_bad(HEAD "  engine: {type: simulate}\n  scaling: {min: 0}\n",
              "line 6: spec.scaling: unknown field; known are: source, engine, resources, tenant, "
              "priority, replicas, queue, traffic, price, probes");
    check_bad(HEAD "  engine: {type: simulate, env: {PORT: 80}}\n",
              "line 5: spec.engine.env.PORT: must be text; put it in quotes: \"80\"");
}

static void test_changes(void **state)
{
    read_good(full);
    struct resource *before = resources[0];
    read_good(full);
    struct resource *after = resources[0];
    assert_int_equal(resource_check_change(&arena, before, after, &err), 0);
    after->metadata.uid = STR("u-2");
    assert_int_equal(resource_check_change(&arena, before, after, &err), ERR_CONFLICT);
    assert_string_equal(err.message, "metadata.uid: cannot be changed");
    assert_int_equal(err.code, ERR_CONFLICT);
}

#define REMOTE HEAD "  engine:\n    type: remote\n"

static void test_remote_engine(void **state)
{
    read_good(REMOTE
              "    urls: [\"https://a.example:8443/v1\", \"http://10.0.0.7:8000\"]\n"
              "    model: org/Model-7B\n    apiKeyFile: /etc/key\n    caFile: /etc/ca.pem\n");
    struct model *m = model_from(resources[0]);
    assert_int_equal(m->spec.engine.type, MODEL_ENGINE_REMOTE);
    assert_int_equal(m->spec.engine.urls.count, 2);
    model_settle(m);
    assert_int_equal(m->spec.replicas, 2);
    m->spec.replicas = 0;
    model_settle(m);
    assert_int_equal(m->spec.replicas, 0);
}

static void test_remote_engine_refused(void **state)
{
    static const char *const bad[][2] = {
        {REMOTE, "spec.engine.urls: is required for the engine remote"},
        {REMOTE "    urls: [\"gpu1:8000\"]\n",
         "spec.engine.urls[0]: \"gpu1:8000\" must be http:// or https://"},
        {REMOTE "    urls: [\"http://a\", \"http://a\"]\n", "spec.engine.urls: has http://a twice"},
        {REMOTE "    urls: [\"http://a\", \"http://b\"]\n  replicas: 3\n",
         "spec.replicas: is the number of engine.urls (2), or 0"},
        {REMOTE "    urls: [\"http://a\"]\n    args: [x]\n",
         "spec.engine.args: is not for the engine remote"},
        {REMOTE "    urls: [\"http://a\"]\n  source: {uri: \"file:///m\"}\n",
         "spec.source.uri: is not for the engine remote"},
        {REMOTE "    urls: [\"http://a\"]\n  resources: {cpu: 1}\n",
         "spec.resources: is not for the engine remote"},
        {REMOTE "    urls: [\"http://a\"]\n    caFile: /ca.pem\n",
         "spec.engine.caFile: is for urls that begin with https://"},
        {REMOTE "    urls: [\"http://a\"]\n    apiKeyFile: /k\n    apiKeyEnv: KEY\n",
         "spec.engine.apiKeyEnv: cannot go together with apiKeyFile"},
        {REMOTE "    urls: [\"http://a\"]\n    apiKeyFile: key\n",
         "spec.engine.apiKeyFile: \"key\" must be the whole path"},
        {HEAD "  engine:\n    type: simulate\n    urls: [\"http://a\"]\n",
         "spec.engine.urls: is only for the engine remote"},
        {HEAD "  engine: {type: simulate, apiKeyEnv: KEY}\n",
         "spec.engine.apiKeyEnv: is only for the engine remote"},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct str text = str_from(bad[i][0]);
        assert_int_equal(resource_read(&arena, text, &resources, &count, &err), ERR_INVALID);
        if (!strstr(err.message, bad[i][1]))
            fail_msg("'%s' does not say '%s'", err.message, bad[i][1]);
    }
}

static void test_kinds(void **state)
{
    assert_ptr_equal(resource_kind_find(STR("Model")), &model_kind);
    assert_ptr_equal(resource_kind_find(STR("models")), &model_kind);
    assert_ptr_equal(resource_kind_find(STR("NODE")), &node_kind);
    assert_null(resource_kind_find(STR("pod")));
    struct resource *r = resource_new(&model_kind, &arena);
    assert_int_equal(model_from(r)->spec.replicas, 1);
}

static void test_explain(void **state)
{
    assert_int_equal(resource_explain(STR("model.spec.engine.maxConcurrentRequests"), &out, &err),
                     0);
    assert_non_null(strstr(buf_cstr(&out), "default 32; at least 1; at most 4096"));
    assert_int_equal(resource_explain(STR("nodes"), &out, &err), 0);
    assert_int_equal(resource_explain(STR("pod.spec"), &out, &err), ERR_NOT_FOUND);
    assert_non_null(strstr(err.message, "known are: Model, Job, Node, Tenant"));
    assert_int_equal(resource_explain(STR("model.spec.replica"), &out, &err), ERR_NOT_FOUND);
    assert_non_null(strstr(err.message, "did you mean \"replicas\"?"));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_smallest_model),
        TEST(test_full_model_there_and_back),
        TEST(test_node),
        TEST(test_tenant),
        TEST(test_gpu_quota),
        TEST(test_status_of_the_system_is_no_obstacle),
        TEST(test_policies_are_those_of_the_router),
        TEST(test_refused),
        TEST(test_remote_engine),
        TEST(test_remote_engine_refused),
        TEST(test_changes),
        TEST(test_kinds),
        TEST(test_explain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
