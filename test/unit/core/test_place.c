/* SPDX-License-Identifier: Apache-2.0 */
/* Placement by example; test/property/core/test_place.c checks all of it against an oracle. */
#include "core/place/policy.h"
#include "test.h"

enum { NODES = 8, MODEL_A = 0, MODEL_B = 1 };

static void open_place(struct place *p, const char *policy)
{
    place_init(p, &(struct place_options){
                      .policy = place_policy_find(str_from(policy)),
                      .seed = 1,
                      .nodes_max = NODES,
                      .leases_max = 100,
                      .shapes_max = 4,
                  });
}

/* GPUs of 16 GiB; pairs share an NVLink, fours a NUMA node. */
static struct place_node_spec node_of(uint64_t id, int gpus, uint8_t model)
{
    struct place_node_spec n = {.id = id, .cpu = 64000, .memory = 256000, .gpu_count = gpus};
    for (int i = 0; i < gpus; i++)
        n.gpus[i] = (struct place_gpu_spec){
            .model = model, .numa = (uint8_t)(i / 4), .nvlink = (uint8_t)(i / 2), .memory = 16000};
    return n;
}

static void put(struct place *p, const struct place_node_spec *n)
{
    assert_int_equal(place_node_put(p, n), 0);
}

static const struct place_lease *give(struct place *p, uint64_t owner, struct place_request r)
{
    const struct place_lease *l = NULL;
    int error = place_allocate(p, owner, &r, 5, &l);
    assert_null(place_check(p));
    assert_int_equal(error, l ? 0 : ERR_UNAVAILABLE);
    return l;
}

static void test_whole_gpus_and_shares_exclude_each_other(void **state)
{
    struct place p;
    struct place_node_spec n = node_of(1, 2, MODEL_A);
    open_place(&p, "first_fit");
    put(&p, &n);
    const struct place_lease *share = give(&p, 10, (struct place_request){.share_milli = 300});
    assert_int_equal(share->milli, 300);
    assert_int_equal(share->mib, 4800);
    assert_int_equal(share->gpus, 1);
    assert_null(give(&p, 11, (struct place_request){.gpus = 2}));
    assert_int_equal(give(&p, 12, (struct place_request){.gpus = 1})->gpus, 2);
    assert_null(give(&p, 13, (struct place_request){.share_milli = 701}));
    /* By memory: what is left of it is 11200. */
    assert_null(give(&p, 14, (struct place_request){.share_milli = 1, .share_mib = 11201}));
    assert_int_equal(give(&p, 15, (struct place_request){.share_mib = 11200})->milli, 700);
    place_release(&p, 10);
    place_release(&p, 15);
    place_release(&p, 15);
    assert_int_equal(give(&p, 16, (struct place_request){.gpus = 1})->gpus, 1);
    place_fini(&p);
}

static void test_four_quarters_are_one_gpu(void **state)
{
    struct place p;
    struct place_node_spec n = node_of(1, 1, MODEL_A);
    n.gpus[0].memory = 16003; /* no multiple of four */
    open_place(&p, "first_fit");
    put(&p, &n);
    for (uint64_t owner = 1; owner <= 4; owner++)
        assert_int_equal(give(&p, owner, (struct place_request){.share_milli = 250})->mib, 4000);
    place_fini(&p);
}

/* Two zones of two nodes; the first has by far the most room. */
static void test_replicas_are_spread(void **state)
{
    static const uint8_t zones[] = {0, 0, 1, 1};
    struct place p;
    int on[5] = {0}, in[2] = {0};
    open_place(&p, "packing");
    for (uint64_t id = 1; id <= 4; id++) {
        struct place_node_spec n = node_of(id, id == 1 ? 8 : 3, MODEL_A);
        n.zone = zones[id - 1];
        put(&p, &n);
    }
    struct place_request r = {.gpus = 1, .spread = PLACE_SPREAD_ZONES, .group = 7};
    struct place_request other = {.gpus = 1};
    give(&p, 100, other); /* of no group: it does not count */
    for (uint64_t owner = 1; owner <= 8; owner++) {
        const struct place_lease *l = give(&p, owner, r);
        assert_int_equal(l->group, 7);
        on[l->node]++;
        in[zones[l->node - 1]]++;
        assert_true(abs(in[0] - in[1]) <= 1);
    }
    for (int node = 1; node <= 4; node++)
        assert_int_equal(on[node], 2);
    r.group = 8; /* another group begins anew */
    assert_int_equal(zones[give(&p, 20, r)->node - 1] + zones[give(&p, 21, r)->node - 1], 1);
    r.spread = PLACE_NO_SPREAD; /* without a group */
    struct place_choice choice;
    assert_int_equal(place_choose(&p, 1, &r, &choice), ERR_INVALID);
    place_fini(&p);
}

