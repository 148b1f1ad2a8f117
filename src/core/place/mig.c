/* SPDX-License-Identifier: Apache-2.0 */
#include "core/place/mig.h"

#include "base/check.h"

/* Every name of a profile has one number; X(member, name). */
#define NAMES(X)               \
    X(P1G_5, "1g.5gb")         \
    X(P1G_5_ME, "1g.5gb+me")   \
    X(P1G_6, "1g.6gb")         \
    X(P1G_6_ME, "1g.6gb+me")   \
    X(P1G_10, "1g.10gb")       \
    X(P1G_10_ME, "1g.10gb+me") \
    X(P1G_18, "1g.18gb")       \
    X(P1G_18_ME, "1g.18gb+me") \
    X(P1G_20, "1g.20gb")       \
    X(P1G_23, "1g.23gb")       \
    X(P1G_23_ME, "1g.23gb+me") \
    X(P1G_35, "1g.35gb")       \
    X(P1G_45, "1g.45gb")       \
    X(P2G_10, "2g.10gb")       \
    X(P2G_12, "2g.12gb")       \
    X(P2G_12_ME, "2g.12gb+me") \
    X(P2G_20, "2g.20gb")       \
    X(P2G_35, "2g.35gb")       \
    X(P2G_45, "2g.45gb")       \
    X(P3G_20, "3g.20gb")       \
    X(P3G_40, "3g.40gb")       \
    X(P3G_71, "3g.71gb")       \
    X(P3G_90, "3g.90gb")       \
    X(P4G_20, "4g.20gb")       \
    X(P4G_24, "4g.24gb")       \
    X(P4G_40, "4g.40gb")       \
    X(P4G_71, "4g.71gb")       \
    X(P4G_90, "4g.90gb")       \
    X(P7G_40, "7g.40gb")       \
    X(P7G_80, "7g.80gb")       \
    X(P7G_141, "7g.141gb")     \
    X(P7G_180, "7g.180gb")

enum profile_number {
    NONE = MIG_NONE,
#define X(member, name) member,
    NAMES(X)
#undef X
        PROFILE_END
};

static const char *const names[PROFILE_END] = {
#define X(member, name) [member] = name,
    NAMES(X)
#undef X
};

/* Starts, as bits. */
enum {
    AT_0 = 0x01,
    AT_0_4 = 0x11,
    AT_0_2 = 0x05,
    AT_0_2_4 = 0x15,
    AT_0_2_4_6 = 0x55,
    AT_0_TO_3 = 0x0F,
    AT_0_TO_6 = 0x7F
};

/* Those with seven compute and eight memory slices are cut alike; only the sizes differ. */
#define SEVEN(name, p1, p1_me, p1_double, p2, p3, p4, p7) \
    {                                                     \
        .gpu = name, .slices = 8, .count = 7,             \
        .profiles = {                                     \
            {p1, 1, AT_0_TO_6, false},                    \
            {p1_me, 1, AT_0_TO_6, true},                  \
            {p1_double, 2, AT_0_2_4_6, false},            \
            {p2, 2, AT_0_2_4, false},                     \
            {p3, 4, AT_0_4, false},                       \
            {p4, 4, AT_0, false},                         \
            {p7, 8, AT_0, false},                         \
        },                                                \
    }

static const struct mig_geometry geometries[] = {
    {
        .gpu = "A30",
        .slices = 4,
        .count = 5,
        .profiles =
            {
                {P1G_6, 1, AT_0_TO_3, false},
                {P1G_6_ME, 1, AT_0_TO_3, true},
                {P2G_12, 2, AT_0_2, false},
                {P2G_12_ME, 2, AT_0_2, true},
                {P4G_24, 4, AT_0, false},
            },
    },
    SEVEN("A100-40G", P1G_5, P1G_5_ME, P1G_10, P2G_10, P3G_20, P4G_20, P7G_40),
    SEVEN("A100-80G", P1G_10, P1G_10_ME, P1G_20, P2G_20, P3G_40, P4G_40, P7G_80),
    SEVEN("H100-80G", P1G_10, P1G_10_ME, P1G_20, P2G_20, P3G_40, P4G_40, P7G_80),
    SEVEN("H200-141G", P1G_18, P1G_18_ME, P1G_35, P2G_35, P3G_71, P4G_71, P7G_141),
    SEVEN("B200-180G", P1G_23, P1G_23_ME, P1G_45, P2G_45, P3G_90, P4G_90, P7G_180),
};

const struct mig_geometry *mig_geometry_find(struct str gpu)
{
    for (size_t i = 0; i < ARRAY_LEN(geometries); i++)
        if (str_eq(gpu, str_from(geometries[i].gpu)))
            return &geometries[i];
    return NULL;
}

uint8_t mig_profile_find(struct str name)
{
    for (unsigned i = NONE + 1; i < PROFILE_END; i++)
        if (str_eq(name, str_from(names[i])))
            return (uint8_t)i;
    return MIG_NONE;
}

const char *mig_profile_name(uint8_t number)
{
    CHECK(number > NONE && number < PROFILE_END);
    return names[number];
}

const struct mig_profile *mig_profile_of(const struct mig_geometry *g, uint8_t number)
{
    for (int i = 0; i < g->count; i++)
        if (g->profiles[i].number == number)
            return &g->profiles[i];
    return NULL;
}

bool mig_is_free(const struct mig_profile *profile, struct mig_use use, unsigned start)
{
    return start < MIG_SLICES_MAX && profile->starts >> start & 1 &&
           !(mig_slices(profile, start) & use.slices) && !(profile->media && use.media);
}

/* Starts of all profiles that are free. */
static unsigned possibilities(const struct mig_geometry *g, struct mig_use use)
{
    unsigned count = 0;
    for (int i = 0; i < g->count; i++)
        for (unsigned start = 0; start < g->slices; start++)
            count += mig_is_free(&g->profiles[i], use, start);
    return count;
}

bool mig_choose(const struct mig_geometry *g, uint8_t number, struct mig_use use,
                struct mig_fit *ret_fit)
{
    const struct mig_profile *profile = mig_profile_of(g, number);
    unsigned now = possibilities(g, use), best = 0;
    bool found = false;
    for (unsigned start = 0; profile && start < g->slices; start++) {
        if (!mig_is_free(profile, use, start))
            continue;
        struct mig_use then = {use.slices | mig_slices(profile, start),
                               use.media || profile->media};
        unsigned left = possibilities(g, then);
        if (found && left < best)
            continue;
        found = true;
        best = left;
        *ret_fit = (struct mig_fit){(uint8_t)start, (uint8_t)(now - left)};
    }
    return found;
}
