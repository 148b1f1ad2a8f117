/* SPDX-License-Identifier: Apache-2.0 */
#include "api/model.h"

#include "api/names.h"
#include "net/url.h"

/* Where a member lies inside its part of the spec. */
#define PART(part, member) \
    (offsetof(struct model_spec, part.member) - offsetof(struct model_spec, part))
#define SIZE(part) sizeof(((struct model_spec *)NULL)->part)

static const char *const kind_names[] = {"Model", NULL};
static const char *const engine_names[] = {"llama", "vllm", "simulate", "custom", "remote", NULL};

static const char *const fairness_names[] = {"tokens", "requests", "none", NULL};

static const char *const policy_names[] = {"prefix",  "least_load", "round_robin", "power_of_two",
                                           "session", "weighted",   NULL};

const char *model_policy_name(int policy)
{
    return policy_names[policy];
}

enum { ENGINE_URLS_MAX = 256 }; /* as many replicas as a gateway routes to */

static const char *check_uri(struct str text)
{
    static const struct str schemes[] = {STR("hf://"), STR("oci://"), STR("file:///"),
                                         STR("https://"), STR("http://")};
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++)
        if (str_starts(text, schemes[i]) && text.len > schemes[i].len)
            return NULL;
    return "must begin with hf://, oci://, file:///, https:// or http://";
}

static const char *check_engine_url(struct str text)
{
    struct url url;
    return url_parse(text, &url) == 0
               ? NULL
               : "must be http:// or https:// with a host, maybe a port and a path, and nothing "
                 "else: https://gpu1.example:8443/v1";
}

static const struct schema_field source_fields[] = {
    {
        .name = "uri",
        .type = SCHEMA_STRING,
        .offset = PART(source, uri),
        .description = "Where the model comes from: hf://ORG/NAME/FILE, oci://REGISTRY/NAME:TAG, "
                       "file:///PATH or https://...",
        .max = 2048,
        .check = check_uri,
    },
    {
        .name = "digest",
        .type = SCHEMA_STRING,
        .offset = PART(source, digest),
        .description = "What it must be: sha256: and 64 digits. A different one is refused.",
        .check = name_check_sha256,
    },
};

static const struct schema source_schema = {
    .name = "source",
    .description = "The model's file or image.",
    .size = SIZE(source),
    .fields = source_fields,
    .field_count = ARRAY_LEN(source_fields),
};

static const struct schema_field engine_fields[] = {
    {
        .name = "type",
        .type = SCHEMA_ENUM,
        .offset = PART(engine, type),
        .description =
            "What runs the model: llama (fairway-engine), vllm, simulate (no model at "
            "all), custom (any OpenAI-compatible server, started here), or remote (one that "
            "runs elsewhere, at urls).",
        .fallback = "llama",
        .values = engine_names,
    },
    {
        .name = "image",
        .type = SCHEMA_STRING,
        .offset = PART(engine, image),
        .description = "The container image, where replicas are containers.",
        .max = 512,
    },
    {
        .name = "command",
        .type = SCHEMA_STRINGS,
        .offset = PART(engine, command),
        .description = "The program to run and its first arguments, instead of the engine's own.",
        .max = 256,
    },
    {
        .name = "args",
        .type = SCHEMA_STRINGS,
        .offset = PART(engine, args),
        .description = "Further arguments for the engine.",
        .max = 256,
    },
    {
        .name = "env",
        .type = SCHEMA_MAP,
        .offset = PART(engine, env),
        .description = "Environment variables for the engine.",
        .max = 256,
        .check = name_check_env_variable,
    },
    {
        .name = "contextLength",
        .type = SCHEMA_INT,
        .offset = PART(engine, context_length),
        .description = "Tokens of prompt and answer together, at most. Left out: the engine's "
                       "default, or what the model can if that is less.",
        .min = 1,
        .max = 16777216,
    },
    {
        .name = "maxConcurrentRequests",
        .type = SCHEMA_INT,
        .offset = PART(engine, max_concurrent_requests),
        .description = "Requests that one replica works on at a time; more wait in the queue.",
        .fallback = "32",
        .min = 1,
        .max = 4096,
    },
    {
        .name = "urls",
        .type = SCHEMA_STRINGS,
        .offset = PART(engine, urls),
        .description = "Where a remote engine is: OpenAI-compatible servers, each of them one "
                       "replica. A path before /v1 is kept; /v1 itself may be left out.",
        .max = ENGINE_URLS_MAX,
        .check = check_engine_url,
    },
    {
        .name = "model",
        .type = SCHEMA_STRING,
        .offset = PART(engine, model),
        .description = "What a remote engine calls the model. Left out: what it is called here.",
        .max = 256,
    },
    {
        .name = "apiKeyFile",
        .type = SCHEMA_STRING,
        .offset = PART(engine, api_key_file),
        .description = "A file with the API key that a remote engine wants. It is read when a "
                       "replica starts, when the Model changes, and when the key was refused.",
        .max = 4095,
        .check = name_check_path,
    },
    {
        .name = "apiKeyEnv",
        .type = SCHEMA_STRING,
        .offset = PART(engine, api_key_env),
        .description = "The variable in Fairway's own environment that has the key, instead of a "
                       "file.",
        .check = name_check_env_variable,
    },
    {
        .name = "caFile",
        .type = SCHEMA_STRING,
        .offset = PART(engine, ca_file),
        .description = "Certificates (PEM) of the authorities that a remote engine's own must be "
                       "signed by. Left out: those that this system trusts.",
        .max = 4095,
        .check = name_check_path,
    },
};

