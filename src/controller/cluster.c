/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/cluster.h"

#include <stdio.h>

#include "base/mem.h"
#include "controller/cluster_internal.h"
#include "core/place/policy.h"

enum { SHAPES_MAX = 256, EXPECTED_MAX = 64, MIB_BITS = 20 };

#define HISTORY_HALF_LIFE SEC(3600)

struct cluster *cluster_new(struct metrics *metrics)
{
    const struct place_options options = {
        .policy = &place_fairway,
        .nodes_max = 1,
        .leases_max = CLUSTER_LEASES_MAX,
        .shapes_max = SHAPES_MAX,
    };
    struct sched_options sched = sched_options_default();
    static const struct quota_spec whole = {.weight = 1};
    struct cluster *c = NEW(struct cluster);
    sched.workloads_max = CLUSTER_GUESTS_MAX;
    place_init(&c->place, &options);
    quota_init(&c->quota, HISTORY_HALF_LIFE);
    sched_init(&c->sched, &sched, &c->place, &c->quota);
    int error = quota_add(&c->quota, QUOTA_NONE, &whole, 0, &c->root);
    if (!error)
        error = quota_add(&c->quota, c->root, &whole, 0, &c->queues[0].node);
    CHECK(!error);
    c->queue_count = 1;
    cluster_metrics_init(c, metrics);
    return c;
}

void cluster_free(struct cluster *c)
{
    if (!c)
        return;
    sched_fini(&c->sched);
    place_fini(&c->place);
    mem_free(c);
}

/* ---- the machine ---- */

int cluster_gpu_model(void *ctx, struct str name)
{
    const struct cluster *c = ctx;
    for (int i = 0; i < c->model_count; i++)
        if (str_eq(name, str_from(c->models[i])))
            return i;
    return PLACE_NONE;
}

static uint8_t model_number(struct cluster *c, const char *name)
{
    int known = cluster_gpu_model(c, str_from(name));
    if (known != PLACE_NONE)
        return (uint8_t)known;
    if (c->model_count == PLACE_MODELS_MAX)
        return PLACE_MODELS_MAX - 1;
    snprintf(c->models[c->model_count], GPU_MODEL_MAX, "%s", name);
    return (uint8_t)c->model_count++;
}

static int place_of(const struct cluster *c, const char *uuid)
{
    for (int i = 0; i < c->node.gpu_count; i++)
        if (strcmp(c->uuids[i], uuid) == 0)
            return i;
    return PLACE_NONE;
}

/* The place of one that is gone and that nobody has any more, or another. */
static int place_for_new(const struct cluster *c, const struct gpu_inventory *gpus)
{
    const struct place_node *n = place_node_find(&c->place, CLUSTER_NODE);
    for (int i = 0; n && i < n->spec.gpu_count; i++) {
        bool there = false;
        for (int k = 0; k < gpus->count; k++)
            there |= strcmp(c->uuids[i], gpus->devices[k].uuid) == 0;
        if (!there && n->gpus[i].leases == 0)
            return i;
    }
    return c->node.gpu_count < PLACE_GPUS_MAX ? c->node.gpu_count : PLACE_NONE;
}

static void set_gpu(struct cluster *c, const struct gpu_inventory *gpus,
                    const struct gpu_device *device)
{
    int at = place_of(c, device->uuid);
    if (at == PLACE_NONE) {
        at = place_for_new(c, gpus);
        if (at == PLACE_NONE) /* the reading says that there are more */
            return;
        c->node.gpu_count = MAX(c->node.gpu_count, at + 1);
        snprintf(c->uuids[at], GPU_UUID_MAX, "%s", device->uuid);
    }
    c->node.gpus[at] = gpu_place_spec(device, model_number(c, device->model));
}

static void set_gpus(struct cluster *c, const struct gpu_inventory *gpus)
{
    for (int i = 0; i < c->node.gpu_count; i++)
        c->node.gpus[i].faulty = true;
    for (int i = 0; i < gpus->count; i++)
        set_gpu(c, gpus, &gpus->devices[i]);
}

/* A GPU that is in use cannot become another: then it is faulty, and empties. */
static void keep_what_is_used(struct cluster *c, const struct place_node *n)
{
    for (int i = 0; n && i < n->spec.gpu_count; i++) {
        struct place_gpu_spec same = n->gpus[i].spec;
        bool faulty = c->node.gpus[i].faulty;
        same.faulty = faulty;
        if (n->gpus[i].leases && memcmp(&same, &c->node.gpus[i], sizeof(same)) != 0) {
            same.faulty = true;
            c->node.gpus[i] = same;
        }
    }
}

