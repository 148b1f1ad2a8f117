/* SPDX-License-Identifier: Apache-2.0 */
/* What is wanted of jobs, and what the cluster and core/plan/gang say; their processes are in job_ranks.c. */
#include "controller/jobs.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "controller/jobs_internal.h"
#include "runtime/local/log_file.h"
#include "store/store.h"

enum { JOB_ARENA_MAX = 8 * 1024 * 1024 };

static struct managed_job *job_at(struct map_node *n)
{
    return container_of(n, struct managed_job, node);
}

struct managed_job *job_find(struct controller *c, struct str name)
{
    struct map_node *n = map_find(&c->jobs, name);
    return n ? job_at(n) : NULL;
}

struct str job_name(const struct managed_job *j)
{
    return j->job->resource.metadata.name;
}

struct gang_rules job_rules(const struct managed_job *j)
{
    const struct controller *c = j->controller;
    const struct job_spec *spec = &j->job->spec;
    bool again = spec->restart.policy == JOB_RESTART_ON_FAILURE;
    nsec grace = spec->checkpoint.grace;
    return (struct gang_rules){
        .grace = c->stopping ? MIN(grace, c->options.rules.drain_timeout) : grace,
        .max_runtime = spec->max_runtime ? spec->max_runtime : NSEC_NEVER,
        .restarts_max = again ? (unsigned)spec->restart.limit : 0,
    };
}

/* ---- what is stored ---- */

/* As an earlier controller left it; members that it had are looked for. */
static void recall(struct managed_job *j)
{
    const struct job_status *s = &j->job->status;
    const struct job_member *members = s->members.items;
    gang_init(&j->gang, clock_now());
    j->gang.attempts = (unsigned)s->attempts;
    j->gang.failures = (unsigned)s->failures;
    j->gang.evictions = (unsigned)s->evictions;
    j->gang.ran = s->ran;
    j->started_at = clock_parse_rfc3339(s->started_at);
    j->finished_at = clock_parse_rfc3339(s->finished_at);
    if (s->phase == JOB_SUCCEEDED || s->phase == JOB_FAILED)
        j->gang.state = s->phase == JOB_SUCCEEDED ? GANG_SUCCEEDED : GANG_FAILED;
    snprintf(j->problem, sizeof(j->problem), "%.*s", STR_ARG(s->message));
    job_set_ranks(j, (unsigned)s->members.count);
    for (unsigned k = 0; k < j->rank_count; k++) {
        struct job_rank *rank = &j->ranks[k];
        rank->pid = members[k].pid;
        rank->start_time = members[k].start_time;
        rank->exit_code = members[k].exit_code;
        snprintf(rank->token, sizeof(rank->token), "%.*s", STR_ARG(members[k].token));
    }
}

static struct managed_job *job_new(struct controller *c, const struct resource *stored)
{
    struct managed_job *j = NEW(struct managed_job);
    j->controller = c;
    arena_init(&j->arena, JOB_ARENA_MAX);
    j->job = job_from(resource_copy(&j->arena, stored));
    j->room.name = arena_printf(&j->arena, "job/%.*s", STR_ARG(job_name(j)));
    j->room.start = job_on_room;
    j->room.evict = job_on_evicted;
    map_insert(&c->jobs, job_name(j), &j->node);
    recall(j);
    return j;
}

/* Its processes, if there are any, go on. */
static void job_free(struct managed_job *j)
{
    cluster_leave(j->controller->cluster, &j->room, clock_now());
    job_set_ranks(j, 0);
    map_remove(&j->controller->jobs, &j->node);
    arena_fini(&j->arena);
    mem_free(j);
}

void job_set(struct controller *c, const struct resource *stored)
{
    struct managed_job *j = job_find(c, stored->metadata.name);
    if (j && !j->deleted)
        j->job->spec.suspend = job_from((struct resource *)stored)->spec.suspend;
    else if (!j)
        job_new(c, stored);
}

void job_remove(struct controller *c, struct str name)
{
    struct managed_job *j = job_find(c, name);
    if (j)
        j->deleted = true;
}

/* ---- what is the case ---- */

static enum job_phase phase_of(const struct managed_job *j)
{
    static const enum job_phase phases[] = {
        [GANG_WAITING] = JOB_PENDING, [GANG_RUNNING] = JOB_RUNNING,
        [GANG_ENDING] = JOB_EVICTING, [GANG_SUCCEEDED] = JOB_SUCCEEDED,
        [GANG_FAILED] = JOB_FAILED,
    };
    if (j->gang.state == GANG_WAITING && j->job->spec.suspend)
        return JOB_SUSPENDED;
    return phases[j->gang.state];
}

