/* SPDX-License-Identifier: Apache-2.0 */
#include "api/tenant.h"

#include "api/names.h"

#define LIMIT(member) \
    (offsetof(struct tenant_spec, limits.member) - offsetof(struct tenant_spec, limits))

#define GPU_QUOTA(member) offsetof(struct tenant_gpu_quota, member)
#define GPUS_MAX          (INT64_C(1000000) * 1000) /* a million */

static const char *const kind_names[] = {"Tenant", NULL};
static const char *const priority_names[] = {"high", "normal", "low", NULL};

static const struct schema_field limits_fields[] = {
    {
        .name = "requestsPerMinute",
        .type = SCHEMA_INT,
        .offset = LIMIT(requests_per_minute),
        .description = "Requests accepted in a minute, all models together. Left out: no limit.",
        .min = 1,
        .max = 1000000000,
    },
    {
        .name = "tokensPerMinute",
        .type = SCHEMA_INT,
        .offset = LIMIT(tokens_per_minute),
        .description = "Tokens read and generated in a minute. Left out: no limit.",
        .min = 1,
        .max = 1000000000000,
    },
    {
        .name = "concurrency",
        .type = SCHEMA_INT,
        .offset = LIMIT(concurrency),
        .description = "Requests under way at a time, waiting ones too. Left out: no limit.",
        .min = 1,
        .max = 1000000,
    },
    {
        .name = "tokensPerDay",
        .type = SCHEMA_INT,
        .offset = LIMIT(tokens_per_day),
        .description = "Tokens read and generated in a day (UTC). Left out: no limit.",
        .min = 1,
        .max = 1000000000000000,
    },
    {
        .name = "budgetPerDay",
        .type = SCHEMA_MONEY,
        .offset = LIMIT(budget_per_day),
        .description = "Money spent in a day (UTC), by the models' prices. Left out: no limit.",
        .min = 1,
        .max = 1000000000000000,
    },
    {
        .name = "budgetPerMonth",
        .type = SCHEMA_MONEY,
        .offset = LIMIT(budget_per_month),
        .description = "Money spent in a calendar month (UTC). Left out: no limit.",
        .min = 1,
        .max = 1000000000000000,
    },
    {
        .name = "queueLength",
        .type = SCHEMA_INT,
        .offset = LIMIT(queue_length),
        .description = "Requests that may wait in one model's queue. Left out: as many as the "
                       "queue takes.",
        .min = 1,
        .max = 1000000,
    },
};

static const struct schema limits_schema = {
    .name = "limits",
    .description = "What the tenant may use; a request over a limit is answered with 429.",
    .size = sizeof(((struct tenant_spec *)NULL)->limits),
    .fields = limits_fields,
    .field_count = ARRAY_LEN(limits_fields),
};

static const struct schema_field gpu_quota_fields[] = {
    {
        .name = "gpus",
        .type = SCHEMA_MILLI,
        .offset = GPU_QUOTA(gpus),
        .description =
            "GPUs that its models and jobs have a right to, like 4 or 500m. Left out: it "
            "has no quota, and uses what is in nobody's.",
        .max = GPUS_MAX,
        .left_out = TENANT_NO_QUOTA,
    },
    {
        .name = "borrow",
        .type = SCHEMA_MILLI,
        .offset = GPU_QUOTA(borrow),
        .description = "So many more it may use while others do not need theirs; they get them "
                       "back. Left out: no limit.",
        .max = GPUS_MAX,
        .left_out = TENANT_NO_QUOTA,
    },
    {
        .name = "lend",
        .type = SCHEMA_MILLI,
        .offset = GPU_QUOTA(lend),
        .description = "So many of its own others may use while it does not need them. Left out: "
                       "no limit.",
        .max = GPUS_MAX,
        .left_out = TENANT_NO_QUOTA,
    },
};

static void check_gpu_quota(const void *object, struct schema_report *r)
{
    const struct tenant_gpu_quota *quota = object;
    if (quota->gpus == TENANT_NO_QUOTA && quota->borrow != TENANT_NO_QUOTA)
        schema_problem(r, "borrow", "is for a quota; add gpus (0: all is borrowed)");
    if (quota->gpus == TENANT_NO_QUOTA && quota->lend != TENANT_NO_QUOTA)
        schema_problem(r, "lend", "is for a quota; add gpus");
}

static const struct schema gpu_quota_schema = {
    .name = "gpuQuota",
    .description = "Which GPUs its models and jobs may use.",
    .size = sizeof(struct tenant_gpu_quota),
    .fields = gpu_quota_fields,
    .field_count = ARRAY_LEN(gpu_quota_fields),
    .check = check_gpu_quota,
};

static const struct schema_field spec_fields[] = {
    {
        .name = "weight",
        .type = SCHEMA_INT,
        .offset = offsetof(struct tenant_spec, weight),
        .description = "Its share where tenants wait, of tokens and of GPUs: twice the weight, "
                       "twice the share.",
        .fallback = "1",
        .min = 1,
        .max = 1000,
    },
    {
        .name = "priority",
        .type = SCHEMA_ENUM,
        .offset = offsetof(struct tenant_spec, priority),
        .description = "The highest priority that its requests may ask for, and the one of those "
                       "that ask for none (but never above normal).",
        .fallback = "normal",
        .values = priority_names,
    },
    {
        .name = "models",
        .type = SCHEMA_STRINGS,
        .offset = offsetof(struct tenant_spec, models),
        .description = "Models that it may use, by name or alias. Left out: all.",
        .max = 1000,
        .check = name_check_model_alias,
    },
    {
        .name = "limits",
        .type = SCHEMA_OBJECT,
        .offset = offsetof(struct tenant_spec, limits),
        .description = "What the tenant may use; a request over a limit is answered with 429.",
        .object = &limits_schema,
    },
    {
        .name = "gpuQuota",
        .type = SCHEMA_OBJECT,
        .offset = offsetof(struct tenant_spec, gpu_quota),
        .description = "Which GPUs its models and jobs may use.",
        .object = &gpu_quota_schema,
    },
};

static const struct schema spec_schema = {
    .name = "spec",
    .description = "What is wanted.",
    .size = sizeof(struct tenant_spec),
    .fields = spec_fields,
    .field_count = ARRAY_LEN(spec_fields),
};

static const struct schema_field tenant_fields[] = {
    RESOURCE_FIELDS(struct tenant, kind_names),
    {
        .name = "spec",
        .type = SCHEMA_OBJECT,
        .offset = offsetof(struct tenant, spec),
        .description = "What is wanted.",
        .object = &spec_schema,
    },
};

static const struct schema tenant_schema = {
    .name = "Tenant",
    .description = "Who asks: a team or user, with the API keys that name it.",
    .size = sizeof(struct tenant),
    .fields = tenant_fields,
    .field_count = ARRAY_LEN(tenant_fields),
};

const struct resource_kind tenant_kind = {
    .name = "Tenant",
    .plural = "tenants",
    .schema = &tenant_schema,
    .spec = &tenant_fields[ARRAY_LEN(tenant_fields) - 1],
};
