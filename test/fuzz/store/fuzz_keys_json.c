/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes as a table of keys: refused with a message, or the same after one more round. */
#include "store/keys_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BUDGET = 16 << 20 };

static int read_text(struct str text, struct key_table **ret_table, struct err *err)
{
    struct arena arena;
    struct json *tree;
    arena_init(&arena, BUDGET);
    int error = json_parse(&arena, text, &tree, err);
    if (!error)
        error = key_table_read_json(tree, ret_table, err);
    arena_fini(&arena);
    return error;
}

static void write_text(const struct key_table *t, struct buf *out)
{
    struct json_writer w;
    buf_init(out, BUDGET);
    json_writer_init(&w, out, 0);
    key_table_write_json(t, &w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct key_table *table = NULL, *again = NULL;
    struct buf first, second;
    struct err err = {0};
    int error = read_text((struct str){(const char *)data, size}, &table, &err);
    CHECK(error == err.code && (error == 0) == (err.message[0] == 0));
    CHECK((error == 0) == (table != NULL));
    if (error)
        return 0;
    write_text(table, &first);
    error = read_text(buf_str(&first), &again, NULL);
    CHECK(!error || first.error || error == ERR_NO_MEMORY);
    if (!error) {
        write_text(again, &second);
        CHECK(str_eq(buf_str(&first), buf_str(&second)));
        buf_fini(&second);
    }
    buf_fini(&first);
    key_table_free(table);
    key_table_free(again);
    return 0;
}
