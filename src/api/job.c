/* SPDX-License-Identifier: Apache-2.0 */
#include "api/job.h"

#include <signal.h>

#include "api/names.h"
#include "core/sched/sched.h"

/* Where a member lies inside its part of the spec. */
#define PART(part, member) \
    (offsetof(struct job_spec, part.member) - offsetof(struct job_spec, part))
#define SIZE(part) sizeof(((struct job_spec *)NULL)->part)

static const char *const kind_names[] = {"Job", NULL};
static const char *const restart_names[] = {"onFailure", "never", NULL};
static const char *const signal_names[] = {"TERM", "INT", "USR1", "USR2", NULL};
static const int signals[] = {SIGTERM, SIGINT, SIGUSR1, SIGUSR2};

static const char *const phase_names[] = {
#define X(member, text) text,
    JOB_PHASES(X)
#undef X
        NULL};

/* ---- spec ---- */

static const struct schema_field restart_fields[] = {
    {
        .name = "policy",
        .type = SCHEMA_ENUM,
        .offset = PART(restart, policy),
        .description = "What happens when a member fails: all members end and the job starts again "
                       "(onFailure), or it has failed (never). A job that had to make room starts "
                       "again in any case.",
        .fallback = "onFailure",
        .values = restart_names,
    },
    {
        .name = "limit",
        .type = SCHEMA_INT,
        .offset = PART(restart, limit),
        .description = "How often it starts again after a failure.",
        .fallback = "3",
        .max = 1000000,
    },
};

static const struct schema restart_schema = {
    .name = "restart",
    .description = "What happens when a member fails.",
    .size = SIZE(restart),
    .fields = restart_fields,
    .field_count = ARRAY_LEN(restart_fields),
};

static const struct schema_field checkpoint_fields[] = {
    {
        .name = "signal",
        .type = SCHEMA_ENUM,
        .offset = PART(checkpoint, signal),
        .description = "The signal that tells each member to save its work and end.",
        .fallback = "TERM",
        .values = signal_names,
    },
    {
        .name = "grace",
        .type = SCHEMA_DURATION,
        .offset = PART(checkpoint, grace),
        .description = "How long it may take to do so; then it is killed.",
        .fallback = "30s",
        .max = 24 * 3600 * NSEC_PER_SEC,
    },
};

static const struct schema checkpoint_schema = {
    .name = "checkpoint",
    .description = "How members are told to end before their time.",
    .size = SIZE(checkpoint),
    .fields = checkpoint_fields,
    .field_count = ARRAY_LEN(checkpoint_fields),
};

