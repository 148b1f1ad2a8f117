/* SPDX-License-Identifier: Apache-2.0 */
/* Desired against observed: asks core/plan, carries out, publishes routes. */
#include "base/clock.h"
#include "base/mem.h"
#include "controller/jobs.h"
#include "controller/managed.h"
#include "core/route/route.h"

#include <stdio.h>

enum { SURGE = 1 };

struct managed_model *model_find(struct controller *c, struct str name)
{
    struct map_node *node = map_find(&c->models, name);
    return node ? container_of(node, struct managed_model, node) : NULL;
}

static struct managed_model *model_new(struct controller *c, struct str name)
{
    struct managed_model *m = NEW(struct managed_model);
    m->controller = c;
    m->name = mem_alloc(name.len + 1);
    memcpy(m->name, name.ptr, name.len);
    snprintf(m->title, sizeof(m->title), "model/%s", m->name);
    list_init(&m->replicas);
    map_insert(&c->models, str_from(m->name), &m->node);
    return m;
}

static void model_free(struct managed_model *m)
{
    CHECK(list_empty(&m->replicas));
    map_remove(&m->controller->models, &m->node);
    wish_fini(&m->wish);
    tls_client_unref(m->tls);
    mem_free(m->name);
    mem_free(m);
}

/* The files that it names may have other contents now. */
static void reload_remotes(struct managed_model *m)
{
    tls_client_unref(m->tls);
    m->tls = NULL;
    list_each(r, &m->replicas, struct managed_replica, link) if (r->remote) remote_reload(r);
}

void model_set(struct controller *c, const struct resource *stored)
{
    struct wish wish;
    struct err err = {0};
    int error = wish_read(&wish, stored, c->engine_path, &err);
    struct str name = wish.model->resource.metadata.name;
    struct managed_model *m = model_find(c, name);
    if (!m)
        m = model_new(c, name);
    wish_fini(&m->wish);
    m->wish = wish;
    m->deleted = false;
    m->cannot_run = error != 0;
    snprintf(m->problem, sizeof(m->problem), "%s", error ? err.message : "");
    if (error)
        event_note(c, name, "CannotRun", "%s", err.message);
    reload_remotes(m);
}

void model_remove(struct controller *c, struct str name)
{
    struct managed_model *m = model_find(c, name);
    if (m)
        m->deleted = true;
}

size_t count_replicas(const struct managed_model *m, enum replica_state state)
{
    size_t count = 0;
    list_each(r, &m->replicas, struct managed_replica, link) count += r->core.state == state;
    return count;
}

/* ---- the plan ---- */

/* Could one more ever have room here, beside the other replicas? */
static int check_room(const struct managed_model *m, struct place_request *ret_request,
                      struct err *err)
{
    struct controller *c = m->controller;
    if (model_is_remote(m))
        return 0;
    if (c->cordoned)
        return err_set(err, ERR_CONFLICT,
                       "this machine takes no new replicas: its Node has spec.cordon");
    int error = replica_request(m, ret_request, err);
    return error ? error
                 : wish_check_memory(&m->wish, cluster_memory(c->cluster), c->node_memory, err);
}

/* Adds as many as fit; what does not fit is said and tried again at the next change. */
static void add_replicas(struct managed_model *m, unsigned count)
{
    struct place_request request = {0};
    struct err err;
    m->problem[0] = 0;
    for (; count > 0; count--) {
        int error = check_room(m, &request, &err);
        if (error) {
            snprintf(m->problem, sizeof(m->problem), "%s", err.message);
            if (error != ERR_CONFLICT)
                event_note(m->controller, str_from(m->name), "DoesNotFit", "%s", err.message);
            return;
        }
        replica_ask_room(replica_new(m), &request);
    }
}

static void plan(struct managed_model *m, nsec now)
{
    struct plan_replica planned[ROUTE_REPLICAS_MAX * 2];
    size_t count = 0;
    list_each(r, &m->replicas, struct managed_replica, link)
    {
        CHECK(count < ARRAY_LEN(planned));
        planned[count++] = (struct plan_replica){r->revision, r->id, &r->core};
    }
    unsigned desired =
        m->cannot_run ? 0 : (unsigned)MIN(m->wish.model->spec.replicas, ROUTE_REPLICAS_MAX);
    const struct plan_wish wish = {
        .revision = m->wish.revision,
        .desired = desired,
        /* Remote ones take no room here: one URL that does not answer need not hold up the others. */
        .surge = model_is_remote(m) ? MAX(desired, (unsigned)SURGE) : SURGE,
        .deleted = m->deleted || m->controller->stopping,
    };
    if (m->cannot_run &&
        !wish.deleted) /* a wish that cannot be carried out leaves what runs alone */
        return;
    unsigned missing = plan_model(&wish, planned, count, now);
    if (missing)
        add_replicas(m, missing);
}

