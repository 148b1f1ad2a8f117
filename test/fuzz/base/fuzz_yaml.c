/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever YAML is accepted survives being written and read again, as YAML and as JSON. */
#include "base/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BUDGET = 32 << 20 };

static void write_json(const struct json *root, struct buf *out)
{
    struct json_writer w;
    json_writer_init(&w, out, 0);
    json_tree(&w, root);
}

static void check_document(struct arena *arena, const struct json *document)
{
    struct buf yaml, first, second;
    struct json *again;
    struct err err;
    buf_init(&yaml, BUDGET);
    buf_init(&first, BUDGET);
    buf_init(&second, BUDGET);
    yaml_write(&yaml, document);
    write_json(document, &first);
    if (!yaml.error && !first.error) {
        int error = yaml_parse(arena, buf_str(&yaml), &again, &err);
        CHECK(error == 0 || error == ERR_NO_MEMORY);
        if (!error) {
            CHECK(again->count == 1);
            write_json(again->first, &second);
            CHECK(str_eq(buf_str(&first), buf_str(&second)));
        }
        error = json_parse(arena, buf_str(&first), &again, &err);
        CHECK(error == 0 || error == ERR_NO_MEMORY);
    }
    buf_fini(&yaml);
    buf_fini(&first);
    buf_fini(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct json *documents;
    struct err err = {0};
    arena_init(&arena, BUDGET);
    int error = yaml_parse(&arena, (struct str){(const char *)data, size}, &documents, &err);
    CHECK((error == 0) == (err.message[0] == 0));
    if (!error)
        json_each(document, documents) check_document(&arena, document);
    arena_fini(&arena);
    return 0;
}
