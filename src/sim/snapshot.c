/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/snapshot.h"

#include <stdio.h>
#include <stdlib.h>

#include "api/job.h"
#include "api/model.h"
#include "api/node.h"
#include "api/tenant.h"
#include "base/clock.h"

#define LENGTH     SEC(24 * 3600)
#define HALF_LIFE  SEC(3600) /* as the controller has it */
#define RETRY      SEC(10)   /* likewise */
#define CHECKPOINT SEC(60)   /* a job that is told to end saves its work */
#define REPAIR     SEC(3600) /* no faults: the field's default */
#define WHOLE      PLACE_MILLI
enum { GPUS_TEXT_MAX = 1024 };

struct maker {
    struct arena *arena;
    const struct snapshot *in;
    struct scenario *out;
    struct resource **tenants, **models, **jobs; /* with what is added */
    size_t tenant_count, model_count, job_count;
    int64_t gpus;            /* of the node, well or not */
    struct str rest, cohort; /* names of queues; empty: there are none */
    struct err *err;
};

static int no_memory(struct maker *m)
{
    return err_set(m->err, ERR_NO_MEMORY, "the snapshot needs too much memory");
}

static int new_list(struct maker *m, struct schema_objects *list, size_t count, size_t size)
{
    list->items = arena_array(m->arena, count, size);
    list->count = count;
    return count && !list->items ? no_memory(m) : 0;
}

/* ---- what is read ---- */

static int read_list(struct maker *m, const struct json *answer, struct resource ***ret_list,
                     size_t *ret_count)
{
    const struct json *items = json_get(answer, STR("items"));
    size_t count = items ? items->count : 0, i = 0;
    struct resource **list = arena_array(m->arena, count + m->in->added_count, sizeof(void *));
    int error = list || !(count + m->in->added_count) ? 0 : no_memory(m);
    for (const struct json *item = items ? items->first : NULL; item && !error; item = item->next)
        error = resource_decode(m->arena, item, &list[i++], m->err);
    *ret_list = list;
    *ret_count = count;
    return error;
}

static bool is_added(const struct maker *m, const struct resource *r)
{
    for (size_t i = 0; i < m->in->added_count; i++)
        if (m->in->added[i] == r)
            return true;
    return false;
}

/* In the place of the one with its name, or behind the others. Returns whether it is a new one. */
static bool put(struct resource **list, size_t *count, struct resource *added)
{
    size_t at = 0;
    while (at < *count && !str_eq(list[at]->metadata.name, added->metadata.name))
        at++;
    bool is_new = at == *count;
    *count += is_new;
    list[at] = added;
    return is_new;
}

/* As an apply of it would go. */
static int add(struct maker *m, struct resource *r)
{
    if (r->type != &model_kind && r->type != &job_kind)
        return err_set(m->err, ERR_UNSUPPORTED,
                       "%s/%.*s: a Model or a Job can be added; what others change is in the "
                       "scenario: fairway simulate snapshot",
                       r->type->plural, STR_ARG(r->metadata.name));
    if (r->type == &model_kind)
        (void)put(m->models, &m->model_count, r);
    else if (!put(m->jobs, &m->job_count, r))
        return err_set(
            m->err, ERR_CONFLICT,
            "jobs/%.*s: is there already, and a job does not change; give it another name",
            STR_ARG(r->metadata.name));
    return 0;
}

static int read_all(struct maker *m)
{
    int error = read_list(m, m->in->tenants, &m->tenants, &m->tenant_count);
    error = error ? error : read_list(m, m->in->models, &m->models, &m->model_count);
    error = error ? error : read_list(m, m->in->jobs, &m->jobs, &m->job_count);
    for (size_t i = 0; i < m->in->added_count && !error; i++)
        error = add(m, m->in->added[i]);
    return error;
}

/* ---- the node ---- */

static struct str text_of(const struct json *object, struct str key)
{
    const struct json *node = json_get(object, key);
    return node && node->type == JSON_STRING ? node->text : STR_NONE;
}

static int64_t number_of(const struct json *object, struct str key)
{
    int64_t value;
    return json_i64(json_get(object, key), &value) ? 0 : value;
}