static const struct schema engine_schema = {
    .name = "engine",
    .description = "The program that runs the model.",
    .size = SIZE(engine),
    .fields = engine_fields,
    .field_count = ARRAY_LEN(engine_fields),
};

static const struct schema_field queue_fields[] = {
    {
        .name = "maxLength",
        .type = SCHEMA_INT,
        .offset = PART(queue, max_length),
        .description = "Requests that may wait; one more is answered with 429.",
        .fallback = "1000",
        .max = 1000000,
    },
    {
        .name = "maxWait",
        .type = SCHEMA_DURATION,
        .offset = PART(queue, max_wait),
        .description = "How long a request may wait; then it is answered with 503.",
        .fallback = "2m",
        .min = NSEC_PER_MSEC,
        .max = 24 * 3600 * NSEC_PER_SEC,
    },
    {
        .name = "fairness",
        .type = SCHEMA_ENUM,
        .offset = PART(queue, fairness),
        .description = "What tenants that wait share by their weights: tokens, requests, or "
                       "nothing (none: first come, first served).",
        .fallback = "tokens",
        .values = fairness_names,
    },
};

static const struct schema queue_schema = {
    .name = "queue",
    .description = "Requests that wait for a free replica.",
    .size = SIZE(queue),
    .fields = queue_fields,
    .field_count = ARRAY_LEN(queue_fields),
};

static const struct schema_field traffic_fields[] = {
    {
        .name = "aliases",
        .type = SCHEMA_STRINGS,
        .offset = PART(traffic, aliases),
        .description = "Further names by which clients may ask for the model. Models that have "
                       "one in common share its requests by their weights.",
        .max = 64,
        .check = name_check_model_alias,
    },
    {
        .name = "policy",
        .type = SCHEMA_ENUM,
        .offset = PART(traffic, policy),
        .description = "Which replica a request goes to: the one with the least to compute, cached "
                       "beginnings of prompts taken into account (prefix), the one with the most "
                       "free slots, the next one, the better of two at random, a session's own, or "
                       "in proportion to weights.",
        .fallback = "prefix",
        .values = policy_names,
    },
    {
        .name = "weight",
        .type = SCHEMA_INT,
        .offset = PART(traffic, weight),
        .description = "This model's part of the requests for an alias, against the weights of "
                       "the other models that have it. A session stays with one of them.",
        .fallback = "100",
        .max = 10000,
    },
    {
        .name = "fallback",
        .type = SCHEMA_STRINGS,
        .offset = PART(traffic, fallback),
        .description = "Models that answer instead, in this order, when this one's queue is full, "
                       "a request has waited for queue.maxWait, or no replica serves.",
        .max = 8,
        .check = name_check_model_alias,
    },
    {
        .name = "hedgePercent",
        .type = SCHEMA_INT,
        .offset = PART(traffic, hedge_percent),
        .description = "Of so many requests in a hundred a second replica may be asked as well, "
                       "when the first takes longer than is usual to begin its answer and nobody "
                       "waits. The first to answer stays. 0: none.",
        .max = 100,
    },
};

static const struct schema traffic_schema = {
    .name = "traffic",
    .description = "Which requests reach the model.",
    .size = SIZE(traffic),
    .fields = traffic_fields,
    .field_count = ARRAY_LEN(traffic_fields),
};

#define PRICE_MAX (INT64_C(1000000) * 1000000) /* a million for a million tokens */

