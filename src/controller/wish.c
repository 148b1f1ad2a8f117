/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/wish.h"

#include <stdio.h>
#include <unistd.h>
#include <xxhash.h>

#include "store/gguf.h"

enum { WISH_ARENA_MAX = 4 * 1024 * 1024, EXTRA_ARGS = 16, EXTRA_ENV = 8 };

#define GIB ((double)(1 << 30))

/* ---- the command ---- */

struct list_of_text {
    const char **items;
    size_t count, cap;
};

static void push(struct list_of_text *l, struct str text)
{
    CHECK(l->count + 1 < l->cap); /* one stays NULL */
    l->items[l->count++] = text.ptr;
}

static void push_all(struct list_of_text *l, const struct schema_strings *texts, size_t from)
{
    for (size_t i = from; i < texts->count; i++)
        push(l, texts->items[i]);
}

static bool begins_with_dash(struct str s)
{
    return s.len > 0 && s.ptr[0] == '-';
}

static int local_path(const struct model_spec *spec, struct str *ret_path, struct err *err)
{
    if (!str_starts(spec->source.uri, STR("file://")))
        return err_set(err, ERR_UNSUPPORTED,
                       "source %.*s: this machine's runtime reads file:// only; download the model "
                       "and give its path",
                       STR_ARG(spec->source.uri));
    *ret_path = str_sub(spec->source.uri, 7, spec->source.uri.len);
    return 0;
}

/*
 * KV cache = bytes per token x context x concurrent requests; fairway-engine reserves 512 MiB of it at most
 * unless told otherwise (its option --kv), and 4,096 tokens of context unless told otherwise.
 */
#define KV_BYTES_MAX ((uint64_t)512 << 20)
enum { CONTEXT_DEFAULT = 4096 };

static uint64_t kv_bytes(const struct model_spec *spec, const struct gguf_facts *facts)
{
    uint64_t context =
        spec->engine.context_length ? (uint64_t)spec->engine.context_length : CONTEXT_DEFAULT;
    uint64_t sequences = (uint64_t)spec->engine.max_concurrent_requests, bytes;
    if (facts->context_length)
        context = MIN(context, facts->context_length);
    if (__builtin_mul_overflow(gguf_kv_bytes_per_token(facts), context * sequences, &bytes))
        return KV_BYTES_MAX;
    return MIN(bytes, KV_BYTES_MAX);
}

/* Looked at before a process is started, so that a broken file is said and not crashed on. */
static int check_file(struct wish *w, struct str path, struct err *err)
{
    struct gguf_facts facts;
    int error = gguf_read_file(path.ptr, &facts, err);
    if (error)
        return error;
    w->weights = facts.file_size;
    w->kv = kv_bytes(&w->model->spec, &facts);
    return 0;
}

static int build_args(struct wish *w, const char *engine_path, struct err *err)
{
    const struct model_spec *spec = &w->model->spec;
    const struct schema_strings *args = &spec->engine.args;
    struct list_of_text l = {.cap = spec->engine.command.count + args->count + EXTRA_ARGS};
    struct str path = STR_NONE;
    size_t from = 0;
    int error = 0;
    l.items = arena_array(&w->arena, l.cap, sizeof(char *));
    if (!l.items)
        return err_set(err, ERR_NO_MEMORY, "the command of the engine is too long");
    push_all(&l, &spec->engine.command, 0);
    switch (spec->engine.type) {
    case MODEL_ENGINE_LLAMA:
        error = local_path(spec, &path, err);
        if (!error)
            error = check_file(w, path, err);
        if (!l.count)
            push(&l, str_from(engine_path));
        push(&l, STR("--model"));
        push(&l, path);
        break;
    case MODEL_ENGINE_VLLM:
        error = local_path(spec, &path, err);
        if (!l.count) {
            push(&l, STR("vllm"));
            push(&l, STR("serve"));
        }
        push(&l, path);
        push(&l, STR("--served-model-name"));
        push(&l, w->model->resource.metadata.name);
        break;
    case MODEL_ENGINE_SIMULATE: /* the first argument may be the profile */
        if (!l.count)
            push(&l, str_from(engine_path));
        push(&l, STR("--simulate"));
        from = args->count && !begins_with_dash(args->items[0]);
        push(&l, from ? args->items[0] : STR(""));
        break;
    case MODEL_ENGINE_CUSTOM:
        if (!l.count)
            return err_set(
                err, ERR_UNSUPPORTED,
                "the engine has an image but no command: this machine runs no containers");
        break;
    case MODEL_ENGINE_REMOTE: /* nothing is run */
        break;
    }
    push_all(&l, args, from);
    w->args = l.items;
    return error;
}

