/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random trees, takes, returns and changes of quota, against rules that recompute everything from the
 * list of what is held:
 * - an amount fits if no node whose usage rises passes its ceiling, and those that would are the
 *   obstacles; with all ceilings raised by what is missing it fits, with one left it does not
 * - whoever stays within its quota gets it when what reclaim names is given back, and nobody is named
 *   for more than it is over its own
 * - asking leaves no trace; the decayed average is the sum over all holdings that ever were
 * - under saturation shares follow the weights
 */
#include <math.h>

#include "core/quota/quota.h"
#include "test.h"

enum { STEPS = 1500, CASES = 40, HOLDINGS = 60, NODES = 14, RESOURCES = 2 };

struct history {
    uint64_t seed, random;
    int step;
    nsec now;
    struct quota q, copy;
    struct quota_holding holdings[HOLDINGS];
    int count;
    double average[QUOTA_NODES_MAX]; /* of resource 0, advanced at every step */
    struct quota_part parts[QUOTA_NODES_MAX];
};

#define HOLDS(condition) PROPERTY(condition, h->seed, h->step)

static int64_t below(struct history *h, int64_t n)
{
    return (int64_t)test_below(&h->random, (uint64_t)n);
}

/* ---- the naive rules ---- */

static int64_t naive_subtree(const struct quota *q, int n, int r);

static int64_t naive_lent(const struct quota *q, int n, int r)
{
    int64_t quota = naive_subtree(q, n, r), limit = q->nodes[n].spec.lending.of[r];
    return limit == QUOTA_NO_LIMIT || quota < limit ? quota : limit;
}

static int64_t naive_subtree(const struct quota *q, int n, int r)
{
    int64_t sum = q->nodes[n].draining ? 0 : q->nodes[n].spec.nominal.of[r];
    for (int c = 0; c < q->count; c++)
        if (q->nodes[c].used && q->nodes[c].parent == n)
            sum += naive_lent(q, c, r);
    return sum;
}

static int64_t naive_usage(const struct quota *q, int n, int r,
                           const struct quota_holding *holdings, int count)
{
    int64_t sum = 0;
    for (int i = 0; i < count; i++)
        sum += holdings[i].queue == n ? holdings[i].amount.of[r] : 0;
    for (int c = 0; c < q->count; c++)
        if (q->nodes[c].used && q->nodes[c].parent == n) {
            int64_t kept = naive_subtree(q, c, r) - naive_lent(q, c, r);
            sum += MAX(naive_usage(q, c, r, holdings, count) - kept, 0);
        }
    return sum;
}

/* How much the node would be past its ceiling; 0: it is not, or its usage does not rise. */
static int64_t naive_missing(const struct quota *q, int n, int r,
                             const struct quota_holding *holdings, int count,
                             const struct quota_holding *more)
{
    struct quota_holding all[HOLDINGS + 1];
    memcpy(all, holdings, (size_t)count * sizeof(*all));
    all[count] = *more;
    int64_t before = naive_usage(q, n, r, holdings, count);
    int64_t after = naive_usage(q, n, r, all, count + 1);
    int64_t limit = q->nodes[n].spec.borrowing.of[r];
    if (q->nodes[n].parent != QUOTA_NONE && limit == QUOTA_NO_LIMIT)
        return 0;
    int64_t ceiling = naive_subtree(q, n, r) + (q->nodes[n].parent == QUOTA_NONE ? 0 : limit);
    return after > before && after > ceiling ? after - ceiling : 0;
}

static void check_verdict(struct history *h, const struct quota_verdict *v,
                          const struct quota_holding *holdings, int count,
                          const struct quota_holding *more)
{
    int obstacles = 0;
    for (int n = 0; n < h->q.count; n++)
        for (int r = 0; h->q.nodes[n].used && r < RESOURCES; r++) {
            int64_t missing = naive_missing(&h->q, n, r, holdings, count, more), said = 0;
            for (int i = 0; i < v->obstacle_count; i++)
                if (v->obstacles[i].node == n && v->obstacles[i].resource == r)
                    said = v->obstacles[i].missing;
            HOLDS(said == missing);
            obstacles += missing > 0;
        }
    HOLDS(obstacles == v->obstacle_count);
    HOLDS((obstacles > 0) == (v->answer == QUOTA_SHORT));
}

/* ---- questions ---- */

