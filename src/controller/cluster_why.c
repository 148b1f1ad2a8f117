/* SPDX-License-Identifier: Apache-2.0 */
/* Why a guest waits, for people: what core/sched/explain says in numbers. */
#include <stdio.h>

#include "base/buf.h"
#include "controller/cluster_internal.h"
#include "core/sched/explain.h"

struct text {
    const struct cluster *c;
    const struct sched_spec *spec;
    const struct sched_explanation *e;
    struct buf *out;
    unsigned said; /* parts of a list */
};

static double gpus(int64_t milli)
{
    return (double)milli / PLACE_MILLI;
}

static void begin_part(struct text *t, const char *between)
{
    buf_printf(t->out, "%s", t->said++ ? between : "");
}

/* ---- quota ---- */

static const char *tenant_of(const struct cluster *c, int node)
{
    for (int i = 1; i < c->queue_count; i++)
        if (c->queues[i].node == node)
            return c->queues[i].tenant;
    return NULL;
}

static void put_obstacle(struct text *t, const struct quota_obstacle *o)
{
    const struct quota *q = &t->c->quota;
    buf_printf(t->out, "; %.4g %s missing: ", gpus(o->missing),
               o->missing == PLACE_MILLI ? "is" : "are");
    if (o->node == t->spec->queue)
        buf_printf(t->out, "it may not borrow more");
    else
        buf_printf(t->out, "all together have %.4g and use %.4g",
                   gpus(q->subtree[CLUSTER_GPUS][o->node]), gpus(q->usage[CLUSTER_GPUS][o->node]));
}

static void put_quota(struct text *t)
{
    const struct quota_node *own = &t->c->quota.nodes[t->spec->queue];
    const char *tenant = tenant_of(t->c, t->spec->queue);
    buf_printf(t->out, "it needs %.4g GPUs, and %s%s has %.4g of its own and uses %.4g",
               gpus(t->spec->amount.of[CLUSTER_GPUS] * t->spec->members_min),
               tenant ? "tenant " : "what is in nobody's quota", tenant ? tenant : "",
               gpus(own->spec.nominal.of[CLUSTER_GPUS]), gpus(own->held.of[CLUSTER_GPUS]));
    for (int i = 0; i < t->e->quota.obstacle_count; i++)
        put_obstacle(t, &t->e->quota.obstacles[i]);
}

/* ---- room ---- */

static void put_lacks(struct text *t, const struct place_lack *lack)
{
    t->said = 0;
    if (lack->reasons & PLACE_CLOSED) {
        begin_part(t, ", ");
        buf_printf(t->out, "a machine that takes something new (its Node has spec.cordon)");
    }
    if (lack->reasons & PLACE_MODEL) {
        begin_part(t, ", ");
        buf_printf(t->out, "a GPU that is well and of a model that it accepts");
    }
    if (lack->reasons & PLACE_GPUS) {
        begin_part(t, ", ");
        buf_printf(t->out, "%d idle GPU%s%s", lack->gpus, lack->gpus == 1 ? "" : "s",
                   t->spec->request.together ? " together with others" : "");
    }
    if (lack->reasons & PLACE_SHARE) {
        begin_part(t, ", ");
        buf_printf(t->out, "%d/1000 of a GPU", lack->milli);
    }
    if (lack->reasons & PLACE_MIG) {
        begin_part(t, ", ");
        buf_printf(t->out, "free slices of a GPU that is cut");
    }
    if (lack->reasons & PLACE_CPU) {
        begin_part(t, ", ");
        buf_printf(t->out, "%.4g processors", gpus(lack->cpu));
    }
    if (lack->reasons & PLACE_MEMORY) {
        begin_part(t, ", ");
        buf_printf(t->out, "%.4g GiB of memory", (double)lack->memory / (1 << 10));
    }
}

