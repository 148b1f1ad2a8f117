/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes as a snapshot of routes: refused with a message, or the same after one more round. */
#include "api/routes_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BUDGET = 16 << 20 };

static int read_text(struct str text, const struct routes *former, struct routes **ret_routes,
                     struct err *err)
{
    struct arena arena;
    struct json *tree;
    arena_init(&arena, BUDGET);
    int error = json_parse(&arena, text, &tree, err);
    if (!error)
        error = routes_read_json(tree, former, ret_routes, err);
    arena_fini(&arena);
    return error;
}

static void write_text(const struct routes *r, struct buf *out)
{
    struct json_writer w;
    buf_init(out, BUDGET);
    json_writer_init(&w, out, 0);
    routes_write_json(r, &w);
}

/* The system's authorities take long to load: once is enough. */
static const struct routes *snapshot_before(void)
{
    static const struct str text = STR(
        "{\"version\":1,\"authorities\":[\"\"],\"models\":[{\"name\":\"m\",\"replicas\":[{\"id\":1,"
        "\"host\":\"h\",\"port\":1,\"upstream\":{\"url\":\"https://h\",\"authorities\":0}}]}]}");
    static struct routes *routes;
    int error = routes ? 0 : read_text(text, NULL, &routes, NULL);
    CHECK(!error);
    return routes;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct routes *routes = NULL, *again = NULL;
    struct buf first, second;
    struct err err = {0};
    int error = read_text((struct str){(const char *)data, size}, snapshot_before(), &routes, &err);
    CHECK(error == err.code && (error == 0) == (err.message[0] == 0));
    CHECK((error == 0) == (routes != NULL));
    if (error)
        return 0;
    write_text(routes, &first);
    error = read_text(buf_str(&first), routes, &again, NULL);
    CHECK(!error || first.error || error == ERR_NO_MEMORY);
    if (!error) {
        write_text(again, &second);
        CHECK(str_eq(buf_str(&first), buf_str(&second)));
        buf_fini(&second);
    }
    buf_fini(&first);
    routes_unref(routes);
    routes_unref(again);
    return 0;
}