void cluster_set_machine(struct cluster *c, const struct cluster_machine *machine, nsec now)
{
    const struct place_node *n = place_node_find(&c->place, CLUSTER_NODE);
    c->node.id = CLUSTER_NODE;
    c->node.cpu = MAX(machine->cpu, n ? n->cpu_used : 0);
    c->node.memory = MAX(machine->memory, n ? n->memory_used : 0);
    c->node.closed = machine->closed;
    set_gpus(c, machine->gpus);
    keep_what_is_used(c, n);
    int error = sched_node_put(&c->sched, &c->node, now);
    CHECK(!error);
    cluster_share_out(c);
}

bool cluster_has_gpus(const struct cluster *c)
{
    return c->node.gpu_count > 0;
}

/* ---- quotas ---- */

static struct quota_spec spec_of(const struct cluster_quota *q)
{
    struct quota_spec spec = {.weight = q->weight};
    for (int r = 0; r < QUOTA_RESOURCES; r++)
        spec.borrowing.of[r] = spec.lending.of[r] = QUOTA_NO_LIMIT;
    spec.nominal.of[CLUSTER_GPUS] = q->nominal;
    spec.borrowing.of[CLUSTER_GPUS] = q->borrowing;
    spec.lending.of[CLUSTER_GPUS] = q->lending;
    return spec;
}

static void change(struct cluster *c, struct cluster_queue *queue, const struct cluster_quota *q)
{
    struct quota_spec spec = spec_of(q);
    int error = quota_change(&c->quota, queue->node, &spec);
    CHECK(!error);
    queue->nominal = q->nominal;
    queue->has_quota = q->tenant.len > 0;
}

static bool has_quotas(const struct cluster *c)
{
    bool has = false;
    for (int i = 1; i < c->queue_count; i++)
        has |= c->queues[i].has_quota;
    return has;
}

/* The default queue has what is in nobody's quota; where there are no quotas, room alone counts. */
void cluster_share_out(struct cluster *c)
{
    int64_t all = has_quotas(c) ? (int64_t)c->node.gpu_count * PLACE_MILLI : QUOTA_AMOUNT_MAX;
    struct cluster_quota rest = {
        .nominal = all, .borrowing = QUOTA_NO_LIMIT, .lending = QUOTA_NO_LIMIT, .weight = 1};
    for (int i = 1; i < c->queue_count; i++)
        rest.nominal -= MIN(c->queues[i].nominal, rest.nominal);
    change(c, &c->queues[0], &rest);
    sched_changed(&c->sched);
}

static struct cluster_queue *queue_find(struct cluster *c, struct str tenant)
{
    for (int i = 1; i < c->queue_count; i++)
        if (str_eq(tenant, str_from(c->queues[i].tenant)))
            return &c->queues[i];
    return NULL;
}

static void set_quota(struct cluster *c, const struct cluster_quota *q, nsec now)
{
    struct cluster_queue *queue = queue_find(c, q->tenant);
    if (!queue) {
        struct quota_spec spec = spec_of(q);
        if (c->queue_count == CLUSTER_QUEUES_MAX)
            return;
        queue = &c->queues[c->queue_count++];
        snprintf(queue->tenant, sizeof(queue->tenant), "%.*s", STR_ARG(q->tenant));
        int error = quota_add(&c->quota, c->root, &spec, now, &queue->node);
        CHECK(!error);
    }
    change(c, queue, q);
}

void cluster_set_quotas(struct cluster *c, const struct cluster_quota *quotas, size_t count,
                        nsec now)
{
    static const struct cluster_quota none = {
        .borrowing = QUOTA_NO_LIMIT, .lending = QUOTA_NO_LIMIT, .weight = 1};
    for (int i = 1; i < c->queue_count; i++)
        change(c, &c->queues[i], &none);
    for (size_t i = 0; i < count; i++)
        set_quota(c, &quotas[i], now);
    cluster_share_out(c);
}

int cluster_queue(const struct cluster *c, struct str tenant)
{
    const struct cluster_queue *queue = queue_find((struct cluster *)c, tenant);
    return queue ? queue->node : c->queues[0].node;
}

/* ---- guests ---- */