/* Raised by what is missing, all but one (-1: all): does it fit? */
static bool fits_if_raised(struct history *h, const struct quota_verdict *v, int but,
                           const struct quota_holding *want)
{
    struct quota_verdict after;
    h->copy = h->q;
    for (int i = v->obstacle_count - 1; i >= 0; i--) {
        const struct quota_obstacle *o = &v->obstacles[i];
        struct quota_spec s = h->copy.nodes[o->node].spec;
        bool root = h->copy.nodes[o->node].parent == QUOTA_NONE;
        *(root ? &s.nominal.of[o->resource] : &s.borrowing.of[o->resource]) +=
            i == but ? o->missing - 1 : o->missing;
        HOLDS(quota_change(&h->copy, o->node, &s) == 0);
    }
    quota_fits(&h->copy, want->queue, &want->amount, &after);
    return after.answer != QUOTA_SHORT;
}

static void check_explanation(struct history *h, const struct quota_verdict *v,
                              const struct quota_holding *want)
{
    HOLDS(fits_if_raised(h, v, -1, want));
    for (int i = 0; i < v->obstacle_count; i++)
        HOLDS(!fits_if_raised(h, v, i, want));
}

/* All that is named is given back, obstacle by obstacle; a claimant within its nominal then fits. */
static void check_reclaim(struct history *h, const struct quota_verdict *first,
                          const struct quota_holding *want)
{
    bool within = true;
    struct quota_verdict v = *first;
    for (int r = 0; r < RESOURCES; r++)
        within &= h->q.usage[r][want->queue] + want->amount.of[r] <= h->q.subtree[r][want->queue];
    h->copy = h->q;
    for (int round = 0; within && v.obstacle_count; round++) {
        const struct quota_obstacle o = v.obstacles[0];
        int count = quota_reclaim(&h->copy, want->queue, &want->amount, &o, h->parts);
        int64_t sum = 0;
        HOLDS(count > 0 && round < QUOTA_OBSTACLES_MAX);
        for (int i = 0; i < count; i++) {
            const struct quota_part *p = &h->parts[i];
            struct quota_amount back = {0};
            back.of[o.resource] = p->amount;
            HOLDS(h->copy.usage[o.resource][p->node] - h->copy.subtree[o.resource][p->node] >=
                  p->amount);
            sum += p->amount;
            HOLDS(p->amount > 0 && p->node != want->queue);
            HOLDS(quota_give_back(&h->copy, p->node, &back, h->now) == 0);
        }
        HOLDS(sum == o.missing);
        quota_fits(&h->copy, want->queue, &want->amount, &v);
    }
}

static void check_available(struct history *h, int queue, int r)
{
    struct quota_amount a = {0};
    struct quota_verdict v;
    a.of[r] = quota_available(&h->q, queue, r);
    quota_fits(&h->q, queue, &a, &v);
    HOLDS(v.answer == QUOTA_FITS || v.answer == QUOTA_BORROWS);
    int count = quota_lenders(&h->q, queue, r, v.borrowed.of[r], h->parts);
    int64_t lent = 0;
    for (int i = 0; i < count; i++)
        lent += h->parts[i].amount;
    HOLDS(lent == v.borrowed.of[r]);
    a.of[r]++;
    quota_fits(&h->q, queue, &a, &v);
    HOLDS(v.answer == QUOTA_SHORT);
}

static void check_without(struct history *h, const struct quota_holding *want)
{
    struct quota_verdict v;
    struct quota_holding left[HOLDINGS], gone[HOLDINGS];
    int left_count = 0, gone_count = 0;
    for (int i = 0; i < h->count; i++)
        if (below(h, 3) == 0)
            gone[gone_count++] = h->holdings[i];
        else
            left[left_count++] = h->holdings[i];
    quota_fits_without(&h->q, want->queue, &want->amount, gone, (size_t)gone_count, &v);
    if (v.answer != QUOTA_CLOSED)
        check_verdict(h, &v, left, left_count, want);
}

static bool is_queue(const struct quota *q, int n)
{
    return q->nodes[n].used && !q->nodes[n].draining && q->nodes[n].children == 0;
}

static void ask(struct history *h, const struct quota_holding *want)
{
    static struct quota before;
    struct quota_verdict v;
    struct quota_head heads[] = {{want->queue, 0, h->now}};
    before = h->q;
    quota_fits(&h->q, want->queue, &want->amount, &v);
    HOLDS(v.answer != QUOTA_CLOSED);
    check_verdict(h, &v, h->holdings, h->count, want);
    check_explanation(h, &v, want);
    check_reclaim(h, &v, want);
    check_without(h, want);
    for (int r = 0; r < RESOURCES; r++)
        check_available(h, want->queue, r);
    HOLDS(quota_next(&h->q, heads, 1, h->now) == 0);
    HOLDS(memcmp(&before, &h->q, sizeof(before)) == 0);
}

/* ---- steps ---- */

