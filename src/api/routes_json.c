/* SPDX-License-Identifier: Apache-2.0 */
#include "api/routes_json.h"

#include "api/wire.h"
#include "base/list.h"
#include "base/mem.h"

/* ---- the tables ---- */

static const char *const band_words[] = {
    [QUEUE_BAND_HIGH] = "high", [QUEUE_BAND_NORMAL] = "normal", [QUEUE_BAND_LOW] = "low", NULL};

static const char *const fairness_words[] = {[QUEUE_FAIR_TOKENS] = "tokens",
                                             [QUEUE_FAIR_REQUESTS] = "requests",
                                             [QUEUE_FIFO] = "none",
                                             NULL};

#define AT(member) WIRE_AT(struct routes, member)
static const struct wire_field routes_fields[] = {
    {"version", WIRE_UNSIGNED, AT(version), .required = true},
    {.name = NULL},
};
#undef AT

#define AT(member) WIRE_AT(struct routes_model, member)
static const struct wire_field model_fields[] = {
    {"name", WIRE_TEXT, AT(name), .required = true},
    {"engineName", WIRE_TEXT, AT(engine_name)},
    {"expecting", WIRE_BOOL, AT(expecting)},
    {"revision", WIRE_UNSIGNED, AT(revision)},
    {"resumes", WIRE_BOOL, AT(resumes)},
    {"queueMaxLength", WIRE_UNSIGNED, AT(queue_max_length)},
    {"queueMaxWaitNs", WIRE_UNSIGNED, AT(queue_max_wait), .max = INT64_MAX},
    {"fairness", WIRE_WORD, AT(fairness), .words = fairness_words},
    {"policy", WIRE_TEXT, AT(policy)},
    {"weight", WIRE_UNSIGNED, AT(weight)},
    {"hedgeRatio", WIRE_RATIO, AT(hedge_ratio)},
    {"inputPrice", WIRE_UNSIGNED, AT(price.input)},
    {"cachedInputPrice", WIRE_UNSIGNED, AT(price.cached_input)},
    {"outputPrice", WIRE_UNSIGNED, AT(price.output)},
    {"created", WIRE_SIGNED, AT(created)},
    {.name = NULL},
};
#undef AT

#define AT(member) WIRE_AT(struct routes_replica, member)
static const struct wire_field replica_fields[] = {
    {"id", WIRE_UNSIGNED, AT(id), .required = true, .min = 1},
    {"host", WIRE_TEXT, AT(host), .required = true},
    {"port", WIRE_UNSIGNED, AT(port), .required = true, .min = 1},
    {"revision", WIRE_UNSIGNED, AT(revision)},
    {"slots", WIRE_UNSIGNED, AT(slots)},
    {"draining", WIRE_BOOL, AT(draining)},
    {.name = NULL},
};
#undef AT

#define AT(member) WIRE_AT(struct routes_tenant, member)
#define LIMIT(name, member)                                            \
    {                                                                  \
        name, WIRE_UNSIGNED, AT(limits.member), .max = LIMIT_VALUE_MAX \
    }
static const struct wire_field tenant_fields[] = {
    {"name", WIRE_TEXT, AT(name), .required = true},
    {"weight", WIRE_UNSIGNED, AT(weight), .min = 1, .max = QUEUE_WEIGHT_MAX},
    {"priority", WIRE_WORD, AT(priority), .words = band_words},
    {"queueLength", WIRE_UNSIGNED, AT(queue_length)},
    LIMIT("requestsPerMinute", requests_per_minute),
    LIMIT("tokensPerMinute", tokens_per_minute),
    LIMIT("concurrency", concurrency),
    LIMIT("tokensPerDay", tokens_per_day),
    LIMIT("budgetPerDay", budget_per_day),
    LIMIT("budgetPerMonth", budget_per_month),
    {.name = NULL},
};
#undef LIMIT
#undef AT

#define AT(member) WIRE_AT(struct routes_used, member)
static const struct wire_field used_fields[] = {
    {"tenant", WIRE_TEXT, AT(tenant), .required = true},
    {"day", WIRE_SIGNED, AT(usage.day)},
    {"month", WIRE_SIGNED, AT(usage.month)},
    {"dayTokens", WIRE_UNSIGNED, AT(usage.day_tokens)},
    {"daySpend", WIRE_UNSIGNED, AT(usage.day_spend)},
    {"monthSpend", WIRE_UNSIGNED, AT(usage.month_spend)},
    {.name = NULL},
};
#undef AT

/* What an upstream is made of; written by write_upstream. */
struct parts {
    struct str url, key;
    size_t authorities; /* a place in the snapshot's list; of https:// only */
};

