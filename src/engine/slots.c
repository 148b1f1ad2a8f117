/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "engine/scheduler_internal.h"

void slots_init(struct slots *slots, struct model *model)
{
    *slots = (struct slots){.model = model, .count = model->info.sequences};
    slots->items = mem_array(slots->count, sizeof(struct slot));
}

void slots_fini(struct slots *slots)
{
    for (uint32_t i = 0; i < slots->count; i++)
        mem_free(slots->items[i].tokens);
    mem_free(slots->items);
}

static uint32_t common(const struct slot *slot, const int32_t *tokens, size_t count)
{
    uint32_t same = 0;
    while (same < slot->cached && same < count && slot->tokens[same] == tokens[same])
        same++;
    return same;
}

/* The last token is always computed: its logits are wanted. */
static uint32_t known_by(const struct slot *slot, const int32_t *tokens, size_t count)
{
    return common(slot, tokens, count - 1);
}

/* Instructions that many prompts begin with must not cost a conversation its cells while others are free. */
static bool is_worth_its_cells(const struct slot *slot, uint32_t known, size_t count)
{
    return 2 * (uint64_t)known >= MIN((size_t)slot->cached, count);
}

struct slot *slots_find(const struct slots *slots, const int32_t *tokens, size_t count,
                        uint32_t *ret_known)
{
    struct slot *best = NULL, *longest_idle = NULL;
    uint32_t most = 0;
    for (uint32_t i = 0; i < slots->count; i++) {
        struct slot *slot = &slots->items[i];
        if (slot->job)
            continue;
        uint32_t known = known_by(slot, tokens, count);
        if (known > most && is_worth_its_cells(slot, known, count)) {
            best = slot;
            most = known;
        }
        if (!longest_idle || slot->left_at < longest_idle->left_at)
            longest_idle = slot;
    }
    CHECK(longest_idle);
    best = best ? best : longest_idle;
    *ret_known = known_by(best, tokens, count);
    return best;
}

static uint32_t id_of(const struct slots *slots, const struct slot *slot)
{
    return (uint32_t)(slot - slots->items);
}

static void drop(struct slots *slots, struct slot *slot)
{
    if (slot->cached > 0)
        (void)slots->model->ops->forget(slots->model, id_of(slots, slot), 0);
    mem_free(slot->tokens);
    slot->tokens = NULL;
    slot->cached = 0;
    slot->left_at = 0; /* preferred, the lowest id first */
}

void slots_start(struct slots *slots, struct slot *slot, struct job *job, uint32_t known)
{
    CHECK(!slot->job && known <= slot->cached && known < job->count);
    if (known == 0)
        drop(slots, slot);
    else if (known < slot->cached &&
             !slots->model->ops->forget(slots->model, id_of(slots, slot), known))
        known = 0;
    mem_free(slot->tokens);
    *slot = (struct slot){.job = job};
    job->computed = known;
    job->age = ++slots->clock;
    slots->running++;
}

void slots_end(struct slots *slots, struct slot *slot)
{
    struct job *job = slot->job;
    slot->job = NULL;
    slot->tokens = job->tokens;
    slot->cached = job->computed;
    slot->left_at = ++slots->clock;
    job->tokens = NULL;
    slots->running--;
    if (slot->cached == 0)
        drop(slots, slot);
}

void slots_preempt(struct slots *slots, struct slot *slot)
{
    slot->cached = slot->job->computed;
    slot->job->computed = 0;
    slot->job = NULL;
    slots->running--;
    drop(slots, slot);
}

void slots_shrink(struct slots *slots, uint64_t cells)
{
    for (;;) {
        uint64_t held = 0;
        struct slot *oldest = NULL;
        for (uint32_t i = 0; i < slots->count; i++) {
            struct slot *slot = &slots->items[i];
            if (slot->job || slot->cached == 0)
                continue;
            held += slot->cached;
            if (!oldest || slot->left_at < oldest->left_at)
                oldest = slot;
        }
        if (held <= cells)
            return;
        drop(slots, oldest);
    }
}
