/* SPDX-License-Identifier: Apache-2.0 */
/* The state: nodes, and what is taken of them. */
#include "core/place/place.h"

#include "core/place/fit.h"
#include "core/place/place_internal.h"
#include "core/place/trial.h"

/* An allocation is rounded up to the alignment of anything, which is less. */
enum { ROUNDING = 64 };

/* Into how many nodes are grouped. */
static uint32_t groups_of(const struct place_options *o)
{
    return o->policy->price ? RANK_GROUPS_MAX : 1;
}

size_t place_memory(const struct place_options *o)
{
    size_t node = sizeof(struct place_node) + sizeof(struct place_view) + sizeof(uint32_t);
    size_t shape = sizeof(struct place_shape) + rank_memory(o->nodes_max, groups_of(o));
    return o->nodes_max * node + o->leases_max * sizeof(struct place_holding) +
           o->shapes_max * shape + rank_log_memory(o->nodes_max) + place_target_size() +
           8 * ROUNDING;
}

static void *new_array(struct place *p, size_t count, size_t size)
{
    void *memory = arena_array(&p->memory, count, size);
    CHECK(memory);
    return memory;
}

void place_init(struct place *p, const struct place_options *options)
{
    const struct place_options *o = options;
    CHECK(o->policy && o->nodes_max > 0 && o->nodes_max <= PLACE_NODES_MAX);
    CHECK(o->leases_max > 0 && o->shapes_max > 0);
    *p = (struct place){.options = *o};
    arena_init(&p->memory, place_memory(o));
    p->nodes = new_array(p, o->nodes_max, sizeof(*p->nodes));
    p->views = new_array(p, o->nodes_max, sizeof(*p->views));
    p->crowd = new_array(p, o->nodes_max, sizeof(*p->crowd));
    p->holdings = new_array(p, o->leases_max, sizeof(*p->holdings));
    p->shapes = new_array(p, o->shapes_max, sizeof(*p->shapes));
    rank_log_init(&p->changes, &p->memory, o->nodes_max, groups_of(o));
    map_init(&p->by_id);
    map_init(&p->by_owner);
    map_init(&p->by_request);
    place_target_init(p);
}

void place_fini(struct place *p)
{
    place_target_fini(p);
    map_fini(&p->by_id);
    map_fini(&p->by_owner);
    map_fini(&p->by_request);
    arena_fini(&p->memory);
}

/* ---- views ---- */

static void view_gpu(struct place_view *v, const struct place_gpu *gpu, int i)
{
    const struct place_gpu_spec *spec = &gpu->spec;
    uint16_t bit = (uint16_t)(1u << i);
    v->model[i] = spec->model;
    v->models |= UINT64_C(1) << spec->model;
    if (spec->faulty)
        return;
    if (spec->mig) {
        if (gpu->mig.slices != (1u << spec->mig->slices) - 1)
            v->cut |= bit;
        return;
    }
    v->room[i] = (int16_t)place_room(gpu);
    v->room_sum += v->room[i];
    v->room_all += PLACE_MILLI;
    if (gpu->leases == 0)
        v->idle |= bit;
}

struct place_view place_view_plain(const struct place_node *n)
{
    struct place_view v = {
        .cpu_free = n->spec.cpu - n->cpu_used,
        .memory_free = n->spec.memory - n->memory_used,
        .gpu_count = (uint8_t)n->spec.gpu_count,
        .open = n->spec.id != 0 && !n->removed && !n->spec.closed,
        .spot = n->spec.spot,
        .picky = !place_set_within(&n->spec.taints, &(struct place_set){{0}}),
    };
    for (int i = 0; i < n->spec.gpu_count; i++)
        view_gpu(&v, &n->gpus[i], i);
    for (int kind = 0; kind < PLACE_KINDS; kind++)
        v.kinds |= (uint32_t)(n->kinds[kind] > 0) << kind;
    return v;
}

struct place_view place_view_of(const struct place *p, const struct place_node *n)
{
    struct place_view v = place_view_plain(n);
    if (p->options.policy->look)
        p->options.policy->look(p, &v);
    return v;
}

static void forget_scores(struct place *p)
{
    for (unsigned i = 0; i < p->shape_count; i++)
        rank_forget(&p->shapes[i].rank);
}

static void supply_add(struct place *p, const struct place_view *v, int sign)
{
    struct place_supply *supply = &p->supply[place_group(v->models)];
    if (!v->open)
        return;
    supply->all += (int64_t)sign * v->room_all;
    supply->free += (int64_t)sign * v->room_sum;
}

