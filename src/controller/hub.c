/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/hub.h"

#include <openssl/rand.h>
#include <stdio.h>

#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "store/usage.h"

struct hub_tenant {
    struct map_node node; /* by name, own */
    struct share_limits share;
    uint64_t changed;                      /* see hub.changes */
    uint64_t level_requests, level_tokens; /* of the minutes, as HUB_HERE sees them */
};

struct hub_replica {
    struct list in_hub, in_model;
    struct hub_model *model;
    uint64_t id;
    unsigned reported; /* running there, by the report that is being read */
    bool wanted;       /* it is in the snapshot that is being read */
    struct share_slots share;
};

struct hub_model {
    struct map_node node; /* by name, own */
    struct list replicas;
    size_t replica_count;
    uint64_t reported; /* waiting, by the report that is being read */
};

struct hub {
    char id[2 * sizeof(uint64_t) + 1];
    struct hub_member members[SHARE_GATEWAYS_MAX];
    unsigned here; /* the set of those */
    struct map tenants, models;
    struct list replicas;
    uint64_t changes; /* counts what may change somebody's limits */
};

/* ---- life ---- */

static struct str own_name(struct str name)
{
    char *copy = mem_alloc(name.len + 1);
    memcpy(copy, name.ptr, name.len);
    return (struct str){copy, name.len};
}

struct hub *hub_new(void)
{
    struct hub *h = NEW(struct hub);
    uint64_t id;
    CHECK(RAND_bytes((unsigned char *)&id, sizeof(id)) == 1);
    snprintf(h->id, sizeof(h->id), "%016llx", (unsigned long long)id);
    map_init(&h->tenants);
    map_init(&h->models);
    list_init(&h->replicas);
    return h;
}

static void replica_free(struct hub_replica *r)
{
    list_remove(&r->in_hub);
    list_remove(&r->in_model);
    r->model->replica_count--;
    mem_free(r);
}

static void model_free(struct hub *h, struct hub_model *m)
{
    list_each(r, &m->replicas, struct hub_replica, in_model) replica_free(r);
    map_remove(&h->models, &m->node);
    mem_free((char *)m->node.key.ptr);
    mem_free(m);
}

void hub_free(struct hub *h)
{
    if (!h)
        return;
    for (struct map_node *n = map_next(&h->models, NULL), *next; n; n = next) {
        next = map_next(&h->models, n);
        model_free(h, container_of(n, struct hub_model, node));
    }
    for (struct map_node *n = map_next(&h->tenants, NULL), *next; n; n = next) {
        struct hub_tenant *t = container_of(n, struct hub_tenant, node);
        next = map_next(&h->tenants, n);
        map_remove(&h->tenants, n);
        mem_free((char *)t->node.key.ptr);
        mem_free(t);
    }
    map_fini(&h->models);
    map_fini(&h->tenants);
    mem_free(h);
}

struct str hub_id(const struct hub *h)
{
    return str_from(h->id);
}

/* ---- what is shared ---- */

static struct hub_tenant *tenant_of(struct hub *h, struct str name)
{
    struct map_node *node = map_find(&h->tenants, name);
    if (node)
        return container_of(node, struct hub_tenant, node);
    struct hub_tenant *t = NEW(struct hub_tenant);
    map_insert(&h->tenants, own_name(name), &t->node);
    return t;
}

static struct hub_model *model_of(struct hub *h, struct str name)
{
    struct map_node *node = map_find(&h->models, name);
    if (node)
        return container_of(node, struct hub_model, node);
    struct hub_model *m = NEW(struct hub_model);
    list_init(&m->replicas);
    map_insert(&h->models, own_name(name), &m->node);
    return m;
}

static struct hub_replica *replica_of(struct hub_model *m, uint64_t id)
{
    list_each(r, &m->replicas, struct hub_replica, in_model) if (r->id == id) return r;
    return NULL;
}

/* Before orders speak of it a member uses one slot of it, the gateway of this process all. */
static unsigned first_lease(const struct hub_replica *r, unsigned member)
{
    return member == HUB_HERE ? r->share.slots : 1;
}

