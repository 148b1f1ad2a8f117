/* SPDX-License-Identifier: Apache-2.0 */
/* The members of jobs as processes: start, end, and find again. */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "controller/jobs_internal.h"
#include "runtime/local/process.h"
#include "runtime/local/shim.h"

enum { VARIABLES_MAX = 16 };

void job_note(struct managed_job *j, const char *reason, const char *format, ...)
{
    char message[ERR_MESSAGE_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    event_note_of(j->controller, &job_kind, job_name(j), reason, "%s", message);
}

static void end_path(const struct job_rank *rank, char path[PATH_MAX])
{
    snprintf(path, PATH_MAX, "%s/run/%s", rank->job->controller->state_dir, rank->token);
}

/* An end that was taken into account is kept no longer. */
static void forget(struct job_rank *rank)
{
    char path[PATH_MAX];
    process_release(rank->process);
    end_path(rank, path);
    if (rank->exit_code != JOB_RUNS)
        (void)unlink(path);
}

void job_set_ranks(struct managed_job *j, unsigned count)
{
    for (unsigned k = 0; k < j->rank_count; k++)
        forget(&j->ranks[k]);
    mem_free(j->ranks);
    j->ranks = count ? mem_alloc(count * sizeof(struct job_rank)) : NULL;
    j->rank_count = count;
    for (unsigned k = 0; k < count; k++)
        j->ranks[k] = (struct job_rank){.job = j, .exit_code = JOB_RUNS};
}

static unsigned number_of(const struct job_rank *rank)
{
    return (unsigned)(rank - rank->job->ranks);
}

static void remember(struct managed_job *j)
{
    struct err err;
    if (job_remember(j, &err))
        log_error("the status of a job cannot be stored", log_text("job", job_name(j)),
                  log_str("error", err.message));
}

/* ---- the end of an attempt ---- */

static void note_end(struct managed_job *j)
{
    const struct gang *g = &j->gang;
    const char *reason = g->state == GANG_SUCCEEDED ? "Succeeded"
                         : g->state == GANG_FAILED  ? "Failed"
                                                    : "Ended";
    job_note(j, reason, "attempt %u: %s%s", g->attempts, gang_reason_text(g->reason),
             g->state == GANG_WAITING ? "; it starts again" : "");
}

static void attempt_ended(struct managed_job *j, nsec now)
{
    bool over = gang_is_over(&j->gang);
    j->finished_at = clock_wall();
    if (j->room.work.state != SCHED_OUT)
        cluster_ended(j->controller->cluster, &j->room, over ? SCHED_COMPLETED : SCHED_STOPPED,
                      now);
    note_end(j);
}

static void member_ended(struct job_rank *rank, nsec now)
{
    struct managed_job *j = rank->job;
    struct gang_rules rules = job_rules(j);
    gang_member_exited(&j->gang, &rules, rank->exit_code == 0, now);
    if (!gang_has_members(&j->gang))
        attempt_ended(j, now);
    remember(j);
}

/* What its shim wrote down. False: nothing. */
static bool take_end(struct job_rank *rank)
{
    char path[PATH_MAX];
    int code;
    end_path(rank, path);
    if (!shim_read(path, &code))
        return false;
    rank->exit_code = code;
    return true;
}

static void end_text(const struct job_rank *rank, char text[PROCESS_END_TEXT_MAX])
{
    int code = (int)rank->exit_code;
    struct process_end end = {.known = true, .exit_code = code};
    if (code > SHIM_SIGNAL)
        end = (struct process_end){.known = true, .signal = code - SHIM_SIGNAL};
    process_end_text(&end, text);
}

static void on_exited(void *ctx, const struct process_end *end)
{
    struct job_rank *rank = ctx;
    struct managed_job *j = rank->job;
    struct controller *c = j->controller;
    char text[PROCESS_END_TEXT_MAX];
    process_release(rank->process);
    rank->process = NULL;
    if (!take_end(rank)) { /* the shim itself was killed */
        rank->exit_code = end->known && end->signal ? SHIM_SIGNAL + end->signal : SHIM_NOT_STARTED;
        gang_end(&j->gang, GANG_LOST, clock_now());
    }
    end_text(rank, text);
    if (rank->exit_code != 0 && j->gang.state == GANG_RUNNING)
        snprintf(j->problem, sizeof(j->problem),
                 "member %u: %s; see its log (fairway logs job/%.*s --rank %u)", number_of(rank),
                 text, STR_ARG(job_name(j)), number_of(rank));
    if (rank->exit_code != 0)
        job_note(j, "MemberEnded", "member %u: %s", number_of(rank), text);
    member_ended(rank, clock_now());
    reconcile(c);
}

/* ---- start ---- */

struct launch {
    struct arena arena;
    uint16_t master_port;
};

/* What the distributed launchers of the field read (torch.distributed and others). */
static const char **build_env(struct launch *l, const struct job_rank *rank)
{
    const struct managed_job *j = rank->job;
    struct arena *a = &l->arena;
    const struct schema_map *own = &j->job->spec.env;
    const char **env = arena_array(a, VARIABLES_MAX + own->count + 1, sizeof(char *));
    char devices[CLUSTER_DEVICES_MAX];
    size_t n = 0;
    CHECK(env);
    env[n++] = arena_printf(a, REPLICA_MARK "=%s:%s", j->controller->instance, rank->token).ptr;
    env[n++] = arena_printf(a, "RANK=%u", number_of(rank)).ptr;
    env[n++] = arena_printf(a, "LOCAL_RANK=%u", number_of(rank)).ptr;
    env[n++] = arena_printf(a, "WORLD_SIZE=%u", j->rank_count).ptr;
    env[n++] = arena_printf(a, "LOCAL_WORLD_SIZE=%u", j->rank_count).ptr;
    env[n++] = "MASTER_ADDR=127.0.0.1";
    env[n++] = arena_printf(a, "MASTER_PORT=%u", l->master_port).ptr;
    env[n++] = arena_printf(a, "FAIRWAY_JOB=%.*s", STR_ARG(job_name(j))).ptr;
    env[n++] = arena_printf(a, "FAIRWAY_ATTEMPT=%u", j->gang.attempts).ptr;
    if (cluster_has_gpus(j->controller->cluster)) {
        cluster_devices(j->controller->cluster, &j->room, number_of(rank), devices);
        env[n++] = arena_printf(a, "CUDA_VISIBLE_DEVICES=%s", devices).ptr;
    }
    CHECK(n <= VARIABLES_MAX);
    for (size_t i = 0; i < own->count; i++)
        env[n++] =
            arena_printf(a, "%.*s=%.*s", STR_ARG(own->items[i].key), STR_ARG(own->items[i].value))
                .ptr;
    return replica_environment(env, a);
}

/* This very program, even if another has taken its place on disk. */
static const char **build_argv(struct launch *l, const struct job_rank *rank)
{
    const struct schema_strings *command = &rank->job->job->spec.command;
    const char **argv = arena_array(&l->arena, command->count + 4, sizeof(char *));
    char end[PATH_MAX];
    size_t n = 0;
    CHECK(argv);
    end_path(rank, end);
    argv[n++] = "/proc/self/exe";
    argv[n++] = "shim";
    argv[n++] = arena_dup(&l->arena, str_from(end)).ptr;
    for (size_t i = 0; i < command->count; i++)
        argv[n++] = command->items[i].ptr;
    return argv;
}

static int spawn(struct launch *l, struct job_rank *rank, struct err *err)
{
    struct managed_job *j = rank->job;
    const struct job_spec *spec = &j->job->spec;
    char log_path[PATH_MAX];
    job_log_path(j->controller, job_name(j), number_of(rank), log_path);
    const struct process_spec process = {
        .argv = build_argv(l, rank),
        .env = build_env(l, rank),
        .directory = spec->working_directory.len ? spec->working_directory.ptr : NULL,
        .log_path = log_path,
        .memory_max = (uint64_t)spec->resources.memory,
    };
    const struct process_events events = {on_exited, rank};
    int error = process_spawn(j->controller->loop, &process, &events, &rank->process, err);
    if (!error) {
        rank->pid = process_pid(rank->process);
        rank->start_time = (int64_t)process_start_time(rank->process);
    }
    return error;
}

static void cannot_start(struct job_rank *rank, const struct err *err)
{
    struct managed_job *j = rank->job;
    snprintf(j->problem, sizeof(j->problem), "member %u: %s", number_of(rank), err->message);
    job_note(j, "StartFailed", "%s", j->problem);
    rank->exit_code = SHIM_NOT_STARTED;
    member_ended(rank, clock_now());
}

static void start_all(struct managed_job *j)
{
    struct launch l = {.master_port = replica_free_port()};
    struct err err;
    arena_init(&l.arena, SIZE_MAX);
    for (unsigned k = 0; k < j->rank_count; k++) {
        struct job_rank *rank = &j->ranks[k];
        if (j->gang.state != GANG_RUNNING)
            err_set(&err, ERR_UNAVAILABLE, "another member could not be started");
        if (j->gang.state != GANG_RUNNING || spawn(&l, rank, &err))
            cannot_start(rank, &err);
    }
    arena_fini(&l.arena);
}

void job_on_room(struct cluster_guest *room)
{
    struct managed_job *j = container_of(room, struct managed_job, room);
    struct err err;
    nsec now = clock_now();
    j->problem[0] = 0;
    job_set_ranks(j, room->work.members);
    for (unsigned k = 0; k < j->rank_count; k++)
        replica_new_token(j->ranks[k].token);
    gang_started(&j->gang, j->rank_count, now);
    j->started_at = clock_wall();
    j->finished_at = 0;
    /* Stored before they run: a crash of ours in between leaves processes that their marks tell. */
    if (job_remember(j, &err)) {
        for (unsigned k = 0; k < j->rank_count; k++)
            cannot_start(&j->ranks[k], &err);
        return;
    }
    job_note(j, "Started", "attempt %u: %u members", j->gang.attempts, j->rank_count);
    start_all(j);
    remember(j);
}

/* ---- end ---- */

void job_on_evicted(struct cluster_guest *room)
{
    struct managed_job *j = container_of(room, struct managed_job, room);
    bool lost = room->work.evict_why == SCHED_ROOM_LOST;
    job_note(j, "Evicted", "%s",
             lost ? "a GPU of it is not well, or is gone" : "others need its room");
    gang_end(&j->gang, lost ? GANG_ROOM_LOST : GANG_EVICTED, clock_now());
}

void job_act(struct managed_job *j, enum gang_action action)
{
    int signal = action == GANG_KILL ? SIGKILL : job_signal(&j->job->spec);
    if (action == GANG_KILL)
        job_note(j, "Killed", "%u members did not end within spec.checkpoint.grace",
                 j->gang.members);
    else
        remember(j); /* it is ending */
    for (unsigned k = 0; k < j->rank_count; k++)
        if (j->ranks[k].process)
            process_signal(j->ranks[k].process, signal);
}

/* ---- after a restart ---- */

static struct job_rank *rank_of(const struct controller *c, struct str token)
{
    for (struct map_node *n = map_next(&c->jobs, NULL); n; n = map_next(&c->jobs, n)) {
        struct managed_job *j = container_of(n, struct managed_job, node);
        for (unsigned k = 0; k < j->rank_count && !gang_is_over(&j->gang); k++)
            if (str_eq(str_from(j->ranks[k].token), token))
                return &j->ranks[k];
    }
    return NULL;
}

/* Children of a member have its mark too, and another pid; of a member whose pid is not known yet the first found is taken. */
bool jobs_adopt(struct controller *c, struct str token, pid_t pid, uint64_t start_time)
{
    struct job_rank *rank = rank_of(c, token);
    struct err err;
    if (!rank)
        return false;
    if (rank->process || (rank->pid && rank->pid != pid) || rank->exit_code != JOB_RUNS)
        return true;
    const struct process_events events = {on_exited, rank};
    if (process_adopt(c->loop, pid, start_time, &events, &rank->process, &err) == 0) {
        rank->pid = pid;
        rank->start_time = (int64_t)start_time;
        rank->job->found++;
    }
    return true;
}

bool jobs_own(const struct controller *c, struct str token)
{
    const struct job_rank *rank = rank_of(c, token);
    return rank && rank->process;
}

static int restore_room(struct managed_job *j, struct err *err)
{
    const struct job_member *members = j->job->status.members.items;
    struct arena a;
    struct json *lease;
    int error = job_describe_room(j, err);
    arena_init(&a, SIZE_MAX);
    struct place_lease *leases = arena_array(&a, j->rank_count, sizeof(struct place_lease));
    CHECK(leases);
    for (unsigned k = 0; k < j->rank_count && !error; k++) {
        error = json_parse(&a, members[k].lease, &lease, err);
        if (!error)
            error = cluster_lease_read(j->controller->cluster, lease, &leases[k]);
    }
    if (!error)
        error =
            cluster_restore(j->controller->cluster, &j->room, leases, j->rank_count, clock_now());
    arena_fini(&a);
    return error;
}

static void adopted(struct managed_job *j)
{
    unsigned expected = 0;
    bool was_ending = j->job->status.phase == JOB_EVICTING;
    nsec now = clock_now(), ago = j->started_at ? MAX(clock_wall() - j->started_at, 0) : 0;
    struct err err;
    for (unsigned k = 0; k < j->rank_count; k++)
        expected += j->ranks[k].exit_code == JOB_RUNS;
    gang_adopted(&j->gang, expected, now - ago, now);
    job_note(j, "Adopted", "%u of %u members run", j->found, expected);
    if (restore_room(j, &err))
        gang_end(&j->gang, GANG_ROOM_LOST, now);
    if (was_ending)
        gang_end(&j->gang, GANG_EVICTED, now);
    j->gang.signal_sent = was_ending; /* by the earlier controller */
    for (unsigned k = 0; k < j->rank_count; k++) {
        struct job_rank *rank = &j->ranks[k];
        if (rank->process || rank->exit_code != JOB_RUNS)
            continue;
        if (!take_end(rank)) { /* the machine was switched off, or its shim was killed */
            rank->exit_code = SHIM_NOT_STARTED;
            gang_end(&j->gang, GANG_LOST, now);
        }
        member_ended(rank, now);
    }
}

void jobs_adopted(struct controller *c)
{
    for (struct map_node *n = map_next(&c->jobs, NULL); n; n = map_next(&c->jobs, n)) {
        struct managed_job *j = container_of(n, struct managed_job, node);
        int phase = j->job->status.phase;
        if (phase == JOB_RUNNING || phase == JOB_STARTING || phase == JOB_EVICTING)
            adopted(j);
        j->job->status = (struct job_status){0}; /* from now on the gang knows better */
        if (!gang_is_over(&j->gang))
            remember(j);
    }
}
