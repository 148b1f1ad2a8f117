/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Facts of a model file from its GGUF header, and whether the file is what it says: every offset inside it, every count bounded. The format:
 * ggml's docs/gguf.md, versions 2 and 3, little endian.
 *
 * Pure but for gguf_read_file. Ownership: strings are copied into the facts. Thread rule: none.
 */
#ifndef FAIRWAY_STORE_GGUF_H
#define FAIRWAY_STORE_GGUF_H

#include "base/err.h"
#include "base/str.h"

enum { GGUF_NAME_MAX = 64 };

struct gguf_facts {
    char architecture[GGUF_NAME_MAX]; /* "llama" */
    char name[GGUF_NAME_MAX];         /* "" when the file has none */
    uint64_t file_size;               /* bytes */
    uint64_t parameters;              /* numbers in all tensors */
    uint64_t tensors;
    uint64_t context_length; /* tokens that it was trained for; 0: not said */
    uint64_t layers, embedding_length, heads, kv_heads;
    uint64_t key_length, value_length; /* of one head */
    bool has_chat_template;
};

/* `file`: the whole file, mapped. ERR_INVALID with what is wrong and where. */
[[nodiscard]] int gguf_read(struct str file, struct gguf_facts *ret_facts, struct err *err);
[[nodiscard]] int gguf_read_file(const char *path, struct gguf_facts *ret_facts, struct err *err);

/* Bytes of key and value of one token in all layers, as 16-bit numbers; 0: unknown. */
uint64_t gguf_kv_bytes_per_token(const struct gguf_facts *facts);

#endif
