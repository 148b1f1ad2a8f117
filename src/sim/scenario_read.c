/* SPDX-License-Identifier: Apache-2.0 */
/* From a file to a scenario and back: changes of the command line, decoding, writing, and its curves. */
#include "base/yaml.h"
#include "sim/scenario_internal.h"

#define TREE_MAX (16 * SCENARIO_FILE_MAX)

/* ---- changes ---- */

/* "list[2]" is the member "list" and the index behind it. */
struct step {
    struct str key;
    bool has_index;
    uint64_t index;
};

static bool parse_step(struct str part, struct step *step)
{
    size_t bracket = str_find_char(part, '[');
    step->key = str_sub(part, 0, bracket);
    step->has_index = bracket < part.len;
    return step->key.len && (!step->has_index ||
                             (part.ptr[part.len - 1] == ']' &&
                              !str_to_u64(str_sub(part, bracket + 1, part.len - 1), &step->index)));
}

static struct json *child_at(struct json *list, uint64_t index)
{
    struct json *child = list && list->type == JSON_ARRAY ? list->first : NULL;
    while (child && index-- > 0)
        child = child->next;
    return child;
}

/* The member of an object, or the item of a list that has this name. */
static struct json *child_named(struct json *parent, struct str name)
{
    if (parent->type == JSON_OBJECT)
        for (struct json *child = parent->first; child; child = child->next)
            if (str_eq(child->key, name))
                return child;
    if (parent->type == JSON_ARRAY)
        for (struct json *child = parent->first; child; child = child->next) {
            const struct json *own = json_get(child, STR("name"));
            if (own && own->type == JSON_STRING && str_eq(own->text, name))
                return child;
        }
    return NULL;
}

static struct json *add_member(struct arena *a, struct json *object, struct str name)
{
    struct json *child = ARENA_NEW(a, struct json);
    if (!child)
        return NULL;
    *child = (struct json){.type = JSON_OBJECT, .key = name, .line = object->line};
    struct json **end = &object->first;
    while (*end)
        end = &(*end)->next;
    *end = child;
    object->count++;
    return child;
}

/* Members that are not there are made. */
static struct json *find(struct arena *a, struct json *root, struct str path)
{
    struct json *node = root;
    for (struct str part; node && str_split(&path, '.', &part);) {
        struct step step;
        if (!parse_step(part, &step))
            return NULL;
        struct json *child = child_named(node, step.key);
        if (!child && node->type == JSON_OBJECT && !step.has_index)
            child = add_member(a, node, step.key);
        node = step.has_index ? child_at(child, step.index) : child;
    }
    return node;
}

static int change(struct arena *a, struct json *root, struct str text, struct err *err)
{
    size_t equals = str_find_char(text, '=');
    struct str path = str_sub(text, 0, equals);
    struct json *values;
    if (equals == text.len || !path.len)
        return err_set(err, ERR_INVALID, "\"%.*s\" is no change; write path=value", STR_ARG(text));
    int error = yaml_parse(a, str_sub(text, equals + 1, text.len), &values, err);
    if (error)
        return err_wrap(err, error, "%.*s", STR_ARG(text));
    if (values->count != 1)
        return err_set(err, ERR_INVALID, "%.*s: has no value", STR_ARG(text));
    struct json *node = find(a, root, path);
    if (!node)
        return err_set(err, ERR_NOT_FOUND,
                       "%.*s: there is no such place in the file; write it as in "
                       "nodes[0].count=4 or nodes.NAME.count=4",
                       STR_ARG(path));
    struct json *next = node->next;
    struct str key = node->key;
    uint32_t line = node->line;
    *node = *values->first;
    node->next = next;
    node->key = key;
    node->line = line;
    return 0;
}

/* ---- reading ---- */