static struct str reason_of(const struct managed_job *j)
{
    static const struct str reasons[] = {
        [GANG_NEW] = STR("WaitsForRoom"),
        [GANG_STARTED] = STR("Started"),
        [GANG_ALL_WELL] = STR("Completed"),
        [GANG_LOST] = STR("MemberLost"),
        [GANG_EVICTED] = STR("Evicted"),
        [GANG_ROOM_LOST] = STR("RoomLost"),
        [GANG_MEMBER_FAILED] = STR("MemberFailed"),
        [GANG_TOO_LONG] = STR("TooLong"),
        [GANG_STOPPED] = STR("Stopped"),
        [GANG_SUSPENDED] = STR("Suspended"),
        [GANG_DELETED] = STR("Deleted"),
    };
    return reasons[j->gang.reason];
}

static struct str message_of(const struct managed_job *j, struct arena *a)
{
    char why[CLUSTER_WHY_MAX] = "";
    if (j->gang.state == GANG_WAITING && !j->job->spec.suspend)
        cluster_why(j->controller->cluster, &j->room, clock_now(), why);
    if (why[0])
        return arena_dup(a, str_from(why));
    return j->problem[0] ? arena_dup(a, str_from(j->problem))
                         : str_from(gang_reason_text(j->gang.reason));
}

static struct str time_text(nsec wall, struct arena *a)
{
    char text[CLOCK_RFC3339_MAX];
    return wall ? arena_dup(a, str_from(clock_rfc3339(wall, text))) : STR_NONE;
}

static struct str lease_text(const struct managed_job *j, unsigned member, struct arena *a)
{
    struct buf text;
    buf_init(&text, JOB_ARENA_MAX);
    cluster_lease_write(j->controller->cluster, &j->room, member, &text);
    struct str kept = arena_dup(a, buf_str(&text));
    buf_fini(&text);
    return kept;
}

static void put_members(const struct managed_job *j, struct arena *a, struct schema_objects *ret)
{
    struct job_member *members = arena_array(a, j->rank_count, sizeof(struct job_member));
    CHECK(members);
    for (unsigned k = 0; k < j->rank_count; k++) {
        const struct job_rank *rank = &j->ranks[k];
        members[k] = (struct job_member){
            .rank = k,
            .pid = rank->pid,
            .start_time = rank->start_time,
            .token = str_from(rank->token),
            .exit_code = rank->exit_code,
            .lease = gang_has_members(&j->gang) ? lease_text(j, k, a) : STR_NONE,
        };
    }
    *ret = (struct schema_objects){members, j->rank_count};
}

void job_status(const struct managed_job *j, struct arena *a, struct job_status *ret)
{
    *ret = (struct job_status){
        .phase = (int)phase_of(j),
        .reason = reason_of(j),
        .message = message_of(j, a),
        .started_at = time_text(j->started_at, a),
        .finished_at = time_text(j->finished_at, a),
        .attempts = j->gang.attempts,
        .failures = j->gang.failures,
        .evictions = j->gang.evictions,
        .ran = j->gang.ran,
    };
    put_members(j, a, &ret->members);
}

int job_remember(struct managed_job *j, struct err *err)
{
    struct arena a;
    int error = 0;
    arena_init(&a, SIZE_MAX);
    job_status(j, &a, &j->job->status);
    if (!j->deleted)
        error = store_put_status(j->controller->store, &j->job->resource, err);
    j->job->status = (struct job_status){0};
    arena_fini(&a);
    return error;
}

/* ---- the plan ---- */

static void describe_room(struct managed_job *j, const struct place_request *request)
{
    const struct job_spec *spec = &j->job->spec;
    nsec stored = clock_parse_rfc3339(j->job->resource.metadata.creation_timestamp);
    nsec created = clock_now() - MAX(clock_wall() - stored, 0);
    if (!j->room.work.spec.id)
        j->room.work.spec.id = ++j->controller->next_id;
    j->room.work.spec = (struct sched_spec){
        .id = j->room.work.spec.id,
        .queue = cluster_queue(j->controller->cluster, spec->tenant),
        .priority = (int)spec->priority,
        .created = created,
        .expected = spec->expected_duration,
        .preemptible = spec->preemptible,
        .members_min = (unsigned)(spec->min_members ? spec->min_members : spec->members),
        .members_max = (unsigned)spec->members,
        .request = *request,
    };
}

