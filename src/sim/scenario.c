/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of a scenario, and what several of its fields say together. */
#include "sim/scenario.h"

#include <stdio.h>

#include "gpu/simulated.h"
#include "sim/scenario_internal.h"

enum {
    NAME_MAX_LENGTH = 63,
    GROUPS_MAX = 256,
    POINTS_MAX = 1440, /* of a curve */
    TIMES_MAX = 10000,
    PRIORITY_MAX = 1000000,
    REPLICAS_MAX = 20000,
    MILLI = 1000,
    FACTOR_MAX = 1000 * MILLI,
    SIGMA_MAX = 4 * MILLI,
    PATH_MAX_LENGTH = 120,
};
#define RATE_MAX   (INT64_C(1000000) * MILLI)
#define AMOUNT_MAX (INT64_C(1000000000) * MILLI)
#define BYTES_MAX  (INT64_C(1) << 60)

static const char *const distribution_names[] = {
    [SCENARIO_CONSTANT] = "constant",
    [SCENARIO_EXPONENTIAL] = "exponential",
    [SCENARIO_LOGNORMAL] = "lognormal",
    NULL,
};

static const char *const spread_names[] = {
    [PLACE_NO_SPREAD] = "none",
    [PLACE_SPREAD_NODES] = "nodes",
    [PLACE_SPREAD_ZONES] = "zones",
    NULL,
};
static const char *const between_names[] = {
    [SCENARIO_STEPS] = "steps",
    [SCENARIO_LINES] = "lines",
    NULL,
};

static const char *check_name(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-')
            return "must be of lower-case letters, digits and \"-\"";
    }
    return NULL;
}

static const char *check_duration(struct str text)
{
    nsec value;
    return nsec_parse(text, &value) ? "must be a duration like 10s or 2m30s" : NULL;
}

/* ---- several fields ---- */

/* The path of a field in a list, for schema_problem. */
struct path {
    char text[PATH_MAX_LENGTH];
};

static struct path path_of(const char *list, size_t i, const char *field)
{
    struct path p;
    snprintf(p.text, sizeof(p.text), "%s[%zu].%s", list, i, field);
    return p;
}

static void check_gpus(const struct scenario *s, struct schema_report *r)
{
    size_t nodes = 0;
    for (size_t i = 0; i < s->nodes.count; i++) {
        const struct scenario_nodes *n = &scenario_nodes(s)[i];
        struct gpu_inventory inventory;
        struct err err;
        nodes += (size_t)n->count;
        if (n->gpus.len && gpu_simulated_parse(n->gpus, n->name, &inventory, &err))
            schema_problem(r, path_of("nodes", i, "gpus").text, "%s", err.message);
    }
    if (nodes > SCENARIO_NODES_MAX)
        schema_problem(r, "nodes", "are %zu in all; at most %d can be simulated", nodes,
                       SCENARIO_NODES_MAX);
}

/* The names of a list of structs that begin with their name. */
static void check_unique(const struct schema_objects *list, size_t size, const char *name,
                         struct schema_report *r)
{
    const char *items = list->items;
    for (size_t i = 0; i < list->count; i++)
        for (size_t k = 0; k < i; k++)
            if (str_eq(*(const struct str *)(items + i * size),
                       *(const struct str *)(items + k * size)))
                schema_problem(r, path_of(name, i, "name").text, "is given twice");
}

static void check_classes(const struct scenario *s, struct schema_report *r)
{
    for (size_t i = 0; i < s->jobs.count; i++)
        for (size_t k = 0; k < s->services.count; k++)
            if (str_eq(scenario_jobs(s)[i].name, scenario_services(s)[k].name))
                schema_problem(r, path_of("services", k, "name").text,
                               "is the name of a class of jobs, too; choose another");
}

static void check_parents(const struct scenario *s, struct schema_report *r)
{
    for (size_t i = 0; i < s->queues.count; i++) {
        const struct scenario_queue *q = &scenario_queues(s)[i];
        int parent = scenario_queue_find(s, q->parent);
        if (q->parent.len && (parent < 0 || parent >= (int)i))
            schema_problem(r, path_of("queues", i, "parent").text,
                           "\"%.*s\" is no queue above it in the list", STR_ARG(q->parent));
    }
}

