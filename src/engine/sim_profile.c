/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/sim_profile.h"

#include <stddef.h>

enum key_type { KEY_SPEED, KEY_SHARE, KEY_COUNT, KEY_DURATION };

struct key {
    struct str name;
    enum key_type type;
    size_t offset;
};

#define KEY(name, type)                                      \
    {                                                        \
        STR(#name), type, offsetof(struct sim_profile, name) \
    }

static const struct key keys[] = {
    KEY(prefill, KEY_SPEED),    KEY(decode, KEY_SPEED),      KEY(slots, KEY_COUNT),
    KEY(kv, KEY_COUNT),         KEY(cache, KEY_COUNT),       KEY(answer, KEY_COUNT),
    KEY(seed, KEY_COUNT),       KEY(fail, KEY_SHARE),        KEY(startup, KEY_DURATION),
    KEY(hang_after, KEY_COUNT), KEY(crash_after, KEY_COUNT),
};

const char sim_profile_help[] =
    "  prefill=2000    prompt tokens per second, of all sequences together\n"
    "  decode=50       tokens per second of each sequence\n"
    "  slots=N         sequences at a time (default: MAX_CONCURRENT_REQUESTS)\n"
    "  kv=N            KV cells (default: enough for all slots)\n"
    "  cache=0         tokens in a prefix cache of shared blocks; 0: each slot keeps its last\n"
    "                  sequence\n"
    "  answer=100      mean length of an answer that ends by itself; 0: none does\n"
    "  startup=0s      time until ready\n"
    "  seed=1          of the text and of the faults\n"
    "  fail=0          share of requests that are answered 500\n"
    "  hang_after=0    after so many generated tokens nothing advances any more; 0: never\n"
    "  crash_after=0   the request after so many others aborts the process; 0: never\n";

static int read_value(const struct key *key, struct str text, void *member)
{
    uint64_t count;
    double number;
    nsec duration;
    switch (key->type) {
    case KEY_COUNT:
        if (str_to_u64(text, &count) || count > UINT32_MAX)
            return ERR_INVALID;
        *(uint64_t *)member = count;
        return 0;
    case KEY_DURATION:
        if (nsec_parse(text, &duration))
            return ERR_INVALID;
        *(nsec *)member = duration;
        return 0;
    default:
        if (str_to_double(text, &number) || number < 0 ||
            (key->type == KEY_SHARE ? number > 1 : number == 0))
            return ERR_INVALID;
        *(double *)member = number;
        return 0;
    }
}

static int read_pair(struct str pair, struct sim_profile *profile, struct err *err)
{
    static const char *const expected[] = {"a speed above 0", "a share from 0 to 1", "a count",
                                           "a duration such as 10s or 200ms"};
    size_t equals = str_find_char(pair, '=');
    struct str name = str_trim(str_sub(pair, 0, equals));
    struct str value = str_trim(str_sub(pair, equals + 1, pair.len));
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        if (!str_eq(keys[i].name, name))
            continue;
        if (read_value(&keys[i], value, (char *)profile + keys[i].offset) == 0)
            return 0;
        return err_set(err, ERR_INVALID, "--simulate: %.*s=%.*s: expected %s", STR_ARG(name),
                       STR_ARG(value), expected[keys[i].type]);
    }
    return err_set(err, ERR_INVALID, "--simulate: unknown key \"%.*s\" (see --help)",
                   STR_ARG(name));
}

int sim_profile_parse(struct str text, struct sim_profile *ret_profile, struct err *err)
{
    struct sim_profile profile = {.prefill = 2000, .decode = 50, .answer = 100, .seed = 1};
    struct str pair;
    while (str_split(&text, ',', &pair)) {
        if (str_trim(pair).len == 0)
            continue;
        int error = read_pair(pair, &profile, err);
        if (error)
            return error;
    }
    *ret_profile = profile;
    return 0;
}