static void put_replica(struct hub *h, struct hub_model *m, const struct routes_replica *route)
{
    struct hub_replica *r = replica_of(m, route->id);
    if (!r) {
        r = NEW(struct hub_replica);
        r->id = route->id;
        r->model = m;
        r->share.slots = route->slots;
        for (unsigned i = 0; i < SHARE_GATEWAYS_MAX; i++)
            share_slots_join(&r->share, i, first_lease(r, i));
        list_append(&h->replicas, &r->in_hub);
        list_append(&m->replicas, &r->in_model);
        m->replica_count++;
    }
    r->share.slots = route->slots;
    r->wanted = true;
}

static void forget_unwanted(struct hub *h, struct hub_model *m)
{
    list_each(r, &m->replicas, struct hub_replica, in_model)
    {
        if (!r->wanted)
            replica_free(r);
        else
            r->wanted = false;
    }
    if (list_empty(&m->replicas))
        model_free(h, m);
}

void hub_set_routes(struct hub *h, const struct routes *routes)
{
    for (const struct routes_model *m = routes->models; m; m = m->next)
        for (const struct routes_replica *r = m->replicas; r; r = r->next)
            put_replica(h, model_of(h, m->name), r);
    for (struct map_node *n = map_next(&h->models, NULL), *next; n; n = next) {
        next = map_next(&h->models, n);
        forget_unwanted(h, container_of(n, struct hub_model, node));
    }
}

/* ---- members ---- */

const struct hub_member *hub_member(const struct hub *h, unsigned i)
{
    return &h->members[i];
}

unsigned hub_count(const struct hub *h)
{
    return (unsigned)__builtin_popcount(h->here);
}

static struct hub_member *find(struct hub *h, struct str gateway)
{
    for (unsigned i = 0; i < SHARE_GATEWAYS_MAX; i++)
        if (h->members[i].id[0] && str_eq(str_from(h->members[i].id), gateway))
            return &h->members[i];
    return NULL;
}

const struct hub_member *hub_find(const struct hub *h, struct str gateway)
{
    return find((struct hub *)h, gateway);
}

/* A number that nobody has, or of the one that has been away for longest. The first is for this process. */
static struct hub_member *free_member(struct hub *h)
{
    struct hub_member *best = NULL;
    if (!h->members[HUB_HERE].here)
        return &h->members[HUB_HERE];
    for (unsigned i = HUB_HERE + 1; i < SHARE_GATEWAYS_MAX; i++) {
        struct hub_member *m = &h->members[i];
        if (!m->here && (!best || m->seen < best->seen))
            best = m;
    }
    return best;
}

static void join(struct hub *h, struct hub_member *m, const struct sync_report *report, nsec now)
{
    unsigned number = (unsigned)(m - h->members);
    bool knows_nothing = !str_eq(report->controller, hub_id(h));
    *m = (struct hub_member){.joined = now};
    snprintf(m->id, sizeof(m->id), "%.*s", STR_ARG(report->gateway));
    for (struct map_node *n = map_next(&h->tenants, NULL); n; n = map_next(&h->tenants, n))
        share_limits_join(&container_of(n, struct hub_tenant, node)->share, number, knows_nothing);
    list_each(r, &h->replicas, struct hub_replica, in_hub)
        share_slots_join(&r->share, number, first_lease(r, number));
}

static void leave(struct hub *h, struct hub_member *m)
{
    unsigned number = (unsigned)(m - h->members);
    m->here = false;
    h->here &= ~(1u << number);
    h->changes++;
    for (struct map_node *n = map_next(&h->tenants, NULL); n; n = map_next(&h->tenants, n)) {
        struct hub_tenant *t = container_of(n, struct hub_tenant, node);
        share_limits_leave(&t->share, number);
        t->changed = h->changes;
    }
    list_each(r, &h->replicas, struct hub_replica, in_hub) share_slots_leave(&r->share, number);
    log_info("a gateway has left", log_str("gateway", m->id), log_str("address", m->address));
}

