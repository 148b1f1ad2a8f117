/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The step planner: which sequence puts how many tokens into the next batch, and which one gives
 * way when the KV memory is used up. Pure.
 *
 * Rules: every generating sequence gets its one token; prompts share the prefill budget in turns of
 * `turn` tokens each, which may span steps, so that a short prompt is read at once and is not held
 * up by a long one; memory is never promised twice; the youngest gives way, so that the oldest
 * always advances.
 *
 * Thread rule: none; all functions work on their arguments only.
 */
#ifndef FAIRWAY_ENGINE_PLAN_H
#define FAIRWAY_ENGINE_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct plan_limits {
    uint32_t batch;    /* most tokens of a step; at least as many as there are sequences */
    uint32_t prefill;  /* most prompt tokens of this step (pace.h) */
    uint32_t turn;     /* prompt tokens of one sequence, until it is the next one's turn */
    uint32_t kv_total; /* cells; at least what the longest sequence may need */
};

struct plan_seq {
    uint32_t pending; /* tokens to compute before its next one can be drawn; 1: it generates */
    uint32_t held;    /* KV cells that it has */
    uint64_t age;     /* greater is younger */
    bool paused;      /* its reader is slow: it must not generate (it may read its prompt) */
    uint32_t take;    /* out: tokens of it that go into the step */
};

/* Whose turn it is to read its prompt, and how much of it is used up. All zero at first. */
struct plan_turn {
    size_t at;
    uint32_t used;
};

enum { PLAN_NONE = -1 };

/*
 * Fills in `take` and moves *turn on. Returns PLAN_NONE, or the index of
 * a sequence that must give back its cells and start anew later: then no `take` counts, and the
 * caller plans again without it.
 */
int plan_step(const struct plan_limits *limits, struct plan_seq *seqs, size_t count,
              struct plan_turn *turn);

/*
 * May one more sequence, with `need` tokens to compute, start beside these? What the running ones
 * still have to read is taken as used. A lone sequence always may.
 */
bool plan_may_start(const struct plan_limits *limits, const struct plan_seq *seqs, size_t count,
                    uint32_t need);

#endif
