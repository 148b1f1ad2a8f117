/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/gateway.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "core/limit/calendar.h"
#include "gateway/gateway_internal.h"
#include "gateway/meters.h"
#include "gateway/worker.h"
#include "net/port.h"
#include "observe/metrics.h"

enum { WORKERS_MOST = 8 };

struct gateway_options gateway_options_default(void)
{
    return (struct gateway_options){
        .host = STR("127.0.0.1"),
        .port = 8080,
        .limits = http_limits_default(),
        .keepalive = SEC(15),
        .upstream_connect_timeout = SEC(2),
        .upstream_head_timeout = SEC(600),
        .upstream_idle_timeout = SEC(300),
        .access_log = true,
    };
}

static unsigned default_workers(void)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return cores < 1 ? 1 : (unsigned)MIN(cores, WORKERS_MOST);
}

static void give_up(struct gateway *g, unsigned initialised)
{
    for (unsigned i = 0; i < initialised; i++) {
        worker_start(&g->workers[i]);
        worker_stop(&g->workers[i]);
        pthread_join(g->workers[i].thread, NULL);
        worker_fini(&g->workers[i]);
    }
    mem_free(g->workers);
    mem_free(g);
}

int gateway_start(const struct gateway_options *options, struct gateway **ret_gateway,
                  struct err *err)
{
    bool takes_over = options->listener_count > 0;
    int error = takes_over ? 0 : port_check_free(options->host, options->port, err);
    if (error)
        return error;
    struct gateway *g = NEW(struct gateway);
    g->options = *options;
    g->worker_count = takes_over         ? options->listener_count
                      : options->workers ? options->workers
                                         : default_workers();
    g->workers = mem_array(g->worker_count, sizeof(struct worker));
    pthread_mutex_init(&g->mutex, NULL);
    pthread_cond_init(&g->changed, NULL);
    map_init(&g->pools);
    tenants_init(&g->tenants);
    ledger_init(&g->ledger, options->metrics);
    uint16_t port = options->port;
    for (unsigned i = 0; i < g->worker_count; i++) {
        error = worker_init(&g->workers[i], g, &g->options, port,
                            takes_over ? options->listeners[i] : 0, err);
        if (error) {
            give_up(g, i);
            return error;
        }
        port = http_server_port(g->workers[0].server);
    }
    for (unsigned i = 0; i < g->worker_count; i++)
        worker_start(&g->workers[i]);
    *ret_gateway = g;
    return 0;
}

uint16_t gateway_port(const struct gateway *g)
{
    return http_server_port(g->workers[0].server);
}

void gateway_accept(struct gateway *g)
{
    for (unsigned i = 0; i < g->worker_count; i++)
        worker_accept(&g->workers[i]);
}

unsigned gateway_listeners(struct gateway *g, int *ret_listeners, unsigned max)
{
    unsigned count = MIN(g->worker_count, max);
    for (unsigned i = 0; i < count; i++)
        ret_listeners[i] = http_server_listener(g->workers[i].server);
    return count;
}

/* ---- routes ---- */

static struct pool_slot *slot_of(struct gateway *g, struct str name)
{
    struct map_node *node = map_find(&g->pools, name);
    if (node)
        return container_of(node, struct pool_slot, node);
    struct pool_slot *slot = NEW(struct pool_slot);
    slot->home = &g->workers[g->pools.count % g->worker_count];
    slot->pool = model_pool_new(name, slot->home->loop, g->options.metrics);
    model_pool_set_first_lease(slot->pool, g->first_lease);
    map_insert(&g->pools, model_pool_name(slot->pool), &slot->node);
    return slot;
}

static size_t count_models(const struct routes *routes)
{
    size_t count = 0;
    for (const struct routes_model *m = routes->models; m; m = m->next)
        count++;
    return count;
}

static void configure_absent(struct gateway *g)
{
    for (struct map_node *n = map_next(&g->pools, NULL); n; n = map_next(&g->pools, n)) {
        struct pool_slot *slot = container_of(n, struct pool_slot, node);
        if (!slot->wanted)
            model_pool_configure(slot->pool, NULL);
        slot->wanted = false;
    }
}