static const struct schema_field spec_fields[] = {
    {
        .name = "command",
        .type = SCHEMA_STRINGS,
        .offset = offsetof(struct job_spec, command),
        .description = "The program that each member runs, and its arguments.",
        .min = 1,
        .max = 1024,
        .required = true,
    },
    {
        .name = "env",
        .type = SCHEMA_MAP,
        .offset = offsetof(struct job_spec, env),
        .description = "Environment variables of each member.",
        .max = 256,
        .check = name_check_env_variable,
    },
    {
        .name = "workingDirectory",
        .type = SCHEMA_STRING,
        .offset = offsetof(struct job_spec, working_directory),
        .description = "The folder in which members start. Left out: that of Fairway.",
        .max = 4095,
        .check = name_check_path,
    },
    {
        .name = "tenant",
        .type = SCHEMA_STRING,
        .offset = offsetof(struct job_spec, tenant),
        .description = "The Tenant whose GPU quota it uses. Left out: what is in nobody's quota.",
        .check = name_check_dns_label,
    },
    {
        .name = "members",
        .type = SCHEMA_INT,
        .offset = offsetof(struct job_spec, members),
        .description = "Processes that run together, with RANK 0 and up.",
        .fallback = "1",
        .min = 1,
        .max = SCHED_MEMBERS_MAX,
    },
    {
        .name = "minMembers",
        .type = SCHEMA_INT,
        .offset = offsetof(struct job_spec, min_members),
        .description = "So many are enough to start when there is no room for all. Left out: all.",
        .max = SCHED_MEMBERS_MAX,
    },
    {
        .name = "resources",
        .type = SCHEMA_OBJECT,
        .offset = offsetof(struct job_spec, resources),
        .description = "What each member gets.",
        .object = &resources_schema,
    },
    {
        .name = "priority",
        .type = SCHEMA_INT,
        .offset = offsetof(struct job_spec, priority),
        .description = "Higher ones start first, and may evict lower ones. Models have 100 unless "
                       "they say otherwise.",
        .fallback = "0",
        .min = RESOURCE_PRIORITY_MIN,
        .max = RESOURCE_PRIORITY_MAX,
    },
    {
        .name = "preemptible",
        .type = SCHEMA_BOOL,
        .offset = offsetof(struct job_spec, preemptible),
        .description = "May be told to end and start again later, when others need the room.",
        .fallback = "true",
    },
    {
        .name = "expectedDuration",
        .type = SCHEMA_DURATION,
        .offset = offsetof(struct job_spec, expected_duration),
        .description =
            "How long it will run, as far as one knows; nothing happens when it is over. "
            "Left out: not known.",
    },
    {
        .name = "maxRuntime",
        .type = SCHEMA_DURATION,
        .offset = offsetof(struct job_spec, max_runtime),
        .description = "How long it may run, all attempts together; then it has failed. Left out: "
                       "no limit.",
    },
    {
        .name = "restart",
        .type = SCHEMA_OBJECT,
        .offset = offsetof(struct job_spec, restart),
        .description = "What happens when a member fails.",
        .object = &restart_schema,
    },
    {
        .name = "checkpoint",
        .type = SCHEMA_OBJECT,
        .offset = offsetof(struct job_spec, checkpoint),
        .description = "How members are told to end before their time.",
        .object = &checkpoint_schema,
    },
    {
        .name = "suspend",
        .type = SCHEMA_BOOL,
        .offset = offsetof(struct job_spec, suspend),
        .description = "Members end as if others needed the room, and none start until this is "
                       "false again. The only field that can be changed.",
        .fallback = "false",
    },
};

static void check_spec(const void *object, struct schema_report *r)
{
    const struct job_spec *spec = object;
    if (spec->min_members > spec->members)
        schema_problem(r, "minMembers", "cannot be more than members (%lld)",
                       (long long)spec->members);
    if (spec->max_runtime && spec->expected_duration > spec->max_runtime)
        schema_problem(r, "expectedDuration", "cannot be longer than maxRuntime");
}

static const struct schema spec_schema = {
    .name = "spec",
    .description = "What is wanted.",
    .size = sizeof(struct job_spec),
    .fields = spec_fields,
    .field_count = ARRAY_LEN(spec_fields),
    .check = check_spec,
};

/* ---- status ---- */

static const struct schema_field member_fields[] = {
    {
        .name = "rank",
        .type = SCHEMA_INT,
        .offset = offsetof(struct job_member, rank),
        .description = "Its number, from 0.",
        .fallback = "0",
    },
    {
        .name = "pid",
        .type = SCHEMA_INT,
        .offset = offsetof(struct job_member, pid),
        .description = "Its process.",
    },
    {
        .name = "startTime",
        .type = SCHEMA_INT,
        .offset = offsetof(struct job_member, start_time),
        .description = "When the process was started, in clock ticks since the machine was.",
    },
    {
        .name = "token",
        .type = SCHEMA_STRING,
        .offset = offsetof(struct job_member, token),
        .description = "The mark in its environment.",
    },
    {
        .name = "exitCode",
        .type = SCHEMA_INT,
        .offset = offsetof(struct job_member, exit_code),
        .description = "How it ended; 128 and the number of the signal that ended it. Left out: it "
                       "has not ended.",
        .left_out = JOB_RUNS,
    },
    {
        .name = "lease",
        .type = SCHEMA_STRING,
        .offset = offsetof(struct job_member, lease),
        .description = "What it has of its machine, as JSON.",
    },
};