static const struct schema_field price_fields[] = {
    {
        .name = "input",
        .type = SCHEMA_MONEY,
        .offset = PART(price, input),
        .description = "For a million tokens of prompt.",
        .max = PRICE_MAX,
    },
    {
        .name = "cachedInput",
        .type = SCHEMA_MONEY,
        .offset = PART(price, cached_input),
        .description = "For a million tokens of prompt that the engine had read already. Left "
                       "out: like input.",
        .max = PRICE_MAX,
    },
    {
        .name = "output",
        .type = SCHEMA_MONEY,
        .offset = PART(price, output),
        .description = "For a million generated tokens.",
        .max = PRICE_MAX,
    },
};

static const struct schema price_schema = {
    .name = "price",
    .description = "What tokens cost; tenants' budgets are counted in it.",
    .size = SIZE(price),
    .fields = price_fields,
    .field_count = ARRAY_LEN(price_fields),
};

static const struct schema_field probes_fields[] = {
    {
        .name = "startup",
        .type = SCHEMA_DURATION,
        .offset = PART(probes, startup),
        .description = "How long a replica may take until it is ready; then it is started anew.",
        .fallback = "10m",
        .min = NSEC_PER_SEC,
        .max = 24 * 3600 * NSEC_PER_SEC,
    },
    {
        .name = "period",
        .type = SCHEMA_DURATION,
        .offset = PART(probes, period),
        .description = "The time between two looks at a replica's health.",
        .fallback = "2s",
        .min = 100 * NSEC_PER_MSEC,
        .max = 3600 * NSEC_PER_SEC,
    },
    {
        .name = "failures",
        .type = SCHEMA_INT,
        .offset = PART(probes, failures),
        .description = "So many failed looks in a row and the replica is started anew.",
        .fallback = "3",
        .min = 1,
        .max = 1000,
    },
};

static const struct schema probes_schema = {
    .name = "probes",
    .description = "How a replica's health is found out.",
    .size = SIZE(probes),
    .fields = probes_fields,
    .field_count = ARRAY_LEN(probes_fields),
};

static const struct schema_field spec_fields[] = {
    {
        .name = "source",
        .type = SCHEMA_OBJECT,
        .offset = offsetof(struct model_spec, source),
        .description = "The model's file or image.",
        .object = &source_schema,
    },
    {
        .name = "engine",
        .type = SCHEMA_OBJECT,
        .offset = offsetof(struct model_spec, engine),
        .description = "The program that runs the model.",
        .object = &engine_schema,
    },
    {
        .name = "resources",
        .type = SCHEMA_OBJECT,
        .offset = offsetof(struct model_spec, resources),
        .description = "What each replica gets.",
        .object = &resources_schema,
    },
    {
        .name = "tenant",
        .type = SCHEMA_STRING,
        .offset = offsetof(struct model_spec, tenant),
        .description = "The Tenant whose GPU quota its replicas use. Left out: what is in nobody's "
                       "quota.",
        .check = name_check_dns_label,
    },
    {
        .name = "priority",
        .type = SCHEMA_INT,
        .offset = offsetof(struct model_spec, priority),
        .description = "Replicas of models with a higher one start first where not all have room, "
                       "and may evict lower ones. That of requests is another thing.",
        .fallback = "100",
        .min = RESOURCE_PRIORITY_MIN,
        .max = RESOURCE_PRIORITY_MAX,
    },
    {
        .name = "replicas",
        .type = SCHEMA_INT,
        .offset = offsetof(struct model_spec, replicas),
        .description = "How many copies of the engine serve the model. Of a remote engine: one for "
                       "each of its urls, or 0 to use none of them.",
        .fallback = "1",
        .max = 1000,
    },
    {
        .name = "queue",
        .type = SCHEMA_OBJECT,
        .offset = offsetof(struct model_spec, queue),
        .description = "Requests that wait for a free replica.",
        .object = &queue_schema,
    },
    {
        .name = "traffic",
        .type = SCHEMA_OBJECT,
        .offset = offsetof(struct model_spec, traffic),
        .description = "Which requests reach the model.",
        .object = &traffic_schema,
    },
    {
        .name = "price",
        .type = SCHEMA_OBJECT,
        .offset = offsetof(struct model_spec, price),
        .description = "What tokens cost; tenants' budgets are counted in it.",
        .object = &price_schema,
    },
    {
        .name = "probes",
        .type = SCHEMA_OBJECT,
        .offset = offsetof(struct model_spec, probes),
        .description = "How a replica's health is found out.",
        .object = &probes_schema,
    },
};

/* ---- remote engines ---- */

/* Whether a field that only engines started here have (or only remote ones) was given. */
struct given {
    const char *field;
    bool is_given;
};

static void refuse(struct schema_report *r, const struct given *fields, size_t count,
                   const char *why)
{
    for (size_t i = 0; i < count; i++)
        if (fields[i].is_given)
            schema_problem(r, fields[i].field, "%s", why);
}