/* Thousandths of GPUs: a share that is named by its memory alone is reckoned on the smallest GPU. */
static int64_t gpu_amount(const struct cluster *c, const struct place_request *r)
{
    uint32_t smallest = UINT32_MAX;
    for (int i = 0; i < c->node.gpu_count; i++)
        if (c->node.gpus[i].memory)
            smallest = MIN(smallest, c->node.gpus[i].memory);
    if (r->gpus || r->mig)
        return (r->mig ? 1 : (int64_t)r->gpus) * PLACE_MILLI;
    int64_t by_memory = ((int64_t)r->share_mib * PLACE_MILLI + smallest - 1) / smallest;
    return MAX((int64_t)r->share_milli, MIN(by_memory, PLACE_MILLI));
}

static void set_amount(const struct cluster *c, struct sched_spec *spec)
{
    spec->amount = (struct quota_amount){0};
    spec->amount.of[CLUSTER_GPUS] = gpu_amount(c, &spec->request);
}

static struct cluster_guest *guest_of(const struct sched_workload *w)
{
    return container_of(w, struct cluster_guest, work);
}

struct cluster_memory cluster_memory(const struct cluster *c)
{
    struct cluster_memory m = {0};
    struct map_node *node = NULL;
    while ((node = map_next(&c->sched.by_id, node))) {
        const struct sched_workload *w = container_of(node, struct sched_workload, by_id);
        uint64_t one = (uint64_t)w->spec.request.memory << MIB_BITS;
        if (w->spec.inference || !w->spec.preemptible)
            m.kept += one * MAX(w->members, w->spec.members_min);
        else
            m.preemptible += one * w->members;
    }
    return m;
}

static bool asks_for_gpu(const struct place_request *r)
{
    return r->gpus || r->share_milli || r->share_mib || r->mig;
}

/* More may come that are like those that are here, and somebody who wants a whole GPU: so shares are put together. */
static void expect(struct cluster *c)
{
    struct place_request shapes[EXPECTED_MAX] = {{.gpus = 1}};
    uint32_t counts[EXPECTED_MAX] = {1};
    size_t count = 1;
    struct map_node *node = NULL;
    while ((node = map_next(&c->sched.by_id, node))) {
        const struct sched_workload *w = container_of(node, struct sched_workload, by_id);
        const struct place_request *r = &w->spec.request;
        size_t i = 0;
        while (i < count && memcmp(&shapes[i], r, sizeof(*r)) != 0)
            i++;
        if (!asks_for_gpu(r) || i == EXPECTED_MAX)
            continue;
        shapes[i] = *r;
        counts[i] += w->spec.members_max;
        count = MAX(count, i + 1);
    }
    place_set_target(&c->place, shapes, counts, count);
}

int cluster_submit(struct cluster *c, struct cluster_guest *g, nsec now)
{
    set_amount(c, &g->work.spec);
    int error = sched_submit(&c->sched, &g->work, now);
    if (!error)
        expect(c);
    return error;
}

int cluster_restore(struct cluster *c, struct cluster_guest *g, struct place_lease *leases,
                    size_t count, nsec now)
{
    set_amount(c, &g->work.spec);
    for (size_t k = 0; k < count; k++)
        leases[k].owner = sched_owner(g->work.spec.id, (unsigned)k);
    g->work.state = SCHED_RUNNING;
    g->work.members = (unsigned)count;
    g->work.started = g->work.checkpoint = now;
    return sched_restore(&c->sched, &g->work, leases, count, now);
}

void cluster_ended(struct cluster *c, struct cluster_guest *g, enum sched_end end, nsec now)
{
    sched_ended(&c->sched, &g->work, end, now);
}

void cluster_leave(struct cluster *c, struct cluster_guest *g, nsec now)
{
    sched_withdraw(&c->sched, &g->work, now);
}

nsec cluster_step(struct cluster *c, nsec now)
{
    struct sched_decision d;
    while (sched_next(&c->sched, now, &d)) {
        struct cluster_guest *g = guest_of(d.workload);
        if (d.kind == SCHED_START) {
            g->start(g);
        } else {
            cluster_metrics_evicted(c, d.workload);
            g->evict(g);
        }
    }
    cluster_metrics_update(c);
    return sched_wake_at(&c->sched);
}

/* ---- what they have ---- */