/* "4xH100-80G,2xA10-24G": those that are well, in their order. */
static struct str gpus_of(struct maker *m, const struct json *gpus)
{
    struct str model = STR_NONE;
    unsigned alike = 0;
    struct buf text;
    buf_init(&text, GPUS_TEXT_MAX);
    for (const struct json *gpu = gpus ? gpus->first : NULL;; gpu = gpu->next) {
        struct str next = gpu ? text_of(gpu, STR("model")) : STR_NONE;
        if (alike && !str_eq(next, model)) {
            buf_printf(&text, "%s%ux%.*s", text.len ? "," : "", alike, STR_ARG(model));
            alike = 0;
        }
        if (!gpu)
            break;
        m->gpus++;
        model = next;
        alike += next.len && str_eq(text_of(gpu, STR("health")), STR("ok"));
    }
    struct str kept = arena_dup(m->arena, buf_str(&text));
    buf_fini(&text);
    return kept;
}

static int make_node(struct maker *m)
{
    const struct json *items = json_get(m->in->nodes, STR("items"));
    const struct json *node = items ? items->first : NULL;
    const struct json *status = json_get(node, STR("status")), *spec = json_get(node, STR("spec"));
    if (!node || new_list(m, &m->out->nodes, 1, sizeof(struct scenario_nodes)))
        return err_set(m->err, ERR_NOT_FOUND, "the running Fairway has no node");
    const struct json *cpu = json_get(spec, STR("cpu"));
    int64_t there = number_of(status, STR("memory")), limit = number_of(spec, STR("memory"));
    *(struct scenario_nodes *)m->out->nodes.items = (struct scenario_nodes){
        .name = text_of(json_get(node, STR("metadata")), STR("name")),
        .count = 1,
        .cpu = cpu && cpu->type == JSON_NUMBER ? (int64_t)(cpu->number * WHOLE + 0.5)
                                               : number_of(status, STR("cpu")) * WHOLE,
        .memory = there && limit ? MIN(there, limit) : MAX(there, limit),
        .gpus = gpus_of(m, json_get(status, STR("gpus"))),
    };
    return 0;
}

/* ---- quotas ---- */

static bool is_queue(const struct tenant *t)
{
    return t->spec.gpu_quota.gpus != TENANT_NO_QUOTA;
}

static const struct tenant *find_tenant(const struct maker *m, struct str name)
{
    for (size_t i = 0; i < m->tenant_count; i++)
        if (str_eq(m->tenants[i]->metadata.name, name))
            return tenant_from(m->tenants[i]);
    return NULL;
}

/* A name for a queue that no tenant has. */
static struct str free_name(const struct maker *m, struct str name)
{
    while (find_tenant(m, name))
        name = arena_printf(m->arena, "%.*s-", STR_ARG(name));
    return name;
}

static struct scenario_queue queue_new(struct str name, struct str parent, int64_t weight)
{
    static const struct scenario_limits none = {SCENARIO_LEFT_OUT, SCENARIO_LEFT_OUT,
                                                SCENARIO_LEFT_OUT};
    return (struct scenario_queue){name, parent, weight, none, none, none};
}

static int64_t limit_of(int64_t amount)
{
    return amount == TENANT_NO_QUOTA ? SCENARIO_LEFT_OUT : amount;
}

/* As cluster_share_out does it: what is in nobody's quota is the rest's. */
static int make_queues(struct maker *m)
{
    int64_t rest = m->gpus * WHOLE;
    size_t count = 0;
    for (size_t i = 0; i < m->tenant_count; i++)
        count += is_queue(tenant_from(m->tenants[i]));
    if (!count)
        return 0;
    if (new_list(m, &m->out->queues, count + 2, sizeof(struct scenario_queue)))
        return ERR_NO_MEMORY;
    struct scenario_queue *q = m->out->queues.items;
    m->rest = free_name(m, STR("default"));
    m->cohort = free_name(m, STR("cohort"));
    *q++ = queue_new(m->cohort, STR_NONE, 1);
    for (size_t i = 0; i < m->tenant_count; i++) {
        const struct tenant *t = tenant_from(m->tenants[i]);
        if (!is_queue(t))
            continue;
        *q = queue_new(t->resource.metadata.name, m->cohort, t->spec.weight);
        q->nominal.gpus = t->spec.gpu_quota.gpus;
        q->borrowing.gpus = limit_of(t->spec.gpu_quota.borrow);
        q->lending.gpus = limit_of(t->spec.gpu_quota.lend);
        rest -= MIN(q->nominal.gpus, rest);
        q++;
    }
    *q = queue_new(m->rest, m->cohort, 1);
    q->nominal.gpus = rest;
    return 0;
}