static bool is_leaf(const struct scenario *s, struct str name)
{
    for (size_t i = 0; i < s->queues.count; i++)
        if (str_eq(scenario_queues(s)[i].parent, name))
            return false;
    return true;
}

static void check_queue(const struct scenario *s, struct str queue, struct path path,
                        struct schema_report *r)
{
    if (!s->queues.count && queue.len)
        schema_problem(r, path.text, "names a queue, and there are no queues; leave it out");
    else if (s->queues.count && !queue.len)
        schema_problem(r, path.text, "is required, as there are queues");
    else if (queue.len && scenario_queue_find(s, queue) < 0)
        schema_problem(r, path.text, "\"%.*s\" is none of the queues", STR_ARG(queue));
    else if (queue.len && !is_leaf(s, queue))
        schema_problem(r, path.text, "\"%.*s\" is a cohort: name a queue that has no others below",
                       STR_ARG(queue));
}

/* Times ascend, and lie within the day. */
static void check_times(const struct schema_objects *points, size_t size, nsec day,
                        struct path path, struct schema_report *r)
{
    nsec last = -1;
    for (size_t i = 0; i < points->count; i++) {
        nsec at = *(const nsec *)((const char *)points->items + i * size);
        if (at <= last || at >= day) {
            schema_problem(r, path.text, "must be in ascending order, each before the day's end");
            return;
        }
        last = at;
    }
}

static void check_jobs(const struct scenario *s, struct schema_report *r)
{
    for (size_t i = 0; i < s->jobs.count; i++) {
        const struct scenario_job *j = &scenario_jobs(s)[i];
        check_queue(s, j->queue, path_of("jobs", i, "queue"), r);
        check_times(&j->arrivals.curve, sizeof(struct scenario_factor), s->day,
                    path_of("jobs", i, "arrivals.curve"), r);
        if (j->min_members > j->members)
            schema_problem(r, path_of("jobs", i, "minMembers").text, "must not be above members");
        if (!j->arrivals.count && !j->arrivals.at.count && !j->arrivals.per_hour)
            schema_problem(r, path_of("jobs", i, "arrivals").text,
                           "nothing ever comes; set count, at or perHour");
    }
}

static void check_services(const struct scenario *s, struct schema_report *r)
{
    for (size_t i = 0; i < s->services.count; i++) {
        const struct scenario_service *v = &scenario_services(s)[i];
        check_queue(s, v->queue, path_of("services", i, "queue"), r);
        check_times(&v->replicas, sizeof(struct scenario_step), s->day,
                    path_of("services", i, "replicas"), r);
        if (v->ahead >= s->day)
            schema_problem(r, path_of("services", i, "ahead").text, "must be less than a day");
    }
}

static void check_outages(const struct scenario *s, struct schema_report *r)
{
    const struct scenario_outage *list = s->faults.list.items;
    for (size_t i = 0; i < s->faults.list.count; i++) {
        size_t index;
        if (!scenario_node_find(s, list[i].node, &index))
            schema_problem(r, path_of("faults.list", i, "node").text, "\"%.*s\" is no node",
                           STR_ARG(list[i].node));
        if (list[i].up && list[i].up <= list[i].down)
            schema_problem(r, path_of("faults.list", i, "up").text, "must be after down");
    }
}

static void check_scenario(const void *object, struct schema_report *r)
{
    const struct scenario *s = object;
    check_gpus(s, r);
    check_unique(&s->nodes, sizeof(struct scenario_nodes), "nodes", r);
    check_unique(&s->queues, sizeof(struct scenario_queue), "queues", r);
    check_unique(&s->jobs, sizeof(struct scenario_job), "jobs", r);
    check_unique(&s->services, sizeof(struct scenario_service), "services", r);
    check_classes(s, r);
    check_parents(s, r);
    check_jobs(s, r);
    check_services(s, r);
    check_outages(s, r);
    if (!s->jobs.count && !s->services.count)
        schema_problem(r, NULL, "nobody asks for anything; add jobs or services");
}

/* ---- tables ---- */