/* ERR_UNAVAILABLE: nothing here is like that. */
int job_describe_room(struct managed_job *j, struct err *err)
{
    struct place_request request;
    int error = resources_request(&j->job->spec.resources, cluster_gpu_model,
                                  j->controller->cluster, &request, err);
    if (!error)
        describe_room(j, &request);
    return error;
}

static void ask_room(struct managed_job *j, nsec now)
{
    struct err err;
    int error = job_describe_room(j, &err);
    if (!error) {
        error = cluster_submit(j->controller->cluster, &j->room, now);
        if (error)
            err_set(&err, error, "%d replicas and jobs are as many as this machine counts",
                    CLUSTER_GUESTS_MAX);
    }
    if (error && strcmp(j->problem, err.message) != 0) {
        snprintf(j->problem, sizeof(j->problem), "%s", err.message);
        job_note(j, "CannotRun", "%s", err.message);
    }
}

static enum gang_reason why_to_end(const struct managed_job *j)
{
    return j->deleted                ? GANG_DELETED
           : j->controller->stopping ? GANG_STOPPED
           : j->job->spec.suspend    ? GANG_SUSPENDED
                                     : GANG_NEW;
}

static void plan(struct managed_job *j, nsec now)
{
    enum gang_reason reason = why_to_end(j);
    job_see_checkpoint(j, now);
    if (reason != GANG_NEW) {
        gang_end(&j->gang, reason, now);
        if (!gang_has_members(&j->gang))
            cluster_leave(j->controller->cluster, &j->room, now);
    } else if (j->gang.state == GANG_WAITING && j->room.work.state == SCHED_OUT) {
        ask_room(j, now);
    }
}

void jobs_plan(struct controller *c, nsec now)
{
    for (struct map_node *n = map_next(&c->jobs, NULL); n; n = map_next(&c->jobs, n))
        plan(job_at(n), now);
}

/* Its name may have been given to another meanwhile. */
static void bury(struct managed_job *j)
{
    struct controller *c = j->controller;
    struct resource *next;
    struct arena a;
    struct err err;
    arena_init(&a, JOB_ARENA_MAX);
    struct str name = arena_dup(&a, job_name(j));
    job_free(j);
    if (store_get(c->store, &a, &job_kind, name, &next, &err) == 0)
        job_set(c, next);
    c->again = true; /* others may have its room */
    arena_fini(&a);
}

nsec jobs_act(struct controller *c, nsec now)
{
    nsec wake = NSEC_NEVER;
    for (struct map_node *n = map_next(&c->jobs, NULL), *next; n; n = next) {
        struct managed_job *j = job_at(n);
        struct gang_rules rules = job_rules(j);
        enum gang_action action;
        next = map_next(&c->jobs, n);
        while (!c->leaving && (action = gang_next(&j->gang, &rules, now)) != GANG_NOTHING)
            job_act(j, action);
        wake = MIN(wake, gang_wake_at(&j->gang, &rules));
        if (j->deleted && !gang_has_members(&j->gang))
            bury(j);
    }
    return wake;
}

bool jobs_have_members(const struct controller *c, bool ending)
{
    for (struct map_node *n = map_next(&c->jobs, NULL); n; n = map_next(&c->jobs, n)) {
        const struct gang *g = &job_at(n)->gang;
        if (ending ? g->state == GANG_ENDING : gang_has_members(g))
            return true;
    }
    return false;
}

void jobs_let_go(struct controller *c)
{
    for (struct map_node *n; (n = map_next(&c->jobs, NULL));)
        job_free(job_at(n));
}

/* ---- logs ---- */

/* A dot, which no name has, keeps them apart from those of models. */
void job_log_path(const struct controller *c, struct str name, unsigned rank, char path[PATH_MAX])
{
    snprintf(path, PATH_MAX, "%s/log/job.%.*s-%u.log", c->state_dir, STR_ARG(name), rank);
}

void jobs_rotate_logs(const struct controller *c, size_t size_max)
{
    char path[PATH_MAX];
    for (struct map_node *n = map_next(&c->jobs, NULL); n; n = map_next(&c->jobs, n))
        for (unsigned k = 0; k < job_at(n)->rank_count; k++) {
            job_log_path(c, job_name(job_at(n)), k, path);
            (void)!log_file_rotate(path, size_max); /* tried again next time */
        }
}
