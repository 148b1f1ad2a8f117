/* SPDX-License-Identifier: Apache-2.0 */
/* Adds everything up anew from the leases and compares. For tests: slow, and it shares as little as it
 * can with what it checks. */
#include "core/place/place_internal.h"

static const char *check_gpu(const struct place *p, int slot, int i)
{
    const struct place_gpu *gpu = &p->nodes[slot].gpus[i];
    uint64_t milli = 0, mib = 0, leases = 0, media = 0;
    unsigned slices = 0;
    for (uint32_t k = 0; k < p->holding_count; k++) {
        const struct place_lease *l = &p->holdings[k].lease;
        if (l->owner == 0 || p->holdings[k].node != slot || !(l->gpus >> i & 1))
            continue;
        leases++;
        milli += l->milli;
        mib += l->milli == PLACE_MILLI ? gpu->spec.memory : l->mib;
        if (!l->mig != !gpu->spec.mig)
            return "an instance where MIG is off, or something else where it is on";
        if (!l->mig)
            continue;
        const struct mig_profile *profile = mig_profile_of(gpu->spec.mig, l->mig);
        unsigned taken = profile ? mig_slices(profile, l->mig_start) : 0;
        if (!profile || !(profile->starts >> l->mig_start & 1) || slices & taken)
            return "an instance that cannot be there";
        slices |= taken;
        media += profile->media;
    }
    if (milli > PLACE_MILLI || mib > gpu->spec.memory || media > 1)
        return "a GPU is given twice";
    if (milli != gpu->milli_used || mib != gpu->mib_used || leases != gpu->leases ||
        slices != gpu->mig.slices || (media != 0) != gpu->mig.media)
        return "a GPU's use is not the sum of its leases";
    return NULL;
}

static const char *check_node(const struct place *p, int slot)
{
    const struct place_node *n = &p->nodes[slot];
    int64_t cpu = 0, memory = 0;
    uint32_t leases = 0, kinds[PLACE_KINDS] = {0};
    for (uint32_t k = 0; k < p->holding_count; k++) {
        const struct place_lease *l = &p->holdings[k].lease;
        if (l->owner == 0 || p->holdings[k].node != slot)
            continue;
        if (l->node != n->spec.id)
            return "a lease of another node";
        leases++;
        cpu += l->cpu;
        memory += l->memory;
        kinds[place_kind(l)] += l->gpus != 0;
    }
    if (cpu > n->spec.cpu || memory > n->spec.memory)
        return "a node gives more than it has";
    if (cpu != n->cpu_used || memory != n->memory_used || leases != n->leases ||
        memcmp(kinds, n->kinds, sizeof(kinds)) != 0)
        return "a node's use is not the sum of its leases";
    for (int i = 0; i < PLACE_GPUS_MAX; i++) {
        const char *broken = check_gpu(p, slot, i);
        if (broken)
            return broken;
    }
    return NULL;
}

static const char *check_view(const struct place *p, int slot)
{
    const struct place_view *v = &p->views[slot], now = place_view_of(p, &p->nodes[slot]);
    if (v->room_all != now.room_all || v->models != now.models || v->cpu_free != now.cpu_free ||
        v->memory_free != now.memory_free || v->value != now.value || v->kinds != now.kinds ||
        v->room_sum != now.room_sum || v->idle != now.idle || v->cut != now.cut ||
        v->open != now.open || memcmp(v->room, now.room, sizeof(now.room)) != 0)
        return "a view is out of date";
    return NULL;
}

static const char *check_supply(const struct place *p)
{
    struct place_supply sums[RANK_GROUPS_MAX] = {0};
    for (int slot = 0; slot < p->node_count; slot++) {
        const struct place_view *v = &p->views[slot];
        int group = place_group(v->models);
        if (v->models && p->options.policy->price && p->changes.groups[slot] != group)
            return "a node is in another group";
        sums[group].all += v->open ? v->room_all : 0;
        sums[group].free += v->open ? v->room_sum : 0;
    }
    return memcmp(sums, p->supply, sizeof(sums)) != 0 ? "a supply is not the sum of its nodes"
                                                      : NULL;
}

static const char *check_owners(const struct place *p)
{
    uint32_t free = 0, used = 0;
    for (uint32_t k = p->free_holding; k; k = p->holdings[k - 1].next_free)
        free++;
    for (uint32_t k = 0; k < p->holding_count; k++) {
        const struct place_holding *h = &p->holdings[k];
        if (h->lease.owner == 0)
            continue;
        used++;
        if (place_lease_find(p, h->lease.owner) != &h->lease)
            return "an owner has two leases, or is not found";
        if (h->node >= p->node_count || p->nodes[h->node].spec.id != h->lease.node)
            return "a lease without its node";
    }
    if (used != p->by_owner.count || used + free != p->holding_count)
        return "leases are lost";
    return NULL;
}

const char *place_check(const struct place *p)
{
    const char *broken = check_owners(p);
    if (!broken)
        broken = check_supply(p);
    for (int slot = 0; slot < p->node_count && !broken; slot++) {
        broken = check_node(p, slot);
        if (!broken)
            broken = check_view(p, slot);
    }
    return broken;
}