int scenario_read(struct arena *a, struct str text, const char *const *changes, size_t change_count,
                  struct scenario **ret_scenario, struct err *err)
{
    struct json *documents;
    struct scenario *s = ARENA_NEW(a, struct scenario);
    int error = yaml_parse(a, text, &documents, err);
    if (error)
        return error;
    if (documents->count != 1 || documents->first->type != JSON_OBJECT)
        return err_set(err, ERR_INVALID, "a scenario is one document, a YAML mapping");
    for (size_t i = 0; !error && i < change_count; i++)
        error = change(a, documents->first, str_from(changes[i]), err);
    if (error)
        return error;
    if (!s)
        return err_set(err, ERR_NO_MEMORY, "the scenario needs too much memory");
    struct schema_report report;
    schema_report_init(&report, a);
    scenario_decode(documents->first, s, &report);
    error = schema_report_result(&report, err);
    if (!error)
        *ret_scenario = s;
    return error;
}

/* ---- writing ---- */

void scenario_write(const struct scenario *s, struct buf *out)
{
    struct json_writer w;
    struct arena a;
    struct json *tree;
    struct buf text;
    struct err err;
    arena_init(&a, TREE_MAX);
    buf_init(&text, SCENARIO_FILE_MAX);
    json_writer_init(&w, &text, 0);
    scenario_encode(s, &w);
    int error = text.error ? text.error : json_parse(&a, buf_str(&text), &tree, &err);
    if (error)
        out->error = error;
    else
        yaml_write(out, tree);
    buf_fini(&text);
    arena_fini(&a);
}

/* ---- names ---- */

int scenario_queue_find(const struct scenario *s, struct str name)
{
    for (size_t i = 0; name.len && i < s->queues.count; i++)
        if (str_eq(scenario_queues(s)[i].name, name))
            return (int)i;
    return -1;
}

bool scenario_node_find(const struct scenario *s, struct str name, size_t *ret_index)
{
    size_t first = 0;
    for (size_t i = 0; i < s->nodes.count; i++) {
        const struct scenario_nodes *n = &scenario_nodes(s)[i];
        uint64_t number = 0;
        bool numbered = n->count > 1 && str_starts(name, n->name) && name.len > n->name.len &&
                        name.ptr[n->name.len] == '-' &&
                        !str_to_u64(str_sub(name, n->name.len + 1, name.len), &number) &&
                        number >= 1 && number <= (uint64_t)n->count;
        if (numbered || (n->count == 1 && str_eq(name, n->name))) {
            *ret_index = first + (numbered ? number - 1 : 0);
            return true;
        }
        first += (size_t)n->count;
    }
    return false;
}

/* ---- curves ---- */

/* A point of either kind of curve. */
struct point {
    nsec at;
    int64_t value;
};
_Static_assert(sizeof(struct point) == sizeof(struct scenario_step), "alike");
_Static_assert(sizeof(struct point) == sizeof(struct scenario_factor), "alike");

/* The point that holds at this time of the day, and the one after it, around midnight. */
static int64_t curve_at(const struct schema_objects *curve, nsec day, nsec at, bool lines)
{
    const struct point *points = (const struct point *)curve->items;
    size_t n = curve->count, i = n - 1;
    CHECK(n > 0 && day > 0);
    at %= day;
    for (size_t k = 0; k < n && points[k].at <= at; k++)
        i = k;
    if (!lines || n == 1)
        return points[i].value;
    const struct point *from = &points[i], *to = &points[(i + 1) % n];
    nsec since = (at - from->at + day) % day, length = (to->at - from->at + day) % day;
    double part = (double)since / (double)length;
    return from->value + (int64_t)((double)(to->value - from->value) * part);
}

int64_t scenario_factor_at(const struct schema_objects *curve, nsec day, nsec at)
{
    return curve->count ? curve_at(curve, day, at, true) : PLACE_MILLI;
}

int64_t scenario_replicas_at(const struct scenario_service *s, nsec day, nsec at)
{
    return curve_at(&s->replicas, day, at, s->between == SCENARIO_LINES);
}