static const struct schema member_schema = {
    .name = "member",
    .description = "One process of the job.",
    .size = sizeof(struct job_member),
    .fields = member_fields,
    .field_count = ARRAY_LEN(member_fields),
    .open = true,
};

static const struct schema_field status_fields[] = {
    {
        .name = "phase",
        .type = SCHEMA_ENUM,
        .offset = offsetof(struct job_status, phase),
        .description = "Where it is in its life.",
        .fallback = "Pending",
        .values = phase_names,
    },
    {
        .name = "reason",
        .type = SCHEMA_STRING,
        .offset = offsetof(struct job_status, reason),
        .description = "Why, in one word for programs.",
    },
    {
        .name = "message",
        .type = SCHEMA_STRING,
        .offset = offsetof(struct job_status, message),
        .description = "Why, for people.",
    },
    {
        .name = "startedAt",
        .type = SCHEMA_STRING,
        .offset = offsetof(struct job_status, started_at),
        .description = "When the present attempt began, or the last one.",
    },
    {
        .name = "finishedAt",
        .type = SCHEMA_STRING,
        .offset = offsetof(struct job_status, finished_at),
        .description = "When its last member ended.",
    },
    {
        .name = "attempts",
        .type = SCHEMA_INT,
        .offset = offsetof(struct job_status, attempts),
        .description = "How often it was started.",
        .fallback = "0",
    },
    {
        .name = "failures",
        .type = SCHEMA_INT,
        .offset = offsetof(struct job_status, failures),
        .description = "How often a member failed.",
        .fallback = "0",
    },
    {
        .name = "evictions",
        .type = SCHEMA_INT,
        .offset = offsetof(struct job_status, evictions),
        .description = "How often it had to make room.",
        .fallback = "0",
    },
    {
        .name = "ran",
        .type = SCHEMA_DURATION,
        .offset = offsetof(struct job_status, ran),
        .description = "How long all earlier attempts ran together.",
    },
    {
        .name = "members",
        .type = SCHEMA_OBJECTS,
        .offset = offsetof(struct job_status, members),
        .description = "Its processes, of the present attempt or the last one.",
        .max = SCHED_MEMBERS_MAX,
        .object = &member_schema,
    },
};

static const struct schema status_schema = {
    .name = "status",
    .description = "What is the case; written by the system.",
    .size = sizeof(struct job_status),
    .fields = status_fields,
    .field_count = ARRAY_LEN(status_fields),
    .open = true,
};

/* ---- the kind ---- */

static const struct schema_field job_fields[] = {
    RESOURCE_HEAD_FIELDS(struct job, kind_names),
    RESOURCE_STATUS_FIELD(struct job, status, status_schema),
    {
        .name = "spec",
        .type = SCHEMA_OBJECT,
        .offset = offsetof(struct job, spec),
        .description = "What is wanted.",
        .object = &spec_schema,
    },
};

static const struct schema job_schema = {
    .name = "Job",
    .description = "Processes that run together to their end, like those that train a model.",
    .size = sizeof(struct job),
    .fields = job_fields,
    .field_count = ARRAY_LEN(job_fields),
};

const struct resource_kind job_kind = {
    .name = "Job",
    .plural = "jobs",
    .schema = &job_schema,
    .spec = &job_fields[ARRAY_LEN(job_fields) - 1],
};

const char *job_phase_text(enum job_phase phase)
{
    return phase_names[phase];
}

int job_signal(const struct job_spec *spec)
{
    return signals[spec->checkpoint.signal];
}

int job_check_change(const struct job *stored, const struct job *wanted, struct err *err)
{
    struct job as_stored = *wanted;
    as_stored.spec.suspend = stored->spec.suspend;
    const char *field = schema_difference(&spec_schema, &stored->spec, &as_stored.spec);
    if (!field)
        return 0;
    return err_set(err, ERR_CONFLICT,
                   "spec.%s: of a Job that is there only spec.suspend can be changed; delete "
                   "job '%.*s' first, or give this one another name",
                   field, STR_ARG(wanted->resource.metadata.name));
}