static const struct wire_field parts_fields[] = {
    {"url", WIRE_BORROWED, WIRE_AT(struct parts, url), .required = true},
    {"key", WIRE_BORROWED, WIRE_AT(struct parts, key)},
    {"authorities", WIRE_UNSIGNED, WIRE_AT(struct parts, authorities)},
    {.name = NULL},
};

/* ---- writing ---- */

/* Each of those that the upstreams trust, once: certificates are large. */
struct authorities {
    struct str *pems; /* own */
    size_t count;
};

static size_t place_of(struct authorities *a, struct str pem)
{
    for (size_t i = 0; i < a->count; i++)
        if (str_eq(a->pems[i], pem))
            return i;
    a->pems = mem_resize(a->pems, (a->count + 1) * sizeof(struct str));
    a->pems[a->count] = pem;
    return a->count++;
}

static void write_names(const char *key, const struct routes_alias *names, struct json_writer *w)
{
    json_key(w, str_from(key));
    json_array(w);
    for (const struct routes_alias *a = names; a; a = a->next)
        json_str(w, a->name);
    json_end(w);
}

static void write_upstream(const struct upstream *u, struct authorities *a, struct json_writer *w)
{
    json_object(w);
    json_member_str(w, STR("url"), str_from(u->text));
    json_member_str(w, STR("key"), upstream_key(u));
    if (u->tls)
        json_member_u64(w, STR("authorities"), place_of(a, tls_client_pem(u->tls)));
    json_end(w);
}

static void write_replica(const struct routes_replica *r, struct authorities *a,
                          struct json_writer *w)
{
    json_object(w);
    wire_write(replica_fields, r, w);
    if (r->upstream) {
        json_key(w, STR("upstream"));
        write_upstream(r->upstream, a, w);
    }
    json_end(w);
}

static void write_model(const struct routes_model *m, struct authorities *a, struct json_writer *w)
{
    json_object(w);
    wire_write(model_fields, m, w);
    write_names("aliases", m->aliases, w);
    write_names("fallbacks", m->fallbacks, w);
    json_key(w, STR("replicas"));
    json_array(w);
    for (const struct routes_replica *r = m->replicas; r; r = r->next)
        write_replica(r, a, w);
    json_end(w);
    json_end(w);
}

static void write_models(const struct routes *r, struct json_writer *w)
{
    struct authorities authorities = {0};
    json_key(w, STR("models"));
    json_array(w);
    for (const struct routes_model *m = r->models; m; m = m->next)
        write_model(m, &authorities, w);
    json_end(w);
    json_key(w, STR("authorities"));
    json_array(w);
    for (size_t i = 0; i < authorities.count; i++)
        json_str(w, authorities.pems[i]);
    json_end(w);
    mem_free(authorities.pems);
}

static void write_tenants(const struct routes *r, struct json_writer *w)
{
    json_key(w, STR("tenants"));
    json_array(w);
    for (const struct routes_tenant *t = r->tenants; t; t = t->next) {
        json_object(w);
        wire_write(tenant_fields, t, w);
        write_names("models", t->models, w);
        json_end(w);
    }
    json_end(w);
}

static void write_used(const struct routes *r, struct json_writer *w)
{
    json_key(w, STR("used"));
    json_array(w);
    for (const struct routes_used *u = r->used; u; u = u->next) {
        json_object(w);
        wire_write(used_fields, u, w);
        json_end(w);
    }
    json_end(w);
}

void routes_write_json(const struct routes *r, struct json_writer *w)
{
    json_object(w);
    wire_write(routes_fields, r, w);
    write_models(r, w);
    write_tenants(r, w);
    write_used(r, w);
    json_end(w);
}

/* ---- reading ---- */

struct reading {
    struct wire_reader json;
    struct routes *routes;       /* own, in the making */
    const struct routes *former; /* borrow; may be NULL */
    struct tls_client **clients; /* own, refs: one for each of the authorities */
    size_t client_count;
};

static struct reading *reading_of(struct wire_reader *r)
{
    return container_of(r, struct reading, json);
}

static struct tls_client *find_client(const struct routes *former, struct str pem)
{
    for (const struct routes_model *m = former ? former->models : NULL; m; m = m->next)
        for (const struct routes_replica *r = m->replicas; r; r = r->next)
            if (r->upstream && r->upstream->tls && str_eq(tls_client_pem(r->upstream->tls), pem))
                return r->upstream->tls;
    return NULL;
}