static const struct schema_field nodes_fields[] = {
    {
        .name = "name",
        .type = SCHEMA_STRING,
        .offset = offsetof(struct scenario_nodes, name),
        .description = "Of the machine; of several: name-1, name-2 ...",
        .required = true,
        .min = 1,
        .max = NAME_MAX_LENGTH,
        .check = check_name,
    },
    {
        .name = "count",
        .type = SCHEMA_INT,
        .offset = offsetof(struct scenario_nodes, count),
        .description = "How many.",
        .fallback = "1",
        .min = 1,
        .max = SCENARIO_NODES_MAX,
    },
    {
        .name = "cpu",
        .type = SCHEMA_MILLI,
        .offset = offsetof(struct scenario_nodes, cpu),
        .description = "Processors of each.",
        .required = true,
        .min = 1,
        .max = PLACE_AMOUNT_MAX,
    },
    {
        .name = "memory",
        .type = SCHEMA_BYTES,
        .offset = offsetof(struct scenario_nodes, memory),
        .description = "Main memory of each.",
        .required = true,
        .min = 1,
    },
    {
        .name = "gpus",
        .type = SCHEMA_STRING,
        .offset = offsetof(struct scenario_nodes, gpus),
        .description = "GPUs of each, like 8xH100-80G. Left out: none.",
    },
    {
        .name = "labels",
        .type = SCHEMA_MAP,
        .offset = offsetof(struct scenario_nodes, labels),
        .description = "What jobs and services may ask for by nodeLabels.",
    },
    {
        .name = "taints",
        .type = SCHEMA_STRINGS,
        .offset = offsetof(struct scenario_nodes, taints),
        .description = "Only what tolerates all of these runs there.",
    },
    {
        .name = "zone",
        .type = SCHEMA_STRING,
        .offset = offsetof(struct scenario_nodes, zone),
        .description = "What fails together: services may be spread over zones.",
        .max = 63,
    },
    {
        .name = "spot",
        .type = SCHEMA_BOOL,
        .offset = offsetof(struct scenario_nodes, spot),
        .description = "It may be taken away at any time: only what says spot runs there.",
        .fallback = "false",
    },
    {
        .name = "price",
        .type = SCHEMA_MONEY,
        .offset = offsetof(struct scenario_nodes, price),
        .description = "Of one of them for an hour.",
    },
};

static const struct schema nodes_schema = {
    .name = "nodes",
    .description = "Machines that are alike.",
    .size = sizeof(struct scenario_nodes),
    .fields = nodes_fields,
    .field_count = ARRAY_LEN(nodes_fields),
};

static const struct schema_field limits_fields[] = {
    {
        .name = "gpus",
        .type = SCHEMA_MILLI,
        .offset = offsetof(struct scenario_limits, gpus),
        .description = "GPUs, like 4 or 500m.",
        .left_out = SCENARIO_LEFT_OUT,
        .max = AMOUNT_MAX,
    },
    {
        .name = "cpu",
        .type = SCHEMA_MILLI,
        .offset = offsetof(struct scenario_limits, cpu),
        .description = "Processors.",
        .left_out = SCENARIO_LEFT_OUT,
        .max = AMOUNT_MAX,
    },
    {
        .name = "memory",
        .type = SCHEMA_BYTES,
        .offset = offsetof(struct scenario_limits, memory),
        .description = "Main memory.",
        .left_out = SCENARIO_LEFT_OUT,
        .max = BYTES_MAX,
    },
};

static const struct schema limits_schema = {
    .name = "limits",
    .description = "Amounts of each resource.",
    .size = sizeof(struct scenario_limits),
    .fields = limits_fields,
    .field_count = ARRAY_LEN(limits_fields),
};

static const struct schema_field queue_fields[] = {
    {
        .name = "name",
        .type = SCHEMA_STRING,
        .offset = offsetof(struct scenario_queue, name),
        .description = "Of the queue.",
        .required = true,
        .min = 1,
        .max = NAME_MAX_LENGTH,
        .check = check_name,
    },
    {
        .name = "parent",
        .type = SCHEMA_STRING,
        .offset = offsetof(struct scenario_queue, parent),
        .description = "The cohort that it belongs to: a queue that stands above it in the list.",
    },
    {
        .name = "weight",
        .type = SCHEMA_INT,
        .offset = offsetof(struct scenario_queue, weight),
        .description = "Of what is left, it gets a share by its weight.",
        .fallback = "1",
        .min = 1,
        .max = QUOTA_WEIGHT_MAX,
    },
    {
        .name = "nominal",
        .type = SCHEMA_OBJECT,
        .offset = offsetof(struct scenario_queue, nominal),
        .description = "What it has a right to. A resource that no queue names is not limited.",
        .object = &limits_schema,
    },
    {
        .name = "borrowing",
        .type = SCHEMA_OBJECT,
        .offset = offsetof(struct scenario_queue, borrowing),
        .description =
            "So much more it may use while others do not need theirs. Left out: no limit.",
        .object = &limits_schema,
    },
    {
        .name = "lending",
        .type = SCHEMA_OBJECT,
        .offset = offsetof(struct scenario_queue, lending),
        .description = "So much of its own others may use. Left out: all.",
        .object = &limits_schema,
    },
};

