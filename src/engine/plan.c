/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/plan.h"

#include "base/check.h"

static bool reads(const struct plan_seq *s)
{
    return s->pending > 1;
}

static uint64_t held_by_all(const struct plan_seq *seqs, size_t count)
{
    uint64_t held = 0;
    for (size_t i = 0; i < count; i++)
        held += seqs[i].held;
    return held;
}

static int youngest(const struct plan_seq *seqs, size_t count)
{
    CHECK(count > 1); /* a lone sequence always finds room: kv_total covers the longest */
    size_t found = 0;
    for (size_t i = 1; i < count; i++)
        if (seqs[i].age > seqs[found].age)
            found = i;
    return (int)found;
}

/* Deals `budget` prompt tokens out in turns. Returns how many were taken. */
static uint64_t deal(uint32_t quantum, uint64_t budget, struct plan_seq *seqs, size_t count,
                     size_t *cursor)
{
    uint64_t dealt = 0;
    size_t idle_turns = 0;
    while (dealt < budget && idle_turns < count) {
        size_t i = *cursor % count;
        *cursor = (i + 1) % count;
        uint64_t rest = reads(&seqs[i]) ? seqs[i].pending - seqs[i].take : 0;
        uint64_t turn = MIN(MIN(rest, quantum), budget - dealt);
        seqs[i].take += (uint32_t)turn;
        dealt += turn;
        idle_turns = turn ? 0 : idle_turns + 1;
    }
    return dealt;
}

int plan_step(const struct plan_limits *limits, struct plan_seq *seqs, size_t count, size_t *cursor)
{
    CHECK(count <= limits->batch && limits->quantum > 0);
    uint64_t held = held_by_all(seqs, count);
    CHECK(held <= limits->kv_total);
    uint64_t free_cells = limits->kv_total - held;
    uint64_t taken = 0;
    bool any_reads = false;
    for (size_t i = 0; i < count; i++) {
        CHECK(seqs[i].pending > 0);
        seqs[i].take = !reads(&seqs[i]) && !seqs[i].paused;
        taken += seqs[i].take;
        any_reads = any_reads || reads(&seqs[i]);
    }
    if (taken > free_cells)
        return youngest(seqs, count);
    uint64_t room = MIN(limits->batch, free_cells) - taken;
    taken += deal(limits->quantum, MIN(room, limits->prefill), seqs, count, cursor);
    /* Prompts that wait for memory which only paused sequences have. */
    if (taken == 0 && any_reads && limits->prefill > 0)
        return youngest(seqs, count);
    return PLAN_NONE;
}

bool plan_may_start(const struct plan_limits *limits, const struct plan_seq *seqs, size_t count,
                    uint32_t need)
{
    if (count == 0)
        return true;
    uint64_t used = held_by_all(seqs, count);
    for (size_t i = 0; i < count; i++)
        used += seqs[i].pending;
    /* A little is left over, so that the first tokens do not at once push somebody out. */
    uint64_t margin = limits->kv_total / 64;
    return used + need + margin <= limits->kv_total;
}