static struct quota_spec random_spec(struct history *h)
{
    struct quota_spec s = {.weight = 1 + (uint32_t)below(h, 5)};
    for (int r = 0; r < RESOURCES; r++) {
        s.nominal.of[r] = below(h, 3) ? below(h, 20) : 0;
        s.borrowing.of[r] = below(h, 2) ? below(h, 20) : QUOTA_NO_LIMIT;
        s.lending.of[r] = below(h, 2) ? below(h, 20) : QUOTA_NO_LIMIT;
    }
    return s;
}

static void change_tree(struct history *h)
{
    struct quota_spec s = random_spec(h);
    int node = (int)below(h, NODES), nodes = 0, added;
    for (int n = 0; n < h->q.count; n++)
        nodes += h->q.nodes[n].used;
    switch (below(h, 4)) {
    case 0:
        if (quota_remove(&h->q, node))
            HOLDS(!is_queue(&h->q, node));
        break;
    case 1:
        if (nodes < NODES &&
            !quota_add(&h->q, (int)below(h, h->q.count + 1) - 1, &s, h->now, &added))
            h->average[added] = 0;
        break;
    default:
        if (quota_change(&h->q, node, &s))
            HOLDS(!is_queue(&h->q, node));
    }
}

static void take(struct history *h)
{
    struct quota_holding want = {.queue = (int)below(h, MAX(h->q.count, 1))};
    struct quota_verdict v;
    for (int r = 0; r < RESOURCES; r++)
        want.amount.of[r] = below(h, 3) ? below(h, 12) : 0;
    if (!is_queue(&h->q, want.queue) || h->count == HOLDINGS)
        return;
    ask(h, &want);
    int error = quota_take(&h->q, want.queue, &want.amount, h->now, &v);
    HOLDS((error == 0) == (v.answer == QUOTA_FITS || v.answer == QUOTA_BORROWS));
    if (error == 0 && (want.amount.of[0] || want.amount.of[1]))
        h->holdings[h->count++] = want;
}

static void give_back(struct history *h)
{
    if (h->count == 0)
        return;
    int i = (int)below(h, h->count);
    struct quota_holding gone = h->holdings[i];
    HOLDS(quota_give_back(&h->q, gone.queue, &gone.amount, h->now) == 0);
    h->holdings[i] = h->holdings[--h->count];
}

static void pass_time(struct history *h)
{
    nsec passed = (nsec)below(h, SEC(20));
    double past = exp2(-(double)passed / (double)h->q.half_life);
    for (int n = 0; n < h->q.count; n++)
        h->average[n] = past * h->average[n] + (1 - past) * (double)h->q.nodes[n].held.of[0];
    h->now += passed;
}

static void check_averages(struct history *h)
{
    for (int n = 0; n < h->q.count; n++) {
        const struct quota_node *node = &h->q.nodes[n];
        double past = exp2(-(double)(h->now - node->seen) / (double)h->q.half_life);
        double average = past * node->history[0] + (1 - past) * (double)node->held.of[0];
        HOLDS(!node->used || fabs(average - h->average[n]) < 1e-6);
    }
}

static void run(uint64_t seed)
{
    struct history *h = calloc(1, sizeof(*h));
    h->seed = h->random = seed;
    quota_init(&h->q, SEC(60));
    for (h->step = 0; h->step < STEPS; h->step++) {
        int64_t what = below(h, 20);
        if (what < 3 || h->step < NODES)
            change_tree(h);
        else if (what < 11)
            take(h);
        else if (what < 17)
            give_back(h);
        else
            pass_time(h);
        const char *broken = quota_check(&h->q);
        if (broken)
            fail_msg("%s: seed %llu, step %d", broken, (unsigned long long)seed, h->step);
        check_averages(h);
    }
    free(h);
}

static void test_histories(void **state)
{
    uint64_t first = test_seed(1);
    print_message("seeds from %llu\n", (unsigned long long)first);
    for (uint64_t i = 0; i < CASES; i++)
        run(first + i);
}

/* ---- shares ---- */

enum { TREE_MAX = 12, JOBS_MAX = 64, CAPACITY = 48, TURNS = 60000, WARM_UP = 5000 };

/* A tree; nodes without children always have work. */
struct tree {
    const char *name;
    int count;
    struct {
        int parent;
        uint32_t weight;
        int longest; /* of its jobs, in seconds; 0: a cohort */
        int largest; /* in GPUs */
        double share;
    } nodes[TREE_MAX];
};

