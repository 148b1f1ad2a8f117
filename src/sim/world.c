/* SPDX-License-Identifier: Apache-2.0 */
/* The cluster, the quotas and the classes of a run. */
#include <stdio.h>

#include "base/mem.h"
#include "gpu/simulated.h"
#include "sim/world_internal.h"

enum {
    MIB_BITS = 20,
    LEASES_PER_GPU = 16,
    LEASES_PER_NODE = 64,
    RETRIES_GROW = 60, /* the longest time until it is tried again, in times of the first */
    SHAPES_MAX = SIM_CLASSES_MAX,
};
#define WORLD_MEMORY ((size_t)1 << 30)

/* ---- numbers for names ---- */

static int number_find(const struct numbers *n, struct str name)
{
    for (int i = 0; i < n->count; i++)
        if (str_eq(n->names[i], name))
            return i;
    return PLACE_NONE;
}

static int number_of(struct numbers *n, struct str name, int most)
{
    int number = number_find(n, name);
    if (number != PLACE_NONE || n->count == most)
        return number;
    n->names[n->count] = name;
    return n->count++;
}

/* Labels are numbered when a class asks for them; what nobody asks for has no number. */
static struct str label_text(struct arena *a, const struct schema_pair *pair)
{
    return arena_printf(a, "%.*s=%.*s", STR_ARG(pair->key), STR_ARG(pair->value));
}

static int too_many(struct world *w, const char *what)
{
    return err_set(w->err, ERR_FULL, "more than %d %s", PLACE_NAMES_MAX, what);
}

static int ask_labels(struct world *w, const struct schema_map *labels, struct place_set *set)
{
    for (size_t i = 0; i < labels->count; i++) {
        struct str text = label_text(&w->memory, &labels->items[i]);
        int number = number_of(&w->labels, text, PLACE_NAMES_MAX);
        if (number == PLACE_NONE)
            return too_many(w, "labels are asked for");
        place_set_add(set, (unsigned)number);
    }
    return 0;
}

static int name_taints(struct world *w, const struct schema_strings *taints, struct place_set *set)
{
    for (size_t i = 0; i < taints->count; i++) {
        int number = number_of(&w->taints, taints->items[i], PLACE_NAMES_MAX);
        if (number == PLACE_NONE)
            return too_many(w, "taints");
        place_set_add(set, (unsigned)number);
    }
    return 0;
}

/* ---- machines ---- */

void world_put_machine_name(const struct machine *m, struct buf *out)
{
    buf_put(out, m->group->name);
    if (m->group->count > 1)
        buf_printf(out, "-%u", m->number);
}

const struct machine *world_machine(const struct world *w, uint64_t node)
{
    return &w->machines[node - 1];
}

static int set_gpus(struct world *w, const struct scenario_nodes *group,
                    struct place_node_spec *spec)
{
    struct gpu_inventory inventory = {0};
    int error =
        group->gpus.len ? gpu_simulated_parse(group->gpus, group->name, &inventory, w->err) : 0;
    for (int i = 0; !error && i < inventory.count; i++) {
        struct str model = arena_dup(&w->memory, str_from(inventory.devices[i].model));
        int number = number_of(&w->models, model, PLACE_MODELS_MAX);
        if (number == PLACE_NONE)
            return err_set(w->err, ERR_FULL, "more than %d models of GPUs", PLACE_MODELS_MAX);
        spec->gpus[i] = gpu_place_spec(&inventory.devices[i], (uint8_t)number);
        spec->gpu_count++;
    }
    return error;
}

static int describe_group(struct world *w, const struct scenario_nodes *group,
                          struct place_node_spec *spec)
{
    *spec = (struct place_node_spec){
        .cpu = group->cpu, .memory = group->memory >> MIB_BITS, .spot = group->spot};
    for (size_t i = 0; i < group->labels.count; i++) {
        struct str text = label_text(&w->memory, &group->labels.items[i]);
        int number = number_find(&w->labels, text);
        if (number != PLACE_NONE)
            place_set_add(&spec->labels, (unsigned)number);
    }
    int error = name_taints(w, &group->taints, &spec->taints);
    int zone = number_of(&w->zones, group->zone, PLACE_NAMES_MAX);
    if (!error && zone == PLACE_NONE)
        error = err_set(w->err, ERR_FULL, "more than %d zones", PLACE_NAMES_MAX);
    spec->zone = (uint8_t)zone;
    return error ? error : set_gpus(w, group, spec);
}