static const struct schema queue_schema = {
    .name = "queue",
    .description = "A queue, or a cohort of queues.",
    .size = sizeof(struct scenario_queue),
    .fields = queue_fields,
    .field_count = ARRAY_LEN(queue_fields),
};

static const struct schema_field factor_fields[] = {
    {
        .name = "at",
        .type = SCHEMA_DURATION,
        .offset = offsetof(struct scenario_factor, at),
        .description = "Time of the day.",
    },
    {
        .name = "factor",
        .type = SCHEMA_MILLI,
        .offset = offsetof(struct scenario_factor, factor),
        .description = "Of perHour, like 250m or 2.",
        .required = true,
        .max = FACTOR_MAX,
    },
};

static const struct schema factor_schema = {
    .name = "factor",
    .description = "A point of a curve.",
    .size = sizeof(struct scenario_factor),
    .fields = factor_fields,
    .field_count = ARRAY_LEN(factor_fields),
};

static const struct schema_field arrivals_fields[] = {
    {
        .name = "count",
        .type = SCHEMA_INT,
        .offset = offsetof(struct scenario_arrivals, count),
        .description = "So many come at the start.",
        .max = SCENARIO_JOBS_MAX,
    },
    {
        .name = "at",
        .type = SCHEMA_STRINGS,
        .offset = offsetof(struct scenario_arrivals, at),
        .description = "One comes at each of these times, like 10s or 2h.",
        .check = check_duration,
        .max = TIMES_MAX,
    },
    {
        .name = "perHour",
        .type = SCHEMA_MILLI,
        .offset = offsetof(struct scenario_arrivals, per_hour),
        .description = "So many come in an hour, by chance (Poisson).",
        .max = RATE_MAX,
    },
    {
        .name = "curve",
        .type = SCHEMA_OBJECTS,
        .offset = offsetof(struct scenario_arrivals, curve),
        .description = "Through the day perHour is multiplied by this, in straight lines from "
                       "point to point, the last to the first.",
        .object = &factor_schema,
        .max = POINTS_MAX,
    },
    {
        .name = "from",
        .type = SCHEMA_DURATION,
        .offset = offsetof(struct scenario_arrivals, from),
        .description = "perHour begins.",
    },
    {
        .name = "until",
        .type = SCHEMA_DURATION,
        .offset = offsetof(struct scenario_arrivals, until),
        .description = "perHour ends. Left out: with the run.",
    },
};

static const struct schema arrivals_schema = {
    .name = "arrivals",
    .description = "When jobs come.",
    .size = sizeof(struct scenario_arrivals),
    .fields = arrivals_fields,
    .field_count = ARRAY_LEN(arrivals_fields),
};

static const struct schema_field duration_fields[] = {
    {
        .name = "distribution",
        .type = SCHEMA_ENUM,
        .offset = offsetof(struct scenario_duration, distribution),
        .description = "How jobs differ.",
        .fallback = "constant",
        .values = distribution_names,
    },
    {
        .name = "mean",
        .type = SCHEMA_DURATION,
        .offset = offsetof(struct scenario_duration, mean),
        .description = "Their mean.",
        .required = true,
        .min = NSEC_PER_MSEC,
        .max = SCENARIO_DURATION_MAX,
    },
    {
        .name = "sigma",
        .type = SCHEMA_MILLI,
        .offset = offsetof(struct scenario_duration, sigma),
        .description = "Of the logarithm, for lognormal: 1 is a long tail.",
        .fallback = "1",
        .max = SIGMA_MAX,
    },
    {
        .name = "estimateError",
        .type = SCHEMA_MILLI,
        .offset = offsetof(struct scenario_duration, estimate_error),
        .description = "The scheduler is told how long a job takes, wrong by a lognormal factor of "
                       "this sigma: 0 is the truth. Left out: it is told nothing.",
        .left_out = SCENARIO_LEFT_OUT,
        .max = SIGMA_MAX,
    },
};