bool hub_expire(struct hub *h, nsec now)
{
    bool any = false;
    for (unsigned i = HUB_HERE + 1; i < SHARE_GATEWAYS_MAX; i++)
        if (h->members[i].here && now - h->members[i].seen > HUB_LOST) {
            leave(h, &h->members[i]);
            any = true;
        }
    return any;
}

/* ---- reports ---- */

static void take_tenants(struct hub *h, unsigned number, const struct sync_state *s, bool again)
{
    for (const struct sync_tenant *t = s->tenants; t; t = t->next) {
        struct hub_tenant *tenant = tenant_of(h, t->name);
        struct limit_charge charge = t->did.charge;
        if (again)
            charge.requests = charge.tokens = 0;
        share_limits_report(&tenant->share, number, &charge);
        tenant->changed = h->changes;
        if (number == HUB_HERE) {
            tenant->level_requests = t->level_requests;
            tenant->level_tokens = t->level_tokens;
        }
    }
}

static void note_models(struct hub *h, struct hub_member *member, const struct sync_state *s)
{
    member->waiting = member->running = 0;
    for (const struct sync_model *m = s->models; m; m = m->next) {
        struct map_node *node = map_find(&h->models, m->name);
        struct hub_model *model = node ? container_of(node, struct hub_model, node) : NULL;
        member->waiting += m->waiting;
        if (model)
            model->reported = m->waiting;
        for (const struct sync_replica *r = m->replicas; r; r = r->next) {
            struct hub_replica *replica = model ? replica_of(model, r->id) : NULL;
            member->running += r->count;
            if (replica)
                replica->reported = r->count;
        }
    }
}

/* Those that wait would go to any replica of their model. */
static void take_models(struct hub *h, struct hub_member *member, const struct sync_state *s,
                        bool acknowledged)
{
    unsigned number = (unsigned)(member - h->members);
    note_models(h, member, s);
    list_each(r, &h->replicas, struct hub_replica, in_hub)
    {
        const struct hub_model *m = r->model;
        uint64_t waiting = (m->reported + m->replica_count - 1) / m->replica_count;
        share_slots_report(&r->share, number, r->reported,
                           r->reported + (unsigned)MIN(waiting, r->share.slots), acknowledged);
        r->reported = 0;
    }
    for (struct map_node *n = map_next(&h->models, NULL); n; n = map_next(&h->models, n))
        container_of(n, struct hub_model, node)->reported = 0;
}

static void take_report(struct hub *h, struct hub_member *m, const struct sync_report *report,
                        nsec now, bool *ret_acknowledged)
{
    unsigned number = (unsigned)(m - h->members);
    bool again = report->sequence <= m->sequence;
    *ret_acknowledged =
        report->orders == m->number && (m->number == 0 || str_eq(report->controller, hub_id(h)));
    if (*ret_acknowledged)
        m->knows = m->told;
    h->changes++;
    m->here = true;
    h->here |= 1u << number;
    m->seen = now;
    m->sequence = report->sequence;
    m->routes = report->routes;
    m->keys = report->keys;
    snprintf(m->address, sizeof(m->address), "%.*s", STR_ARG(report->address));
    snprintf(m->version, sizeof(m->version), "%.*s", STR_ARG(report->version));
    take_tenants(h, number, &report->state, again);
    take_models(h, m, &report->state, *ret_acknowledged);
}

/* ---- orders ---- */

static bool speaks(const struct sync_tenant *t)
{
    const struct share_others *o = &t->did;
    return o->charge.requests || o->charge.tokens || o->charge.running || o->charge.held_tokens ||
           o->charge.held_cost || o->settled_tokens || o->settled_cost || t->level_requests ||
           t->level_tokens;
}

