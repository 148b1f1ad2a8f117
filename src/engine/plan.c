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
static uint64_t deal(uint32_t turn_length, uint64_t budget, struct plan_seq *seqs, size_t count,
                     struct plan_turn *turn)
{
    uint64_t dealt = 0;
    size_t passed = 0; /* sequences in a row that had nothing to read */
    while (dealt < budget && passed < count) {
        struct plan_seq *s = &seqs[turn->at % count];
        uint32_t rest = reads(s) ? s->pending - s->take : 0;
        uint32_t take = (uint32_t)MIN(MIN(rest, turn_length - turn->used), budget - dealt);
        s->take += take;
        dealt += take;
        turn->used += take;
        passed = take ? 0 : passed + 1;
        if (take == rest || turn->used == turn_length)
            *turn = (struct plan_turn){.at = (turn->at + 1) % count};
    }
    return dealt;
}

int plan_step(const struct plan_limits *limits, struct plan_seq *seqs, size_t count,
              struct plan_turn *turn)
{
    CHECK(count <= limits->batch && limits->turn > 0);
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
    taken += deal(limits->turn, MIN(room, limits->prefill), seqs, count, turn);
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
