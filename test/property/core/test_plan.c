/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A model's replicas under random wishes, crashes, slow starts and failing probes, in virtual time:
 * - never more than desired + surge replicas while the wish stands still and revisions change
 * - during a change of revision the ready replicas never fall below the desired number by the
 * plan's own doing
 * - when the world is kind for long enough, exactly `desired` replicas of the wanted revision are
 * ready and none else is left
 */
#include "core/plan/plan.h"
#include "test.h"

enum { CAP = 64, HISTORIES = 60, WISHES = 12 };

struct world {
    struct replica replicas[CAP];
    struct plan_replica planned[CAP];
    nsec ready_at[CAP], exit_at[CAP];
    size_t count;
    uint64_t number;
    struct plan_wish wish;
    struct replica_rules rules;
    nsec now;
    uint64_t seed, random;
    int step;
    bool kind;
};

static nsec soon(struct world *w, nsec most)
{
    return w->now + 1 + (nsec)test_below(&w->random, (uint64_t)most);
}

static unsigned count_ready(const struct world *w)
{
    unsigned n = 0;
    for (size_t i = 0; i < w->count; i++)
        n += w->replicas[i].state == REPLICA_READY;
    return n;
}

static void forget_stopped(struct world *w)
{
    size_t kept = 0;
    for (size_t i = 0; i < w->count; i++) {
        if (w->replicas[i].state == REPLICA_STOPPED)
            continue;
        w->replicas[kept] = w->replicas[i];
        w->planned[kept] = w->planned[i];
        w->planned[kept].replica = &w->replicas[kept];
        w->ready_at[kept] = w->ready_at[i];
        w->exit_at[kept] = w->exit_at[i];
        kept++;
    }
    w->count = kept;
}

static void add(struct world *w)
{
    assert_true(w->count < CAP);
    size_t i = w->count++;
    replica_init(&w->replicas[i], w->now);
    w->planned[i] = (struct plan_replica){w->wish.revision, ++w->number, &w->replicas[i]};
    w->exit_at[i] = NSEC_NEVER;
}

static void run_plan(struct world *w)
{
    unsigned before = count_ready(w);
    unsigned wanted = MIN(before, w->wish.deleted ? 0 : w->wish.desired);
    unsigned missing = plan_model(&w->wish, w->planned, w->count, w->now);
    PROPERTY(count_ready(w) >= wanted, w->seed, w->step);
    while (missing--)
        add(w);
}

static void act(struct world *w, size_t i)
{
    struct replica *r = &w->replicas[i];
    switch (replica_next(r, &w->rules, w->now)) {
    case REPLICA_SPAWN:
        if (!w->kind && test_below(&w->random, 8) == 0) {
            replica_spawn_failed(r, &w->rules, w->now);
            return;
        }
        replica_spawned(r, w->now);
        w->ready_at[i] = soon(w, w->kind ? SEC(5) : SEC(200));
        w->exit_at[i] = w->kind || test_below(&w->random, 3) ? NSEC_NEVER : soon(w, SEC(100));
        break;
    case REPLICA_TERMINATE:
        w->exit_at[i] = soon(w, w->kind ? SEC(10) : SEC(60));
        break;
    case REPLICA_KILL:
        w->exit_at[i] = w->now;
        break;
    case REPLICA_NOTHING:
        break;
    }
}

static void live(struct world *w, size_t i)
{
    struct replica *r = &w->replicas[i];
    if (r->state == REPLICA_PENDING && (w->kind || test_below(&w->random, 8) == 0))
        replica_placed(r, w->now);
    else if (!w->kind && r->state == REPLICA_WAITING && test_below(&w->random, 50) == 0)
        replica_unplaced(r, w->now);
    if (!replica_has_process(r))
        return;
    if (w->exit_at[i] <= w->now) {
        w->exit_at[i] = NSEC_NEVER;
        replica_exited(r, &w->rules, w->now);
    } else if (r->state != REPLICA_DRAINING) {
        bool ok = w->ready_at[i] <= w->now && (w->kind || test_below(&w->random, 4));
        replica_probed(r, &w->rules, ok, w->now);
    }
}

static void second(struct world *w)
{
    w->now += SEC(1);
    for (size_t i = 0; i < w->count; i++)
        live(w, i);
    forget_stopped(w);
    run_plan(w);
    for (size_t i = 0; i < w->count; i++)
        act(w, i);
    forget_stopped(w);
}

static void check_converged(struct world *w)
{
    PROPERTY(w->count == w->wish.desired, w->seed, w->step);
    for (size_t i = 0; i < w->count; i++) {
        PROPERTY(w->replicas[i].state == REPLICA_READY, w->seed, w->step);
        PROPERTY(w->planned[i].revision == w->wish.revision, w->seed, w->step);
    }
}

static void run_history(uint64_t seed)
{
    static struct world w;
    w = (struct world){.seed = seed, .random = seed, .rules = replica_rules_default()};
    for (w.step = 0; w.step < WISHES; w.step++) {
        w.wish = (struct plan_wish){.revision = 1 + test_below(&w.random, 3),
                                    .desired = (unsigned)test_below(&w.random, 7),
                                    .surge = 1};
        w.kind = false;
        for (uint64_t i = test_below(&w.random, 300); i; i--)
            second(&w);
        w.kind = true;
        for (int i = 0; i < 600; i++)
            second(&w);
        check_converged(&w);
    }
    w.wish.deleted = true;
    for (int i = 0; i < 60; i++)
        second(&w);
    PROPERTY(w.count == 0, seed, w.step);
}

static void test_random_histories(void **state)
{
    uint64_t first = test_seed(1);
    for (uint64_t i = 0; i < (getenv("FAIRWAY_SEED") ? 1 : HISTORIES); i++)
        run_history(first + i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_histories)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