static struct str queue_of(const struct maker *m, struct str tenant)
{
    const struct tenant *t = find_tenant(m, tenant);
    return t && is_queue(t) ? tenant : m->rest;
}

/* ---- models ---- */

/* Those that have room and keep it. */
static int64_t replicas_with_room(const struct maker *m, struct str model)
{
    static const char *const without[] = {"pending", "draining", "stopped"};
    const struct json *items = json_get(m->in->replicas, STR("items"));
    int64_t count = 0;
    for (const struct json *r = items ? items->first : NULL; r; r = r->next) {
        bool has = str_eq(text_of(r, STR("model")), model);
        for (size_t i = 0; i < ARRAY_LEN(without); i++)
            has &= !str_eq(text_of(r, STR("state")), str_from(without[i]));
        count += has;
    }
    return count;
}

/* What placement reckons with: weights and KV cache, if the running Fairway says so. */
static int64_t memory_of(const struct maker *m, const struct model *model)
{
    const struct json *items = json_get(m->in->replicas, STR("items"));
    int64_t memory = model->spec.resources.memory;
    for (const struct json *r = items ? items->first : NULL; r; r = r->next)
        if (str_eq(text_of(r, STR("model")), model->resource.metadata.name))
            memory = MAX(memory, number_of(r, STR("memoryWanted")));
    return memory;
}

/* Its reason is its phase. */
static bool cannot_run(const struct model *model)
{
    const struct resource_status *status = &model->resource.status;
    const struct resource_condition *conditions = status->conditions.items;
    for (size_t i = 0; i < status->conditions.count; i++)
        if (str_eq(conditions[i].reason, STR("CannotRun")))
            return true;
    return false;
}

static bool takes_room(const struct maker *m, const struct model *model)
{
    return model->spec.engine.type != MODEL_ENGINE_REMOTE &&
           (is_added(m, &model->resource) || !cannot_run(model));
}

static int set_steps(struct maker *m, const struct model *model, struct scenario_service *v)
{
    int64_t wanted = model->spec.replicas;
    int64_t now = MIN(replicas_with_room(m, v->name), wanted);
    size_t count = now == wanted ? 1 : 2;
    if (new_list(m, &v->replicas, count, sizeof(struct scenario_step)))
        return ERR_NO_MEMORY;
    struct scenario_step *steps = v->replicas.items;
    steps[0] = (struct scenario_step){SNAPSHOT_RUNS, now};
    if (count > 1)
        steps[1] = (struct scenario_step){
            is_added(m, &model->resource) ? SNAPSHOT_ADDED : SNAPSHOT_WAITS, wanted};
    return 0;
}

static int make_services(struct maker *m)
{
    int error = new_list(m, &m->out->services, m->model_count, sizeof(struct scenario_service));
    struct scenario_service *v = m->out->services.items;
    m->out->services.count = 0;
    for (size_t i = 0; i < m->model_count && !error; i++) {
        const struct model *model = model_from(m->models[i]);
        if (!takes_room(m, model))
            continue;
        *v = (struct scenario_service){
            .name = model->resource.metadata.name,
            .queue = queue_of(m, model->spec.tenant),
            .priority = model->spec.priority,
            .preemptible = true,
            .resources = model->spec.resources,
        };
        v->resources.memory = memory_of(m, model);
        error = set_steps(m, model, v++);
        m->out->services.count++;
    }
    return error;
}

/* ---- jobs ---- */

static bool runs(const struct maker *m, const struct job *j)
{
    return !is_added(m, &j->resource) &&
           (j->status.phase == JOB_STARTING || j->status.phase == JOB_RUNNING);
}

static bool is_over(const struct maker *m, const struct job *j)
{
    int phase = j->status.phase;
    bool over = phase == JOB_SUCCEEDED || phase == JOB_FAILED || phase == JOB_SUSPENDED;
    return j->spec.suspend || (over && !is_added(m, &j->resource));
}

/* Who runs before who waits before what is added; then who started, or came, first. */
static int turn(const struct maker *m, const struct job *j)
{
    return is_added(m, &j->resource) ? 2 : !runs(m, j);
}

static bool before(const struct maker *m, const struct job *a, const struct job *b)
{
    int x = turn(m, a), y = turn(m, b);
    if (x != y || x == 2)
        return x < y;
    struct str s = x ? a->resource.metadata.creation_timestamp : a->status.started_at;
    struct str t = y ? b->resource.metadata.creation_timestamp : b->status.started_at;
    return str_cmp(s, t) < 0;
}

