/* SPDX-License-Identifier: Apache-2.0 */
#include "api/gateway_sync.h"

#include "api/wire.h"

#define AT(member) WIRE_AT(struct sync_tenant, member)
static const struct wire_field tenant_fields[] = {
    {"name", WIRE_TEXT, AT(name), .required = true},
    {"requests", WIRE_UNSIGNED, AT(did.charge.requests)},
    {"tokens", WIRE_UNSIGNED, AT(did.charge.tokens)},
    {"running", WIRE_UNSIGNED, AT(did.charge.running)},
    {"heldTokens", WIRE_UNSIGNED, AT(did.charge.held_tokens)},
    {"heldCost", WIRE_UNSIGNED, AT(did.charge.held_cost)},
    {"settledTokens", WIRE_UNSIGNED, AT(did.settled_tokens)},
    {"settledCost", WIRE_UNSIGNED, AT(did.settled_cost)},
    {"levelRequests", WIRE_UNSIGNED, AT(level_requests)},
    {"levelTokens", WIRE_UNSIGNED, AT(level_tokens)},
    {.name = NULL},
};
#undef AT

#define AT(member) WIRE_AT(struct sync_model, member)
static const struct wire_field model_fields[] = {
    {"name", WIRE_TEXT, AT(name), .required = true},
    {"waiting", WIRE_UNSIGNED, AT(waiting)},
    {.name = NULL},
};
#undef AT

#define AT(member) WIRE_AT(struct sync_replica, member)
static const struct wire_field replica_fields[] = {
    {"id", WIRE_UNSIGNED, AT(id), .required = true},
    {"count", WIRE_UNSIGNED, AT(count)},
    {.name = NULL},
};
#undef AT

#define AT(member) WIRE_AT(struct sync_report, member)
static const struct wire_field report_fields[] = {
    {"gateway", WIRE_TEXT, AT(gateway), .required = true},
    {"address", WIRE_TEXT, AT(address)},
    {"version", WIRE_TEXT, AT(version)},
    {"controller", WIRE_TEXT, AT(controller)},
    {"sequence", WIRE_UNSIGNED, AT(sequence), .required = true},
    {"orders", WIRE_UNSIGNED, AT(orders)},
    {"routes", WIRE_UNSIGNED, AT(routes)},
    {"keys", WIRE_UNSIGNED, AT(keys)},
    {"leaving", WIRE_BOOL, AT(leaving)},
    {.name = NULL},
};
#undef AT

#define AT(member) WIRE_AT(struct sync_orders, member)
static const struct wire_field orders_fields[] = {
    {"controller", WIRE_TEXT, AT(controller), .required = true},
    {"number", WIRE_UNSIGNED, AT(number), .required = true},
    {"joined", WIRE_BOOL, AT(joined)},
    {"keysVersion", WIRE_UNSIGNED, AT(keys_version)},
    {.name = NULL},
};
#undef AT

/* ---- writing ---- */

static void write_model(const struct sync_model *m, struct json_writer *w)
{
    json_object(w);
    wire_write(model_fields, m, w);
    json_key(w, STR("replicas"));
    json_array(w);
    for (const struct sync_replica *r = m->replicas; r; r = r->next) {
        json_object(w);
        wire_write(replica_fields, r, w);
        json_end(w);
    }
    json_end(w);
    json_end(w);
}

static void write_state(const struct sync_state *s, struct json_writer *w)
{
    json_key(w, STR("tenants"));
    json_array(w);
    for (const struct sync_tenant *t = s->tenants; t; t = t->next) {
        json_object(w);
        wire_write(tenant_fields, t, w);
        json_end(w);
    }
    json_end(w);
    json_key(w, STR("models"));
    json_array(w);
    for (const struct sync_model *m = s->models; m; m = m->next)
        write_model(m, w);
    json_end(w);
}

void sync_report_write(const struct sync_report *r, struct json_writer *w)
{
    json_object(w);
    wire_write(report_fields, r, w);
    write_state(&r->state, w);
    json_end(w);
}

void sync_orders_write(const struct sync_orders *o, struct json_writer *w)
{
    wire_write(orders_fields, o, w);
    write_state(&o->state, w);
}

/* ---- reading: in front of each list, from its end ---- */

#define NEW_ITEM(reader, type, ret_item)                                       \
    type *ret_item = ARENA_NEW((reader)->arena, type);                         \
    if (!ret_item) {                                                           \
        wire_fail(reader, NULL, "is too much: the whole message has no room"); \
        return;                                                                \
    }

static void read_tenant(struct wire_reader *r, const struct json *node, void *owner)
{
    struct sync_state *state = owner;
    NEW_ITEM(r, struct sync_tenant, tenant)
    wire_read(r, tenant_fields, node, tenant);
    tenant->next = state->tenants;
    state->tenants = tenant;
}

static void read_replica(struct wire_reader *r, const struct json *node, void *owner)
{
    struct sync_model *model = owner;
    NEW_ITEM(r, struct sync_replica, replica)
    wire_read(r, replica_fields, node, replica);
    replica->next = model->replicas;
    model->replicas = replica;
}

static void read_model(struct wire_reader *r, const struct json *node, void *owner)
{
    struct sync_state *state = owner;
    NEW_ITEM(r, struct sync_model, model)
    wire_read(r, model_fields, node, model);
    wire_each(r, node, "replicas", WIRE_BACKWARD, read_replica, model);
    model->next = state->models;
    state->models = model;
}

static int read_message(struct arena *a, const struct json *tree, const struct wire_field *fields,
                        void *message, struct sync_state *state, struct err *err)
{
    struct wire_reader r;
    wire_reader_init(&r, a, err);
    wire_read(&r, fields, tree, message);
    wire_each(&r, tree, "tenants", WIRE_BACKWARD, read_tenant, state);
    wire_each(&r, tree, "models", WIRE_BACKWARD, read_model, state);
    return r.error;
}

int sync_report_read(struct arena *a, const struct json *tree, struct sync_report *ret_report,
                     struct err *err)
{
    struct sync_report report = {0};
    int error = read_message(a, tree, report_fields, &report, &report.state, err);
    if (!error)
        *ret_report = report;
    return error;
}

int sync_orders_read(struct arena *a, const struct json *tree, struct sync_orders *ret_orders,
                     struct err *err)
{
    struct sync_orders orders = {.routes = json_get(tree, STR("routes")),
                                 .keys = json_get(tree, STR("keys"))};
    int error = read_message(a, tree, orders_fields, &orders, &orders.state, err);
    if (!error)
        *ret_orders = orders;
    return error;
}