/* It is a wish: where one node alone has room, all go there. */
static void test_spread_is_no_must(void **state)
{
    struct place p;
    struct place_node_spec large = node_of(1, 4, MODEL_A), full = node_of(2, 0, MODEL_A);
    open_place(&p, "first_fit");
    full.zone = 1;
    put(&p, &large);
    put(&p, &full);
    struct place_request r = {.gpus = 1, .spread = PLACE_SPREAD_NODES, .group = 1};
    for (uint64_t owner = 1; owner <= 4; owner++)
        assert_int_equal(give(&p, owner, r)->node, 1);
    assert_null(give(&p, 5, r));
    place_fini(&p);
}

static void test_gpus_that_belong_together(void **state)
{
    struct place p;
    struct place_node_spec n = node_of(1, 8, MODEL_A);
    open_place(&p, "first_fit");
    put(&p, &n);
    /* GPU 0 is out: the first pair has only one left, the first four three. */
    give(&p, 1, (struct place_request){.gpus = 1});
    struct place_request pair = {.gpus = 2, .together = PLACE_SAME_NVLINK};
    assert_int_equal(give(&p, 2, pair)->gpus, 0x0C);
    struct place_request four = {.gpus = 4, .together = PLACE_SAME_NUMA};
    assert_int_equal(give(&p, 3, four)->gpus, 0xF0);
    place_release(&p, 3);
    give(&p, 4, (struct place_request){.gpus = 2});
    assert_null(give(&p, 5, four));
    assert_non_null(give(&p, 6, (struct place_request){.gpus = 3}));
    place_fini(&p);
}

static void test_who_may_be_where(void **state)
{
    struct place p;
    struct place_node_spec tainted = node_of(1, 1, MODEL_A), spot = node_of(2, 1, MODEL_A),
                           labelled = node_of(3, 1, MODEL_B);
    open_place(&p, "first_fit");
    place_set_add(&tainted.taints, 255);
    spot.spot = true;
    place_set_add(&labelled.labels, 0);
    put(&p, &tainted);
    put(&p, &spot);
    put(&p, &labelled);
    struct place_request usual = {.share_milli = 10}, tolerant = usual, cheap = usual,
                         choosy = usual, other = usual;
    place_set_add(&tolerant.tolerations, 255);
    cheap.spot = 1;
    place_set_add(&choosy.labels, 0);
    other.models = 1 << MODEL_A;
    assert_int_equal(give(&p, 1, usual)->node, 3);
    assert_int_equal(give(&p, 2, tolerant)->node, 1);
    assert_int_equal(give(&p, 3, cheap)->node, 2);
    assert_int_equal(give(&p, 4, choosy)->node, 3);
    assert_null(give(&p, 5, other));
    place_fini(&p);
}

static void test_mig(void **state)
{
    struct place p;
    struct place_node_spec n = node_of(1, 2, MODEL_A);
    open_place(&p, "fgd");
    n.gpus[1].mig = mig_geometry_find(STR("H100-80G"));
    put(&p, &n);
    assert_null(give(&p, 1, (struct place_request){.gpus = 2}));
    struct place_request half = {.mig = mig_profile_find(STR("3g.40gb"))};
    const struct place_lease *l = give(&p, 2, half);
    assert_int_equal(l->gpus, 2);
    assert_int_equal(l->mig_start, 4);
    assert_int_equal(place_available(&p).slices, 4);
    assert_non_null(give(&p, 3, half));
    assert_null(give(&p, 4, half));
    assert_int_equal(give(&p, 5, (struct place_request){.share_milli = 1})->gpus, 1);
    place_fini(&p);
}

