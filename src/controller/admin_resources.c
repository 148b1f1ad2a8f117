/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resources in the store, one way for all kinds: list, get, put, delete. What a kind does beyond that is in its struct admin_kind.
 * Nodes are not stored as they are shown: admin_nodes.c.
 */
#include "api/job.h"
#include "api/tenant.h"
#include "base/clock.h"
#include "controller/admin_internal.h"
#include "controller/jobs.h"

enum { REQUEST_ARENA_MAX = 64 * 1024 * 1024 };

/* ---- tenants: the gateways hear of them with the next routes ---- */

static void tenant_changed(struct controller *c, const struct resource *stored, bool created)
{
    tenants_load(c);
}

static void tenant_removed(struct controller *c, struct str name)
{
    tenants_load(c);
}

static const struct admin_kind admin_tenants = {
    .kind = &tenant_kind,
    .changed = tenant_changed,
    .removed = tenant_removed,
};

/* ---- jobs ---- */

static int job_settle(struct controller *c, struct arena *a, struct resource *wanted,
                      struct err *err)
{
    struct resource *stored;
    struct err problem;
    int error = store_get(c->store, a, &job_kind, wanted->metadata.name, &stored, &problem);
    if (error == ERR_NOT_FOUND)
        return 0;
    return error ? err_set(err, error, "%s", problem.message)
                 : job_check_change(job_from(stored), job_from(wanted), err);
}

static void job_changed(struct controller *c, const struct resource *stored, bool created)
{
    event_note_of(c, &job_kind, stored->metadata.name, created ? "Created" : "Changed",
                  "generation %lld", (long long)stored->metadata.generation);
    job_set(c, stored);
}

static void job_removed(struct controller *c, struct str name)
{
    event_note_of(c, &job_kind, name, "Deleted", "its members end");
    job_remove(c, name);
}

/* With the status of now. */
static int job_put(struct controller *c, struct json_writer *w, struct arena *a,
                   const struct resource *stored, struct err *err)
{
    const struct managed_job *j = job_find(c, stored->metadata.name);
    struct job now = *job_from((struct resource *)stored);
    if (j)
        job_status(j, a, &now.status);
    resource_encode(&now.resource, w);
    return 0;
}

static const struct admin_kind admin_jobs = {
    .kind = &job_kind,
    .put = job_put,
    .settle = job_settle,
    .changed = job_changed,
    .removed = job_removed,
};

/* ---- what a URL names ---- */

static const struct admin_kind *const kinds[] = {&admin_models, &admin_jobs, &admin_tenants};

/* jobs, jobs/NAME or models/NAME/scale */
struct target {
    const struct admin_kind *kind;
    struct str name; /* empty: all of the kind */
    bool scale;
};

static bool parse_target(struct str rest, struct target *ret_target)
{
    struct str words[4] = {STR_NONE};
    size_t count = 0;
    while (count < ARRAY_LEN(words) && str_split(&rest, '/', &words[count]))
        count++;
    *ret_target = (struct target){.name = words[1], .scale = str_eq(words[2], STR("scale"))};
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (str_eq(words[0], str_from(kinds[i]->kind->plural)))
            ret_target->kind = kinds[i];
    const struct admin_kind *kind = ret_target->kind;
    return kind && (count < 3 || (count == 3 && ret_target->scale && kind->scale));
}

static int put_one(struct controller *c, const struct admin_kind *kind, struct json_writer *w,
                   struct arena *a, const struct resource *stored, struct err *err)
{
    if (kind->put)
        return kind->put(c, w, a, stored, err);
    resource_encode(stored, w);
    return 0;
}

/* ---- GET ---- */

static int put_all(struct controller *c, const struct admin_kind *kind, struct json_writer *w,
                   struct arena *a, struct err *err)
{
    struct resource **resources;
    size_t count = 0;
    int error = store_list(c->store, a, kind->kind, &resources, &count, err);
    json_object(w);
    json_key(w, STR("items"));
    json_array(w);
    for (size_t i = 0; i < count && !error; i++)
        error = put_one(c, kind, w, a, resources[i], err);
    json_end(w);
    json_end(w);
    return error;
}

