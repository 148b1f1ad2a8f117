/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The profile of a simulated engine: "prefill=2000,decode=50,slots=8,fail=0.01". Pure.
 *
 * Thread rule: none; all functions work on their arguments only.
 */
#ifndef FAIRWAY_ENGINE_SIM_PROFILE_H
#define FAIRWAY_ENGINE_SIM_PROFILE_H

#include "base/err.h"
#include "base/str.h"
#include "base/time.h"

struct sim_profile {
    double prefill;      /* prompt tokens per second, of all sequences together */
    double decode;       /* tokens per second of each sequence */
    uint64_t slots;      /* 0: MAX_CONCURRENT_REQUESTS */
    uint64_t kv;         /* cells; 0: enough for all */
    uint64_t cache;      /* tokens that the prefix cache holds; 0: slots keep their last sequence */
    uint64_t answer;     /* mean length of an answer that ends by itself; 0: none does */
    uint64_t seed;       /* of the text and of the faults */
    nsec startup;        /* time until ready */
    double fail;         /* share of requests that are answered 500 */
    uint64_t hang_after; /* after so many generated tokens no step ends any more; 0: never */
    uint64_t crash_after; /* the request after so many aborts the process; 0: never */
};

/* Keys, their meaning and their defaults, for --help. */
extern const char sim_profile_help[];

/* An empty text gives the defaults. ERR_INVALID with a message that names the key. */
[[nodiscard]] int sim_profile_parse(struct str text, struct sim_profile *ret_profile,
                                    struct err *err);

#endif