static const struct schema duration_schema = {
    .name = "duration",
    .description =
        "How long a job computes with all its members; with fewer it takes longer in proportion.",
    .size = sizeof(struct scenario_duration),
    .fields = duration_fields,
    .field_count = ARRAY_LEN(duration_fields),
};

/* What jobs and services have alike: whose turn it is, and which nodes will do. */
#define TURN_FIELDS(type_)                                                              \
    {                                                                                   \
        .name = "queue",                                                                \
        .type = SCHEMA_STRING,                                                          \
        .offset = offsetof(type_, queue),                                               \
        .description = "Whose quota it uses. Left out: only if there are no queues.",   \
    },                                                                                  \
    {                                                                                   \
        .name = "priority", .type = SCHEMA_INT, .offset = offsetof(type_, priority),    \
        .description = "Higher goes first, and may evict lower.", .min = -PRIORITY_MAX, \
        .max = PRIORITY_MAX,                                                            \
    }

#define NODE_FIELDS(type_)                                                    \
    {                                                                         \
        .name = "nodeLabels",                                                 \
        .type = SCHEMA_MAP,                                                   \
        .offset = offsetof(type_, node_labels),                               \
        .description = "Only nodes with all of these.",                       \
    },                                                                        \
        {                                                                     \
            .name = "tolerations",                                            \
            .type = SCHEMA_STRINGS,                                           \
            .offset = offsetof(type_, tolerations),                           \
            .description = "Taints of nodes that do not matter.",             \
        },                                                                    \
    {                                                                         \
        .name = "spot", .type = SCHEMA_BOOL, .offset = offsetof(type_, spot), \
        .description = "Spot nodes will do as well.", .fallback = "false",    \
    }

static const struct schema_field job_fields[] = {
    {
        .name = "name",
        .type = SCHEMA_STRING,
        .offset = offsetof(struct scenario_job, name),
        .description = "Of the class; its jobs are name-1, name-2 ...",
        .required = true,
        .min = 1,
        .max = NAME_MAX_LENGTH,
        .check = check_name,
    },
    TURN_FIELDS(struct scenario_job),
    {
        .name = "preemptible",
        .type = SCHEMA_BOOL,
        .offset = offsetof(struct scenario_job, preemptible),
        .description = "May be evicted for others.",
        .fallback = "true",
    },
    {
        .name = "members",
        .type = SCHEMA_INT,
        .offset = offsetof(struct scenario_job, members),
        .description = "Processes of a job; it starts with as many as there is room for.",
        .fallback = "1",
        .min = 1,
        .max = SCHED_MEMBERS_MAX,
    },
    {
        .name = "minMembers",
        .type = SCHEMA_INT,
        .offset = offsetof(struct scenario_job, min_members),
        .description = "It does not start with fewer. Left out: all.",
        .max = SCHED_MEMBERS_MAX,
    },
    {
        .name = "resources",
        .type = SCHEMA_OBJECT,
        .offset = offsetof(struct scenario_job, resources),
        .description = "Of each member.",
        .object = &resources_schema,
    },
    NODE_FIELDS(struct scenario_job),
    {
        .name = "arrivals",
        .type = SCHEMA_OBJECT,
        .offset = offsetof(struct scenario_job, arrivals),
        .description = "When they come.",
        .object = &arrivals_schema,
    },
    {
        .name = "duration",
        .type = SCHEMA_OBJECT,
        .offset = offsetof(struct scenario_job, duration),
        .description = "How long they compute.",
        .object = &duration_schema,
    },
    {
        .name = "start",
        .type = SCHEMA_DURATION,
        .offset = offsetof(struct scenario_job, start),
        .description = "What each start takes before work begins.",
        .max = SCENARIO_DURATION_MAX,
    },
    {
        .name = "checkpoint",
        .type = SCHEMA_DURATION,
        .offset = offsetof(struct scenario_job, checkpoint),
        .description = "Work is saved every so often; what came after it is lost with an eviction. "
                       "Left out: all is lost.",
        .max = SCENARIO_DURATION_MAX,
    },
    {
        .name = "grace",
        .type = SCHEMA_DURATION,
        .offset = offsetof(struct scenario_job, grace),
        .description = "Who is evicted needs so long to leave.",
        .fallback = "30s",
        .max = SCENARIO_DURATION_MAX,
    },
};

