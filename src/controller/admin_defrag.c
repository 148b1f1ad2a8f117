/* SPDX-License-Identifier: Apache-2.0 */
/* Proposals against fragmentation, with the names of guests and the indices of GPUs (as /v1/gpus has them). */
#include "base/clock.h"
#include "controller/admin_internal.h"
#include "controller/gpus.h"
#include "core/place/policy.h"

struct text {
    const struct cluster *cluster;
    const struct gpu_inventory *gpus;
    const struct sched_proposals *proposals;
    struct json_writer *w;
};

static void put_gpu(const struct text *t, unsigned gpu)
{
    const char *uuid = cluster_gpu_uuid(t->cluster, gpu);
    for (int i = 0; i < t->gpus->count; i++)
        if (strcmp(t->gpus->devices[i].uuid, uuid) == 0)
            json_int(t->w, t->gpus->devices[i].index);
}

static void put_gpus(const struct text *t, struct str key, uint16_t gpus)
{
    json_key(t->w, key);
    json_array(t->w);
    place_each_gpu(i, gpus) put_gpu(t, i);
    json_end(t->w);
}

static void put_name(const struct text *t, uint64_t id)
{
    json_member_str(t->w, STR("name"), cluster_guest_find(t->cluster, id)->name);
}

/* A replica is known by its id, a job's member by its rank. */
static void put_move(const struct text *t, const struct sched_member_move *m)
{
    json_object(t->w);
    put_name(t, m->workload);
    if (m->starts_first)
        json_member_int(t->w, STR("replica"), (int64_t)m->workload);
    else
        json_member_int(t->w, STR("member"), m->member);
    json_member_str(t->w, STR("how"),
                    m->starts_first ? STR("start new, then drain") : STR("end, then start"));
    put_gpus(t, STR("from"), m->from.gpus);
    put_gpus(t, STR("to"), m->to.gpus);
    json_end(t->w);
}

static void put_start(const struct text *t, const struct sched_proposal *p)
{
    uint16_t gpus = 0;
    if (!p->starts)
        return;
    for (unsigned k = 0; k < p->start_count; k++)
        gpus |= p->room[k].gpus;
    json_key(t->w, STR("starts"));
    json_object(t->w);
    put_name(t, p->starts);
    put_gpus(t, STR("gpus"), gpus);
    json_end(t->w);
}

static void put_proposal(const struct text *t, const struct sched_proposal *p)
{
    json_object(t->w);
    json_key(t->w, STR("moves"));
    json_array(t->w);
    for (unsigned i = 0; i < p->move_count; i++)
        put_move(t, &t->proposals->moves[p->first_move + i]);
    json_end(t->w);
    put_start(t, p);
    json_member_double(t->w, STR("gain"), (double)p->gain / PLACE_MILLI);
    json_member_double(t->w, STR("cost"), p->cost);
    json_end(t->w);
}

void admin_get_defragmentation(struct controller *c, struct http_exchange *x, struct str rest)
{
    struct admin_reply r;
    struct gpu_inventory in;
    struct sched_proposals proposals;
    struct text t = {c->cluster, &in, &proposals, &r.json};
    if (!gpus_last(c->gpus, 0, &in))
        in.count = 0;
    cluster_proposals(c->cluster, clock_now(), &proposals);
    admin_begin(&r);
    json_object(&r.json);
    json_key(&r.json, STR("items"));
    json_array(&r.json);
    for (unsigned i = 0; i < proposals.count; i++)
        put_proposal(&t, &proposals.items[i]);
    json_end(&r.json);
    json_end(&r.json);
    admin_send(&r, x, 200);
}
