/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/ledger.h"

#include "base/mem.h"
#include "core/limit/calendar.h"
#include "gateway/model_pool.h"
#include "gateway/tenants.h"
#include "observe/metrics.h"

/* The bytes of it are the key: no padding. */
struct row_key {
    const struct tenant *tenant;
    const struct model_pool *pool;
    int64_t day;
};

struct row {
    struct map_node node;
    struct row_key key;
    struct usage usage;
    struct metric *input, *cached, *output; /* tokens; looked up once for many requests */
};

void ledger_init(struct ledger *l, struct metrics *metrics)
{
    l->metrics = metrics;
    pthread_mutex_init(&l->mutex, NULL);
    map_init(&l->rows);
}

void ledger_fini(struct ledger *l)
{
    struct arena a;
    size_t count;
    arena_init(&a, SIZE_MAX);
    (void)ledger_take(l, &a, &count);
    arena_fini(&a);
    map_fini(&l->rows);
    pthread_mutex_destroy(&l->mutex);
}

static struct metric *tokens(struct ledger *l, const struct row_key *key, const char *kind)
{
    static const struct metric_spec spec = {METRIC_COUNTER,
                                            "fairway_tokens_total",
                                            "Tokens that tenants used; cached ones are input too",
                                            {"model_name", "tenant", "kind"},
                                            NULL,
                                            0};
    const struct str values[] = {model_pool_name(key->pool), key->tenant->name, str_from(kind)};
    return metric_series(metrics_family(l->metrics, &spec), values);
}

static struct row *row_of(struct ledger *l, const struct row_key *key)
{
    struct str bytes = {(const char *)key, sizeof(*key)};
    struct map_node *node = map_find(&l->rows, bytes);
    if (node)
        return container_of(node, struct row, node);
    struct row *row = NEW(struct row);
    row->key = *key;
    row->usage.day = key->day;
    row->usage.tenant = key->tenant->name;
    row->usage.model = model_pool_name(key->pool);
    row->input = tokens(l, key, "input");
    row->cached = tokens(l, key, "cached");
    row->output = tokens(l, key, "output");
    bytes.ptr = (const char *)&row->key;
    map_insert(&l->rows, bytes, &row->node);
    return row;
}

void ledger_add(struct ledger *l, const struct tenant *tenant, const struct model_pool *pool,
                nsec wall, const struct usage *used)
{
    const struct row_key key = {tenant, pool, calendar_day(wall)};
    pthread_mutex_lock(&l->mutex);
    struct row *row = row_of(l, &key);
    struct usage *u = &row->usage;
    u->requests++;
    u->input_tokens += used->input_tokens;
    u->cached_tokens += used->cached_tokens;
    u->output_tokens += used->output_tokens;
    u->cost += used->cost;
    metric_add(row->input, (double)used->input_tokens);
    metric_add(row->cached, (double)used->cached_tokens);
    metric_add(row->output, (double)used->output_tokens);
    pthread_mutex_unlock(&l->mutex);
}

struct usage *ledger_take(struct ledger *l, struct arena *a, size_t *ret_count)
{
    size_t count = 0;
    pthread_mutex_lock(&l->mutex);
    struct usage *rows = arena_array(a, MAX(l->rows.count, (size_t)1), sizeof(struct usage));
    CHECK(rows);
    for (struct map_node *n = map_next(&l->rows, NULL); n; n = map_next(&l->rows, NULL)) {
        struct row *row = container_of(n, struct row, node);
        rows[count++] = row->usage;
        map_remove(&l->rows, n);
        mem_free(row);
    }
    pthread_mutex_unlock(&l->mutex);
    *ret_count = count;
    return rows;
}