static int add_machines(struct world *w)
{
    const struct scenario *s = w->scenario;
    for (size_t i = 0; i < s->nodes.count; i++) {
        const struct scenario_nodes *group = &scenario_nodes(s)[i];
        struct place_node_spec spec;
        int error = describe_group(w, group, &spec);
        if (error)
            return error;
        for (unsigned k = 1; k <= group->count; k++) {
            spec.id = w->machine_count + 1;
            w->machines[w->machine_count++] =
                (struct machine){.spec = spec, .group = group, .number = k};
            w->result->gpus += (uint64_t)spec.gpu_count;
        }
    }
    w->result->nodes = w->machine_count;
    return 0;
}

static size_t count_machines(const struct scenario *s)
{
    size_t count = 0;
    for (size_t i = 0; i < s->nodes.count; i++)
        count += (size_t)scenario_nodes(s)[i].count;
    return count;
}

/* ---- quotas ---- */

static int64_t limit(int64_t parts, int shift, int64_t left_out)
{
    return parts == SCENARIO_LEFT_OUT ? left_out : parts >> shift;
}

static struct quota_amount amount_of(const struct scenario_limits *l, int64_t left_out)
{
    struct quota_amount a;
    for (int r = 0; r < QUOTA_RESOURCES; r++)
        a.of[r] = left_out;
    a.of[0] = limit(l->gpus, 0, left_out); /* all models are one class */
    a.of[QUOTA_CPU] = limit(l->cpu, 0, left_out);
    a.of[QUOTA_MEMORY] = limit(l->memory, MIB_BITS, left_out);
    return a;
}

static void find_limits(struct world *w)
{
    for (size_t i = 0; i < w->scenario->queues.count; i++) {
        const struct scenario_limits *l = &scenario_queues(w->scenario)[i].nominal;
        w->limits_gpus |= l->gpus != SCENARIO_LEFT_OUT;
        w->limits_cpu |= l->cpu != SCENARIO_LEFT_OUT;
        w->limits_memory |= l->memory != SCENARIO_LEFT_OUT;
    }
}

/* GPUs are counted even if nothing limits them: whose turn it is and whose eviction loses the least go by
 * them. */
static struct quota_amount nominal_of(const struct world *w, const struct scenario_limits *l)
{
    struct quota_amount a = amount_of(l, 0);
    if (!w->limits_gpus)
        a.of[0] = QUOTA_AMOUNT_MAX;
    return a;
}

static int add_queues(struct world *w)
{
    const struct scenario *s = w->scenario;
    const struct scenario_queue unlimited = {
        .weight = 1, .nominal = {-1, -1, -1}, .borrowing = {-1, -1, -1}, .lending = {-1, -1, -1}};
    size_t count = MAX(s->queues.count, (size_t)1);
    for (size_t i = 0; i < count; i++) {
        const struct scenario_queue *q = s->queues.count ? &scenario_queues(s)[i] : &unlimited;
        int parent = QUOTA_NONE;
        for (size_t k = 0; q->parent.len && k < i; k++)
            if (str_eq(scenario_queues(s)[k].name, q->parent))
                parent = w->queues[k];
        struct quota_spec spec = {.nominal = nominal_of(w, &q->nominal),
                                  .borrowing = amount_of(&q->borrowing, QUOTA_NO_LIMIT),
                                  .lending = amount_of(&q->lending, QUOTA_NO_LIMIT),
                                  .weight = (uint32_t)q->weight};
        if (quota_add(&w->quota, parent, &spec, 0, &w->queues[i]))
            return err_set(w->err, ERR_FULL, "queues[%zu]: cohorts are more than %d levels deep", i,
                           QUOTA_DEPTH_MAX);
    }
    return 0;
}

static int queue_number(const struct world *w, struct str name)
{
    for (size_t i = 0; i < w->scenario->queues.count; i++)
        if (str_eq(scenario_queues(w->scenario)[i].name, name))
            return w->queues[i];
    return w->queues[0];
}