static bool is_ending(const struct managed_replica *r)
{
    return r->core.state == REPLICA_DRAINING || r->core.state == REPLICA_STOPPED;
}

/* Carries out what each replica's state asks for; the earliest time to look again. */
static nsec act(struct managed_model *m, nsec now)
{
    nsec wake = NSEC_NEVER;
    list_each(r, &m->replicas, struct managed_replica, link)
    {
        enum replica_action action;
        if (m->controller->leaving && !is_ending(r))
            continue;
        while ((action = replica_next(&r->core, &r->rules, now)) != REPLICA_NOTHING)
            replica_act(r, action);
        wake = MIN(wake, replica_wake_at(&r->core, &r->rules));
        if (r->core.state == REPLICA_STOPPED) {
            replica_free(r);
            m->controller->again = true; /* others may have its room */
        }
    }
    return wake;
}

/* ---- routes ---- */

static void add_routes(struct routes *routes, const struct managed_model *m)
{
    const struct model_spec *spec = &m->wish.model->spec;
    struct routes_model *model = routes_add_model(routes, str_from(m->name));
    model->expecting = spec->replicas > 0 && !m->cannot_run;
    if (spec->engine.model.len)
        routes_set_engine_name(routes, model, spec->engine.model);
    model->revision = m->wish.revision;
    model->policy = str_from(model_policy_name(spec->traffic.policy));
    model->resumes =
        spec->engine.type == MODEL_ENGINE_LLAMA || spec->engine.type == MODEL_ENGINE_SIMULATE;
    model->queue_max_length = (size_t)spec->queue.max_length;
    model->fairness = (enum queue_fairness)spec->queue.fairness; /* the same order */
    model->queue_max_wait = spec->queue.max_wait;
    model->price =
        (struct routes_price){(uint64_t)spec->price.input, (uint64_t)spec->price.cached_input,
                              (uint64_t)spec->price.output};
    model->created = m->controller->started / NSEC_PER_SEC;
    for (size_t i = 0; i < spec->traffic.aliases.count; i++)
        routes_add_alias(routes, model, spec->traffic.aliases.items[i]);
    model->weight = (unsigned)spec->traffic.weight;
    model->hedge_ratio = (double)spec->traffic.hedge_percent / 100;
    for (size_t i = 0; i < spec->traffic.fallback.count; i++)
        routes_add_fallback(routes, model, spec->traffic.fallback.items[i]);
    list_each(r, &m->replicas, struct managed_replica, link)
    {
        if (r->core.state != REPLICA_READY)
            continue;
        struct routes_replica *replica = routes_add_replica(
            routes, model, r->run, r->remote ? remote_address(r) : STR("127.0.0.1"), r->port);
        replica->upstream = r->remote ? upstream_ref(remote_upstream(r)) : NULL;
        replica->slots = r->slots;
        replica->revision = r->revision;
    }
}

static void publish(struct controller *c)
{
    struct routes *routes = routes_new(++c->routes_version);
    for (struct map_node *n = map_next(&c->models, NULL); n; n = map_next(&c->models, n)) {
        const struct managed_model *m = container_of(n, struct managed_model, node);
        if (!m->deleted)
            add_routes(routes, m);
    }
    tenants_publish(c, routes);
    gateways_set_routes(&c->gateways, routes);
    c->options.publish(c->options.ctx, routes);
}

static nsec plan_models(struct controller *c, nsec now)
{
    for (struct map_node *n = map_next(&c->models, NULL); n; n = map_next(&c->models, n))
        plan(container_of(n, struct managed_model, node), now);
    jobs_plan(c, now);
    nsec wake = cluster_step(c->cluster, now);
    /* Before a replica is told to end, the gateways have stopped sending to it. */
    publish(c);
    return wake;
}

static nsec reconcile_models(struct controller *c)
{
    nsec now = clock_now(), wake = NSEC_NEVER;
    if (!c->leaving) /* else only what was begun is brought to its end */
        wake = plan_models(c, now);
    for (struct map_node *n = map_next(&c->models, NULL), *next; n; n = next) {
        struct managed_model *m = container_of(n, struct managed_model, node);
        next = map_next(&c->models, n);
        wake = MIN(wake, act(m, now));
        if (m->deleted && list_empty(&m->replicas))
            model_free(m);
    }
    return MIN(wake, jobs_act(c, now));
}

void reconcile(struct controller *c)
{
    nsec wake = NSEC_NEVER;
    c->again = true;
    if (c->reconciling) /* called by what it does itself: it goes round once more */
        return;
    c->reconciling = true;
    while (c->again) {
        c->again = false;
        wake = reconcile_models(c);
    }
    c->reconciling = false;
    if (wake == NSEC_NEVER)
        loop_timer_stop(&c->wake);
    else
        loop_timer_start(c->loop, &c->wake, MAX(wake - clock_now(), 0));
    controller_if_all_ended(c);
}