static const struct schema job_schema = {
    .name = "job",
    .description = "Jobs that are alike: they run to an end.",
    .size = sizeof(struct scenario_job),
    .fields = job_fields,
    .field_count = ARRAY_LEN(job_fields),
};

static const struct schema_field step_fields[] = {
    {
        .name = "at",
        .type = SCHEMA_DURATION,
        .offset = offsetof(struct scenario_step, at),
        .description = "Time of the day.",
    },
    {
        .name = "count",
        .type = SCHEMA_INT,
        .offset = offsetof(struct scenario_step, count),
        .description = "Replicas from then on.",
        .max = REPLICAS_MAX,
    },
};

static const struct schema step_schema = {
    .name = "step",
    .description = "A point of a curve.",
    .size = sizeof(struct scenario_step),
    .fields = step_fields,
    .field_count = ARRAY_LEN(step_fields),
};

static const struct schema_field service_fields[] = {
    {
        .name = "name",
        .type = SCHEMA_STRING,
        .offset = offsetof(struct scenario_service, name),
        .description = "Of the service; its replicas are name-1, name-2 ...",
        .required = true,
        .min = 1,
        .max = NAME_MAX_LENGTH,
        .check = check_name,
    },
    TURN_FIELDS(struct scenario_service),
    {
        .name = "preemptible",
        .type = SCHEMA_BOOL,
        .offset = offsetof(struct scenario_service, preemptible),
        .description = "Replicas may be evicted for other services, never for jobs.",
        .fallback = "false",
    },
    {
        .name = "resources",
        .type = SCHEMA_OBJECT,
        .offset = offsetof(struct scenario_service, resources),
        .description = "Of each replica.",
        .object = &resources_schema,
    },
    NODE_FIELDS(struct scenario_service),
    {
        .name = "replicas",
        .type = SCHEMA_OBJECTS,
        .offset = offsetof(struct scenario_service, replicas),
        .description = "How many are wanted through the day.",
        .required = true,
        .min = 1,
        .object = &step_schema,
        .max = POINTS_MAX,
    },
    {
        .name = "between",
        .type = SCHEMA_ENUM,
        .offset = offsetof(struct scenario_service, between),
        .description = "From point to point: in steps, or in straight lines.",
        .fallback = "steps",
        .values = between_names,
    },
    {
        .name = "spread",
        .type = SCHEMA_ENUM,
        .offset = offsetof(struct scenario_service, spread),
        .description = "Its replicas keep away from each other as far as there is room: over "
                       "nodes, or over zones and "
                       "then nodes.",
        .fallback = "none",
        .values = spread_names,
    },
    {
        .name = "ahead",
        .type = SCHEMA_DURATION,
        .offset = offsetof(struct scenario_service, ahead),
        .description = "Replicas are asked for so long before they are wanted, as by a forecast.",
        .max = SCENARIO_DURATION_MAX,
    },
    {
        .name = "load",
        .type = SCHEMA_DURATION,
        .offset = offsetof(struct scenario_service, load),
        .description = "From placed to ready.",
        .max = SCENARIO_DURATION_MAX,
    },
};

static const struct schema service_schema = {
    .name = "service",
    .description = "An inference service: replicas that run as long as they are wanted.",
    .size = sizeof(struct scenario_service),
    .fields = service_fields,
    .field_count = ARRAY_LEN(service_fields),
};

static const struct schema_field outage_fields[] = {
    {
        .name = "node",
        .type = SCHEMA_STRING,
        .offset = offsetof(struct scenario_outage, node),
        .description = "Its name.",
        .required = true,
    },
    {
        .name = "down",
        .type = SCHEMA_DURATION,
        .offset = offsetof(struct scenario_outage, down),
        .description = "When it is lost.",
        .required = true,
    },
    {
        .name = "up",
        .type = SCHEMA_DURATION,
        .offset = offsetof(struct scenario_outage, up),
        .description = "When it is back. Left out: never.",
    },
};

static const struct schema outage_schema = {
    .name = "outage",
    .description = "A node that is lost for a while.",
    .size = sizeof(struct scenario_outage),
    .fields = outage_fields,
    .field_count = ARRAY_LEN(outage_fields),
};