/* Of a request for memory of a GPU alone: what that is of the smallest GPU that has it. */
static int64_t milli_of(const struct world *w, const struct place_request *r)
{
    int64_t most = 0;
    if (r->gpus || r->share_milli || !r->share_mib)
        return r->gpus ? r->gpus * PLACE_MILLI : r->share_milli;
    for (size_t i = 0; i < w->machine_count; i++) {
        const struct place_node_spec *spec = &w->machines[i].spec;
        for (int g = 0; g < spec->gpu_count; g++) {
            struct place_share share;
            if (place_share_of(&spec->gpus[g], r, &share))
                most = MAX(most, (int64_t)share.milli);
        }
    }
    return most;
}

static struct quota_amount against_quota(const struct world *w, const struct place_request *r)
{
    struct quota_amount a = {0};
    a.of[0] = milli_of(w, r);
    a.of[QUOTA_CPU] = w->limits_cpu ? r->cpu : 0;
    a.of[QUOTA_MEMORY] = w->limits_memory ? r->memory : 0;
    return a;
}

/* ---- classes ---- */

/* One that no node has gets a number only if its class may wait for it. */
static int model_number(void *ctx, struct str model)
{
    struct world *w = ctx;
    return w->scenario->may_not_fit ? number_of(&w->models, model, PLACE_MODELS_MAX)
                                    : number_find(&w->models, model);
}

/* What classes of both kinds ask for of nodes. */
struct wish {
    struct str name;
    const struct resources *resources;
    const struct schema_map *labels;
    const struct schema_strings *tolerations;
    bool spot;
};

static struct wish wish_of(const struct class *c)
{
    const struct scenario_job *j = c->job;
    const struct scenario_service *s = c->service;
    if (j)
        return (struct wish){j->name, &j->resources, &j->node_labels, &j->tolerations, j->spot};
    return (struct wish){s->name, &s->resources, &s->node_labels, &s->tolerations, s->spot};
}

static int set_request(struct world *w, struct class *c, const struct place_set *labels)
{
    struct wish wish = wish_of(c);
    struct place_request *r = &c->spec.request;
    int error = resources_request(wish.resources, model_number, w, r, w->err);
    if (error) {
        w->err->code = ERR_INVALID;
        return err_wrap(w->err, ERR_INVALID, "%.*s", STR_ARG(wish.name));
    }
    r->labels = *labels;
    r->spot = wish.spot;
    if (c->service && c->service->spread != PLACE_NO_SPREAD) {
        r->spread = (uint32_t)c->service->spread;
        r->group = (uint32_t)(c - w->classes) + 1;
    }
    error = name_taints(w, wish.tolerations, &r->tolerations);
    c->spec.amount = against_quota(w, r);
    return error;
}

static int check_fits(struct world *w, const struct class *c)
{
    struct place_choice choice;
    struct str name = c->tally->name;
    int error = place_choose(&w->place, 1, &c->spec.request, &choice);
    if (!error)
        return 0;
    return err_set(w->err, ERR_INVALID,
                   "%.*s: fits on no node, not even on an empty one; ask for less, or add nodes "
                   "that have it",
                   STR_ARG(name));
}

static struct rng rng_for(const struct world *w, size_t class, unsigned use)
{
    return rng_from(rng_at(w->options.seed, 3 * class + use));
}

static void describe_class(struct world *w, struct class *c, size_t i)
{
    const struct scenario *s = w->scenario;
    bool is_job = i < s->jobs.count;
    *c = (struct class){.tally = &w->result->classes[i],
                        .arrivals = rng_for(w, i + 1, 0),
                        .durations = rng_for(w, i + 1, 1),
                        .estimates = rng_for(w, i + 1, 2)};
    list_init(&c->wanted);
    hist_init(&c->tally->wait);
    if (is_job) {
        const struct scenario_job *j = c->job = &scenario_jobs(s)[i];
        c->start = j->start;
        c->checkpoint = j->checkpoint;
        c->grace = j->grace;
        c->until = j->arrivals.until ? MIN(j->arrivals.until, s->duration) : s->duration;
        c->spec = (struct sched_spec){
            .queue = queue_number(w, j->queue),
            .priority = (int)j->priority,
            .preemptible = j->preemptible,
            .members_min = (unsigned)(j->min_members ? j->min_members : j->members),
            .members_max = (unsigned)j->members,
            .start_cost = j->start,
        };
        c->tally->name = j->name;
        c->tally->queue = j->queue;
        return;
    }
    const struct scenario_service *v = c->service = &scenario_services(s)[i - s->jobs.count];
    c->start = v->load;
    c->spec = (struct sched_spec){.queue = queue_number(w, v->queue),
                                  .priority = (int)v->priority,
                                  .inference = true,
                                  .preemptible = v->preemptible,
                                  .members_min = 1,
                                  .members_max = 1,
                                  .start_cost = v->load};
    c->tally->name = v->name;
    c->tally->queue = v->queue;
    c->tally->service = true;
}

