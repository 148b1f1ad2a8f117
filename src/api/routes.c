/* SPDX-License-Identifier: Apache-2.0 */
#include "api/routes.h"

#include "base/mem.h"

struct routes *routes_new(uint64_t version)
{
    struct routes *r = NEW(struct routes);
    atomic_init(&r->refs, 1);
    arena_init(&r->arena, SIZE_MAX);
    r->version = version;
    return r;
}

struct routes *routes_ref(struct routes *r)
{
    atomic_fetch_add(&r->refs, 1);
    return r;
}

void routes_unref(struct routes *r)
{
    if (!r || atomic_fetch_sub(&r->refs, 1) != 1)
        return;
    for (struct routes_model *m = r->models; m; m = m->next)
        for (struct routes_replica *replica = m->replicas; replica; replica = replica->next)
            upstream_unref(replica->upstream);
    arena_fini(&r->arena);
    mem_free(r);
}

struct routes_model *routes_add_model(struct routes *r, struct str name)
{
    struct routes_model *model = ARENA_NEW(&r->arena, struct routes_model);
    model->name = model->engine_name = arena_dup(&r->arena, name);
    struct routes_model **end = &r->models;
    while (*end)
        end = &(*end)->next;
    return *end = model;
}

void routes_set_engine_name(struct routes *r, struct routes_model *model, struct str name)
{
    model->engine_name = arena_dup(&r->arena, name);
}

static void prepend_name(struct routes *r, struct routes_alias **list, struct str name)
{
    struct routes_alias *a = ARENA_NEW(&r->arena, struct routes_alias);
    a->name = arena_dup(&r->arena, name);
    a->next = *list;
    *list = a;
}

void routes_add_alias(struct routes *r, struct routes_model *model, struct str alias)
{
    prepend_name(r, &model->aliases, alias);
}

void routes_add_fallback(struct routes *r, struct routes_model *model, struct str name)
{
    struct routes_alias *a = ARENA_NEW(&r->arena, struct routes_alias), **end = &model->fallbacks;
    *a = (struct routes_alias){.name = arena_dup(&r->arena, name)};
    while (*end)
        end = &(*end)->next;
    *end = a;
}

struct routes_tenant *routes_add_tenant(struct routes *r, struct str name)
{
    struct routes_tenant *t = ARENA_NEW(&r->arena, struct routes_tenant);
    *t = (struct routes_tenant){.name = arena_dup(&r->arena, name),
                                .weight = 1,
                                .priority = QUEUE_BAND_NORMAL,
                                .next = r->tenants};
    return r->tenants = t;
}

void routes_add_used(struct routes *r, struct str tenant, const struct limit_usage *usage)
{
    struct routes_used *u = ARENA_NEW(&r->arena, struct routes_used);
    *u = (struct routes_used){arena_dup(&r->arena, tenant), *usage, r->used};
    r->used = u;
}

void routes_allow_model(struct routes *r, struct routes_tenant *tenant, struct str model)
{
    prepend_name(r, &tenant->models, model);
}

struct routes_replica *routes_add_replica(struct routes *r, struct routes_model *model, uint64_t id,
                                          struct str host, uint16_t port)
{
    struct routes_replica *replica = ARENA_NEW(&r->arena, struct routes_replica);
    *replica = (struct routes_replica){
        .id = id, .host = arena_dup(&r->arena, host), .port = port, .next = model->replicas};
    model->replicas = replica;
    return replica;
}
