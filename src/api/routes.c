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
    arena_fini(&r->arena);
    mem_free(r);
}

struct routes_model *routes_add_model(struct routes *r, struct str name)
{
    struct routes_model *model = ARENA_NEW(&r->arena, struct routes_model);
    model->name = arena_dup(&r->arena, name);
    struct routes_model **end = &r->models;
    while (*end)
        end = &(*end)->next;
    return *end = model;
}

void routes_add_alias(struct routes *r, struct routes_model *model, struct str alias)
{
    struct routes_alias *a = ARENA_NEW(&r->arena, struct routes_alias);
    a->name = arena_dup(&r->arena, alias);
    a->next = model->aliases;
    model->aliases = a;
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
