/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes as a scenario, the first line a change of it ("path=value") if it begins with '!': refused with a message,
 * or, if it is small, run for some events with the core's whole state checked after every instant.
 */
#include "sim/scenario.h"
#include "sim/world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BUDGET = 64 << 20, EVENTS_MAX = 300, MACHINES_MAX = 16, MEMBERS_MAX = 8 };

/* Checking looks at everything: large ones would take seconds. */
static bool is_small(const struct scenario *s)
{
    int64_t machines = 0;
    for (size_t i = 0; i < s->nodes.count; i++)
        machines += scenario_nodes(s)[i].count;
    for (size_t i = 0; i < s->jobs.count; i++)
        if (scenario_jobs(s)[i].members > MEMBERS_MAX ||
            scenario_jobs(s)[i].arrivals.count > MACHINES_MAX)
            return false;
    for (size_t i = 0; i < s->services.count; i++)
        for (size_t k = 0; k < scenario_services(s)[i].replicas.count; k++) {
            const struct scenario_step *steps = scenario_services(s)[i].replicas.items;
            if (steps[k].count > MACHINES_MAX)
                return false;
        }
    return machines <= MACHINES_MAX;
}

static void run(struct arena *a, const struct scenario *s)
{
    const struct sim_options options = {
        .policy = &place_fairway, .seed = 1, .events_max = EVENTS_MAX, .check = true};
    struct sim_result result;
    struct err err = {0};
    int error = sim_run(a, s, &options, &result, &err);
    CHECK((error == 0) == (err.message[0] == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size}, line = STR_NONE;
    struct scenario *scenario;
    struct arena arena;
    struct err err = {0};
    arena_init(&arena, BUDGET);
    if (size && data[0] == '!')
        (void)str_split(&text, '\n', &line);
    const char *change = line.len ? arena_dup(&arena, str_sub(line, 1, line.len)).ptr : NULL;
    int error = scenario_read(&arena, text, &change, change != NULL, &scenario, &err);
    CHECK((error == 0) == (err.message[0] == 0));
    if (!error && is_small(scenario))
        run(&arena, scenario);
    arena_fini(&arena);
    return 0;
}
