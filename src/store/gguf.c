/* SPDX-License-Identifier: Apache-2.0 */
#include "store/gguf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    ARRAY_DEPTH_MAX = 4,
    DIMENSIONS_MAX = 4,
    ALIGNMENT_DEFAULT = 32,
    COUNT_MAX = 1 << 20, /* tensors, and metadata entries */
};

enum value_type {
    VALUE_U8,
    VALUE_I8,
    VALUE_U16,
    VALUE_I16,
    VALUE_U32,
    VALUE_I32,
    VALUE_F32,
    VALUE_BOOL,
    VALUE_STRING,
    VALUE_ARRAY,
    VALUE_U64,
    VALUE_I64,
    VALUE_F64,
    VALUE_TYPES,
};

static const uint8_t value_sizes[VALUE_TYPES] = {
    [VALUE_U8] = 1,  [VALUE_I8] = 1,  [VALUE_U16] = 2, [VALUE_I16] = 2,
    [VALUE_U32] = 4, [VALUE_I32] = 4, [VALUE_F32] = 4, [VALUE_BOOL] = 1,
    [VALUE_U64] = 8, [VALUE_I64] = 8, [VALUE_F64] = 8,
};

/* Numbers per block and bytes per block of ggml's tensor types (ggml.h, ggml-common.h). 0: a type of which only the offset is checked. */
static const struct {
    uint16_t numbers, bytes;
} tensor_types[] = {
    [0] = {1, 4},      [1] = {1, 2},      [2] = {32, 18},    [3] = {32, 20},    [6] = {32, 22},
    [7] = {32, 24},    [8] = {32, 34},    [9] = {32, 36},    [10] = {256, 84},  [11] = {256, 110},
    [12] = {256, 144}, [13] = {256, 176}, [14] = {256, 210}, [15] = {256, 292}, [16] = {256, 66},
    [17] = {256, 74},  [18] = {256, 98},  [19] = {256, 50},  [20] = {32, 18},   [21] = {256, 110},
    [22] = {256, 82},  [23] = {256, 136}, [24] = {1, 1},     [25] = {1, 2},     [26] = {1, 4},
    [27] = {1, 8},     [28] = {1, 8},     [29] = {256, 56},  [30] = {1, 2},     [34] = {256, 54},
    [35] = {256, 66},  [39] = {32, 17},
};

/* A sticky-error reader: after the first problem everything reads as 0 and empty. */
struct reader {
    struct str bytes;
    size_t at;
    const char *problem;
    struct gguf_facts *facts;
    uint64_t alignment;
};

static void fail(struct reader *r, const char *problem)
{
    if (!r->problem)
        r->problem = problem;
}

static struct str take(struct reader *r, uint64_t size)
{
    if (!r->problem && size > r->bytes.len - r->at)
        fail(r, "the file ends in its header");
    if (r->problem)
        return STR_NONE;
    struct str taken = str_sub(r->bytes, r->at, r->at + size);
    r->at += size;
    return taken;
}

static uint64_t take_number(struct reader *r, size_t size)
{
    struct str bytes = take(r, size);
    uint64_t value = 0;
    for (size_t i = bytes.len; i > 0; i--)
        value = value << 8 | (unsigned char)bytes.ptr[i - 1];
    return value;
}

static struct str take_string(struct reader *r)
{
    return take(r, take_number(r, 8));
}

/* ---- metadata ---- */

static void skip_value(struct reader *r, uint64_t type, int depth);

static void skip_array(struct reader *r, int depth)
{
    uint64_t type = take_number(r, 4), count = take_number(r, 8), size;
    if (type >= VALUE_TYPES || depth >= ARRAY_DEPTH_MAX) {
        fail(r, "an array of an unknown type, or nested too deeply");
    } else if (value_sizes[type]) {
        if (__builtin_mul_overflow(count, (uint64_t)value_sizes[type], &size))
            size = UINT64_MAX;
        take(r, size);
    } else {
        for (; count > 0 && !r->problem; count--)
            skip_value(r, type, depth + 1);
    }
}

