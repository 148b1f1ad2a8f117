/* SPDX-License-Identifier: Apache-2.0 */
/* Random manifests drawn from the tables: what is accepted is the same after being written as JSON
 * or YAML and read again. */
#include "api/quantity.h"
#include "api/resource.h"
#include "base/yaml.h"
#include "test.h"

enum { MANIFESTS = 4000, KINDS = 4, BUDGET = 4 << 20 };

static uint64_t chance;

static struct str random_text(const struct schema_field *field)
{
    static const struct {
        const char *name, *text;
    } fixed[] = {
        {"uri", "hf://o/n.gguf"},
        {"mig", "1g.10gb"},
        {"gpuModels", "H100-80G"},
        {"tenant", "team-a"},
        {"workingDirectory", "/w"},
        {"name", "chat-7"},
        {"env", "HOME"},
        {"digest", "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"},
    };
    static const char *const others[] = {"x", "True", "12", "a b", "\xE2\x82\xAC", "1e3", "\"q\\"};
    for (size_t i = 0; i < ARRAY_LEN(fixed); i++)
        if (strcmp(field->name, fixed[i].name) == 0)
            return str_from(fixed[i].text);
    return field->check ? STR("alias/a.b")
                        : str_from(others[test_below(&chance, ARRAY_LEN(others))]);
}

static int64_t random_number(const struct schema_field *field)
{
    int64_t max = field->max ? field->max : INT64_MAX;
    uint64_t draw = test_random(&chance) >> test_below(&chance, 64);
    return field->min + (int64_t)(draw % ((uint64_t)(max - field->min) + (max != INT64_MAX)));
}

static void write_object(const struct schema *schema, struct json_writer *w);

static void write_scalar(const struct schema_field *field, struct json_writer *w)
{
    char text[32];
    size_t values = 0;
    switch (field->type) {
    case SCHEMA_STRING:
        json_str(w, random_text(field));
        break;
    case SCHEMA_INT:
    case SCHEMA_BYTES:
        json_int(w, random_number(field));
        break;
    case SCHEMA_MILLI:
        snprintf(text, sizeof(text), "%dm", (int)test_below(&chance, 100000));
        json_str(w, str_from(text));
        break;
    case SCHEMA_MONEY:
        snprintf(text, sizeof(text), "%d.%06d", 1 + (int)test_below(&chance, 100),
                 (int)test_below(&chance, QUANTITY_MILLIONTHS));
        json_str(w, str_from(text));
        break;
    case SCHEMA_BOOL:
        json_bool(w, test_below(&chance, 2));
        break;
    case SCHEMA_DURATION:
        snprintf(text, sizeof(text), "%lldns", (long long)random_number(field));
        json_str(w, str_from(text));
        break;
    default:
        while (field->values[values])
            values++;
        json_str(w, str_from(field->values[test_below(&chance, values)]));
    }
}

static void write_field(const struct schema_field *field, struct json_writer *w)
{
    uint64_t count = test_below(&chance, 3);
    switch (field->type) {
    case SCHEMA_OBJECT:
        write_object(field->object, w);
        break;
    case SCHEMA_MAP:
        json_object(w);
        if (count) {
            json_key(w, field->check ? STR("KEY") : STR("k"));
            json_str(w, STR("v: #1"));
        }
        json_end(w);
        break;
    case SCHEMA_STRINGS:
    case SCHEMA_OBJECTS:
        json_array(w);
        for (; count; count--) {
            if (field->type == SCHEMA_OBJECTS)
                write_object(field->object, w);
            else
                json_str(w, random_text(field));
        }
        json_end(w);
        break;
    default:
        write_scalar(field, w);
    }
}

static void write_object(const struct schema *schema, struct json_writer *w)
{
    json_object(w);
    for (size_t i = 0; i < schema->field_count; i++) {
        const struct schema_field *field = &schema->fields[i];
        if (field->required || test_below(&chance, 2)) {
            json_key(w, str_from(field->name));
            write_field(field, w);
        }
    }
    json_end(w);
}

static bool reencode(struct arena *a, struct str text, struct buf *out)
{
    struct resource **resources;
    size_t count;
    struct json_writer w;
    buf_clear(out);
    if (resource_read(a, text, &resources, &count, NULL) || count != 1)
        return false;
    json_writer_init(&w, out, 0);
    resource_encode(resources[0], &w);
    return true;
}

static void test_round_trips(void **state)
{
    uint64_t seed = chance = test_seed(1);
    struct buf text, first, again;
    int accepted[KINDS] = {0};
    assert_null(resource_kinds[KINDS]);
    buf_init(&text, BUDGET);
    buf_init(&first, BUDGET);
    buf_init(&again, BUDGET);
    for (int i = 0; i < MANIFESTS; i++) {
        struct json_writer w;
        struct json *root;
        struct arena arena;
        arena_init(&arena, BUDGET);
        buf_clear(&text);
        json_writer_init(&w, &text, 0);
        write_object(resource_kinds[i % KINDS]->schema, &w);
        if (reencode(&arena, buf_str(&text), &first)) {
            accepted[i % KINDS]++;
            PROPERTY(reencode(&arena, buf_str(&first), &again), seed, i);
            PROPERTY(str_eq(buf_str(&first), buf_str(&again)), seed, i);
            PROPERTY(json_parse(&arena, buf_str(&first), &root, NULL) == 0, seed, i);
            buf_clear(&text);
            yaml_write(&text, root);
            PROPERTY(reencode(&arena, buf_str(&text), &again), seed, i);
            PROPERTY(str_eq(buf_str(&first), buf_str(&again)), seed, i);
        }
        arena_fini(&arena);
    }
    for (int i = 0; i < KINDS; i++)
        PROPERTY(accepted[i] > MANIFESTS / KINDS / 50, seed, accepted[i]);
    buf_fini(&text);
    buf_fini(&first);
    buf_fini(&again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_round_trips)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
