/* SPDX-License-Identifier: Apache-2.0 */
#include "base/yaml.h"

#include <yaml.h>

#include "base/yaml_scalar.h"

/* A mapping or sequence that is not closed yet. */
struct level {
    struct json *node;
    struct json **tail; /* where its next child is linked */
    struct str key;     /* of the value to come; ptr NULL while a key must come */
};

struct anchor {
    struct str name;
    struct json *node;
};

struct builder {
    struct arena *arena;
    struct err *err;
    struct level levels[JSON_DEPTH_MAX + 1]; /* the first one is the array of documents */
    int depth;
    struct anchor anchors[YAML_ANCHORS_MAX];
    size_t anchor_count, alias_nodes;
    yaml_mark_t mark; /* of the event at hand */
};

static int fail(struct builder *b, const char *problem, struct str name)
{
    return err_set(b->err, ERR_PARSE, "line %zu, column %zu: %s%.*s", b->mark.line + 1,
                   b->mark.column + 1, problem, STR_ARG(name));
}

static int no_memory(struct builder *b)
{
    return err_set(b->err, ERR_NO_MEMORY, "line %zu: the document needs too much memory",
                   b->mark.line + 1);
}

static struct str from_yaml(const yaml_char_t *text)
{
    return str_from((const char *)text);
}

static struct level *top(struct builder *b)
{
    return &b->levels[b->depth - 1];
}

/* ---- the tree ---- */

static struct json *new_node(struct builder *b, enum json_type type)
{
    struct json *node = ARENA_NEW(b->arena, struct json);
    if (node) {
        node->type = type;
        node->line = (uint32_t)b->mark.line + 1;
    }
    return node;
}

static void link_node(struct builder *b, struct json *node)
{
    struct level *level = top(b);
    node->key = level->key;
    level->key = STR_NONE;
    *level->tail = node;
    level->tail = &node->next;
    level->node->count++;
}

static int set_key(struct builder *b, struct str key)
{
    struct level *level = top(b);
    json_each(sibling, level->node)
    {
        if (str_eq(sibling->key, key))
            return fail(b, "key given twice: ", key);
    }
    if (level->node->count == YAML_MEMBERS_MAX)
        return fail(b, "too many keys in one mapping", STR(""));
    level->key = arena_dup(b->arena, key);
    return level->key.ptr ? 0 : no_memory(b);
}

static bool wants_key(struct builder *b)
{
    return top(b)->node->type == JSON_OBJECT && !top(b)->key.ptr;
}

static int add_anchor(struct builder *b, const yaml_char_t *name, struct json *node)
{
    if (!name)
        return 0;
    if (b->anchor_count == YAML_ANCHORS_MAX)
        return fail(b, "too many anchors", STR(""));
    struct str copy = arena_dup(b->arena, from_yaml(name));
    if (!copy.ptr)
        return no_memory(b);
    b->anchors[b->anchor_count++] = (struct anchor){copy, node};
    return 0;
}

static int check_tag(struct builder *b, const yaml_char_t *tag, const char *allowed)
{
    struct str name = from_yaml(tag);
    if (!tag || str_eq(name, STR("!")) || str_eq(name, str_from(allowed)))
        return 0;
    return fail(b, "unsupported tag ", name);
}

/* ---- aliases are copies ---- */

static int copy_tree(struct builder *b, const struct json *from, int depth, struct json **ret_copy)
{
    if (++b->alias_nodes > YAML_ALIAS_NODES_MAX)
        return fail(b, "aliases stand for too much", STR(""));
    bool container = from->type == JSON_OBJECT || from->type == JSON_ARRAY;
    if (container && depth > JSON_DEPTH_MAX)
        return fail(b, "nested too deeply", STR(""));
    struct json *copy = new_node(b, from->type);
    if (!copy)
        return no_memory(b);
    *copy = *from;
    copy->next = NULL;
    if (container) {
        struct json **tail = &copy->first;
        json_each(child, from)
        {
            int error = copy_tree(b, child, depth + 1, tail);
            if (error)
                return error;
            tail = &(*tail)->next;
        }
    }
    *ret_copy = copy;
    return 0;
}

static int on_alias(struct builder *b, const yaml_event_t *event)
{
    struct str name = from_yaml(event->data.alias.anchor);
    size_t i = b->anchor_count;
    while (i > 0 && !str_eq(b->anchors[i - 1].name, name))
        i--;
    if (i == 0)
        return fail(b, "unknown anchor: ", name);
    struct json *target = b->anchors[i - 1].node, *copy = NULL;
    if (wants_key(b))
        return fail(b, "an alias cannot be a key: ", name);
    for (int level = 0; level < b->depth; level++)
        if (b->levels[level].node == target)
            return fail(b, "alias inside what it stands for: ", name);
    int error = copy_tree(b, target, b->depth, &copy);
    if (!error)
        link_node(b, copy);
    return error;
}