void admin_get_resources(struct controller *c, struct http_exchange *x, struct str rest)
{
    struct resource *stored;
    struct admin_reply r;
    struct target t;
    struct arena a;
    struct err err;
    if (!parse_target(rest, &t) || t.scale) {
        admin_fail_not_found(x);
        return;
    }
    arena_init(&a, REQUEST_ARENA_MAX);
    admin_begin(&r);
    int error = t.name.len ? store_get(c->store, &a, t.kind->kind, t.name, &stored, &err)
                           : put_all(c, t.kind, &r.json, &a, &err);
    if (!error && t.name.len)
        error = put_one(c, t.kind, &r.json, &a, stored, &err);
    admin_finish(&r, x, error, &err);
    arena_fini(&a);
}

/* ---- PUT ---- */

static int read_whole(const struct target *t, struct arena *a, struct str body,
                      struct resource **ret_wanted, struct err *err)
{
    struct json *tree;
    struct resource *wanted;
    int error = json_parse(a, body, &tree, err);
    if (!error)
        error = resource_decode(a, tree, &wanted, err);
    if (!error && (wanted->type != t->kind->kind || !str_eq(wanted->metadata.name, t->name)))
        error = err_set(err, ERR_INVALID, "kind, metadata.name: this URL takes the %s '%.*s'",
                        t->kind->kind->name, STR_ARG(t->name));
    if (!error)
        *ret_wanted = wanted;
    return error;
}

static int put(struct controller *c, const struct target *t, struct arena *a, struct str body,
               struct resource **ret_stored, enum store_outcome *ret_outcome, struct err *err)
{
    struct resource *wanted;
    int error = t->scale ? t->kind->scale(c, a, t->name, body, &wanted, err)
                         : read_whole(t, a, body, &wanted, err);
    if (!error && t->kind->settle)
        error = t->kind->settle(c, a, wanted, err);
    if (!error)
        error = store_put(c->store, a, wanted, clock_wall(), ret_stored, ret_outcome, err);
    if (!error && *ret_outcome != STORE_UNCHANGED)
        t->kind->changed(c, *ret_stored, *ret_outcome == STORE_CREATED);
    return error;
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

void admin_put_resource(struct controller *c, struct http_exchange *x, struct str rest)
{
    struct resource *stored;
    enum store_outcome outcome;
    struct admin_reply r;
    struct target t;
    struct arena a;
    struct err err;
    if (!parse_target(rest, &t) || !t.name.len) {
        admin_fail_not_found(x);
        return;
    }
    arena_init(&a, REQUEST_ARENA_MAX);
    admin_begin(&r);
    int error = put(c, &t, &a, http_exchange_request(x)->body, &stored, &outcome, &err);
    if (!error) {
        json_object(&r.json);
        json_member_str(&r.json, STR("outcome"), admin_outcome(outcome));
        json_key(&r.json, STR("object"));
        error = put_one(c, t.kind, &r.json, &a, stored, &err);
        json_end(&r.json);
    }
    admin_finish(&r, x, error, &err);
    arena_fini(&a);
    reconcile(c);
}

/* ---- DELETE ---- */

void admin_delete_resource(struct controller *c, struct http_exchange *x, struct str rest)
{
    struct admin_reply r;
    struct target t;
    struct err err;
    if (!parse_target(rest, &t) || !t.name.len || t.scale) {
        admin_fail_not_found(x);
        return;
    }
    admin_begin(&r);
    int error = store_delete(c->store, t.kind->kind, t.name, STR_NONE, &err);
    if (!error) {
        t.kind->removed(c, t.name);
        json_object(&r.json);
        json_end(&r.json);
    }
    admin_finish(&r, x, error, &err);
    reconcile(c);
}
