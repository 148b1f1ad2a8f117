/* SPDX-License-Identifier: Apache-2.0 */
/* Models: what is wanted (the store) together with what is the case (the controller). */
#include <stdio.h>

#include "api/model.h"
#include "base/clock.h"
#include "controller/admin_internal.h"
#include "core/route/route.h"
#include "store/store.h"

enum { REQUEST_ARENA_MAX = 64 * 1024 * 1024 };

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
    return ready ? "Degraded" : "Starting";
}

/* What is in the way of the model, or of one of its replicas. */
static const char *problem_of(const struct managed_model *m)
{
    const char *problem = m->problem;
    list_each(r, &m->replicas, struct managed_replica, link)
    {
        if (!problem[0] && r->remote)
            problem = remote_problem(r);
    }
    return problem;
}

static void put_status(struct json_writer *w, const struct managed_model *m)
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
    json_member_str(w, STR("message"), str_from(problem_of(m)));
    json_end(w);
    json_end(w);
    json_end(w);
}

/* The stored resource with the status of now. */
static int put_model(struct json_writer *w, struct arena *a, const struct resource *stored,
                     const struct managed_model *m, struct err *err)
{
    struct json_writer text_writer;
    struct json *tree;
    struct buf text;
    buf_init(&text, REQUEST_ARENA_MAX);
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
        put_status(w, m);
    }
    json_end(w);
    return 0;
}

/* ---- GET ---- */

void admin_get_models(struct controller *c, struct http_exchange *x, struct str rest)
{
    struct resource **models;
    struct admin_reply r;
    struct arena a;
    struct err err;
    size_t count = 0;
    arena_init(&a, REQUEST_ARENA_MAX);
    admin_begin(&r);
    int error = store_list(c->store, &a, &model_kind, &models, &count, &err);
    if (!error) {
        json_object(&r.json);
        json_key(&r.json, STR("items"));
        json_array(&r.json);
        for (size_t i = 0; i < count && !error; i++)
            error =
                put_model(&r.json, &a, models[i], model_find(c, models[i]->metadata.name), &err);
    }
    if (!error) {
        json_end(&r.json);
        json_end(&r.json);
    }
    admin_finish(&r, x, error, &err);
    arena_fini(&a);
}

void admin_get_model(struct controller *c, struct http_exchange *x, struct str name)
{
    struct resource *model;
    struct admin_reply r;
    struct arena a;
    struct err err;
    arena_init(&a, REQUEST_ARENA_MAX);
    admin_begin(&r);
    int error = store_get(c->store, &a, &model_kind, name, &model, &err);
    if (!error)
        error = put_model(&r.json, &a, model, model_find(c, name), &err);
    admin_finish(&r, x, error, &err);
    arena_fini(&a);
}

/* ---- PUT and DELETE ---- */

static int check_wanted(const struct resource *wanted, struct str name, struct err *err)
{
    if (wanted->type != &model_kind)
        return err_set(err, ERR_INVALID, "kind: this URL takes a Model");
    if (!str_eq(wanted->metadata.name, name))
        return err_set(err, ERR_INVALID, "metadata.name: '%.*s' is not the name in the URL",
                       STR_ARG(wanted->metadata.name));
    const struct model_spec *spec = &model_from((struct resource *)wanted)->spec;
    if (spec->engine.type == MODEL_ENGINE_REMOTE && spec->replicas > 0 &&
        (size_t)spec->replicas != spec->engine.urls.count)
        return err_set(err, ERR_INVALID,
                       "spec.replicas: a remote engine has a replica for each of its urls (%zu), "
                       "or 0 to use none; change spec.engine.urls",
                       spec->engine.urls.count);
    if (spec->replicas > ROUTE_REPLICAS_MAX)
        return err_set(err, ERR_INVALID,
                       "spec.replicas: a gateway routes to at most %d replicas of a model",
                       ROUTE_REPLICAS_MAX);
    return 0;
}

static int store_wanted(struct controller *c, struct arena *a, const struct resource *wanted,
                        struct resource **ret_stored, enum store_outcome *ret_outcome,
                        struct err *err)
{
    int error = store_put(c->store, a, wanted, clock_wall(), ret_stored, ret_outcome, err);
    if (error || *ret_outcome == STORE_UNCHANGED)
        return error;
    event_note(c, wanted->metadata.name, *ret_outcome == STORE_CREATED ? "Created" : "Changed",
               "generation %lld", (long long)(*ret_stored)->metadata.generation);
    model_set(c, *ret_stored);
    return 0;
}

static int put_scale(struct controller *c, struct arena *a, struct str name, struct str body,
                     struct resource **ret_stored, enum store_outcome *ret_outcome, struct err *err)
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
    model_from(model)->spec.replicas = replicas;
    error = check_wanted(model, name, err);
    return error ? error : store_wanted(c, a, model, ret_stored, ret_outcome, err);
}

static int put_whole(struct controller *c, struct arena *a, struct str name, struct str body,
                     struct resource **ret_stored, enum store_outcome *ret_outcome, struct err *err)
{
    struct resource *wanted;
    struct json *tree;
    int error = json_parse(a, body, &tree, err);
    if (!error)
        error = resource_decode(a, tree, &wanted, err);
    if (!error && wanted->type == &model_kind)
        model_settle(model_from(wanted));
    if (!error)
        error = check_wanted(wanted, name, err);
    return error ? error : store_wanted(c, a, wanted, ret_stored, ret_outcome, err);
}

struct str admin_outcome(enum store_outcome outcome)
{
    static const struct str names[] = {
        [STORE_CREATED] = STR("created"),
        [STORE_CHANGED] = STR("changed"),
        [STORE_UNCHANGED] = STR("unchanged"),
    };
    return names[outcome];
}

/* PUT /apis/fairway.dev/v1/models/NAME and .../NAME/scale */
void admin_put_model(struct controller *c, struct http_exchange *x, struct str rest)
{
    struct str body = http_exchange_request(x)->body;
    struct resource *stored = NULL;
    enum store_outcome outcome = STORE_UNCHANGED;
    struct admin_reply r;
    struct arena a;
    struct err err;
    arena_init(&a, REQUEST_ARENA_MAX);
    admin_begin(&r);
    struct str name = str_ends(rest, STR("/scale")) ? str_sub(rest, 0, rest.len - 6) : rest;
    int error = name.len < rest.len ? put_scale(c, &a, name, body, &stored, &outcome, &err)
                                    : put_whole(c, &a, name, body, &stored, &outcome, &err);
    if (!error) {
        json_object(&r.json);
        json_member_str(&r.json, STR("outcome"), admin_outcome(outcome));
        json_key(&r.json, STR("object"));
        error = put_model(&r.json, &a, stored, model_find(c, name), &err);
    }
    if (!error)
        json_end(&r.json);
    admin_finish(&r, x, error, &err);
    arena_fini(&a);
    reconcile(c);
}

void admin_delete_model(struct controller *c, struct http_exchange *x, struct str name)
{
    struct admin_reply r;
    struct err err;
    int error = store_delete(c->store, &model_kind, name, STR_NONE, &err);
    if (error) {
        admin_fail(x, &err);
        return;
    }
    event_note(c, name, "Deleted", "its replicas end");
    model_remove(c, name);
    admin_begin(&r);
    json_object(&r.json);
    json_end(&r.json);
    admin_send(&r, x, 200);
    reconcile(c);
}