static void look(struct place *p, int slot)
{
    struct place_view *v = &p->views[slot];
    supply_add(p, v, -1);
    *v = place_view_of(p, &p->nodes[slot]);
    supply_add(p, v, 1);
    if (v->models && p->options.policy->price &&
        rank_log_group(&p->changes, (uint32_t)slot, (uint8_t)place_group(v->models)))
        forget_scores(p);
}

static void changed(struct place *p, int slot)
{
    look(p, slot);
    rank_log_add(&p->changes, (uint32_t)slot);
}

static void all_changed(struct place *p)
{
    for (int slot = 0; slot < p->node_count; slot++)
        look(p, slot);
    forget_scores(p);
}

void place_set_target(struct place *p, const struct place_request *requests, const uint32_t *counts,
                      size_t count)
{
    place_target_make(p, requests, counts, count);
    all_changed(p);
}

/* ---- nodes ---- */

static struct str key_of(const uint64_t *id)
{
    return (struct str){(const char *)id, sizeof(*id)};
}

static int slot_of(const struct place *p, uint64_t id)
{
    struct map_node *node = map_find(&p->by_id, key_of(&id));
    return node ? (int)(container_of(node, struct place_node, by_id) - p->nodes) : PLACE_NONE;
}

int place_slot(const struct place *p, uint64_t id)
{
    int slot = slot_of(p, id);
    return slot == PLACE_NONE || p->nodes[slot].removed ? PLACE_NONE : slot;
}

const struct place_node *place_node_find(const struct place *p, uint64_t id)
{
    int slot = place_slot(p, id);
    return slot == PLACE_NONE ? NULL : &p->nodes[slot];
}

static bool spec_is_valid(const struct place_node_spec *s)
{
    if (s->id == 0 || s->cpu < 0 || s->cpu > PLACE_AMOUNT_MAX || s->memory < 0 ||
        s->memory > PLACE_AMOUNT_MAX || s->gpu_count < 0 || s->gpu_count > PLACE_GPUS_MAX)
        return false;
    for (int i = 0; i < s->gpu_count; i++)
        if (s->gpus[i].model >= PLACE_MODELS_MAX)
            return false;
    return true;
}

static bool is_same_device(const struct place_gpu_spec *a, const struct place_gpu_spec *b)
{
    return a->model == b->model && a->numa == b->numa && a->nvlink == b->nvlink &&
           a->memory == b->memory && a->mig == b->mig;
}

static bool may_become(const struct place_node *n, const struct place_node_spec *s)
{
    if (s->cpu < n->cpu_used || s->memory < n->memory_used)
        return false;
    for (int i = 0; i < n->spec.gpu_count; i++)
        if (n->gpus[i].leases &&
            (i >= s->gpu_count || !is_same_device(&s->gpus[i], &n->gpus[i].spec)))
            return false;
    return true;
}

/* The lowest; -1: none is free. */
static int free_slot(const struct place *p)
{
    bool has_holes = p->by_id.count < (size_t)p->node_count;
    for (int slot = 0; has_holes && slot < p->node_count; slot++)
        if (p->nodes[slot].spec.id == 0)
            return slot;
    return p->node_count < (int)p->options.nodes_max ? p->node_count : PLACE_NONE;
}

/* A new node, of which only the id is set; -1: too many. */
static int add_node(struct place *p, uint64_t id)
{
    int slot = free_slot(p);
    if (slot == PLACE_NONE)
        return slot;
    struct place_node *n = &p->nodes[slot];
    *n = (struct place_node){.spec.id = id};
    map_insert(&p->by_id, key_of(&n->spec.id), &n->by_id);
    p->node_count = MAX(p->node_count, slot + 1);
    return slot;
}

/* Some policies measure by the largest node: with another one all scores change. */
static void set_largest(struct place *p, struct place_largest largest)
{
    bool same = largest.cpu == p->largest.cpu && largest.gpus == p->largest.gpus;
    p->largest = largest;
    if (!same)
        all_changed(p);
}

static struct place_largest larger(struct place_largest l, const struct place_node_spec *s)
{
    return (struct place_largest){MAX(l.cpu, s->cpu), MAX(l.gpus, s->gpu_count)};
}

static void measure_nodes(struct place *p)
{
    struct place_largest largest = {0};
    for (int slot = 0; slot < p->node_count; slot++)
        largest = larger(largest, &p->nodes[slot].spec);
    set_largest(p, largest);
}