/* Every pool's queue hears of every tenant; one that is described no more has what everybody has. */
static void configure_tenants(struct gateway *g, const struct table *table)
{
    bool shared = table->tenant_count > 2; /* one of them is TENANT_NOBODY */
    for (struct map_node *p = map_next(&g->pools, NULL); p; p = map_next(&g->pools, p))
        model_pool_set_shared(container_of(p, struct pool_slot, node)->pool, shared);
    pthread_mutex_lock(&g->tenants.mutex);
    for (struct map_node *n = map_next(&g->tenants.map, NULL); n;
         n = map_next(&g->tenants.map, n)) {
        struct tenant *tenant = container_of(n, struct tenant, node);
        const struct table_tenant *entry = table_tenant(table, tenant->name);
        tenant_set_rules(tenant, entry ? &entry->rules->limits : &(struct limit_rules){0});
        for (struct map_node *p = map_next(&g->pools, NULL); p; p = map_next(&g->pools, p))
            model_pool_set_tenant(container_of(p, struct pool_slot, node)->pool, tenant,
                                  entry ? entry->rules->weight : 1,
                                  entry ? entry->rules->queue_length : 0);
    }
    pthread_mutex_unlock(&g->tenants.mutex);
}

/* Gives every worker a table of what is known now. */
static void distribute(struct gateway *g)
{
    struct model_pool **pools = mem_array(count_models(g->routes), sizeof(struct model_pool *));
    size_t i = 0;
    for (const struct routes_model *m = g->routes->models; m; m = m->next)
        pools[i++] = slot_of(g, m->name)->pool;
    struct table *table = table_new(g->routes, pools, g->keys, &g->tenants);
    configure_tenants(g, table);
    for (unsigned w = 0; w < g->worker_count; w++)
        worker_set_table(&g->workers[w], table_ref(table));
    table_unref(table);
    mem_free(pools);
}

static void apply_routes(struct gateway *g, struct routes *routes)
{
    for (const struct routes_model *m = routes->models; m; m = m->next) {
        struct pool_slot *slot = slot_of(g, m->name);
        slot->wanted = true;
        model_pool_configure(slot->pool, m);
    }
    configure_absent(g);
    routes_unref(g->routes);
    g->routes = routes_ref(routes);
    distribute(g);
}

void gateway_set_routes(struct gateway *g, struct routes *routes)
{
    pthread_mutex_lock(&g->mutex);
    if (!g->stopped)
        apply_routes(g, routes);
    pthread_mutex_unlock(&g->mutex);
}

void gateway_set_keys(struct gateway *g, struct key_table *take_keys)
{
    pthread_mutex_lock(&g->mutex);
    key_ring_unref(g->keys);
    g->keys = key_ring_new(take_keys);
    if (g->routes && !g->stopped)
        distribute(g);
    pthread_mutex_unlock(&g->mutex);
}

struct ledger *gateway_ledger(struct gateway *g)
{
    return &g->ledger;
}

struct usage *gateway_take_usage(struct gateway *g, struct arena *a, size_t *ret_count)
{
    return ledger_take(&g->ledger, a, ret_count);
}

static void add_row(struct gateway *g, const struct usage *row)
{
    struct tenant *tenant = tenants_get(&g->tenants, row->tenant, g->routes->used);
    const struct limit_usage usage = {
        .day = row->day,
        .month = calendar_month(calendar_day_start(row->day)),
        .day_tokens = (uint64_t)(row->input_tokens + row->output_tokens),
        .day_spend = (uint64_t)row->cost,
        .month_spend = (uint64_t)row->cost,
    };
    tenant_add_usage(tenant, &usage);
}

void gateway_add_usage(struct gateway *g, const struct usage *rows, size_t count)
{
    pthread_mutex_lock(&g->mutex);
    for (size_t i = 0; i < count; i++)
        add_row(g, &rows[i]);
    pthread_mutex_unlock(&g->mutex);
}

/* ---- records ---- */

bool gateway_write_request(struct gateway *g, struct str id, struct json_writer *w)
{
    for (unsigned i = 0; i < g->worker_count; i++) {
        struct record *record = records_find(&g->workers[i].records, id);
        if (!record)
            continue;
        if (record->state == RECORD_WAITING)
            model_pool_place(record->pool, record->ticket, &record->position,
                             &record->expected_wait);
        record_write(record, w);
        records_unlock(&g->workers[i].records);
        return true;
    }
    return false;
}

static int by_arrival(const void *a, const void *b)
{
    const struct record *x = a, *y = b;
    return (x->arrived_wall < y->arrived_wall) - (x->arrived_wall > y->arrived_wall);
}

void gateway_write_requests(struct gateway *g, size_t max, struct json_writer *w)
{
    struct record *records = mem_array(MAX(g->worker_count * max, (size_t)1), sizeof(*records));
    size_t count = 0;
    for (unsigned i = 0; i < g->worker_count; i++)
        count += records_newest(&g->workers[i].records, records + count, max);
    qsort(records, count, sizeof(*records), by_arrival);
    json_key(w, STR("requests"));
    json_array(w);
    for (size_t i = 0; i < MIN(count, max); i++) {
        json_object(w);
        record_write(&records[i], w);
        json_end(w);
    }
    json_end(w);
    mem_free(records);
}