static void sort_jobs(struct maker *m)
{
    for (size_t i = 1; i < m->job_count; i++)
        for (size_t k = i; k > 0 && before(m, job_from(m->jobs[k]), job_from(m->jobs[k - 1]));
             k--) {
            struct resource *later = m->jobs[k - 1];
            m->jobs[k - 1] = m->jobs[k];
            m->jobs[k] = later;
        }
}

/* What is left of it, in whole seconds. */
static nsec rest_of(const struct maker *m, const struct job *j)
{
    if (!j->spec.expected_duration)
        return m->in->duration;
    nsec ran = is_added(m, &j->resource) ? 0 : j->status.ran;
    if (runs(m, j) && j->status.started_at.len)
        ran += MAX(m->in->now - clock_parse_rfc3339(j->status.started_at), 0);
    nsec rest = MAX(j->spec.expected_duration - ran, NSEC_PER_SEC);
    return rest - rest % NSEC_PER_SEC;
}

/* A scenario has one name for one class. */
static struct str job_name(const struct maker *m, const struct job *j)
{
    struct str name = j->resource.metadata.name;
    for (size_t i = 0; i < m->model_count; i++)
        if (str_eq(m->models[i]->metadata.name, name))
            return arena_printf(m->arena, "job-%.*s", STR_ARG(name));
    return name;
}

static int make_job(struct maker *m, const struct job *j, struct scenario_job *out)
{
    static const nsec times[] = {SNAPSHOT_RUNS, SNAPSHOT_WAITS, SNAPSHOT_ADDED};
    char text[NSEC_TEXT_MAX];
    struct str *at = ARENA_NEW(m->arena, struct str);
    if (!at)
        return no_memory(m);
    nsec when = times[turn(m, j)];
    *at = when ? arena_dup(m->arena, str_from(nsec_format(when, text))) : STR("0s");
    int64_t members = j->spec.members;
    if (runs(m, j) && j->status.members.count)
        members = MIN(members, (int64_t)j->status.members.count);
    *out = (struct scenario_job){
        .name = job_name(m, j),
        .queue = queue_of(m, j->spec.tenant),
        .priority = j->spec.priority,
        .preemptible = j->spec.preemptible,
        .members = members,
        .min_members = MIN(j->spec.min_members, members),
        .resources = j->spec.resources,
        .arrivals.at = {at, 1},
        .duration = {.mean = rest_of(m, j),
                     .sigma = WHOLE,
                     .estimate_error = j->spec.expected_duration ? 0 : SCENARIO_LEFT_OUT},
        .checkpoint = CHECKPOINT,
        .grace = j->spec.checkpoint.grace,
    };
    return 0;
}

static int make_jobs(struct maker *m)
{
    int error = new_list(m, &m->out->jobs, m->job_count, sizeof(struct scenario_job));
    struct scenario_job *out = m->out->jobs.items;
    m->out->jobs.count = 0;
    sort_jobs(m);
    for (size_t i = 0; i < m->job_count && !error; i++) {
        const struct job *j = job_from(m->jobs[i]);
        if (is_over(m, j))
            continue;
        error = make_job(m, j, &out[m->out->jobs.count++]);
    }
    return error;
}

/* ---- all ---- */

static int check_size(const struct maker *m)
{
    size_t most = MAX(m->out->jobs.count, m->out->services.count);
    if (most <= SCENARIO_CLASSES_MAX)
        return 0;
    return err_set(m->err, ERR_FULL, "%zu models and %zu jobs; a scenario has at most %d of each",
                   m->out->services.count, m->out->jobs.count, SCENARIO_CLASSES_MAX);
}

int snapshot_scenario(struct arena *a, const struct snapshot *s, struct scenario *ret_scenario,
                      struct err *err)
{
    struct maker m = {.arena = a, .in = s, .out = ret_scenario, .err = err};
    *ret_scenario = (struct scenario){
        .duration = LENGTH,
        .day = LENGTH,
        .half_life = HALF_LIFE,
        .retry = RETRY,
        .may_not_fit = true,
        .faults.repair = REPAIR,
    };
    int error = read_all(&m);
    error = error ? error : make_node(&m);
    error = error ? error : make_queues(&m);
    error = error ? error : make_services(&m);
    error = error ? error : make_jobs(&m);
    return error ? error : check_size(&m);
}