static void set_spec(struct place *p, int slot, const struct place_node_spec *spec)
{
    struct place_node *n = &p->nodes[slot];
    bool is_new = n->spec.cpu == 0 && n->spec.gpu_count == 0;
    uint64_t models = 0;
    n->spec = *spec;
    n->removed = false;
    for (int i = 0; i < PLACE_GPUS_MAX; i++) {
        n->gpus[i].spec = i < spec->gpu_count ? spec->gpus[i] : (struct place_gpu_spec){0};
        models |= i < spec->gpu_count ? UINT64_C(1) << spec->gpus[i].model : 0;
    }
    if (place_target_models(p, models))
        all_changed(p);
    changed(p, slot);
    if (is_new)
        set_largest(p, larger(p->largest, spec));
    else
        measure_nodes(p);
}

int place_node_put(struct place *p, const struct place_node_spec *spec)
{
    int slot = slot_of(p, spec->id);
    if (!spec_is_valid(spec))
        return ERR_INVALID;
    if (slot != PLACE_NONE && !may_become(&p->nodes[slot], spec))
        return ERR_CONFLICT;
    if (slot == PLACE_NONE && (slot = add_node(p, spec->id)) == PLACE_NONE)
        return ERR_FULL;
    set_spec(p, slot, spec);
    return 0;
}

static void free_node(struct place *p, int slot)
{
    struct place_node *n = &p->nodes[slot];
    map_remove(&p->by_id, &n->by_id);
    *n = (struct place_node){0};
    while (p->node_count > 0 && p->nodes[p->node_count - 1].spec.id == 0)
        p->node_count--;
    changed(p, slot);
    measure_nodes(p);
}

void place_node_remove(struct place *p, uint64_t id)
{
    int slot = place_slot(p, id);
    if (slot == PLACE_NONE)
        return;
    p->nodes[slot].removed = true;
    if (p->nodes[slot].leases == 0)
        free_node(p, slot);
    else
        changed(p, slot);
}

/* ---- what is taken ---- */

int place_kind(const struct place_lease *l)
{
    return l->mig || l->milli < PLACE_MILLI ? PLACE_KIND_SHARE : place_count(l->gpus);
}

static void take_gpu(struct place_gpu *gpu, const struct place_lease *l)
{
    gpu->leases++;
    gpu->milli_used += l->milli;
    gpu->mib_used += place_lease_mib(&gpu->spec, l);
    if (l->mig) {
        const struct mig_profile *profile = mig_profile_of(gpu->spec.mig, l->mig);
        gpu->mig.slices |= mig_slices(profile, l->mig_start);
        gpu->mig.media |= profile->media;
    }
}

static void give_back_gpu(struct place_gpu *gpu, const struct place_lease *l)
{
    CHECK(gpu->leases > 0 && gpu->milli_used >= l->milli);
    gpu->leases--;
    gpu->milli_used -= l->milli;
    gpu->mib_used -= place_lease_mib(&gpu->spec, l);
    if (l->mig) {
        const struct mig_profile *profile = mig_profile_of(gpu->spec.mig, l->mig);
        gpu->mig.slices &= (uint8_t)~mig_slices(profile, l->mig_start);
        gpu->mig.media &= !profile->media;
    }
}

void place_node_take(struct place_node *n, const struct place_lease *l)
{
    n->leases++;
    n->cpu_used += l->cpu;
    n->memory_used += l->memory;
    n->kinds[place_kind(l)] += l->gpus != 0;
    place_each_gpu(i, l->gpus) take_gpu(&n->gpus[i], l);
}

void place_node_give_back(struct place_node *n, const struct place_lease *l)
{
    CHECK(n->leases > 0 && n->cpu_used >= l->cpu && n->memory_used >= l->memory);
    n->leases--;
    n->cpu_used -= l->cpu;
    n->memory_used -= l->memory;
    n->kinds[place_kind(l)] -= l->gpus != 0;
    place_each_gpu(i, l->gpus) give_back_gpu(&n->gpus[i], l);
}

void place_take(struct place *p, int slot, const struct place_lease *l)
{
    place_node_take(&p->nodes[slot], l);
    changed(p, slot);
}

void place_give_back(struct place *p, int slot, const struct place_lease *l)
{
    struct place_node *n = &p->nodes[slot];
    place_node_give_back(n, l);
    if (n->removed && n->leases == 0)
        free_node(p, slot);
    else
        changed(p, slot);
}

struct place_available place_available(const struct place *p)
{
    struct place_available a = {0};
    for (int slot = 0; slot < p->node_count; slot++) {
        const struct place_view *v = &p->views[slot];
        const struct place_node *n = &p->nodes[slot];
        if (!v->open)
            continue;
        a.cpu += v->cpu_free;
        a.memory += v->memory_free;
        a.milli += v->room_sum;
        a.idle += (unsigned)place_count(v->idle);
        place_each_gpu(i, v->cut) a.slices +=
            n->gpus[i].spec.mig->slices - (unsigned)place_count(n->gpus[i].mig.slices);
    }
    return a;
}
