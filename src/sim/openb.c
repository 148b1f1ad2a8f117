/* SPDX-License-Identifier: Apache-2.0 */
/* A run of the openb experiment. */
#include "sim/openb.h"

#include "base/mem.h"
#include "base/rng.h"

enum { SHAPES_MAX = 1024 };

/* Each use of the seed has numbers of its own. */
enum { SEED_NODES, SEED_TASKS, SEED_MORE };

static struct rng rng_for(uint64_t seed, int use)
{
    return rng_from(rng_at(seed, (uint64_t)use));
}

static int64_t demand_of(const struct place_request *r)
{
    return r->gpus ? r->gpus * PLACE_MILLI : r->share_milli;
}

/* Numbers below `count` in an order of chance (Fisher and Yates). */
static uint32_t *new_order(size_t count, struct rng r)
{
    uint32_t *order = mem_array(count, sizeof(*order));
    for (size_t i = 0; i < count; i++) {
        size_t k = rng_below(&r, i + 1);
        order[i] = order[k];
        order[k] = (uint32_t)i;
    }
    return order;
}

/* ---- arrivals ---- */

/* Tasks, by number, in the order in which they arrive. */
struct arrivals {
    uint32_t *tasks; /* own */
    size_t count, cap;
};

static void add_arrival(struct arrivals *a, uint32_t task)
{
    if (a->count == a->cap) {
        a->cap = MAX(a->cap * 2, (size_t)1024);
        a->tasks = mem_resize(a->tasks, a->cap * sizeof(*a->tasks));
    }
    a->tasks[a->count++] = task;
}

static struct arrivals new_arrivals(const struct openb_trace *trace, const struct openb_options *o)
{
    uint32_t *order = new_order(trace->task_count, rng_for(o->seed, SEED_TASKS));
    struct rng more = rng_for(o->seed, SEED_MORE);
    struct arrivals a = {0};
    int64_t demand = 0, most = (int64_t)(o->arrive * (double)trace->gpus * PLACE_MILLI);
    while (a.count < OPENB_ARRIVALS_MAX) {
        uint32_t task = a.count < trace->task_count ? order[a.count]
                                                    : (uint32_t)rng_below(&more, trace->task_count);
        demand += demand_of(&trace->tasks[task]);
        if (demand > most)
            break;
        add_arrival(&a, task);
    }
    mem_free(order);
    return a;
}

/* ---- what is expected ---- */

/* Tasks that ask for the same. */
struct shapes {
    struct place_request *requests; /* own */
    uint32_t *counts;               /* own */
    struct map_node *nodes;         /* own */
    struct map by_request;
    size_t count;
};

static struct str key_of(const struct place_request *r)
{
    return (struct str){(const char *)r, sizeof(*r)};
}

/* Beyond PLACE_EXPECTED_MAX kinds new ones are passed over. */
static void count_task(struct shapes *s, const struct place_request *task)
{
    struct map_node *node = map_find(&s->by_request, key_of(task));
    if (!node && s->count == PLACE_EXPECTED_MAX)
        return;
    if (!node) {
        s->requests[s->count] = *task;
        node = &s->nodes[s->count];
        map_insert(&s->by_request, key_of(&s->requests[s->count++]), node);
    }
    s->counts[node - s->nodes]++;
}

static void set_target(struct place *p, const struct openb_trace *trace)
{
    struct shapes s = {
        .requests = mem_array(PLACE_EXPECTED_MAX, sizeof(struct place_request)),
        .counts = mem_array(PLACE_EXPECTED_MAX, sizeof(uint32_t)),
        .nodes = mem_array(PLACE_EXPECTED_MAX, sizeof(struct map_node)),
    };
    map_init(&s.by_request);
    for (size_t i = 0; i < trace->task_count; i++)
        count_task(&s, &trace->tasks[i]);
    place_set_target(p, s.requests, s.counts, s.count);
    map_fini(&s.by_request);
    mem_free(s.nodes);
    mem_free(s.counts);
    mem_free(s.requests);
}

/* ---- the run ---- */

static void put_nodes(struct place *p, const struct openb_trace *trace, uint64_t seed)
{
    uint32_t *order = new_order(trace->node_count, rng_for(seed, SEED_NODES));
    for (size_t i = 0; i < trace->node_count; i++)
        CHECK(place_node_put(p, &trace->nodes[order[i]]) == 0);
    mem_free(order);
}

static void note(struct openb_result *r, const struct openb_trace *trace)
{
    double one_percent = (double)trace->gpus * PLACE_MILLI / 100;
    int percent = (int)((double)r->arrived_milli / one_percent + 0.5);
    struct openb_point *point = &r->points[percent];
    point->allocated += (double)r->placed_milli / one_percent;
    point->arrivals++;
    r->last = percent;
}

static void arrive(struct place *p, const struct openb_trace *trace, uint32_t number,
                   struct openb_result *r)
{
    const struct place_request *task = &trace->tasks[number];
    const struct place_lease *lease;
    r->arrived++;
    r->arrived_milli += (uint64_t)demand_of(task);
    if (place_allocate(p, r->arrived, task, 0, &lease) == 0) {
        r->placed++;
        r->placed_milli += (uint64_t)demand_of(task);
    }
    note(r, trace);
}

void openb_run(const struct openb_trace *trace, const struct openb_options *options,
               nsec (*clock)(void), struct openb_result *ret_result)
{
    struct openb_result *r = ret_result;
    struct arrivals arrivals = new_arrivals(trace, options);
    struct place p;
    *r = (struct openb_result){0};
    place_init(&p, &(struct place_options){
                       .policy = options->policy,
                       .seed = options->seed,
                       .nodes_max = (unsigned)trace->node_count,
                       .leases_max = (unsigned)MAX(arrivals.count, (size_t)1),
                       .shapes_max = SHAPES_MAX,
                   });
    put_nodes(&p, trace, options->seed);
    set_target(&p, trace);
    nsec begin = clock ? clock() : 0, last = begin;
    for (size_t i = 0; i < arrivals.count; i++) {
        arrive(&p, trace, arrivals.tasks[i], r);
        nsec now = clock ? clock() : 0;
        r->slowest = MAX(r->slowest, now - last);
        last = now;
    }
    r->deciding = last - begin;
    for (int i = 0; i <= r->last; i++)
        if (r->points[i].arrivals)
            r->points[i].allocated /= r->points[i].arrivals;
    place_fini(&p);
    mem_free(arrivals.tasks);
}
