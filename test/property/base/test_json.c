/* SPDX-License-Identifier: Apache-2.0 */
/* Random documents: written, read and written again they stay the same. Random bytes changed in
 * them: the scanner, the tree and a plain oracle agree on what is still JSON. */
#include "base/json.h"
#include "fuzz/base/json_oracle.h"
#include "test.h"

enum { DOCUMENTS = 3000, MUTATIONS = 40, BUDGET = 4 << 20 };

static uint64_t chance;

static struct str random_text(char *room, size_t max)
{
    static const char *const pieces[] = {"a",    "model", "\n",           "\"",
                                         "\\",   "\t",    "\x01",         "\xC3\xA9",
                                         "\x7F", "/",     "\xE2\x82\xAC", "\xF0\x9F\x98\x80"};
    size_t len = 0;
    for (size_t count = test_below(&chance, 12); count > 0; count--) {
        const char *piece = pieces[test_below(&chance, ARRAY_LEN(pieces))];
        if (len + strlen(piece) > max)
            break;
        memcpy(room + len, piece, strlen(piece));
        len += strlen(piece);
    }
    return (struct str){room, len};
}

static void write_value(struct json_writer *w, int depth)
{
    char room[64];
    uint64_t bits = test_random(&chance);
    double number;
    switch (test_below(&chance, depth < 6 ? 8 : 6)) {
    case 0:
        json_null(w);
        break;
    case 1:
        json_bool(w, bits & 1);
        break;
    case 2:
        json_int(w, (int64_t)bits);
        break;
    case 3:
        memcpy(&number, &bits, sizeof(number));
        json_double(w, number);
        break;
    case 4:
    case 5:
        json_str(w, random_text(room, sizeof(room)));
        break;
    case 6:
        json_array(w);
        for (uint64_t count = test_below(&chance, 5); count > 0; count--)
            write_value(w, depth + 1);
        json_end(w);
        break;
    default:
        json_object(w);
        for (uint64_t count = test_below(&chance, 5); count > 0; count--) {
            json_key(w, random_text(room, sizeof(room)));
            write_value(w, depth + 1);
        }
        json_end(w);
    }
}

static void write_document(struct buf *out)
{
    struct json_writer w;
    buf_clear(out);
    json_writer_init(&w, out, (int)test_below(&chance, 3));
    json_object(&w);
    json_key(&w, STR("model"));
    write_value(&w, 1);
    json_key(&w, STR("rest"));
    write_value(&w, 1);
    json_end(&w);
}

static void rewrite(const struct json *root, int indent, struct buf *out)
{
    struct json_writer w;
    buf_clear(out);
    json_writer_init(&w, out, indent);
    json_tree(&w, root);
}

static void test_write_parse_round_trip(void **state)
{
    uint64_t seed = chance = test_seed(1);
    struct buf first, compact, again;
    buf_init(&first, BUDGET);
    buf_init(&compact, BUDGET);
    buf_init(&again, BUDGET);
    for (int i = 0; i < DOCUMENTS; i++) {
        write_document(&first);
        struct arena arena;
        arena_init(&arena, BUDGET);
        struct json *root;
        PROPERTY(json_parse(&arena, buf_str(&first), &root, NULL) == 0, seed, i);
        rewrite(root, 0, &compact);
        PROPERTY(json_parse(&arena, buf_str(&compact), &root, NULL) == 0, seed, i);
        rewrite(root, 0, &again);
        PROPERTY(str_eq(buf_str(&compact), buf_str(&again)), seed, i);
        arena_fini(&arena);
    }
    buf_fini(&first);
    buf_fini(&compact);
    buf_fini(&again);
}

static void check_agreement(struct str text, uint64_t seed, int step)
{
    bool valid = oracle_is_json(text.ptr, text.len, JSON_DEPTH_MAX);
    struct arena arena;
    arena_init(&arena, BUDGET);
    struct json *root;
    bool parsed = json_parse(&arena, text, &root, NULL) == 0;
    PROPERTY(parsed == valid, seed, step);
    struct json_span span = {.key = STR("model")};
    size_t offset;
    bool scanned = json_scan(text, &span, 1, &offset) == 0;
    PROPERTY(scanned == (valid && oracle_is_object(text.ptr, text.len)), seed, step);
    const struct json *model = scanned ? json_get(root, STR("model")) : NULL;
    PROPERTY(!scanned || (model != NULL) == (span.value.ptr != NULL), seed, step);
    if (model && model->raw.ptr)
        PROPERTY(str_eq(model->raw, span.value), seed, step);
    arena_fini(&arena);
}

static void test_readers_agree_on_changed_bytes(void **state)
{
    static const char likely[] = "{}[]\",:\\u0aEe+-.tfn \n\x80\xC3\xED\xF4";
    uint64_t seed = chance = test_seed(2);
    struct buf text;
    buf_init(&text, BUDGET);
    for (int i = 0; i < DOCUMENTS; i++) {
        write_document(&text);
        check_agreement(buf_str(&text), seed, i);
        for (int m = 0; m < MUTATIONS; m++) {
            size_t at = test_below(&chance, text.len);
            char before = text.ptr[at];
            text.ptr[at] = test_below(&chance, 4) ? likely[test_below(&chance, sizeof(likely))]
                                                  : (char)test_random(&chance);
            check_agreement(buf_str(&text), seed, i);
            if (test_below(&chance, 4)) /* else they pile up */
                text.ptr[at] = before;
        }
        check_agreement(str_sub(buf_str(&text), 0, test_below(&chance, text.len)), seed, i);
    }
    buf_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write_parse_round_trip),
        cmocka_unit_test(test_readers_agree_on_changed_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
