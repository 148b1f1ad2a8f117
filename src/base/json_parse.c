/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json_lex.h"

struct parser {
    struct arena *arena;
    struct json_lexer lexer;
    struct json *parents[JSON_DEPTH_MAX];
    struct json **tails[JSON_DEPTH_MAX]; /* where the next child of each parent is linked */
    int depth;
    struct json *root;
    struct str key; /* of the value to come */
};

static int decode(struct parser *p, struct str raw, struct str *ret_text)
{
    char *text = arena_alloc(p->arena, raw.len); /* the quotes make room for a zero behind */
    if (!text)
        return ERR_NO_MEMORY;
    *ret_text = (struct str){text, json_unescape(raw, text)};
    return 0;
}

static int fill(struct parser *p, struct json *node, const struct json_token *token)
{
    switch (token->type) {
    case JSON_TOKEN_OPEN_OBJECT:
        node->type = JSON_OBJECT;
        return 0;
    case JSON_TOKEN_OPEN_ARRAY:
        node->type = JSON_ARRAY;
        return 0;
    case JSON_TOKEN_STRING:
        node->type = JSON_STRING;
        node->raw = token->raw;
        return decode(p, token->raw, &node->text);
    case JSON_TOKEN_NUMBER:
        node->type = JSON_NUMBER;
        node->raw = token->raw;
        node->number = json_number_value(token->raw);
        return 0;
    case JSON_TOKEN_TRUE:
    case JSON_TOKEN_FALSE:
        node->type = JSON_BOOL;
        node->boolean = token->type == JSON_TOKEN_TRUE;
        return 0;
    default:
        node->type = JSON_NULL;
        return 0;
    }
}

static void link_node(struct parser *p, struct json *node)
{
    if (p->depth == 0) {
        p->root = node;
    } else {
        *p->tails[p->depth - 1] = node;
        p->tails[p->depth - 1] = &node->next;
        p->parents[p->depth - 1]->count++;
    }
    if (node->type == JSON_OBJECT || node->type == JSON_ARRAY) {
        p->parents[p->depth] = node;
        p->tails[p->depth] = &node->first;
        p->depth++;
    }
}

static int add_token(struct parser *p, const struct json_token *token)
{
    if (token->type == JSON_TOKEN_CLOSE) {
        p->depth--;
        return 0;
    }
    if (token->type == JSON_TOKEN_KEY)
        return decode(p, token->raw, &p->key);
    struct json *node = ARENA_NEW(p->arena, struct json);
    if (!node)
        return ERR_NO_MEMORY;
    node->line = token->line;
    node->key = p->key;
    p->key = STR_NONE;
    int error = fill(p, node, token);
    if (!error)
        link_node(p, node);
    return error;
}

int json_parse(struct arena *a, struct str text, struct json **ret_root, struct err *err)
{
    struct parser p = {.arena = a};
    struct json_lexer *l = &p.lexer;
    json_lex_init(l, text);
    struct json_token token;
    int error;
    while (!(error = json_lex_next(l, &token)) && token.type != JSON_TOKEN_END) {
        error = add_token(&p, &token);
        if (error)
            return err_set(err, error, "line %u: the document needs too much memory", l->line);
    }
    if (error)
        return err_set(err, error, "line %u, column %zu: %s", l->line,
                       (size_t)(l->at - l->line_start) + 1, l->problem);
    *ret_root = p.root;
    return 0;
}

const struct json *json_get(const struct json *object, struct str key)
{
    const struct json *found = NULL;
    if (object && object->type == JSON_OBJECT)
        json_each(child, object) if (str_eq(child->key, key)) found = child;
    return found;
}

int json_i64(const struct json *node, int64_t *ret_value)
{
    if (!node || node->type != JSON_NUMBER)
        return ERR_INVALID;
    if (str_to_i64(node->raw, ret_value) == 0)
        return 0;
    if (!json_number_is_exact(node->number))
        return ERR_INVALID;
    *ret_value = (int64_t)node->number;
    return 0;
}