static const struct tree trees[] = {
    {"flat",
     4,
     {{-1, 1, 0, 0, 1}, {0, 1, 10, 1, 1 / 7.0}, {0, 2, 100, 3, 2 / 7.0}, {0, 4, 30, 2, 4 / 7.0}}},
    {"cousins",
     7,
     {{-1, 1, 0, 0, 1},
      {0, 1, 0, 0, 1 / 3.0},
      {0, 2, 0, 0, 2 / 3.0},
      {1, 1, 60, 2, 1 / 6.0},
      {1, 1, 5, 1, 1 / 6.0},
      {2, 1, 20, 2, 2 / 9.0},
      {2, 2, 60, 1, 4 / 9.0}}},
    {"one against many",
     6,
     {{-1, 1, 0, 0, 1},
      {0, 1, 0, 0, 1 / 2.0},
      {0, 1, 40, 2, 1 / 2.0},
      {1, 1, 10, 1, 1 / 14.0},
      {1, 2, 10, 3, 2 / 14.0},
      {1, 4, 90, 1, 4 / 14.0}}},
};

struct saturated {
    uint64_t random;
    const struct tree *tree;
    struct quota q;
    struct quota_head heads[TREE_MAX];
    struct quota_amount wants[TREE_MAX]; /* of the heads */
    int head_count;
    struct {
        nsec ends;
        struct quota_holding holding;
    } jobs[JOBS_MAX];
    int job_count;
    double service[TREE_MAX];
};

static void next_head(struct saturated *s, int i, nsec now)
{
    int queue = s->heads[i].queue;
    s->heads[i].since = now;
    s->wants[i].of[0] =
        1 + (int64_t)test_below(&s->random, (uint64_t)s->tree->nodes[queue].largest);
}

static void plant(struct saturated *s)
{
    for (int i = 0; i < s->tree->count; i++) {
        struct quota_spec spec = {.weight = s->tree->nodes[i].weight};
        int node;
        spec.nominal.of[0] = i == 0 ? CAPACITY : 0;
        for (int r = 0; r < QUOTA_RESOURCES; r++)
            spec.borrowing.of[r] = spec.lending.of[r] = QUOTA_NO_LIMIT;
        assert_int_equal(quota_add(&s->q, s->tree->nodes[i].parent, &spec, 0, &node), 0);
        assert_int_equal(node, i);
        if (s->tree->nodes[i].longest) {
            s->heads[s->head_count].queue = i;
            next_head(s, s->head_count++, 0);
        }
    }
}

/* Until the head whose turn it is does not fit: it waits, and nobody passes it. */
static void admit(struct saturated *s, nsec now)
{
    struct quota_verdict v;
    for (;;) {
        int i = quota_next(&s->q, s->heads, s->head_count, now), queue = s->heads[i].queue;
        if (quota_take(&s->q, queue, &s->wants[i], now, &v))
            return;
        nsec takes = SEC(1 + (nsec)test_below(&s->random, (uint64_t)s->tree->nodes[queue].longest));
        s->jobs[s->job_count].ends = now + takes;
        s->jobs[s->job_count++].holding = (struct quota_holding){queue, s->wants[i]};
        next_head(s, i, now);
    }
}

static nsec end_first(struct saturated *s, nsec now, bool counts)
{
    int first = 0;
    for (int i = 1; i < s->job_count; i++)
        if (s->jobs[i].ends < s->jobs[first].ends)
            first = i;
    nsec ends = s->jobs[first].ends;
    for (int i = 0; counts && i < s->job_count; i++)
        s->service[s->jobs[i].holding.queue] +=
            (double)s->jobs[i].holding.amount.of[0] * nsec_to_seconds(ends - now);
    assert_int_equal(
        quota_give_back(&s->q, s->jobs[first].holding.queue, &s->jobs[first].holding.amount, ends),
        0);
    s->jobs[first] = s->jobs[--s->job_count];
    return ends;
}

static void saturate(const struct tree *tree, uint64_t seed)
{
    struct saturated *s = calloc(1, sizeof(*s));
    nsec now = 0;
    double all = 0;
    s->random = seed;
    s->tree = tree;
    quota_init(&s->q, SEC(600));
    plant(s);
    for (int turn = 0; turn < TURNS; turn++) {
        admit(s, now);
        now = end_first(s, now, turn > WARM_UP);
    }
    for (int n = 0; n < tree->count; n++)
        all += s->service[n];
    for (int n = 0; n < tree->count; n++) {
        double share = s->service[n] / all, due = tree->nodes[n].share;
        if (tree->nodes[n].longest && fabs(share - due) > 0.02 * due)
            fail_msg("%s, seed %llu: node %d has %.4f, its weight says %.4f", tree->name,
                     (unsigned long long)seed, n, share, due);
    }
    free(s);
}

static void test_shares_follow_weights(void **state)
{
    uint64_t first = test_seed(1);
    for (size_t i = 0; i < sizeof(trees) / sizeof(trees[0]); i++)
        for (uint64_t k = 0; k < 3; k++)
            saturate(&trees[i], first + k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_histories),
        cmocka_unit_test(test_shares_follow_weights),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
