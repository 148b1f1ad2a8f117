/* SPDX-License-Identifier: Apache-2.0 */
/* Random trees, written as YAML and read again, are the same. */
#include "base/yaml.h"
#include "test.h"

enum { DOCUMENTS = 1500, BUDGET = 4 << 20 };

static uint64_t chance;

static struct str random_text(char *room, size_t max)
{
    static const char *const pieces[] = {"a",
                                         "key",
                                         "12",
                                         "-",
                                         " ",
                                         ":",
                                         "#",
                                         "\n",
                                         "\"",
                                         "'",
                                         "\\",
                                         "\t",
                                         "\x7F",
                                         "1e",
                                         "true",
                                         "null",
                                         "\xC2\x85",
                                         "\xE2\x80\xA8",
                                         "\xEF\xBB\xBF",
                                         "~",
                                         "0x",
                                         "\x01",
                                         "{",
                                         "]",
                                         ",",
                                         "&",
                                         "*",
                                         "!",
                                         "|",
                                         "\r"};
    size_t len = 0;
    for (size_t count = test_below(&chance, 5); count > 0; count--) {
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
    char room[64], key[80];
    switch (test_below(&chance, depth < 6 ? 9 : 5)) {
    case 0:
        json_null(w);
        break;
    case 1:
        json_bool(w, test_below(&chance, 2));
        break;
    case 2:
        json_int(w, (int64_t)test_random(&chance));
        break;
    case 3:
    case 4:
        json_str(w, random_text(room, sizeof(room)));
        break;
    case 5:
    case 6:
        json_array(w);
        for (uint64_t count = test_below(&chance, 5); count > 0; count--)
            write_value(w, depth + 1);
        json_end(w);
        break;
    default:
        json_object(w);
        for (uint64_t count = test_below(&chance, 5); count > 0; count--) {
            struct str text = random_text(room, sizeof(room));
            int len = snprintf(key, sizeof(key), "%.*s%d", STR_ARG(text), (int)count); /* unique */
            json_key(w, (struct str){key, (size_t)len});
            write_value(w, depth + 1);
        }
        json_end(w);
    }
}

static void to_json(const struct json *root, struct buf *out)
{
    struct json_writer w;
    buf_clear(out);
    json_writer_init(&w, out, 0);
    json_tree(&w, root);
}

static void test_round_trips(void **state)
{
    uint64_t seed = chance = test_seed(1);
    struct buf text, yaml, again;
    buf_init(&text, BUDGET);
    buf_init(&yaml, BUDGET);
    buf_init(&again, BUDGET);
    for (int i = 0; i < DOCUMENTS; i++) {
        struct arena arena;
        struct json *root, *documents;
        struct json_writer w;
        arena_init(&arena, BUDGET);
        buf_clear(&text);
        json_writer_init(&w, &text, 0);
        write_value(&w, 0);
        PROPERTY(json_parse(&arena, buf_str(&text), &root, NULL) == 0, seed, i);
        buf_clear(&yaml);
        yaml_write(&yaml, root);
        PROPERTY(yaml_parse(&arena, buf_str(&yaml), &documents, NULL) == 0, seed, i);
        PROPERTY(documents->count == 1, seed, i);
        to_json(documents->first, &again);
        PROPERTY(str_eq(buf_str(&text), buf_str(&again)), seed, i);
        arena_fini(&arena);
    }
    buf_fini(&text);
    buf_fini(&yaml);
    buf_fini(&again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_round_trips)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
