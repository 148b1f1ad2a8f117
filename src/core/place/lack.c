/* SPDX-License-Identifier: Apache-2.0 */
/* Why a request does not fit a node. */
#include "core/place/fit.h"
#include "core/place/place_internal.h"
#include "core/place/trial.h"

static uint16_t well_gpus(const struct place_node *n, bool cut)
{
    uint16_t gpus = 0;
    for (int i = 0; i < n->spec.gpu_count; i++)
        gpus |= (uint16_t)((!n->spec.gpus[i].faulty && !n->spec.gpus[i].mig == !cut) << i);
    return gpus;
}

static void lack_gpus(const struct place_case *c, struct place_lack *lack)
{
    uint16_t idle = place_accepted(c, c->view->idle);
    int best = 0;
    for (uint16_t left = idle; left;) {
        uint16_t group = place_gpus_together(c, idle, (unsigned)__builtin_ctz(left));
        left &= (uint16_t)~group;
        best = MAX(best, place_count(group));
    }
    lack->gpus = MAX(c->request->gpus - best, 0);
}

static void lack_share(const struct place_case *c, uint16_t accepted, struct place_lack *lack)
{
    struct place_share share;
    lack->milli = PLACE_MILLI + 1;
    place_each_gpu(i, accepted)
    {
        if (!place_share_of(&c->node->spec.gpus[i], c->request, &share))
            continue;
        int missing = MAX(share.milli - c->view->room[i], 1);
        lack->milli = MIN(lack->milli, missing);
    }
}

static bool can_be_cut(const struct place_node *n, uint16_t accepted, int profile)
{
    const struct mig_use idle = {0};
    struct mig_fit fit;
    place_each_gpu(i,
                   accepted) if (mig_choose(n->spec.gpus[i].mig, profile, idle, &fit)) return true;
    return false;
}

/* Of the GPUs; what is left of the reasons is that there is no suitable one at all. */
static unsigned lack_on_gpus(struct place_case *c, struct place_lack *lack)
{
    const struct place_request *r = c->request;
    uint16_t accepted = place_accepted(c, well_gpus(c->node, r->mig != MIG_NONE));
    if (place_fits_gpus(c))
        return 0;
    if (r->gpus) {
        lack_gpus(c, lack);
        return accepted ? PLACE_GPUS : PLACE_MODEL;
    }
    if (r->mig)
        return can_be_cut(c->node, accepted, r->mig) ? PLACE_MIG : PLACE_MODEL;
    lack_share(c, accepted, lack);
    return lack->milli <= PLACE_MILLI ? PLACE_SHARE : PLACE_MODEL;
}

struct place_lack place_lack_of(const struct place *p, const struct place_node *n,
                                const struct place_request *r)
{
    struct place_view view = place_view_of(p, n);
    struct place_case c = {p, n, &view, r, 0};
    struct place_lack lack = {
        .cpu = MAX(r->cpu - view.cpu_free, 0),
        .memory = MAX(r->memory - view.memory_free, 0),
    };
    bool labelled = place_set_within(&r->labels, &n->spec.labels);
    bool tolerated = place_set_within(&n->spec.taints, &r->tolerations);
    lack.reasons = (view.open ? 0 : PLACE_CLOSED) | (view.spot && !r->spot ? PLACE_SPOT : 0) |
                   (labelled ? 0 : PLACE_LABELS) | (tolerated ? 0 : PLACE_TAINTS) |
                   (lack.cpu ? PLACE_CPU : 0) | (lack.memory ? PLACE_MEMORY : 0) |
                   lack_on_gpus(&c, &lack);
    return lack;
}
