/* SPDX-License-Identifier: Apache-2.0 */
/* The one Node of this runtime: the machine itself. What is wanted of it (cordon) is stored, what it has is looked up. */
#include <ctype.h>
#include <unistd.h>

#include "api/node.h"
#include "base/clock.h"
#include "controller/admin_internal.h"
#include "controller/gpus.h"
#include "store/store.h"

enum { NODE_ARENA_MAX = 1024 * 1024, CPU_MILLI = 1000 };

struct str controller_node_name(char text[RESOURCE_NAME_MAX + 1])
{
    char host[256] = "";
    size_t len = 0;
    (void)gethostname(host, sizeof(host) - 1);
    for (; host[len] && host[len] != '.' && len < RESOURCE_NAME_MAX; len++)
        text[len] =
            isalnum((unsigned char)host[len]) ? (char)tolower((unsigned char)host[len]) : '-';
    text[len] = 0;
    bool fits = len > 0 && text[0] != '-' && text[len - 1] != '-';
    return fits ? (struct str){text, len} : STR("localhost");
}

void node_load(struct controller *c)
{
    char text[RESOURCE_NAME_MAX + 1];
    struct resource *stored;
    struct arena a;
    struct err err;
    arena_init(&a, NODE_ARENA_MAX);
    c->cordoned = false;
    c->node_memory = c->node_cpu = 0;
    if (store_get(c->store, &a, &node_kind, controller_node_name(text), &stored, &err) == 0) {
        c->cordoned = node_from(stored)->spec.cordon;
        c->node_memory = (uint64_t)node_from(stored)->spec.memory;
        c->node_cpu = (uint64_t)node_from(stored)->spec.cpu;
    }
    arena_fini(&a);
}

static int64_t cpu_of(const struct controller *c)
{
    int64_t there = sysconf(_SC_NPROCESSORS_ONLN) * CPU_MILLI;
    return c->node_cpu ? (int64_t)c->node_cpu : there;
}

/* MiB: the least of what is there and what may be used; not known: no limit. */
static int64_t memory_of(const struct controller *c)
{
    uint64_t there = machine_memory().total, limit = c->node_memory ? c->node_memory : there;
    uint64_t memory = there ? MIN(there, limit) : limit;
    return memory ? (int64_t)(memory >> 20) : PLACE_AMOUNT_MAX;
}

void node_place(struct controller *c)
{
    struct gpu_inventory gpus;
    if (!gpus_last(c->gpus, 0, &gpus))
        gpus = (struct gpu_inventory){0};
    const struct cluster_machine machine = {
        .gpus = &gpus,
        .cpu = c->unlimited ? PLACE_AMOUNT_MAX : cpu_of(c),
        .memory = c->unlimited ? PLACE_AMOUNT_MAX : memory_of(c),
        .closed = c->cordoned,
    };
    cluster_set_machine(c->cluster, &machine, clock_now());
}

static void put_node(struct json_writer *w, struct controller *c, struct str name)
{
    struct machine_memory memory = machine_memory();
    json_object(w);
    json_member_str(w, STR("apiVersion"), STR("fairway.dev/v1"));
    json_member_str(w, STR("kind"), STR("Node"));
    json_key(w, STR("metadata"));
    json_object(w);
    json_member_str(w, STR("name"), name);
    json_end(w);
    json_key(w, STR("spec"));
    json_object(w);
    json_key(w, STR("cordon"));
    json_bool(w, c->cordoned);
    if (c->node_cpu)
        json_member_double(w, STR("cpu"), (double)c->node_cpu / CPU_MILLI);
    if (c->node_memory)
        json_member_int(w, STR("memory"), (int64_t)c->node_memory);
    json_end(w);
    json_key(w, STR("status"));
    json_object(w);
    json_member_int(w, STR("cpu"), sysconf(_SC_NPROCESSORS_ONLN));
    json_member_int(w, STR("memory"), (int64_t)memory.total);
    json_member_int(w, STR("memoryFree"), (int64_t)memory.available);
    admin_put_node_gpus(c, w);
    json_end(w);
    json_end(w);
}

void admin_get_nodes(struct controller *c, struct http_exchange *x, struct str rest)
{
    char text[RESOURCE_NAME_MAX + 1];
    struct admin_reply r;
    admin_begin(&r);
    json_object(&r.json);
    json_key(&r.json, STR("items"));
    json_array(&r.json);
    put_node(&r.json, c, controller_node_name(text));
    json_end(&r.json);
    json_end(&r.json);
    admin_send(&r, x, 200);
}

static int no_such_node(struct str name, struct err *err)
{
    char text[RESOURCE_NAME_MAX + 1];
    struct str own = controller_node_name(text);
    if (str_eq(name, own))
        return 0;
    return err_set(err, ERR_NOT_FOUND, "there is no node '%.*s'; this machine is '%.*s'",
                   STR_ARG(name), STR_ARG(own));
}

void admin_get_node(struct controller *c, struct http_exchange *x, struct str name)
{
    struct admin_reply r;
    struct err err;
    if (no_such_node(name, &err)) {
        admin_fail(x, &err);
        return;
    }
    admin_begin(&r);
    put_node(&r.json, c, name);
    admin_send(&r, x, 200);
}

static int store_node(struct controller *c, struct arena *a, struct str name, struct str body,
                      enum store_outcome *ret_outcome, struct err *err)
{
    struct resource *wanted, *stored;
    struct json *tree;
    int error = no_such_node(name, err);
    if (!error)
        error = json_parse(a, body, &tree, err);
    if (!error)
        error = resource_decode(a, tree, &wanted, err);
    if (!error && (wanted->type != &node_kind || !str_eq(wanted->metadata.name, name)))
        error = err_set(err, ERR_INVALID, "kind, metadata.name: this URL takes the Node '%.*s'",
                        STR_ARG(name));
    if (!error)
        error = store_put(c->store, a, wanted, clock_wall(), &stored, ret_outcome, err);
    return error;
}

void admin_put_node(struct controller *c, struct http_exchange *x, struct str name)
{
    enum store_outcome outcome = STORE_UNCHANGED;
    struct admin_reply r;
    struct arena a;
    struct err err;
    arena_init(&a, NODE_ARENA_MAX);
    if (store_node(c, &a, name, http_exchange_request(x)->body, &outcome, &err)) {
        admin_fail(x, &err);
    } else {
        node_load(c);
        node_place(c);
        admin_begin(&r);
        json_object(&r.json);
        json_member_str(&r.json, STR("outcome"), admin_outcome(outcome));
        json_key(&r.json, STR("object"));
        put_node(&r.json, c, name);
        json_end(&r.json);
        admin_send(&r, x, 200);
    }
    arena_fini(&a);
    reconcile(c);
}
