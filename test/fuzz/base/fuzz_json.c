/* SPDX-License-Identifier: Apache-2.0 */
/* The scanner, the tree and a plain oracle agree on what is JSON; what is, survives being written.
 */
#include "base/json.h"
#include "json_oracle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_round_trip(struct arena *arena, const struct json *root)
{
    struct buf first, second;
    buf_init(&first, 16 << 20);
    buf_init(&second, 16 << 20);
    struct json_writer w;
    json_writer_init(&w, &first, 1);
    json_tree(&w, root);
    struct json *again;
    if (!first.error && json_parse(arena, buf_str(&first), &again, NULL) == 0) {
        json_writer_init(&w, &second, 1);
        json_tree(&w, again);
        CHECK(str_eq(buf_str(&first), buf_str(&second)));
    }
    buf_fini(&first);
    buf_fini(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size};
    bool valid = oracle_is_json(data, size, JSON_DEPTH_MAX);
    struct arena arena;
    arena_init(&arena, 16 << 20);
    struct json *root;
    struct err err;
    int error = json_parse(&arena, text, &root, &err);
    CHECK(error == ERR_NO_MEMORY || (error == 0) == valid);

    struct json_span spans[] = {{.key = STR("a")}, {.key = STR("model")}};
    size_t offset = 0;
    bool scanned = json_scan(text, spans, ARRAY_LEN(spans), &offset) == 0;
    CHECK(scanned == (valid && oracle_is_object(data, size)));
    CHECK(offset <= size);
    for (size_t i = 0; scanned && !error && i < ARRAY_LEN(spans); i++) {
        const struct json *member = json_get(root, spans[i].key);
        CHECK((member != NULL) == (spans[i].value.ptr != NULL));
        if (member && member->raw.ptr)
            CHECK(str_eq(member->raw, spans[i].value));
        if (member)
            CHECK(oracle_is_json(spans[i].value.ptr, spans[i].value.len, JSON_DEPTH_MAX));
    }
    if (!error)
        check_round_trip(&arena, root);
    arena_fini(&arena);
    return 0;
}
