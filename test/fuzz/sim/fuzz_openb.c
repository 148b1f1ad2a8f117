/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file of nodes, a line "===", a file of tasks. What is accepted can be run: no more is placed than
 * there is, and what is refused is refused with a reason.
 */
#include "sim/openb.h"

#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { GPUS_FEW = 200, LEAST_DEMAND = 20 /* thousandths, of a task on average */ };

static uint64_t demand_of(const struct openb_trace *trace)
{
    uint64_t demand = 0;
    for (size_t i = 0; i < trace->task_count; i++)
        demand += trace->tasks[i].gpus * PLACE_MILLI + trace->tasks[i].share_milli;
    return demand;
}

static void run(const struct openb_trace *trace, const struct place_policy *policy)
{
    struct openb_result *r = NEW(struct openb_result);
    struct openb_options options = {.policy = policy, .seed = 1, .arrive = 1.1};
    openb_run(trace, &options, NULL, r);
    CHECK(r->placed <= r->arrived && r->placed_milli <= r->arrived_milli);
    CHECK(r->placed_milli <= trace->gpus * PLACE_MILLI && r->last <= 110);
    mem_free(r);
}

static int parse(struct arena *memory, struct str text, struct openb_trace *trace, struct err *err)
{
    size_t middle = str_find(text, STR("===\n"));
    int error = openb_parse_nodes(memory, str_sub(text, 0, middle), "nodes", trace, err);
    return error ? error
                 : openb_parse_tasks(memory, str_sub(text, middle + 4, text.len), "tasks", trace,
                                     err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena memory;
    struct openb_trace trace = {0};
    struct err err = {0};
    arena_init(&memory, 64 << 20);
    int error = parse(&memory, (struct str){(const char *)data, size}, &trace, &err);
    CHECK((error == 0) == (err.message[0] == 0));
    if (!error && trace.gpus <= GPUS_FEW && demand_of(&trace) >= trace.task_count * LEAST_DEMAND)
        for (const struct place_policy *const *policy = place_policies; *policy; policy++)
            run(&trace, *policy);
    arena_fini(&memory);
    return 0;
}
