/* SPDX-License-Identifier: Apache-2.0 */
/* The tables against the numbers of instances that NVIDIA's MIG User Guide gives, and placement. */
#include "core/place/mig.h"
#include "test.h"

#include "base/check.h"

/* How many instances of one profile go on an empty GPU, each where it costs the others least. */
static int most_of(const char *gpu, const char *name)
{
    const struct mig_geometry *g = mig_geometry_find(str_from(gpu));
    uint8_t number = mig_profile_find(str_from(name));
    struct mig_use use = {0};
    struct mig_fit fit;
    int count = 0;
    assert_non_null(g);
    assert_int_not_equal(number, MIG_NONE);
    assert_string_equal(mig_profile_name(number), name);
    while (mig_choose(g, number, use, &fit)) {
        const struct mig_profile *profile = mig_profile_of(g, number);
        assert_true(mig_is_free(profile, use, fit.start));
        use.slices |= mig_slices(profile, fit.start);
        use.media |= profile->media;
        count++;
    }
    return count;
}

static void test_numbers_of_instances(void **state)
{
    static const struct {
        const char *gpu, *profile;
        int most;
    } published[] = {
        {"A30", "1g.6gb", 4},         {"A30", "1g.6gb+me", 1},     {"A30", "2g.12gb", 2},
        {"A30", "2g.12gb+me", 1},     {"A30", "4g.24gb", 1},       {"A100-40G", "1g.5gb", 7},
        {"A100-40G", "1g.5gb+me", 1}, {"A100-40G", "1g.10gb", 4},  {"A100-40G", "2g.10gb", 3},
        {"A100-40G", "3g.20gb", 2},   {"A100-40G", "4g.20gb", 1},  {"A100-40G", "7g.40gb", 1},
        {"A100-80G", "1g.10gb", 7},   {"A100-80G", "1g.20gb", 4},  {"A100-80G", "3g.40gb", 2},
        {"H100-80G", "1g.10gb", 7},   {"H100-80G", "2g.20gb", 3},  {"H100-80G", "7g.80gb", 1},
        {"H200-141G", "1g.18gb", 7},  {"H200-141G", "1g.35gb", 4}, {"H200-141G", "2g.35gb", 3},
        {"H200-141G", "3g.71gb", 2},  {"H200-141G", "4g.71gb", 1}, {"H200-141G", "7g.141gb", 1},
        {"B200-180G", "1g.23gb", 7},  {"B200-180G", "1g.45gb", 4}, {"B200-180G", "2g.45gb", 3},
        {"B200-180G", "3g.90gb", 2},  {"B200-180G", "4g.90gb", 1}, {"B200-180G", "7g.180gb", 1},
    };
    for (size_t i = 0; i < ARRAY_LEN(published); i++)
        assert_int_equal(most_of(published[i].gpu, published[i].profile), published[i].most);
}

static struct mig_use with(struct mig_use use, const struct mig_geometry *g, const char *name,
                           unsigned start)
{
    const struct mig_profile *profile = mig_profile_of(g, mig_profile_find(str_from(name)));
    assert_true(mig_is_free(profile, use, start));
    return (struct mig_use){use.slices | mig_slices(profile, start), use.media || profile->media};
}

static int start_of(const struct mig_geometry *g, const char *name, struct mig_use use)
{
    struct mig_fit fit;
    return mig_choose(g, mig_profile_find(str_from(name)), use, &fit) ? fit.start : -1;
}

static void test_an_instance_goes_where_it_costs_least(void **state)
{
    const struct mig_geometry *g = mig_geometry_find(STR("H100-80G"));
    struct mig_use empty = {0};
    /* Slice 6 is in no 2g.20gb and no 4g.40gb. */
    assert_int_equal(start_of(g, "1g.10gb", empty), 6);
    /* Four slices: the upper half leaves 4g.40gb, which starts at 0 only. */
    assert_int_equal(start_of(g, "3g.40gb", empty), 4);
    assert_int_equal(start_of(g, "4g.40gb", with(empty, g, "3g.40gb", 4)), 0);
    assert_int_equal(start_of(g, "4g.40gb", with(empty, g, "3g.40gb", 0)), -1);
    /* The eighth slice is memory alone: no 1g starts there. */
    struct mig_use use = with(with(empty, g, "4g.40gb", 0), g, "1g.20gb", 4);
    assert_int_equal(start_of(g, "1g.10gb", use), 6);
    assert_int_equal(start_of(g, "1g.10gb", with(use, g, "1g.10gb", 6)), -1);
}

static void test_what_is_not_there(void **state)
{
    const struct mig_geometry *a30 = mig_geometry_find(STR("A30"));
    assert_null(mig_geometry_find(STR("T4")));
    assert_int_equal(mig_profile_find(STR("1g.7gb")), MIG_NONE);
    assert_null(mig_profile_of(a30, mig_profile_find(STR("7g.80gb"))));
    assert_int_equal(start_of(a30, "7g.80gb", (struct mig_use){0}), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers_of_instances),
        cmocka_unit_test(test_an_instance_goes_where_it_costs_least),
        cmocka_unit_test(test_what_is_not_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
