/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes as a gateway's report: refused with a message, or the same after one more round. Orders are read by the same code. */
#include "api/gateway_sync.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BUDGET = 16 << 20 };

static int read_text(struct arena *a, struct str text, struct sync_report *ret_report,
                     struct err *err)
{
    struct json *tree;
    int error = json_parse(a, text, &tree, err);
    return error ? error : sync_report_read(a, tree, ret_report, err);
}

static void write_text(const struct sync_report *r, struct buf *out)
{
    struct json_writer w;
    buf_init(out, BUDGET);
    json_writer_init(&w, out, 0);
    sync_report_write(r, &w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sync_report report, again;
    struct arena arena;
    struct buf first, second;
    struct err err = {0};
    arena_init(&arena, BUDGET);
    int error = read_text(&arena, (struct str){(const char *)data, size}, &report, &err);
    CHECK(error == err.code && (error == 0) == (err.message[0] == 0));
    if (!error) {
        write_text(&report, &first);
        error = read_text(&arena, buf_str(&first), &again, NULL);
        CHECK(!error || first.error || error == ERR_NO_MEMORY);
        if (!error) {
            write_text(&again, &second);
            CHECK(str_eq(buf_str(&first), buf_str(&second)));
            buf_fini(&second);
        }
        buf_fini(&first);
    }
    arena_fini(&arena);
    return 0;
}