static bool has_tls_url(const struct model_spec *spec)
{
    for (size_t i = 0; i < spec->engine.urls.count; i++)
        if (str_starts(spec->engine.urls.items[i], STR("https://")))
            return true;
    return false;
}

static void check_urls(const struct model_spec *spec, struct schema_report *r)
{
    const struct schema_strings *urls = &spec->engine.urls;
    if (!urls->count)
        schema_problem(r, "engine.urls", "is required for the engine remote");
    for (size_t i = 0; i < urls->count; i++)
        for (size_t j = 0; j < i; j++)
            if (str_eq(urls->items[i], urls->items[j]))
                schema_problem(r, "engine.urls", "has %.*s twice", STR_ARG(urls->items[i]));
    if (urls->count && spec->replicas > 1 && (size_t)spec->replicas != urls->count)
        schema_problem(r, "replicas", "is the number of engine.urls (%zu), or 0; leave it out",
                       urls->count);
}

static void check_remote(const struct model_spec *spec, struct schema_report *r)
{
    const struct given fields[] = {
        {"source.uri", spec->source.uri.len > 0},
        {"engine.image", spec->engine.image.len > 0},
        {"engine.command", spec->engine.command.count > 0},
        {"engine.args", spec->engine.args.count > 0},
        {"engine.env", spec->engine.env.count > 0},
        {"engine.contextLength", spec->engine.context_length > 0},
        {"tenant", spec->tenant.len > 0},
        {"resources", resources_are_given(&spec->resources)},
    };
    refuse(r, fields, ARRAY_LEN(fields), "is not for the engine remote: nothing is started here");
    check_urls(spec, r);
    if (spec->engine.api_key_file.len && spec->engine.api_key_env.len)
        schema_problem(r, "engine.apiKeyEnv", "cannot go together with apiKeyFile; choose one");
    if (spec->engine.ca_file.len && !has_tls_url(spec))
        schema_problem(r, "engine.caFile", "is for urls that begin with https://");
}

static void check_not_remote(const struct model_spec *spec, struct schema_report *r)
{
    const struct given fields[] = {
        {"engine.urls", spec->engine.urls.count > 0},
        {"engine.model", spec->engine.model.len > 0},
        {"engine.apiKeyFile", spec->engine.api_key_file.len > 0},
        {"engine.apiKeyEnv", spec->engine.api_key_env.len > 0},
        {"engine.caFile", spec->engine.ca_file.len > 0},
    };
    refuse(r, fields, ARRAY_LEN(fields), "is only for the engine remote (engine.type: remote)");
}

void model_settle(struct model *m)
{
    if (m->spec.engine.type == MODEL_ENGINE_REMOTE && m->spec.replicas > 0)
        m->spec.replicas = (int64_t)m->spec.engine.urls.count;
}

static void check_spec(const void *object, struct schema_report *r)
{
    const struct model_spec *spec = object;
    bool needs_source =
        spec->engine.type == MODEL_ENGINE_LLAMA || spec->engine.type == MODEL_ENGINE_VLLM;
    if (needs_source && spec->source.uri.len == 0)
        schema_problem(r, "source.uri", "is required for the engine %s",
                       engine_names[spec->engine.type]);
    if (spec->engine.type == MODEL_ENGINE_CUSTOM && spec->engine.command.count == 0 &&
        spec->engine.image.len == 0)
        schema_problem(r, "engine.command", "is required for the engine custom, or else image");
    if (spec->engine.type == MODEL_ENGINE_REMOTE)
        check_remote(spec, r);
    else
        check_not_remote(spec, r);
}

static const struct schema spec_schema = {
    .name = "spec",
    .description = "What is wanted.",
    .size = sizeof(struct model_spec),
    .fields = spec_fields,
    .field_count = ARRAY_LEN(spec_fields),
    .check = check_spec,
};

static const struct schema_field model_fields[] = {
    RESOURCE_FIELDS(struct model, kind_names),
    {
        .name = "spec",
        .type = SCHEMA_OBJECT,
        .offset = offsetof(struct model, spec),
        .description = "What is wanted.",
        .object = &spec_schema,
    },
};

static const struct schema model_schema = {
    .name = "Model",
    .description = "A model that is served to clients under its name.",
    .size = sizeof(struct model),
    .fields = model_fields,
    .field_count = ARRAY_LEN(model_fields),
};

const struct resource_kind model_kind = {
    .name = "Model",
    .plural = "models",
    .schema = &model_schema,
    .spec = &model_fields[ARRAY_LEN(model_fields) - 1],
};
