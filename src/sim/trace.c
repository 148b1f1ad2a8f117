/* SPDX-License-Identifier: Apache-2.0 */
/* Decisions as lines of JSON. */
#include "base/json.h"
#include "sim/world_internal.h"

#define LINE_MAX_BYTES ((size_t)256 << 10) /* a gang on as many nodes as it may have members */

static void put_name(struct json_writer *out, struct str key, const struct task *t)
{
    struct buf name;
    buf_init(&name, 128);
    buf_printf(&name, "%.*s-%llu", STR_ARG(t->class->tally->name), (unsigned long long)t->number);
    json_member_str(out, key, buf_str(&name));
    buf_fini(&name);
}

static void begin(struct world *w, struct json_writer *out, struct buf *line, const char *decision,
                  const struct task *t)
{
    buf_init(line, LINE_MAX_BYTES);
    json_writer_init(out, line, 0);
    json_object(out);
    json_member_double(out, STR("at"), nsec_to_seconds(w->now));
    json_member_str(out, STR("decision"), str_from(decision));
    put_name(out, STR("workload"), t);
}

static void end(struct world *w, struct json_writer *out, struct buf *line)
{
    json_end(out);
    w->options.trace(w->options.ctx, buf_str(line));
    buf_fini(line);
}

void trace_start(struct world *w, const struct task *t)
{
    struct buf line, name;
    struct json_writer out;
    if (!w->options.trace)
        return;
    begin(w, &out, &line, "start", t);
    json_key(&out, STR("nodes"));
    json_array(&out);
    buf_init(&name, 128);
    for (unsigned k = 0; k < t->members; k++) {
        uint64_t owner = sched_owner(t->workload.spec.id, k);
        buf_clear(&name);
        world_put_machine_name(world_machine(w, place_lease_find(&w->place, owner)->node), &name);
        json_str(&out, buf_str(&name));
    }
    buf_fini(&name);
    json_end(&out);
    json_member_double(&out, STR("gpus"), (double)t->milli / PLACE_MILLI);
    end(w, &out, &line);
}

void trace_evict(struct world *w, const struct task *t, uint64_t evicted_for)
{
    static const char *const reasons[] = {[SCHED_PREEMPTED] = "preempted",
                                          [SCHED_RECLAIMED] = "reclaimed",
                                          [SCHED_ROOM_LOST] = "room lost"};
    struct buf line;
    struct json_writer out;
    if (!w->options.trace)
        return;
    begin(w, &out, &line, "evict", t);
    json_member_str(&out, STR("why"), str_from(reasons[t->workload.evict_why]));
    const struct sched_workload *other = evicted_for ? sched_find(w->sched, evicted_for) : NULL;
    if (other)
        put_name(&out, STR("for"), container_of(other, const struct task, workload));
    end(w, &out, &line);
}
