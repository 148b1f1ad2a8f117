/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/pace.h"

#include "base/check.h"

/* Moving average over about eight steps; the first value counts whole. */
static void average(double *mean, double value)
{
    *mean = *mean > 0 ? *mean + (value - *mean) / 8 : value;
}

void pace_note(struct pace *pace, uint32_t prompt_tokens, uint32_t generated, nsec took)
{
    double seconds = nsec_to_seconds(took);
    if (prompt_tokens == 0 && generated > 0) {
        average(&pace->generate, seconds);
    } else if (prompt_tokens > 0) {
        double rest = seconds - (generated ? pace->generate : 0);
        average(&pace->prefill, MAX(rest, seconds / 4) / prompt_tokens);
    }
}

uint32_t pace_budget(const struct pace *pace, nsec target, uint32_t generating, uint32_t least,
                     uint32_t most)
{
    CHECK(least <= most);
    if (generating == 0)
        return most;
    if (pace->prefill <= 0)
        return least;
    double fits = (nsec_to_seconds(target) - pace->generate) / pace->prefill;
    return fits <= least ? least : fits >= most ? most : (uint32_t)fits;
}
