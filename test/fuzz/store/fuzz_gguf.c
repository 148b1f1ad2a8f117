/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>

#include "store/gguf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gguf_facts facts;
    struct err err;
    if (gguf_read((struct str){(const char *)data, size}, &facts, &err) == 0) {
        CHECK(facts.architecture[0] && facts.file_size == size);
        (void)gguf_kv_bytes_per_token(&facts);
    } else {
        CHECK(err.code == ERR_INVALID && err.message[0]);
    }
    return 0;
}