static void skip_value(struct reader *r, uint64_t type, int depth)
{
    if (type == VALUE_STRING)
        take_string(r);
    else if (type == VALUE_ARRAY)
        skip_array(r, depth);
    else if (type < VALUE_TYPES)
        take(r, value_sizes[type]);
    else
        fail(r, "a value of an unknown type");
}

static void keep_text(char to[GGUF_NAME_MAX], struct str text)
{
    snprintf(to, GGUF_NAME_MAX, "%.*s", (int)MIN(text.len, (size_t)GGUF_NAME_MAX - 1),
             text.ptr ? text.ptr : "");
}

/* Where a number of the architecture's own section ("llama.block_count") is kept; NULL: not wanted. */
static uint64_t *wanted_number(struct reader *r, struct str key)
{
    struct gguf_facts *f = r->facts;
    const struct {
        struct str name;
        uint64_t *place;
    } table[] = {
        {STR("context_length"), &f->context_length},
        {STR("block_count"), &f->layers},
        {STR("embedding_length"), &f->embedding_length},
        {STR("attention.head_count"), &f->heads},
        {STR("attention.head_count_kv"), &f->kv_heads},
        {STR("attention.key_length"), &f->key_length},
        {STR("attention.value_length"), &f->value_length},
    };
    struct str architecture = str_from(f->architecture);
    if (str_eq(key, STR("general.alignment")))
        return &r->alignment;
    if (!architecture.len || !str_starts(key, architecture) || key.len == architecture.len ||
        key.ptr[architecture.len] != '.')
        return NULL;
    key = str_sub(key, architecture.len + 1, key.len);
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        if (str_eq(key, table[i].name))
            return table[i].place;
    return NULL;
}

static void read_entry(struct reader *r)
{
    struct str key = take_string(r);
    uint64_t type = take_number(r, 4), *number = wanted_number(r, key);
    bool whole = type == VALUE_U32 || type == VALUE_I32 || type == VALUE_U64 || type == VALUE_I64;
    r->facts->has_chat_template |= str_eq(key, STR("tokenizer.chat_template"));
    if (type == VALUE_STRING && str_eq(key, STR("general.architecture")))
        keep_text(r->facts->architecture, take_string(r));
    else if (type == VALUE_STRING && str_eq(key, STR("general.name")))
        keep_text(r->facts->name, take_string(r));
    else if (number && whole)
        *number = take_number(r, value_sizes[type]);
    else
        skip_value(r, type, 0);
}

/* ---- tensors ---- */

/* The bytes of a tensor; 0 when its type is not known. */
static uint64_t tensor_bytes(struct reader *r, uint64_t type, uint64_t numbers)
{
    uint64_t blocks, bytes;
    if (type >= ARRAY_LEN(tensor_types) || tensor_types[type].numbers == 0)
        return 0;
    blocks = numbers / tensor_types[type].numbers;
    if (blocks * tensor_types[type].numbers != numbers)
        fail(r, "a tensor is no whole number of blocks");
    if (__builtin_mul_overflow(blocks, (uint64_t)tensor_types[type].bytes, &bytes))
        fail(r, "a tensor is too large");
    return bytes;
}

/* Returns where it ends, counted from the start of the data. */
static uint64_t read_tensor(struct reader *r)
{
    uint64_t numbers = 1, end;
    take_string(r);
    uint64_t dimensions = take_number(r, 4);
    if (dimensions > DIMENSIONS_MAX)
        fail(r, "a tensor has too many dimensions");
    for (uint64_t i = 0; i < dimensions && !r->problem; i++)
        if (__builtin_mul_overflow(numbers, take_number(r, 8), &numbers))
            fail(r, "a tensor is too large");
    uint64_t type = take_number(r, 4), offset = take_number(r, 8);
    if (offset % r->alignment)
        fail(r, "a tensor is not aligned");
    if (__builtin_add_overflow(offset, tensor_bytes(r, type, numbers), &end) ||
        __builtin_add_overflow(r->facts->parameters, numbers, &r->facts->parameters))
        fail(r, "a tensor is too large");
    return end;
}