void gateway_write_load(struct gateway *g, struct json_writer *w)
{
    json_key(w, STR("models"));
    json_array(w);
    pthread_mutex_lock(&g->mutex);
    for (struct map_node *n = map_next(&g->pools, NULL); n; n = map_next(&g->pools, n)) {
        struct pool_slot *slot = container_of(n, struct pool_slot, node);
        struct model_pool_state state = model_pool_state(slot->pool);
        json_object(w);
        json_member_str(w, STR("name"), model_pool_name(slot->pool));
        json_member_u64(w, STR("waiting"), state.queued);
        json_member_u64(w, STR("running"), state.running);
        json_member_u64(w, STR("slots"), state.slots);
        json_end(w);
    }
    pthread_mutex_unlock(&g->mutex);
    json_end(w);
}

/* ---- metrics ---- */

/* A counter that somebody else keeps. */
static void catch_up(struct metric *counter, uint64_t value)
{
    metric_add(counter, (double)value - metric_value(counter));
}

void gateway_write_metrics(struct gateway *g, struct buf *out)
{
    pthread_mutex_lock(&g->mutex);
    for (struct map_node *n = map_next(&g->pools, NULL); n; n = map_next(&g->pools, n)) {
        struct pool_slot *slot = container_of(n, struct pool_slot, node);
        struct model_pool_state state = model_pool_state(slot->pool);
        struct model_meters *m = model_pool_meters(slot->pool);
        metric_set(m->queue_length, (double)state.queued);
        metric_set(m->running, state.running);
        metric_set(m->slots, state.slots);
        catch_up(m->prefix_inserted, state.prefix_inserted);
        catch_up(m->prefix_evicted, state.prefix_evicted);
        catch_up(m->prefix_dropped, state.prefix_dropped);
        metric_set(m->prefix_blocks, (double)state.prefix_blocks);
        metric_set(m->prefix_capacity, (double)state.prefix_capacity);
    }
    pthread_mutex_unlock(&g->mutex);
    metrics_write(g->options.metrics, METRICS_PROMETHEUS, out);
}

/* ---- the end ---- */

void gateway_worker_drained(struct gateway *g)
{
    pthread_mutex_lock(&g->mutex);
    g->drained++;
    pthread_cond_signal(&g->changed);
    pthread_mutex_unlock(&g->mutex);
}

void gateway_stop_timers(struct gateway *g, const struct worker *w)
{
    pthread_mutex_lock(&g->mutex);
    for (struct map_node *n = map_next(&g->pools, NULL); n; n = map_next(&g->pools, n)) {
        struct pool_slot *slot = container_of(n, struct pool_slot, node);
        if (slot->home == w)
            model_pool_stop(slot->pool);
    }
    pthread_mutex_unlock(&g->mutex);
}

/*
 * In two steps, because workers post mail to one another's loops until the last request has ended: first all
 * drain, then all stop.
 */
void gateway_drain(struct gateway *g, nsec grace)
{
    for (unsigned i = 0; i < g->worker_count; i++)
        worker_drain(&g->workers[i], grace);
    pthread_mutex_lock(&g->mutex);
    while (g->drained < g->worker_count)
        pthread_cond_wait(&g->changed, &g->mutex);
    g->stopped = true;
    pthread_mutex_unlock(&g->mutex);
    for (unsigned i = 0; i < g->worker_count; i++)
        worker_stop(&g->workers[i]);
    for (unsigned i = 0; i < g->worker_count; i++)
        pthread_join(g->workers[i].thread, NULL);
}

void gateway_hurry(struct gateway *g)
{
    for (unsigned i = 0; i < g->worker_count; i++)
        worker_hurry(&g->workers[i]);
}

void gateway_free(struct gateway *g)
{
    if (!g)
        return;
    for (unsigned i = 0; i < g->worker_count; i++)
        worker_fini(&g->workers[i]);
    for (struct map_node *n = map_next(&g->pools, NULL), *next; n; n = next) {
        next = map_next(&g->pools, n);
        struct pool_slot *slot = container_of(n, struct pool_slot, node);
        map_remove(&g->pools, n);
        model_pool_unref(slot->pool);
        mem_free(slot);
    }
    map_fini(&g->pools);
    ledger_fini(&g->ledger); /* its rows name tenants */
    tenants_fini(&g->tenants);
    routes_unref(g->routes);
    key_ring_unref(g->keys);
    mem_free(g->workers);
    mem_free(g);
}
