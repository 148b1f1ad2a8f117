/* SPDX-License-Identifier: Apache-2.0 */
/* After a restart: live processes of an earlier controller are adopted, those that nobody owns are ended. */
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "controller/jobs.h"
#include "store/store.h"

enum { LEASE_ARENA_MAX = 64 * 1024 };

struct adoption {
    struct controller *c;
    const struct store_replica *rows;
    size_t count;
};

static uint64_t run_of(const struct store_replica *row)
{
    uint64_t run = 0;
    return str_to_u64(row->id, &run) ? 0 : run;
}

static const struct store_replica *row_of(const struct adoption *a, struct str token)
{
    for (size_t i = 0; i < a->count; i++)
        if (str_eq(a->rows[i].token, token))
            return &a->rows[i];
    return NULL;
}

/* Where it is not known or is not there any more, it goes on; its next process asks for room. */
static void adopt_room(struct managed_replica *r, struct str text)
{
    struct json *lease;
    struct arena a;
    struct err err;
    arena_init(&a, LEASE_ARENA_MAX);
    int error = json_parse(&a, text, &lease, &err);
    if (!error)
        error = replica_restore_room(r, lease);
    if (error)
        log_warn("a replica that runs has no room on this machine",
                 log_str("model", r->model->name), log_int("error", error));
    arena_fini(&a);
}

static int adopt(struct controller *c, const struct store_replica *row, pid_t pid,
                 uint64_t start_time)
{
    struct managed_model *m = model_find(c, row->model);
    if (!m || m->deleted)
        return ERR_NOT_FOUND;
    struct managed_replica *r = replica_new(m);
    const struct process_events events = {replica_on_exited, r};
    struct err err;
    int error = process_adopt(c->loop, pid, start_time, &events, &r->process, &err);
    if (error) {
        replica_free(r);
        return error;
    }
    r->run = run_of(row);
    r->revision = row->revision;
    r->port = (uint16_t)row->port;
    r->slots = row->slots;
    snprintf(r->token, sizeof(r->token), "%.*s", STR_ARG(row->token));
    r->unanswered = true;
    adopt_room(r, row->lease);
    replica_adopted(&r->core, clock_now());
    loop_timer_start(c->loop, &r->probe_timer, 0);
    event_note(c, row->model, "Adopted", "replica %llu: process %d on port %u",
               (unsigned long long)r->id, (int)pid, r->port);
    return replica_remember(r, &err);
}

/* The token of a mark of ours; ptr NULL for another Fairway's. */
static struct str own_token(const struct controller *c, struct str mark)
{
    struct str instance = str_from(c->instance);
    if (!str_starts(mark, instance) || mark.len <= instance.len || mark.ptr[instance.len] != ':')
        return STR_NONE;
    return str_sub(mark, instance.len + 1, mark.len);
}

static void adopt_if_stored(void *ctx, pid_t pid, uint64_t start_time, struct str mark)
{
    const struct adoption *a = ctx;
    struct str token = own_token(a->c, mark);
    const struct store_replica *row = token.ptr ? row_of(a, token) : NULL;
    /* Its children carry the mark too. No pid: we crashed between starting it and writing that down. */
    if (row && (row->pid == 0 || row->pid == pid))
        (void)!adopt(a->c, row, pid, start_time);
    else if (!row && token.ptr)
        (void)jobs_adopt(a->c, token, pid, start_time);
}

static bool is_owned(const struct controller *c, struct str token)
{
    for (struct map_node *n = map_next(&c->models, NULL); n; n = map_next(&c->models, n)) {
        struct managed_model *m = container_of(n, struct managed_model, node);
        list_each(r, &m->replicas, struct managed_replica,
                  link) if (str_eq(str_from(r->token), token)) return true;
    }
    return jobs_own(c, token);
}

static void end_if_orphan(void *ctx, pid_t pid, uint64_t start_time, struct str mark)
{
    const struct adoption *a = ctx;
    struct str token = own_token(a->c, mark);
    if (!token.ptr || is_owned(a->c, token))
        return;
    log_warn("ending a process that nobody owns", log_int("pid", pid));
    process_kill(pid, start_time);
}

static bool awaits_answer(const struct controller *c)
{
    for (struct map_node *n = map_next(&c->models, NULL); n; n = map_next(&c->models, n)) {
        struct managed_model *m = container_of(n, struct managed_model, node);
        list_each(r, &m->replicas, struct managed_replica, link) if (r->unanswered) return true;
    }
    return false;
}

void replicas_tell_if_settled(struct controller *c)
{
    if (c->settled || awaits_answer(c))
        return;
    c->settled = true;
    loop_timer_stop(&c->settle);
    if (c->options.settled)
        c->options.settled(c->options.ctx);
}

void replicas_stop_waiting(struct controller *c)
{
    for (struct map_node *n = map_next(&c->models, NULL); n; n = map_next(&c->models, n)) {
        struct managed_model *m = container_of(n, struct managed_model, node);
        list_each(r, &m->replicas, struct managed_replica, link) r->unanswered = false;
    }
    replicas_tell_if_settled(c);
}

void replicas_adopt(struct controller *c)
{
    struct arena arena;
    struct adoption a = {.c = c};
    struct store_replica *rows;
    struct err err;
    arena_init(&arena, SIZE_MAX);
    if (store_list_replicas(c->store, &arena, &rows, &a.count, &err))
        log_error("the stored replicas cannot be read", log_str("error", err.message));
    else
        a.rows = rows;
    for (size_t i = 0; i < a.count; i++)
        c->next_id = MAX(c->next_id, run_of(&rows[i]));
    process_scan(STR(REPLICA_MARK), adopt_if_stored, &a);
    process_scan(STR(REPLICA_MARK), end_if_orphan, &a);
    for (size_t i = 0; i < a.count; i++) /* of processes that have ended meanwhile */
        if (!is_owned(c, rows[i].token))
            replica_forget(c, run_of(&rows[i]));
    arena_fini(&arena);
}