static void set_target(struct world *w)
{
    struct place_request requests[SIM_CLASSES_MAX];
    uint32_t counts[SIM_CLASSES_MAX];
    for (size_t i = 0; i < w->class_count; i++) {
        double expected = class_expected(w, &w->classes[i]);
        requests[i] = w->classes[i].spec.request;
        counts[i] = (uint32_t)MIN(MAX(expected, 1.0), 1e9);
    }
    place_set_target(&w->place, requests, counts, w->class_count);
}

/* ---- all ---- */

static bool event_before(const struct heap_node *a, const struct heap_node *b)
{
    const struct event *x = container_of(a, const struct event, node);
    const struct event *y = container_of(b, const struct event, node);
    return x->at != y->at ? x->at < y->at : x->order < y->order;
}

static void init_core(struct world *w)
{
    const struct scenario *s = w->scenario;
    size_t leases = w->result->gpus * LEASES_PER_GPU + w->machine_count * LEASES_PER_NODE +
                    2 * (size_t)SCHED_MEMBERS_MAX;
    place_init(&w->place, &(struct place_options){.policy = w->options.policy,
                                                  .seed = w->options.seed,
                                                  .nodes_max = (unsigned)w->machine_count,
                                                  .leases_max = (unsigned)leases,
                                                  .shapes_max = SHAPES_MAX});
    struct sched_options options = sched_options_default();
    options.workloads_max = SCENARIO_WAITING_MAX;
    options.backoff_min = s->retry;
    options.backoff_max = s->retry * RETRIES_GROW;
    w->sched = NEW(struct sched);
    sched_init(w->sched, &options, &w->place, &w->quota);
}

/* Labels before machines (who asks for them numbers them), machines before requests (models). */
static int init_classes(struct world *w, struct place_set *labels)
{
    int error = 0;
    for (size_t i = 0; !error && i < w->class_count; i++) {
        describe_class(w, &w->classes[i], i);
        error = ask_labels(w, wish_of(&w->classes[i]).labels, &labels[i]);
    }
    error = error ? error : add_machines(w);
    for (size_t i = 0; !error && i < w->class_count; i++)
        error = set_request(w, &w->classes[i], &labels[i]);
    return error;
}

static int start_machines(struct world *w)
{
    for (size_t i = 0; i < w->machine_count; i++) {
        w->machines[i].down_count = 1;
        world_machine_up(w, &w->machines[i]);
    }
    set_target(w);
    int error = 0;
    for (size_t i = 0; !error && !w->scenario->may_not_fit && i < w->class_count; i++)
        error = check_fits(w, &w->classes[i]);
    return error;
}

int world_init(struct world *w, struct arena *a)
{
    const struct scenario *s = w->scenario;
    struct place_set labels[SIM_CLASSES_MAX] = {0};
    arena_init(&w->memory, WORLD_MEMORY);
    heap_init(&w->events, event_before);
    list_init(&w->tasks);
    quota_init(&w->quota, s->half_life);
    w->faults = rng_for(w, 0, 0);
    w->class_count = s->jobs.count + s->services.count;
    w->classes = arena_array(&w->memory, w->class_count, sizeof(*w->classes));
    w->machines = arena_array(&w->memory, count_machines(s), sizeof(*w->machines));
    w->result->classes = arena_array(a, w->class_count, sizeof(*w->result->classes));
    w->result->class_count = w->class_count;
    if (!w->classes || !w->machines || !w->result->classes)
        return err_set(w->err, ERR_NO_MEMORY, "the scenario needs too much memory");
    find_limits(w);
    int error = add_queues(w);
    error = error ? error : init_classes(w, labels);
    if (error)
        return error;
    init_core(w);
    return start_machines(w);
}

void world_fini(struct world *w)
{
    list_each(t, &w->tasks, struct task, in_world) mem_free(t);
    if (w->sched) {
        sched_fini(w->sched);
        place_fini(&w->place);
        mem_free(w->sched);
    }
    heap_fini(&w->events);
    arena_fini(&w->memory);
}