static void read_authorities(struct wire_reader *json, const struct json *node, void *owner)
{
    struct reading *r = reading_of(json);
    struct str pem = wire_text(json, node);
    struct tls_client *client = find_client(r->former, pem);
    struct err err;
    if (json->error)
        return;
    if (client) {
        tls_client_ref(client);
    } else if (tls_client_from_pem(pem, &client, &err)) {
        wire_fail(json, NULL, "%s", err.message);
        return;
    }
    r->clients = mem_resize(r->clients, (r->client_count + 1) * sizeof(struct tls_client *));
    r->clients[r->client_count++] = client;
}

static void read_upstream(struct wire_reader *json, const struct json *node, void *owner)
{
    struct reading *r = reading_of(json);
    struct routes_replica *replica = owner;
    struct parts parts = {.authorities = SIZE_MAX};
    struct url url;
    wire_read(json, parts_fields, node, &parts);
    if (json->error)
        return;
    const char *problem = upstream_check_key(parts.key);
    if (url_parse(parts.url, &url))
        wire_fail(json, "url", "must be an http:// or https:// URL");
    else if (problem)
        wire_fail(json, "key", "%s", problem);
    else if (url.tls && parts.authorities >= r->client_count)
        wire_fail(json, "authorities", "must be a place in the snapshot's list of %zu",
                  r->client_count);
    else
        replica->upstream =
            upstream_new(parts.url, url.tls ? r->clients[parts.authorities] : NULL, parts.key);
}

static void read_replica(struct wire_reader *json, const struct json *node, void *owner)
{
    struct routes *routes = reading_of(json)->routes;
    struct routes_replica *replica = routes_add_replica(routes, owner, 0, STR_NONE, 0);
    wire_read(json, replica_fields, node, replica);
    wire_inside(json, node, "upstream", read_upstream, replica);
}

static void read_alias(struct wire_reader *json, const struct json *node, void *owner)
{
    routes_add_alias(reading_of(json)->routes, owner, wire_text(json, node));
}

static void read_fallback(struct wire_reader *json, const struct json *node, void *owner)
{
    routes_add_fallback(reading_of(json)->routes, owner, wire_text(json, node));
}

static void read_allowed(struct wire_reader *json, const struct json *node, void *owner)
{
    routes_allow_model(reading_of(json)->routes, owner, wire_text(json, node));
}

static bool is_known(const struct routes *routes, const struct routes_model *model)
{
    const struct routes_model *m = routes->models;
    while (m != model && !str_eq(m->name, model->name))
        m = m->next;
    return m != model;
}

/* Lists to whose front routes.h adds are read from their end: so they keep their order. */
static void read_model(struct wire_reader *json, const struct json *node, void *owner)
{
    struct routes *routes = reading_of(json)->routes;
    struct routes_model *model = routes_add_model(routes, STR_NONE);
    wire_read(json, model_fields, node, model);
    if (is_known(routes, model))
        wire_fail(json, "name", "is that of another model too");
    if (!json_get(node, STR("engineName")))
        model->engine_name = model->name;
    wire_each(json, node, "aliases", WIRE_BACKWARD, read_alias, model);
    wire_each(json, node, "fallbacks", WIRE_FORWARD, read_fallback, model);
    wire_each(json, node, "replicas", WIRE_BACKWARD, read_replica, model);
}

static void read_tenant(struct wire_reader *json, const struct json *node, void *owner)
{
    struct routes_tenant *tenant = routes_add_tenant(reading_of(json)->routes, STR_NONE);
    wire_read(json, tenant_fields, node, tenant);
    wire_each(json, node, "models", WIRE_BACKWARD, read_allowed, tenant);
}

static void read_used(struct wire_reader *json, const struct json *node, void *owner)
{
    struct routes *routes = reading_of(json)->routes;
    routes_add_used(routes, STR_NONE, &(struct limit_usage){0});
    wire_read(json, used_fields, node, routes->used); /* where it was added */
}

int routes_read_json(const struct json *object, const struct routes *former,
                     struct routes **ret_routes, struct err *err)
{
    struct reading r = {.routes = routes_new(0), .former = former};
    struct wire_reader *json = &r.json;
    wire_reader_init(json, &r.routes->arena, err);
    wire_read(json, routes_fields, object, r.routes);
    wire_each(json, object, "authorities", WIRE_FORWARD, read_authorities, NULL);
    wire_each(json, object, "models", WIRE_FORWARD, read_model, NULL);
    wire_each(json, object, "tenants", WIRE_BACKWARD, read_tenant, NULL);
    wire_each(json, object, "used", WIRE_BACKWARD, read_used, NULL);
    for (size_t i = 0; i < r.client_count; i++)
        tls_client_unref(r.clients[i]);
    mem_free(r.clients);
    if (json->error)
        routes_unref(r.routes);
    else
        *ret_routes = r.routes;
    return json->error;
}