static const struct place_lease *lease_of(const struct cluster *c, const struct cluster_guest *g,
                                          unsigned member)
{
    return place_lease_find(&c->place, sched_owner(g->work.spec.id, member));
}

void cluster_devices(const struct cluster *c, const struct cluster_guest *g, unsigned member,
                     char text[CLUSTER_DEVICES_MAX])
{
    const struct place_lease *l = lease_of(c, g, member);
    size_t len = 0;
    text[0] = 0;
    for (int i = 0; l && i < c->node.gpu_count; i++)
        if (l->gpus >> i & 1)
            len += (size_t)snprintf(text + len, CLUSTER_DEVICES_MAX - len, "%s%s", len ? "," : "",
                                    c->uuids[i]);
}

void cluster_lease_write(const struct cluster *c, const struct cluster_guest *g, unsigned member,
                         struct buf *out)
{
    const struct place_lease *l = lease_of(c, g, member);
    struct json_writer w;
    json_writer_init(&w, out, 0);
    json_object(&w);
    if (l) {
        json_member_int(&w, STR("cpu"), l->cpu);
        json_member_int(&w, STR("memoryMiB"), l->memory);
        json_member_int(&w, STR("gpuMilli"), l->milli);
        json_member_int(&w, STR("gpuMiB"), l->mib);
        json_key(&w, STR("gpus"));
        json_array(&w);
        for (int i = 0; i < c->node.gpu_count; i++)
            if (l->gpus >> i & 1)
                json_str(&w, str_from(c->uuids[i]));
        json_end(&w);
    }
    json_end(&w);
}

static int read_number(const struct json *lease, struct str key, int64_t max, int64_t *ret)
{
    int error = json_i64(json_get(lease, key), ret);
    return error || *ret < 0 || *ret > max ? ERR_INVALID : 0;
}

static int read_gpus(const struct cluster *c, const struct json *gpus, uint16_t *ret_bits)
{
    *ret_bits = 0;
    json_each(uuid, gpus)
    {
        int found = PLACE_NONE;
        for (int i = 0; uuid->type == JSON_STRING && i < c->node.gpu_count; i++)
            if (str_eq(uuid->text, str_from(c->uuids[i])))
                found = i;
        if (found == PLACE_NONE)
            return ERR_NOT_FOUND;
        *ret_bits |= (uint16_t)(1u << found);
    }
    return 0;
}

int cluster_lease_read(const struct cluster *c, const struct json *lease, struct place_lease *ret)
{
    int64_t milli, mib;
    *ret = (struct place_lease){.node = CLUSTER_NODE};
    if (read_number(lease, STR("cpu"), PLACE_AMOUNT_MAX, &ret->cpu) ||
        read_number(lease, STR("memoryMiB"), PLACE_AMOUNT_MAX, &ret->memory) ||
        read_number(lease, STR("gpuMilli"), PLACE_MILLI, &milli) ||
        read_number(lease, STR("gpuMiB"), UINT32_MAX, &mib))
        return ERR_INVALID;
    ret->milli = (uint16_t)milli;
    ret->mib = (uint32_t)mib;
    return read_gpus(c, json_get(lease, STR("gpus")), &ret->gpus);
}

void cluster_each_on_gpu(const struct cluster *c, const char *uuid,
                         void (*found)(void *ctx, struct cluster_guest *g, unsigned member,
                                       const struct place_lease *lease),
                         void *ctx)
{
    int at = place_of(c, uuid);
    const struct place_lease *l = NULL;
    while (at != PLACE_NONE && (l = place_lease_next(&c->place, l))) {
        struct sched_workload *w =
            l->gpus >> at & 1 ? sched_find(&c->sched, l->owner >> SCHED_MEMBER_BITS) : NULL;
        if (w) /* not of a ghost */
            found(ctx, guest_of(w), l->owner & (SCHED_MEMBERS_MAX - 1), l);
    }
}

void cluster_proposals(struct cluster *c, nsec now, struct sched_proposals *ret)
{
    struct sched_defrag_options options = sched_defrag_options_default();
    sched_defrag(&c->sched, &options, now, ret);
}

const struct cluster_guest *cluster_guest_find(const struct cluster *c, uint64_t id)
{
    const struct sched_workload *w = sched_find(&c->sched, id);
    return w ? guest_of(w) : NULL;
}

const char *cluster_gpu_uuid(const struct cluster *c, unsigned gpu)
{
    return c->uuids[gpu];
}
