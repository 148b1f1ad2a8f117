/* SPDX-License-Identifier: Apache-2.0 */
#include "gpu/model.h"

#include <inttypes.h>
#include <stdio.h>

enum {
    MIB_BITS = 20,
    GIB_BITS = 30,
    TOLERANCE = 8,       /* memory may differ by this part of it: drivers and ECC reserve some */
    MEMORY_TEXT_MAX = 8, /* "-4096G" */
};

static const struct gpu_model models[] = {
    {"P100-16G", "P100", 16384, 60, false},
    {"V100-16G", "V100", 16384, 70, true},
    {"V100-32G", "V100", 32768, 70, true},
    {"T4-16G", "T4", 15360, 75, false},
    {"A2-16G", "A2", 15356, 86, false},
    {"A10-24G", "A10", 23028, 86, false},
    {"A10G-24G", "A10G", 23028, 86, false},
    {"A16-16G", "A16", 15356, 86, false},
    {"A30", "A30", 24576, 80, false},
    {"A40-48G", "A40", 46068, 86, false},
    {"A100-40G", "A100", 40960, 80, true},
    {"A100-80G", "A100", 81920, 80, true},
    {"A800-80G", "A800", 81920, 80, true},
    {"A6000-48G", "RTXA6000", 49140, 86, false},
    {"L4-24G", "L4", 23034, 89, false},
    {"L20-48G", "L20", 46068, 89, false},
    {"L40-48G", "L40", 46068, 89, false},
    {"L40S-48G", "L40S", 46068, 89, false},
    {"RTX6000Ada-48G", "RTX6000Ada", 49140, 89, false},
    {"RTX3090-24G", "RTX3090", 24576, 86, false},
    {"RTX4090-24G", "RTX4090", 24564, 89, false},
    {"RTX5090-32G", "RTX5090", 32607, 120, false},
    {"H20-96G", "H20", 97871, 90, true},
    {"H800-80G", "H800", 81559, 90, true},
    {"H100-80G", "H100", 81559, 90, true},
    {"H100-94G", "H100", 95830, 90, true},
    {"H200-141G", "H200", 143771, 90, true},
    {"GH200-96G", "GH200", 97871, 90, false},
    {"B200-180G", "B200", 183359, 100, true},
};

static const char *const vendors[] = {"NVIDIA", "Tesla", "GeForce"};

const struct gpu_model *gpu_model_find(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(models); i++)
        if (str_eq_nocase(name, str_from(models[i].name)))
            return &models[i];
    return NULL;
}

static bool is_word_char(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Takes the next word (letters and digits) off `rest`; false: there is none. */
static bool next_word(struct str *rest, struct str *ret_word)
{
    size_t start = 0, end;
    while (start < rest->len && !is_word_char(rest->ptr[start]))
        start++;
    for (end = start; end < rest->len && is_word_char(rest->ptr[end]);)
        end++;
    *ret_word = str_sub(*rest, start, end);
    *rest = str_sub(*rest, end, rest->len);
    return ret_word->len > 0;
}

static bool is_vendor(struct str word)
{
    for (size_t i = 0; i < ARRAY_LEN(vendors); i++)
        if (str_eq_nocase(word, str_from(vendors[i])))
            return true;
    return false;
}

/* "80GB" */
static bool is_memory(struct str word)
{
    uint64_t number;
    return str_ends(word, STR("GB")) && !str_to_u64(str_sub(word, 0, word.len - 2), &number);
}

static uint64_t difference(uint64_t a, uint64_t b)
{
    return a > b ? a - b : b - a;
}

/* Of one family, the model whose memory is nearest, if it is near. */
static const struct gpu_model *of_family(struct str family, uint64_t mib)
{
    const struct gpu_model *best = NULL;
    for (const struct gpu_model *m = models; m < models + ARRAY_LEN(models); m++)
        if (str_eq_nocase(family, str_from(m->family)) &&
            difference(m->memory, mib) <= m->memory / TOLERANCE &&
            (!best || difference(m->memory, mib) < difference(best->memory, mib)))
            best = m;
    return best;
}

/* Families are compared with ever more words of the name; the longest that is known counts. */
static const struct gpu_model *recognise(struct str name, uint64_t mib)
{
    char family[GPU_NAME_MAX];
    size_t len = 0;
    const struct gpu_model *best = NULL;
    for (struct str word; next_word(&name, &word);) {
        if (is_vendor(word))
            continue;
        if (len + word.len > sizeof(family))
            break;
        memcpy(family + len, word.ptr, word.len);
        len += word.len;
        const struct gpu_model *model = of_family((struct str){family, len}, mib);
        best = model ? model : best;
    }
    return best;
}

/* The words with "-" between them, without vendor and memory, as far as there is room. */
static size_t clean(struct str name, char *text, size_t room)
{
    size_t len = 0;
    for (struct str word; next_word(&name, &word);) {
        if (is_vendor(word) || is_memory(word))
            continue;
        if (len + (len > 0) + word.len > room)
            break;
        if (len)
            text[len++] = '-';
        memcpy(text + len, word.ptr, word.len);
        len += word.len;
    }
    return len;
}

void gpu_model_name(struct str name, int64_t memory, char ret_model[GPU_MODEL_MAX])
{
    const struct gpu_model *known =
        memory > 0 ? recognise(name, (uint64_t)memory >> MIB_BITS) : NULL;
    if (known) {
        snprintf(ret_model, GPU_MODEL_MAX, "%s", known->name);
        return;
    }
    char text[GPU_MODEL_MAX - MEMORY_TEXT_MAX];
    size_t len = clean(name, text, sizeof(text));
    struct str cleaned = len ? (struct str){text, len} : STR("GPU");
    if (memory <= 0) {
        snprintf(ret_model, GPU_MODEL_MAX, "%.*s", STR_ARG(cleaned));
        return;
    }
    int64_t gib = (memory >> GIB_BITS) + (memory >> (GIB_BITS - 1) & 1);
    gib = MIN(MAX(gib, 1), GPU_MEMORY_GIB_MAX);
    snprintf(ret_model, GPU_MODEL_MAX, "%.*s-%" PRId64 "G", STR_ARG(cleaned), gib);
    known = gpu_model_find(str_from(ret_model)); /* one spelling for one name */
    if (known)
        snprintf(ret_model, GPU_MODEL_MAX, "%s", known->name);
}

static bool is_name(struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        if (!is_word_char(text.ptr[i]) && (text.ptr[i] != '-' || i == 0))
            return false;
    return text.len > 0;
}

bool gpu_model_parse(struct str model, uint32_t *ret_gib)
{
    size_t dash = model.len;
    while (dash > 0 && model.ptr[dash - 1] != '-')
        dash--;
    uint64_t gib;
    if (dash == 0 || model.len >= GPU_MODEL_MAX || !str_ends(model, STR("G")) ||
        !is_name(str_sub(model, 0, dash - 1)) ||
        str_to_u64(str_sub(model, dash, model.len - 1), &gib) || gib < 1 ||
        gib > GPU_MEMORY_GIB_MAX)
        return false;
    *ret_gib = (uint32_t)gib;
    return true;
}

void gpu_model_list(struct str start, struct buf *out)
{
    const char *comma = "";
    for (size_t i = 0; i < ARRAY_LEN(models); i++) {
        struct str name = str_from(models[i].name);
        if (name.len < start.len || !str_eq_nocase(str_sub(name, 0, start.len), start))
            continue;
        buf_printf(out, "%s%s", comma, models[i].name);
        comma = ", ";
    }
}