/* The names that every engine of the field understands (docs/engine.md). */
static int build_env(struct wish *w, struct err *err)
{
    const struct model_spec *spec = &w->model->spec;
    size_t count = 0;
    w->env = arena_array(&w->arena, spec->engine.env.count + EXTRA_ENV, sizeof(char *));
    if (!w->env)
        return err_set(err, ERR_NO_MEMORY, "the environment of the engine is too long");
    w->env[count++] =
        arena_printf(&w->arena, "MODEL_NAME=%.*s", STR_ARG(w->model->resource.metadata.name)).ptr;
    w->env[count++] = arena_printf(&w->arena, "MAX_CONCURRENT_REQUESTS=%lld",
                                   (long long)spec->engine.max_concurrent_requests)
                          .ptr;
    if (spec->engine.context_length)
        w->env[count++] =
            arena_printf(&w->arena, "MAX_MODEL_LEN=%lld", (long long)spec->engine.context_length)
                .ptr;
    for (size_t i = 0; i < spec->engine.env.count; i++) {
        const struct schema_pair *pair = &spec->engine.env.items[i];
        w->env[count++] =
            arena_printf(&w->arena, "%.*s=%.*s", STR_ARG(pair->key), STR_ARG(pair->value)).ptr;
    }
    return 0;
}

/* A change of how many, how long to wait, at what price or under which further names needs no new
 * process. */
static uint64_t hash_of_what_runs(const struct model *model)
{
    struct model what_runs = *model;
    struct json_writer writer;
    struct buf text;
    what_runs.spec.replicas = 1;
    what_runs.spec.tenant = STR_NONE;
    what_runs.spec.priority = 0;
    memset(&what_runs.spec.queue, 0, sizeof(what_runs.spec.queue));
    memset(&what_runs.spec.price, 0, sizeof(what_runs.spec.price));
    memset(&what_runs.spec.traffic, 0, sizeof(what_runs.spec.traffic));
    memset(&what_runs.spec.probes, 0, sizeof(what_runs.spec.probes));
    buf_init(&text, WISH_ARENA_MAX);
    json_writer_init(&writer, &text, 0);
    resource_encode_spec(&what_runs.resource, &writer);
    uint64_t hash = XXH3_64bits(text.ptr, text.len);
    buf_fini(&text);
    return hash;
}

int wish_read(struct wish *w, const struct resource *stored, const char *engine_path,
              struct err *err)
{
    *w = (struct wish){0};
    arena_init(&w->arena, WISH_ARENA_MAX);
    w->model = model_from(resource_copy(&w->arena, stored));
    w->revision = hash_of_what_runs(w->model);
    int error = build_env(w, err);
    return error ? error : build_args(w, engine_path, err);
}

void wish_fini(struct wish *w)
{
    arena_fini(&w->arena);
}

/* ---- memory ---- */

uint64_t wish_memory(const struct wish *w)
{
    return MAX(w->weights + w->kv, (uint64_t)w->model->spec.resources.memory);
}

/* "MemTotal:   16384 kB" */
static uint64_t meminfo_bytes(struct str line, struct str name)
{
    uint64_t kib;
    if (!str_starts(line, name))
        return 0;
    struct str rest = str_trim(str_sub(line, name.len, line.len));
    return str_to_u64(str_sub(rest, 0, str_find_char(rest, ' ')), &kib) ? 0 : kib * 1024;
}

struct machine_memory machine_memory(void)
{
    struct machine_memory m = {0};
    char line[128];
    FILE *file = fopen("/proc/meminfo", "re");
    while (file && fgets(line, sizeof(line), file)) {
        m.total = m.total ? m.total : meminfo_bytes(str_from(line), STR("MemTotal:"));
        m.available =
            m.available ? m.available : meminfo_bytes(str_from(line), STR("MemAvailable:"));
    }
    if (file)
        fclose(file);
    return m;
}

int wish_check_memory(const struct wish *w, struct cluster_memory held, uint64_t limit,
                      struct err *err)
{
    struct machine_memory m = machine_memory();
    if (limit)
        m.total = MIN(m.total, limit);
    uint64_t need = wish_memory(w);
    if (m.total == 0 || need == 0) /* unknown: try */
        return 0;
    /* Weights are mapped files, which the kernel calls available: so what is promised counts too. */
    uint64_t unpromised = m.total > held.kept ? m.total - held.kept : 0;
    uint64_t room = MIN(m.available + held.preemptible, unpromised);
    if (need <= room)
        return 0;
    return err_set(err, ERR_UNAVAILABLE,
                   "a replica needs %.2f GiB (weights %.2f + KV cache %.2f, or resources.memory "
                   "%.2f), and this "
                   "machine has %.2f GiB left (total %.2f GiB, available %.2f GiB, other replicas "
                   "need %.2f GiB); use a smaller model or fewer replicas",
                   (double)need / GIB, (double)w->weights / GIB, (double)w->kv / GIB,
                   (double)w->model->spec.resources.memory / GIB, (double)room / GIB,
                   (double)m.total / GIB, (double)m.available / GIB, (double)held.kept / GIB);
}