static void test_a_closed_node_keeps_what_it_has(void **state)
{
    struct place p;
    struct place_node_spec a = node_of(1, 2, MODEL_A), smaller = node_of(1, 1, MODEL_A);
    open_place(&p, "first_fit");
    put(&p, &a);
    give(&p, 1, (struct place_request){.gpus = 2});
    assert_int_equal(place_node_put(&p, &smaller), ERR_CONFLICT);
    a.closed = true;
    put(&p, &a);
    assert_non_null(place_lease_find(&p, 1));
    place_node_remove(&p, 1);
    assert_null(place_node_find(&p, 1));
    assert_non_null(place_lease_find(&p, 1));
    place_release(&p, 1);
    assert_int_equal(p.by_id.count, 0);
    assert_int_equal(p.largest.gpus, 0);
    put(&p, &smaller);
    assert_non_null(give(&p, 2, (struct place_request){.gpus = 1}));
    place_fini(&p);
}

static void test_what_makes_no_sense(void **state)
{
    struct place p;
    struct place_node_spec n = node_of(1, 1, MODEL_A), nameless = node_of(0, 1, MODEL_A);
    struct place_choice choice;
    const struct place_lease *l;
    struct place_request both = {.gpus = 1, .share_milli = 5}, whole_share = {.share_milli = 1000},
                         fine = {.gpus = 1};
    open_place(&p, "first_fit");
    put(&p, &n);
    assert_int_equal(place_node_put(&p, &nameless), ERR_INVALID);
    assert_int_equal(place_choose(&p, 1, &both, &choice), ERR_INVALID);
    assert_int_equal(place_choose(&p, 1, &whole_share, &choice), ERR_INVALID);
    assert_int_equal(place_allocate(&p, 0, &fine, 0, &l), ERR_INVALID);
    struct place_lease lease = {.owner = 1, .node = 2, .gpus = 1, .milli = 1000};
    assert_int_equal(place_restore(&p, &lease), ERR_NOT_FOUND);
    lease.node = 1;
    lease.gpus = 2;
    assert_int_equal(place_restore(&p, &lease), ERR_INVALID);
    lease.gpus = 1;
    assert_int_equal(place_restore(&p, &lease), 0);
    lease.owner = 2;
    assert_int_equal(place_restore(&p, &lease), ERR_CONFLICT);
    place_fini(&p);
}

/* Of 4000 owners each of eight alike nodes is drawn for about 500, of four GPUs each for a quarter; the
 * same owner is drawn the same. */
static void test_random_draws_evenly(void **state)
{
    struct place p;
    struct place_choice choice, again;
    int nodes[NODES] = {0}, gpus[4] = {0};
    struct place_request r = {.share_milli = 1};
    open_place(&p, "random");
    for (uint64_t id = 1; id <= NODES; id++) {
        struct place_node_spec n = node_of(id, 4, MODEL_A);
        put(&p, &n);
    }
    for (uint64_t owner = 1; owner <= 4000; owner++) {
        assert_int_equal(place_choose(&p, owner, &r, &choice), 0);
        assert_int_equal(place_choose(&p, owner, &r, &again), 0);
        assert_true(choice.node == again.node && choice.gpus == again.gpus);
        nodes[choice.node]++;
        gpus[__builtin_ctz(choice.gpus)]++;
    }
    for (int i = 0; i < NODES; i++)
        assert_in_range(nodes[i], 400, 600);
    for (int i = 0; i < 4; i++)
        assert_in_range(gpus[i], 850, 1150);
    place_fini(&p);
}

/* What is expected decides where a share leaves the least that is of no use. */
static void test_fgd_follows_what_is_expected(void **state)
{
    struct place p;
    struct place_node_spec n = node_of(1, 2, MODEL_A);
    struct place_request r = {.share_milli = 400}, whole = {.gpus = 1},
                         rests = {.share_milli = 600};
    uint32_t one = 1;
    open_place(&p, "fgd");
    put(&p, &n);
    place_set_target(&p, &whole, &one, 1);
    assert_int_equal(give(&p, 1, r)->gpus, 1);
    place_set_target(&p, &rests, &one, 1); /* the 600 that GPU 0 has left are of use as they are */
    assert_int_equal(give(&p, 2, r)->gpus, 2);
    place_release(&p, 2);
    place_set_target(&p, &whole, &one, 1); /* now they are of none, and GPU 1 is */
    assert_int_equal(give(&p, 3, r)->gpus, 1);
    place_fini(&p);
}