/* ---- events ---- */

static int on_scalar(struct builder *b, const yaml_event_t *event)
{
    struct str text = {(const char *)event->data.scalar.value, event->data.scalar.length};
    int error = check_tag(b, event->data.scalar.tag, YAML_STR_TAG);
    if (error)
        return error;
    if (wants_key(b))
        return event->data.scalar.anchor ? fail(b, "a key cannot have an anchor: ", text)
                                         : set_key(b, text);
    struct json *node = new_node(b, JSON_STRING);
    if (!node)
        return no_memory(b);
    bool plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && !event->data.scalar.tag;
    error = plain ? yaml_resolve(b->arena, text, node) : 0;
    if (error == ERR_INVALID)
        return fail(b, "not a number that can be used: ", text);
    if (!error && node->type == JSON_STRING) {
        node->text = arena_dup(b->arena, text);
        error = node->text.ptr ? 0 : ERR_NO_MEMORY;
    }
    if (error)
        return no_memory(b);
    bool empty_document = b->depth == 1 && plain && text.len == 0;
    if (!empty_document)
        link_node(b, node);
    return add_anchor(b, event->data.scalar.anchor, node);
}

static int on_start(struct builder *b, enum json_type type, const yaml_char_t *anchor)
{
    if (wants_key(b))
        return fail(b, "a key must be text", STR(""));
    if (b->depth > JSON_DEPTH_MAX)
        return fail(b, "nested too deeply", STR(""));
    struct json *node = new_node(b, type);
    if (!node)
        return no_memory(b);
    link_node(b, node);
    b->levels[b->depth++] = (struct level){.node = node, .tail = &node->first};
    return add_anchor(b, anchor, node);
}

static int on_document(struct builder *b)
{
    b->anchor_count = 0;
    if (top(b)->node->count == YAML_DOCUMENTS_MAX)
        return fail(b, "too many documents", STR(""));
    return 0;
}

static int on_event(struct builder *b, const yaml_event_t *event)
{
    int error;
    b->mark = event->start_mark;
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        return on_document(b);
    case YAML_ALIAS_EVENT:
        return on_alias(b, event);
    case YAML_SCALAR_EVENT:
        return on_scalar(b, event);
    case YAML_SEQUENCE_START_EVENT:
        error = check_tag(b, event->data.sequence_start.tag, YAML_SEQ_TAG);
        return error ? error : on_start(b, JSON_ARRAY, event->data.sequence_start.anchor);
    case YAML_MAPPING_START_EVENT:
        error = check_tag(b, event->data.mapping_start.tag, YAML_MAP_TAG);
        return error ? error : on_start(b, JSON_OBJECT, event->data.mapping_start.anchor);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        b->depth--;
        return 0;
    default:
        return 0;
    }
}

static int syntax_error(struct builder *b, const yaml_parser_t *parser)
{
    const char *problem = parser->problem ? parser->problem : "cannot be parsed";
    if (parser->error == YAML_MEMORY_ERROR)
        return no_memory(b);
    if (parser->error == YAML_READER_ERROR)
        return err_set(b->err, ERR_PARSE, "byte %zu: %s", parser->problem_offset, problem);
    b->mark = parser->problem_mark;
    return fail(b, problem, STR(""));
}

static int read_events(struct builder *b, yaml_parser_t *parser)
{
    for (;;) {
        yaml_event_t event;
        if (!yaml_parser_parse(parser, &event))
            return syntax_error(b, parser);
        bool end = event.type == YAML_STREAM_END_EVENT;
        int error = on_event(b, &event);
        yaml_event_delete(&event);
        if (error || end)
            return error;
    }
}

int yaml_parse(struct arena *a, struct str text, struct json **ret_documents, struct err *err)
{
    struct builder b = {.arena = a, .err = err};
    struct json *documents = new_node(&b, JSON_ARRAY);
    yaml_parser_t parser;
    if (!documents || !yaml_parser_initialize(&parser))
        return no_memory(&b);
    b.levels[b.depth++] = (struct level){.node = documents, .tail = &documents->first};
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)(text.ptr ? text.ptr : ""),
                                 text.len);
    int error = read_events(&b, &parser);
    yaml_parser_delete(&parser);
    if (!error)
        *ret_documents = documents;
    return error;
}