static void put_leavers(struct text *t, const struct sched_class *class)
{
    t->said = 0;
    for (unsigned i = 0; i < class->leaver_count; i++) {
        struct sched_workload *w = sched_find(&t->c->sched, class->leavers[i]);
        begin_part(t, ", ");
        buf_printf(t->out, "%.*s", STR_ARG(container_of(w, struct cluster_guest, work)->name));
    }
    if (t->said)
        buf_printf(t->out, " would have to leave");
}

static void put_spared(struct text *t)
{
    static const char *const texts[SCHED_SPARED] = {
        [SCHED_SPARED_NOT_PREEMPTIBLE] = "not preemptible",
        [SCHED_SPARED_INFERENCE] = "a model, and this is none",
        [SCHED_SPARED_RESERVED] = "where room is kept for another",
        [SCHED_SPARED_PRIORITY] = "of no lower priority",
        [SCHED_SPARED_QUOTA] = "within its tenant's quota",
    };
    t->said = 0;
    for (int i = SCHED_MAY_EVICT + 1; i < SCHED_SPARED; i++) {
        if (!t->e->spared[i])
            continue;
        begin_part(t, ", ");
        buf_printf(t->out, "%u %s %s", t->e->spared[i], t->e->spared[i] == 1 ? "is" : "are",
                   texts[i]);
    }
}

static void put_room(struct text *t)
{
    const struct sched_class *class = &t->e->classes[0]; /* there is one node */
    const char *who = "it";
    if (t->e->members_min > 1) {
        buf_printf(t->out, "of its %u members %u %s room; ", t->e->members_min, t->e->members_now,
                   t->e->members_now == 1 ? "has" : "have");
        who = "another one";
    }
    if (t->e->class_count == 0 || !class->best) {
        buf_printf(t->out, "its members do not fit beside one another");
        return;
    }
    buf_printf(t->out, "%s lacks ", who);
    put_lacks(t, &class->lack);
    if (!class->leaver_count)
        return;
    buf_printf(t->out, "; ");
    put_leavers(t, class);
    buf_printf(t->out, "; of those that run ");
    put_spared(t);
}

/* ---- all of it ---- */

static bool is_short_of_quota(const struct sched_explanation *e)
{
    return e->quota.answer == QUOTA_SHORT;
}

static void put_pending(struct text *t, nsec now)
{
    const struct sched_explanation *e = t->e;
    if (e->sleeps_until)
        buf_printf(t->out,
                   "it was evicted or has failed, and starts again in %.0f s at the earliest",
                   nsec_to_seconds(e->sleeps_until - now));
    else if (e->closed || e->invalid)
        buf_printf(t->out, "its resources make no sense here");
    else if (is_short_of_quota(e))
        put_quota(t);
    else if (e->kept_for)
        buf_printf(
            t->out, "its room is kept for %.*s, which waits as well",
            STR_ARG(container_of(sched_find(&t->c->sched, e->kept_for), struct cluster_guest, work)
                        ->name));
    else if (e->members_now < e->members_min)
        put_room(t);
    if (e->reserved && e->at != NSEC_NEVER)
        buf_printf(t->out, "; it starts in %.0f s if those that run end as expected",
                   nsec_to_seconds(MAX(e->at - now, 0)));
    else if (e->reserved)
        buf_printf(t->out, "; room is kept for it as it becomes free");
}

void cluster_why(struct cluster *c, const struct cluster_guest *g, nsec now,
                 char text[CLUSTER_WHY_MAX])
{
    struct sched_explanation e;
    struct buf out;
    struct text t = {.c = c, .spec = &g->work.spec, .e = &e, .out = &out};
    buf_init(&out, CLUSTER_WHY_MAX - 1);
    if (g->work.state == SCHED_HELD) {
        buf_printf(&out, "others are ending to make room for it");
    } else if (g->work.state == SCHED_PENDING) {
        sched_explain(&c->sched, &g->work, now, &e);
        put_pending(&t, now);
    }
    snprintf(text, CLUSTER_WHY_MAX, "%.*s", STR_ARG(buf_str(&out)));
    buf_fini(&out);
}
