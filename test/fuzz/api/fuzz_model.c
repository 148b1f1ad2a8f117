/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes as a manifest: refused with a message, or canonical after one round. */
#include "api/resource.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BUDGET = 16 << 20 };

static void encode(const struct resource *resource, struct buf *out)
{
    struct json_writer w;
    json_writer_init(&w, out, 0);
    resource_encode(resource, &w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct resource **resources, **again;
    size_t count = 0, again_count;
    struct err err = {0};
    arena_init(&arena, BUDGET);
    int error =
        resource_read(&arena, (struct str){(const char *)data, size}, &resources, &count, &err);
    CHECK((error == 0) == (err.message[0] == 0));
    for (size_t i = 0; !error && i < count; i++) {
        struct buf first, second;
        buf_init(&first, BUDGET);
        buf_init(&second, BUDGET);
        encode(resources[i], &first);
        error = resource_read(&arena, buf_str(&first), &again, &again_count, NULL);
        CHECK(error == 0 || error == ERR_NO_MEMORY);
        if (!error) {
            encode(again[0], &second);
            CHECK(str_eq(buf_str(&first), buf_str(&second)));
        }
        buf_fini(&first);
        buf_fini(&second);
    }
    arena_fini(&arena);
    return 0;
}