static const struct schema_field faults_fields[] = {
    {
        .name = "list",
        .type = SCHEMA_OBJECTS,
        .offset = offsetof(struct scenario_faults, list),
        .description = "These.",
        .object = &outage_schema,
        .max = TIMES_MAX,
    },
    {
        .name = "meanBetween",
        .type = SCHEMA_DURATION,
        .offset = offsetof(struct scenario_faults, mean_between),
        .description = "And by chance: mean time between two losses of one node. Left out: none.",
    },
    {
        .name = "repair",
        .type = SCHEMA_DURATION,
        .offset = offsetof(struct scenario_faults, repair),
        .description = "How long such a loss lasts.",
        .fallback = "1h",
        .min = NSEC_PER_MSEC,
    },
};

static const struct schema faults_schema = {
    .name = "faults",
    .description = "Nodes that are lost.",
    .size = sizeof(struct scenario_faults),
    .fields = faults_fields,
    .field_count = ARRAY_LEN(faults_fields),
};

static const struct schema_field scenario_fields[] = {
    {
        .name = "duration",
        .type = SCHEMA_DURATION,
        .offset = offsetof(struct scenario, duration),
        .description = "How long, in virtual time.",
        .required = true,
        .min = NSEC_PER_SEC,
        .max = SCENARIO_DURATION_MAX,
    },
    {
        .name = "day",
        .type = SCHEMA_DURATION,
        .offset = offsetof(struct scenario, day),
        .description = "Curves repeat after it.",
        .fallback = "24h",
        .min = NSEC_PER_SEC,
        .max = SCENARIO_DURATION_MAX,
    },
    {
        .name = "quotaHalfLife",
        .type = SCHEMA_DURATION,
        .offset = offsetof(struct scenario, half_life),
        .description = "After it, what a queue has used counts half in whose turn it is.",
        .fallback = "1h",
        .min = NSEC_PER_SEC,
    },
    {
        .name = "retry",
        .type = SCHEMA_DURATION,
        .offset = offsetof(struct scenario, retry),
        .description = "Who was evicted waits so long before it is tried again, doubled each time, "
                       "up to sixty times as long.",
        .fallback = "10s",
        .min = NSEC_PER_MSEC,
        .max = SCENARIO_DURATION_MAX,
    },
    {
        .name = "mayNotFit",
        .type = SCHEMA_BOOL,
        .offset = offsetof(struct scenario, may_not_fit),
        .description = "Who would fit on no node, not even on an empty one, waits. Left out: that "
                       "is an error.",
        .fallback = "false",
    },
    {
        .name = "nodes",
        .type = SCHEMA_OBJECTS,
        .offset = offsetof(struct scenario, nodes),
        .description = "The cluster.",
        .required = true,
        .min = 1,
        .object = &nodes_schema,
        .max = GROUPS_MAX,
    },
    {
        .name = "queues",
        .type = SCHEMA_OBJECTS,
        .offset = offsetof(struct scenario, queues),
        .description = "Quotas. Left out: one queue without limits.",
        .object = &queue_schema,
        .max = QUOTA_NODES_MAX,
    },
    {
        .name = "jobs",
        .type = SCHEMA_OBJECTS,
        .offset = offsetof(struct scenario, jobs),
        .description = "Classes of jobs.",
        .object = &job_schema,
        .max = SCENARIO_CLASSES_MAX,
    },
    {
        .name = "services",
        .type = SCHEMA_OBJECTS,
        .offset = offsetof(struct scenario, services),
        .description = "Inference.",
        .object = &service_schema,
        .max = SCENARIO_CLASSES_MAX,
    },
    {
        .name = "faults",
        .type = SCHEMA_OBJECT,
        .offset = offsetof(struct scenario, faults),
        .description = "Nodes that are lost.",
        .object = &faults_schema,
    },
};

static const struct schema scenario_schema = {
    .name = "scenario",
    .description = "What is simulated.",
    .size = sizeof(struct scenario),
    .fields = scenario_fields,
    .field_count = ARRAY_LEN(scenario_fields),
    .check = check_scenario,
};

void scenario_decode(const struct json *root, struct scenario *s, struct schema_report *r)
{
    schema_decode(&scenario_schema, root, s, r);
}

void scenario_encode(const struct scenario *s, struct json_writer *w)
{
    schema_encode(&scenario_schema, s, w);
}

void scenario_reference(struct buf *out)
{
    schema_reference(&scenario_schema, "", out);
}