/* Where CPU for whole GPUs would run short, others do not get it; under fgd there is still enough. */
static void test_fairway_looks_ahead_at_cpu(void **state)
{
    static const char *const policies[] = {"fgd", "fairway"};
    struct place_request whole = {.gpus = 1, .cpu = 16000}, other = {.cpu = 32000};
    uint32_t one = 1;
    for (size_t i = 0; i < ARRAY_LEN(policies); i++) {
        struct place p;
        struct place_node_spec n = node_of(1, 8, MODEL_A), rich = node_of(2, 8, MODEL_A);
        rich.cpu = 128000;
        open_place(&p, policies[i]);
        put(&p, &n);
        put(&p, &rich);
        place_set_target(&p, &whole, &one, 1);
        assert_int_equal(give(&p, 1, other)->node, i + 1);
        place_fini(&p);
    }
}

/* A model that is asked for by name is left to those who do, as long as there are others. */
static void test_fairway_spares_scarce_models(void **state)
{
    struct place p;
    struct place_node_spec scarce = node_of(1, 2, MODEL_A), other = node_of(2, 2, MODEL_B);
    struct place_request expected[] = {{.gpus = 1}, {.gpus = 1, .models = 1u << MODEL_A}};
    uint32_t counts[] = {3, 1};
    struct place_choice choice;
    open_place(&p, "fairway");
    put(&p, &scarce);
    put(&p, &other);
    assert_int_equal(give(&p, 1, expected[0])->node, 1); /* nothing is expected, so nothing dear */
    place_release(&p, 1);
    place_set_target(&p, expected, counts, 2);
    assert_int_equal(give(&p, 1, expected[0])->node, 2);
    assert_int_equal(give(&p, 2, expected[0])->node, 2);
    assert_int_equal(place_choose(&p, 3, &expected[0], &choice), 0);
    int score = choice.score;
    assert_int_equal(give(&p, 3, expected[0])->node, 1);
    assert_int_equal(place_choose(&p, 4, &expected[0], &choice), 0);
    assert_true(choice.score < score); /* half of it is free now */
    place_fini(&p);
}

/* 1 / free^2, but as if at least 2 % were free. */
static void test_fairway_prices_are_bounded(void **state)
{
    struct place p;
    struct place_node_spec n = node_of(1, 1, MODEL_A);
    struct place_request expected = {.gpus = 1, .models = 1u << MODEL_A},
                         most = {.share_milli = 990}, rest = {.share_milli = 10};
    uint32_t one = 1;
    struct place_choice choice;
    open_place(&p, "fairway");
    put(&p, &n);
    place_set_target(&p, &expected, &one, 1);
    assert_int_equal(place_choose(&p, 1, &rest, &choice), 0);
    assert_int_equal(choice.score, 321 - 20); /* 990 are of no use any more */
    give(&p, 1, most);
    assert_int_equal(place_choose(&p, 2, &rest, &choice), 0);
    assert_int_equal(choice.score, 321 - 10 * 2500 / 50);
    place_fini(&p);
}

/* A slot that gets another model: what was known of it for the old one is forgotten. */
static void test_a_slot_changes_its_model(void **state)
{
    struct place p;
    struct place_node_spec full = node_of(1, 8, MODEL_B), a = node_of(2, 1, MODEL_A),
                           b = node_of(3, 1, MODEL_B);
    struct place_request r = {.gpus = 1};
    struct place_choice choice;
    full.closed = true;
    open_place(&p, "fairway");
    put(&p, &full);
    put(&p, &a);
    assert_int_equal(place_choose(&p, 1, &r, &choice), 0);
    place_node_remove(&p, a.id);
    put(&p, &b);
    assert_int_equal(give(&p, 1, r)->node, b.id);
    assert_int_equal(place_choose(&p, 2, &r, &choice), ERR_UNAVAILABLE);
    place_fini(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_gpus_and_shares_exclude_each_other),
        cmocka_unit_test(test_four_quarters_are_one_gpu),
        cmocka_unit_test(test_replicas_are_spread),
        cmocka_unit_test(test_spread_is_no_must),
        cmocka_unit_test(test_gpus_that_belong_together),
        cmocka_unit_test(test_who_may_be_where),
        cmocka_unit_test(test_mig),
        cmocka_unit_test(test_a_closed_node_keeps_what_it_has),
        cmocka_unit_test(test_what_makes_no_sense),
        cmocka_unit_test(test_random_draws_evenly),
        cmocka_unit_test(test_fgd_follows_what_is_expected),
        cmocka_unit_test(test_fairway_looks_ahead_at_cpu),
        cmocka_unit_test(test_fairway_spares_scarce_models),
        cmocka_unit_test(test_fairway_prices_are_bounded),
        cmocka_unit_test(test_a_slot_changes_its_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