static void order_tenants(struct hub *h, struct arena *a, const struct hub_member *m,
                          struct sync_orders *orders)
{
    unsigned number = (unsigned)(m - h->members);
    for (struct map_node *n = map_next(&h->tenants, NULL); n; n = map_next(&h->tenants, n)) {
        const struct hub_tenant *t = container_of(n, struct hub_tenant, node);
        struct sync_tenant order = {.name = t->node.key,
                                    .did = share_limits_others(&t->share, number)};
        if (number == HUB_HERE) /* it hears of that by the rows themselves */
            order.did.settled_tokens = order.did.settled_cost = 0;
        if (orders->joined) {
            order.level_requests = t->level_requests;
            order.level_tokens = t->level_tokens;
        }
        if (orders->joined ? !speaks(&order) : t->changed <= m->knows)
            continue;
        struct sync_tenant *copy = ARENA_NEW(a, struct sync_tenant);
        CHECK(copy);
        *copy = order;
        copy->next = orders->state.tenants;
        orders->state.tenants = copy;
    }
}

static struct sync_replica *order_replicas(struct hub *h, struct arena *a, struct hub_model *model,
                                           unsigned number, bool acknowledged)
{
    bool alone = h->here == 1u << number;
    struct sync_replica *first = NULL;
    list_each(r, &model->replicas, struct hub_replica, in_model)
    {
        unsigned before = r->share.of[number].granted;
        unsigned granted = share_slots_grant(&r->share, h->here, number);
        if (acknowledged && granted == before && !alone)
            continue;
        struct sync_replica *order = ARENA_NEW(a, struct sync_replica);
        CHECK(order);
        *order = (struct sync_replica){r->id, alone ? 0 : granted, first};
        first = order;
    }
    return first;
}

static void order_models(struct hub *h, struct arena *a, const struct hub_member *m,
                         bool acknowledged, struct sync_orders *orders)
{
    unsigned number = (unsigned)(m - h->members);
    for (struct map_node *n = map_next(&h->models, NULL); n; n = map_next(&h->models, n)) {
        struct hub_model *model = container_of(n, struct hub_model, node);
        struct sync_replica *replicas = order_replicas(h, a, model, number, acknowledged);
        if (!replicas)
            continue;
        struct sync_model *order = ARENA_NEW(a, struct sync_model);
        CHECK(order);
        *order = (struct sync_model){
            .name = model->node.key, .replicas = replicas, .next = orders->state.models};
        orders->state.models = order;
    }
}

int hub_exchange(struct hub *h, struct arena *a, const struct sync_report *report, nsec now,
                 struct sync_orders *ret_orders, struct err *err)
{
    struct hub_member *m = find(h, report->gateway);
    bool acknowledged;
    if (!report->gateway.len || report->gateway.len >= HUB_ID_MAX)
        return err_set(err, ERR_INVALID, "gateway: an id has 1 to %d bytes", HUB_ID_MAX - 1);
    if (!m && !(m = free_member(h)))
        return err_set(err, ERR_FULL,
                       "%d gateways are here, and no more can be: end one with SIGTERM",
                       SHARE_GATEWAYS_MAX);
    if (!hub_find(h, report->gateway))
        join(h, m, report, now);
    take_report(h, m, report, now, &acknowledged);
    *ret_orders = (struct sync_orders){
        .controller = hub_id(h), .number = m->number + 1, .joined = m->knows == 0};
    if (report->leaving) {
        leave(h, m);
        return 0;
    }
    order_tenants(h, a, m, ret_orders);
    order_models(h, a, m, acknowledged, ret_orders);
    m->number = ret_orders->number;
    m->told = h->changes;
    return 0;
}

/* ---- usage ---- */

void hub_settle(struct hub *h, struct str gateway, int64_t today, const struct usage *rows,
                size_t count)
{
    const struct hub_member *m = find(h, gateway);
    h->changes++;
    for (size_t i = 0; i < count; i++) {
        struct hub_tenant *t = tenant_of(h, rows[i].tenant);
        uint64_t tokens = (uint64_t)(rows[i].input_tokens + rows[i].output_tokens);
        if (rows[i].day != today)
            continue;
        share_limits_settle(&t->share, m ? (unsigned)(m - h->members) : SHARE_NOBODY, tokens,
                            (uint64_t)rows[i].cost);
        t->changed = h->changes;
    }
}
