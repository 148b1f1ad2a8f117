/* SPDX-License-Identifier: Apache-2.0 */
/* Giving and taking back. */
#include "core/place/place_internal.h"

static struct str key_of(const uint64_t *owner)
{
    return (struct str){(const char *)owner, sizeof(*owner)};
}

static struct place_holding *holding_of(const struct place *p, uint64_t owner)
{
    struct map_node *node = map_find(&p->by_owner, key_of(&owner));
    return node ? container_of(node, struct place_holding, by_owner) : NULL;
}

const struct place_lease *place_lease_find(const struct place *p, uint64_t owner)
{
    const struct place_holding *h = holding_of(p, owner);
    return h ? &h->lease : NULL;
}

const struct place_lease *place_lease_next(const struct place *p,
                                           const struct place_lease *previous)
{
    const struct place_holding *h = p->holdings, *end = h + p->holding_count;
    if (previous)
        h = container_of(previous, struct place_holding, lease) + 1;
    while (h < end && h->lease.owner == 0)
        h++;
    return h < end ? &h->lease : NULL;
}

/* NULL: as many as there may be. */
static struct place_holding *take_holding(struct place *p)
{
    struct place_holding *h = NULL;
    if (p->free_holding) {
        h = &p->holdings[p->free_holding - 1];
        p->free_holding = h->next_free;
    } else if (p->holding_count < p->options.leases_max) {
        h = &p->holdings[p->holding_count++];
    }
    return h;
}

static int may_have(const struct place *p, uint64_t owner)
{
    if (owner == 0)
        return ERR_INVALID;
    if (holding_of(p, owner))
        return ERR_CONFLICT;
    return p->free_holding || p->holding_count < p->options.leases_max ? 0 : ERR_FULL;
}

static const struct place_lease *give(struct place *p, int slot, const struct place_lease *lease)
{
    struct place_holding *h = take_holding(p);
    CHECK(h);
    h->lease = *lease;
    h->node = slot;
    map_insert(&p->by_owner, key_of(&h->lease.owner), &h->by_owner);
    place_take(p, slot, lease);
    return &h->lease;
}

struct place_lease place_lease_of(const struct place_node *n, uint64_t owner,
                                  const struct place_request *r, const struct place_choice *choice,
                                  nsec now)
{
    struct place_lease l = {
        .owner = owner,
        .node = n->spec.id,
        .since = now,
        .cpu = r->cpu,
        .memory = r->memory,
        .gpus = choice->gpus,
        .mig = r->mig,
        .mig_start = choice->mig_start,
        .group = r->group,
    };
    struct place_share share;
    if (r->gpus) {
        l.milli = PLACE_MILLI;
        l.mib = n->gpus[__builtin_ctz(l.gpus)].spec.memory;
    } else if (place_is_share(r)) {
        CHECK(place_share_of(&n->gpus[__builtin_ctz(l.gpus)].spec, r, &share));
        l.milli = share.milli;
        l.mib = share.mib;
    }
    return l;
}

int place_allocate(struct place *p, uint64_t owner, const struct place_request *request, nsec now,
                   const struct place_lease **ret_lease)
{
    struct place_choice choice;
    int error = may_have(p, owner);
    if (!error)
        error = place_choose(p, owner, request, &choice);
    if (error)
        return error;
    struct place_lease lease = place_lease_of(&p->nodes[choice.node], owner, request, &choice, now);
    *ret_lease = give(p, choice.node, &lease);
    return 0;
}

void place_release(struct place *p, uint64_t owner)
{
    struct place_holding *h = holding_of(p, owner);
    if (!h)
        return;
    map_remove(&p->by_owner, &h->by_owner);
    place_give_back(p, h->node, &h->lease);
    *h = (struct place_holding){.next_free = p->free_holding};
    p->free_holding = (uint32_t)(h - p->holdings) + 1;
}

/* ---- after a restart ---- */

static bool is_possible(const struct place_node *n, const struct place_lease *l)
{
    uint32_t gpus = (UINT32_C(1) << n->spec.gpu_count) - 1;
    if (l->cpu < 0 || l->memory < 0 || l->gpus & ~gpus || l->milli > PLACE_MILLI)
        return false;
    if (l->milli && l->mig)
        return false;
    if (l->gpus == 0)
        return !l->milli && !l->mig;
    return (l->milli || l->mig) && (l->milli == PLACE_MILLI || place_count(l->gpus) == 1);
}

static bool gpu_has(const struct place_gpu *gpu, const struct place_lease *l)
{
    if (l->mig) {
        const struct mig_profile *profile =
            gpu->spec.mig ? mig_profile_of(gpu->spec.mig, l->mig) : NULL;
        return profile && mig_is_free(profile, gpu->mig, l->mig_start);
    }
    return !gpu->spec.mig && l->milli <= PLACE_MILLI - gpu->milli_used &&
           place_lease_mib(&gpu->spec, l) <= gpu->spec.memory - gpu->mib_used;
}

static bool is_free(const struct place_node *n, const struct place_lease *l)
{
    if (l->cpu > n->spec.cpu - n->cpu_used || l->memory > n->spec.memory - n->memory_used)
        return false;
    place_each_gpu(i, l->gpus) if (!gpu_has(&n->gpus[i], l)) return false;
    return true;
}

int place_restore(struct place *p, const struct place_lease *lease)
{
    int slot = place_slot(p, lease->node), error = may_have(p, lease->owner);
    if (error)
        return error;
    if (slot == PLACE_NONE)
        return ERR_NOT_FOUND;
    if (!is_possible(&p->nodes[slot], lease))
        return ERR_INVALID;
    if (!is_free(&p->nodes[slot], lease))
        return ERR_CONFLICT;
    give(p, slot, lease);
    return 0;
}
