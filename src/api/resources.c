/* SPDX-License-Identifier: Apache-2.0 */
#include "api/resources.h"

#include "core/place/mig.h"

enum { MIB_BITS = 20, MODEL_NAME_MAX = 47, ACCEPTED_MAX = 16, NAMES_TEXT_MAX = 300 };
#define MIB        (INT64_C(1) << MIB_BITS)
#define MEMORY_MAX (INT64_C(4096) << 30) /* of one GPU */

static const char *const together_names[] = {
    [PLACE_ANYWHERE] = "none",
    [PLACE_SAME_NUMA] = "numa",
    [PLACE_SAME_NVLINK] = "nvlink",
    NULL,
};

static const char *check_mig(struct str text)
{
    return mig_profile_find(text) != MIG_NONE
               ? NULL
               : "must be a MIG profile, like 1g.10gb or 3g.40gb; `nvidia-smi mig -lgip` prints "
                 "those of a machine";
}

static const char *check_gpu_model(struct str text)
{
    bool good = text.len > 0 && text.len <= MODEL_NAME_MAX;
    for (size_t i = 0; good && i < text.len; i++) {
        char c = text.ptr[i];
        good =
            (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-';
    }
    return good ? NULL : "must be the short name of a GPU model, like H100-80G; see fairway gpus";
}

static const struct schema_field fields[] = {
    {
        .name = "gpus",
        .type = SCHEMA_INT,
        .offset = offsetof(struct resources, gpus),
        .description = "Whole GPUs, all of one model and of one machine.",
        .max = PLACE_GPUS_MAX,
    },
    {
        .name = "gpuShare",
        .type = SCHEMA_INT,
        .offset = offsetof(struct resources, gpu_share),
        .description = "Thousandths of one GPU, instead of whole ones. Its memory in proportion, "
                       "if gpuMemory says nothing else.",
        .max = PLACE_MILLI,
    },
    {
        .name = "gpuMemory",
        .type = SCHEMA_BYTES,
        .offset = offsetof(struct resources, gpu_memory),
        .description = "Memory of one GPU, instead of whole ones. Thousandths in proportion, if "
                       "gpuShare says nothing else.",
        .max = MEMORY_MAX,
    },
    {
        .name = "mig",
        .type = SCHEMA_STRING,
        .offset = offsetof(struct resources, mig),
        .description = "An instance of this profile on a GPU that is cut (MIG), instead of whole "
                       "ones: 1g.10gb.",
        .check = check_mig,
    },
    {
        .name = "gpuModels",
        .type = SCHEMA_STRINGS,
        .offset = offsetof(struct resources, gpu_models),
        .description = "GPU models that will do, by their short names: H100-80G. Left out: any.",
        .max = ACCEPTED_MAX,
        .check = check_gpu_model,
    },
    {
        .name = "together",
        .type = SCHEMA_ENUM,
        .offset = offsetof(struct resources, together),
        .description = "What several whole GPUs must have in common: one NUMA node, one NVLink "
                       "group, or none of these.",
        .values = together_names,
    },
    {
        .name = "cpu",
        .type = SCHEMA_MILLI,
        .offset = offsetof(struct resources, cpu),
        .description = "Processors.",
    },
    {
        .name = "memory",
        .type = SCHEMA_BYTES,
        .offset = offsetof(struct resources, memory),
        .description = "Main memory; more cannot be used.",
    },
};

static void check_way(const struct resources *r, struct schema_report *report)
{
    if (r->gpus && r->gpu_share)
        schema_problem(report, "gpuShare", "cannot go together with gpus; choose one");
    if (r->gpus && r->gpu_memory)
        schema_problem(report, "gpuMemory",
                       "is of a share, and gpus are whole ones with all their memory; choose one");
    if (r->gpu_share == PLACE_MILLI && r->gpu_memory)
        schema_problem(report, "gpuMemory",
                       "is of a share, and gpuShare %d is a whole GPU with all its memory; choose "
                       "one",
                       PLACE_MILLI);
    if (r->mig.len && (r->gpus || r->gpu_share || r->gpu_memory))
        schema_problem(report, "mig", "cannot go together with %s; choose one",
                       r->gpus        ? "gpus"
                       : r->gpu_share ? "gpuShare"
                                      : "gpuMemory");
}

static bool asks_for_gpu(const struct resources *r)
{
    return r->gpus || r->gpu_share || r->gpu_memory || r->mig.len;
}

static void check(const void *object, struct schema_report *report)
{
    const struct resources *r = object;
    check_way(r, report);
    if (r->gpu_models.count && !asks_for_gpu(r))
        schema_problem(report, "gpuModels",
                       "is of no use without a GPU; add gpus, gpuShare, gpuMemory or mig");
    if (r->together != PLACE_ANYWHERE && r->gpus < 2)
        schema_problem(report, "together", "is for several whole GPUs; set gpus, or leave it out");
}

const struct schema resources_schema = {
    .name = "resources",
    .description = "What each process gets of its machine.",
    .size = sizeof(struct resources),
    .fields = fields,
    .field_count = ARRAY_LEN(fields),
    .check = check,
};

bool resources_are_given(const struct resources *r)
{
    return asks_for_gpu(r) || r->gpu_models.count || r->together != PLACE_ANYWHERE || r->cpu ||
           r->memory;
}

/* ---- as placement has it ---- */

static int no_such_model(const struct resources *r, struct err *err)
{
    struct buf names;
    buf_init(&names, NAMES_TEXT_MAX);
    for (size_t i = 0; i < r->gpu_models.count; i++)
        buf_printf(&names, "%s%.*s", i ? " or " : "", STR_ARG(r->gpu_models.items[i]));
    err_set(err, ERR_UNAVAILABLE,
            "no GPU of model %.*s in this cluster; change resources.gpuModels (fairway gpus has "
            "the models that there are)",
            STR_ARG(buf_str(&names)));
    buf_fini(&names);
    return ERR_UNAVAILABLE;
}

static uint64_t accepted_models(const struct resources *r, resources_number *number, void *ctx)
{
    uint64_t models = 0;
    for (size_t i = 0; i < r->gpu_models.count; i++) {
        int model = number(ctx, r->gpu_models.items[i]);
        if (model != PLACE_NONE)
            models |= UINT64_C(1) << model;
    }
    return models;
}

/* More than any node has stays more. */
static int64_t amount(int64_t parts)
{
    return MIN(parts, PLACE_AMOUNT_MAX);
}

static int64_t mib(int64_t bytes)
{
    return (bytes >> MIB_BITS) + (bytes % MIB > 0);
}

int resources_request(const struct resources *r, resources_number *number, void *ctx,
                      struct place_request *ret_request, struct err *err)
{
    uint64_t models = accepted_models(r, number, ctx);
    uint8_t mig = r->mig.len ? mig_profile_find(r->mig) : MIG_NONE;
    if (r->gpu_models.count && !models)
        return no_such_model(r, err);
    if (r->mig.len && mig == MIG_NONE)
        return err_set(err, ERR_INVALID, "resources.mig: \"%.*s\" %s", STR_ARG(r->mig),
                       check_mig(r->mig));
    bool whole = r->gpu_share == PLACE_MILLI;
    *ret_request = (struct place_request){
        .models = models,
        .cpu = amount(r->cpu),
        .memory = amount(mib(r->memory)),
        .share_mib = (uint32_t)mib(r->gpu_memory),
        .share_milli = (uint16_t)(whole ? 0 : r->gpu_share),
        .gpus = (uint8_t)(whole ? 1 : r->gpus),
        .mig = mig,
        .together = (uint32_t)r->together,
    };
    return 0;
}
