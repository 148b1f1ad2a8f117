/* SPDX-License-Identifier: Apache-2.0 */
/* Models, as admin_resources.c has them: what is wanted (the store) together with what is the case (the controller). */
#include <stdio.h>

#include "api/model.h"
#include "base/clock.h"
#include "controller/admin_internal.h"
#include "core/route/route.h"
#include "store/store.h"

enum { MODEL_TEXT_MAX = 16 * 1024 * 1024 };

/* ---- status ---- */

static const char *phase_of(const struct managed_model *m)
{
    size_t ready = count_replicas(m, REPLICA_READY);
    size_t wanted = (size_t)m->wish.model->spec.replicas;
    if (m->deleted)
        return "Ending";
    if (m->cannot_run)
        return "CannotRun";
    if (ready >= wanted)
        return wanted ? "Ready" : "ScaledToZero";
    if (m->problem[0])
        return "DoesNotFit";
    if (count_replicas(m, REPLICA_PENDING))
        return "Pending";
    return ready ? "Degraded" : "Starting";
}

/* What is in the way of the model, or of one of its replicas. */
static struct str problem_of(const struct managed_model *m, struct arena *a)
{
    char why[CLUSTER_WHY_MAX] = "";
    const char *problem = m->problem;
    list_each(r, &m->replicas, struct managed_replica, link)
    {
        if (!problem[0] && r->remote)
            problem = remote_problem(r);
        if (!why[0] && r->core.state == REPLICA_PENDING)
            cluster_why(m->controller->cluster, &r->room, clock_now(), why);
    }
    return arena_dup(a, str_from(problem[0] ? problem : why));
}

static void put_status(struct json_writer *w, struct arena *a, const struct managed_model *m)
{
    size_t ready = count_replicas(m, REPLICA_READY), all = 0;
    list_each(r, &m->replicas, struct managed_replica, link) all += replica_has_process(&r->core);
    bool is_ready = ready > 0 && ready >= (size_t)m->wish.model->spec.replicas;
    json_object(w);
    json_member_int(w, STR("observedGeneration"), m->wish.model->resource.metadata.generation);
    json_member_int(w, STR("replicas"), (int64_t)all);
    json_member_int(w, STR("readyReplicas"), (int64_t)ready);
    json_member_str(w, STR("phase"), str_from(phase_of(m)));
    json_key(w, STR("conditions"));
    json_array(w);
    json_object(w);
    json_member_str(w, STR("type"), STR("Ready"));
    json_member_str(w, STR("status"), is_ready ? STR("True") : STR("False"));
    json_member_str(w, STR("reason"), str_from(phase_of(m)));
    json_member_str(w, STR("message"), problem_of(m, a));
    json_end(w);
    json_end(w);
    json_end(w);
}

/* The stored resource with the status of now. */
static int put(struct controller *c, struct json_writer *w, struct arena *a,
               const struct resource *stored, struct err *err)
{
    const struct managed_model *m = model_find(c, stored->metadata.name);
    struct json_writer text_writer;
    struct json *tree;
    struct buf text;
    buf_init(&text, MODEL_TEXT_MAX);
    json_writer_init(&text_writer, &text, 0);
    resource_encode(stored, &text_writer);
    struct str kept = arena_dup(a, buf_str(&text));
    buf_fini(&text);
    int error = json_parse(a, kept, &tree, err);
    if (error)
        return error;
    json_object(w);
    json_each(member, tree)
    {
        if (str_eq(member->key, STR("status")))
            continue;
        json_key(w, member->key);
        json_tree(w, member);
    }
    if (m) {
        json_key(w, STR("status"));
        put_status(w, a, m);
    }
    json_end(w);
    return 0;
}

/* ---- changes ---- */

static int settle(struct controller *c, struct arena *a, struct resource *wanted, struct err *err)
{
    struct model *m = model_from(wanted);
    model_settle(m);
    if (m->spec.replicas > ROUTE_REPLICAS_MAX)
        return err_set(err, ERR_INVALID,
                       "spec.replicas: a gateway routes to at most %d replicas of a model",
                       ROUTE_REPLICAS_MAX);
    return 0;
}

/* {"replicas": N} */
static int scale(struct controller *c, struct arena *a, struct str name, struct str body,
                 struct resource **ret_wanted, struct err *err)
{
    struct resource *model;
    struct json *tree;
    int64_t replicas;
    int error = json_parse(a, body, &tree, err);
    if (error)
        return error;
    if (json_i64(json_get(tree, STR("replicas")), &replicas) || replicas < 0)
        return err_set(err, ERR_INVALID, "replicas: must be a whole number from 0 to %d",
                       ROUTE_REPLICAS_MAX);
    error = store_get(c->store, a, &model_kind, name, &model, err);
    if (error)
        return error;
    struct model_spec *spec = &model_from(model)->spec;
    if (spec->engine.type == MODEL_ENGINE_REMOTE && replicas > 0 &&
        (size_t)replicas != spec->engine.urls.count)
        return err_set(err, ERR_INVALID,
                       "spec.replicas: a remote engine has a replica for each of its urls (%zu), "
                       "or 0 to use none; change spec.engine.urls",
                       spec->engine.urls.count);
    spec->replicas = replicas;
    *ret_wanted = model;
    return 0;
}

static void changed(struct controller *c, const struct resource *stored, bool created)
{
    event_note(c, stored->metadata.name, created ? "Created" : "Changed", "generation %lld",
               (long long)stored->metadata.generation);
    model_set(c, stored);
}

static void removed(struct controller *c, struct str name)
{
    event_note(c, name, "Deleted", "its replicas end");
    model_remove(c, name);
}

const struct admin_kind admin_models = {
    .kind = &model_kind,
    .settle = settle,
    .scale = scale,
    .changed = changed,
    .removed = removed,
    .put = put,
};