static void read_header(struct reader *r)
{
    struct gguf_facts *f = r->facts;
    if (!str_eq(take(r, 4), STR("GGUF")))
        fail(r, "it does not begin with GGUF: not a model of this format");
    uint64_t version = take_number(r, 4);
    if (version < 2 || version > 3)
        fail(r, "a version of the format other than 2 and 3");
    f->tensors = take_number(r, 8);
    uint64_t entries = take_number(r, 8), data_end = 0;
    if (f->tensors > COUNT_MAX || entries > COUNT_MAX)
        fail(r, "a count that cannot be");
    for (uint64_t i = 0; i < entries && !r->problem; i++)
        read_entry(r);
    if (!r->alignment || r->alignment > 1 << 16 || r->alignment & (r->alignment - 1))
        fail(r, "an alignment that cannot be");
    for (uint64_t i = 0; i < f->tensors && !r->problem; i++) {
        uint64_t end = read_tensor(r);
        data_end = MAX(data_end, end);
    }
    if (r->problem)
        return;
    uint64_t data = (r->at + r->alignment - 1) & ~(r->alignment - 1);
    if (!f->architecture[0])
        fail(r, "it names no architecture");
    else if (data > r->bytes.len || data_end > r->bytes.len - data)
        fail(r, "tensors lie beyond the end of the file: it was cut off");
}

int gguf_read(struct str file, struct gguf_facts *ret_facts, struct err *err)
{
    struct gguf_facts facts = {.file_size = file.len};
    struct reader r = {.bytes = file, .facts = &facts, .alignment = ALIGNMENT_DEFAULT};
    read_header(&r);
    if (r.problem)
        return err_set(err, ERR_INVALID, "%s (at byte %zu)", r.problem, r.at);
    /* What the header leaves out follows from the rest (gguf.md). */
    if (!facts.kv_heads)
        facts.kv_heads = facts.heads;
    uint64_t head = facts.heads ? facts.embedding_length / facts.heads : 0;
    facts.key_length = facts.key_length ? facts.key_length : head;
    facts.value_length = facts.value_length ? facts.value_length : head;
    *ret_facts = facts;
    return 0;
}

int gguf_read_file(const char *path, struct gguf_facts *ret_facts, struct err *err)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st)) {
        int error = err_set(err, err_from_errno(errno), "model file %s: %s", path, strerror(errno));
        if (fd >= 0)
            close(fd);
        return error;
    }
    void *map = S_ISREG(st.st_mode) && st.st_size > 0
                    ? mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0)
                    : MAP_FAILED;
    close(fd);
    if (map == MAP_FAILED)
        return err_set(err, ERR_INVALID, "model file %s: empty, or no ordinary file", path);
    int error = gguf_read((struct str){map, (size_t)st.st_size}, ret_facts, err);
    munmap(map, (size_t)st.st_size);
    return error ? err_wrap(err, error, "model file %s", path) : 0;
}

uint64_t gguf_kv_bytes_per_token(const struct gguf_facts *f)
{
    enum { BYTES_PER_NUMBER = 2 };
    uint64_t numbers, bytes;
    if (__builtin_add_overflow(f->key_length, f->value_length, &numbers) ||
        __builtin_mul_overflow(numbers, f->kv_heads, &numbers) ||
        __builtin_mul_overflow(numbers, f->layers, &numbers) ||
        __builtin_mul_overflow(numbers, (uint64_t)BYTES_PER_NUMBER, &bytes))
        return 0;
    return bytes;
}
