/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/tenants.h"

#include "base/mem.h"

void tenants_init(struct tenants *t)
{
    pthread_mutex_init(&t->mutex, NULL);
    map_init(&t->map);
}

void tenants_fini(struct tenants *t)
{
    for (struct map_node *n = map_next(&t->map, NULL), *next; n; n = next) {
        struct tenant *tenant = container_of(n, struct tenant, node);
        next = map_next(&t->map, n);
        map_remove(&t->map, n);
        mem_free((char *)tenant->name.ptr);
        mem_free(tenant);
    }
    map_fini(&t->map);
    pthread_mutex_destroy(&t->mutex);
}

static struct tenant *add(struct tenants *t, struct str name)
{
    struct tenant *tenant = NEW(struct tenant);
    char *copy = mem_alloc(name.len + 1);
    memcpy(copy, name.ptr, name.len);
    tenant->name = (struct str){copy, name.len};
    tenant->number = (uint32_t)t->map.count + 1;
    map_insert(&t->map, tenant->name, &tenant->node);
    return tenant;
}

struct tenant *tenants_get(struct tenants *t, struct str name)
{
    pthread_mutex_lock(&t->mutex);
    struct map_node *node = map_find(&t->map, name);
    struct tenant *tenant = node ? container_of(node, struct tenant, node) : add(t, name);
    pthread_mutex_unlock(&t->mutex);
    return tenant;
}
