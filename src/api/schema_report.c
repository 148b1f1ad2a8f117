/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "api/schema.h"

void schema_report_init(struct schema_report *r, struct arena *a)
{
    *r = (struct schema_report){.arena = a};
    r->tail = &r->first;
}

/* The member that a part of a path names: "args" or "args[2]". */
static const struct json *find_part(const struct json *node, struct str part)
{
    size_t bracket = str_find_char(part, '[');
    node = json_get(node, str_sub(part, 0, bracket));
    uint64_t index;
    if (!node || bracket == part.len ||
        str_to_u64(str_sub(part, bracket + 1, part.len - 1), &index))
        return node;
    const struct json *child = node->first;
    while (child && index-- > 0)
        child = child->next;
    return child;
}

/* The line of the named field, or of what is nearest to it. */
static uint32_t find_line(const struct json *node, const char *field)
{
    struct str rest = str_from(field), part;
    uint32_t line = node ? node->line : 0;
    while (node && str_split(&rest, '.', &part)) {
        node = find_part(node, part);
        if (node)
            line = node->line;
    }
    return line;
}

void schema_problem(struct schema_report *r, const char *field, const char *format, ...)
{
    if (r->count++ >= SCHEMA_PROBLEMS_MAX)
        return;
    char message[ERR_MESSAGE_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    struct schema_problem *problem = ARENA_NEW(r->arena, struct schema_problem);
    struct str text = arena_dup(r->arena, str_from(message));
    struct str path = arena_printf(r->arena, "%.*s%s%s", (int)r->path_len, r->path,
                                   r->path_len && field ? "." : "", field ? field : "");
    if (!problem || !text.ptr || !path.ptr) {
        r->no_memory = true;
        return;
    }
    *problem = (struct schema_problem){path, find_line(r->node, field), text, NULL};
    *r->tail = problem;
    r->tail = &problem->next;
}

int schema_report_result(const struct schema_report *r, struct err *err)
{
    if (r->no_memory)
        return err_set(err, ERR_NO_MEMORY, "the resource needs too much memory");
    if (r->count == 0)
        return 0;
    struct buf text;
    buf_init(&text, ERR_MESSAGE_MAX - 32); /* keeps room for the count of the others */
    size_t told = 0;
    for (const struct schema_problem *p = r->first; p; p = p->next) {
        size_t before = text.len;
        buf_put(&text, told ? STR("\n") : STR(""));
        if (p->line)
            buf_printf(&text, "line %u: ", p->line);
        buf_put(&text, p->path);
        buf_put(&text, p->path.len ? STR(": ") : STR(""));
        buf_put(&text, p->message);
        if (text.error && told) {
            text.error = 0;
            buf_truncate(&text, before);
            break;
        }
        told++;
    }
    size_t others = r->count - told;
    if (others)
        err_set(err, ERR_INVALID, "%.*s\n(and %zu more)", STR_ARG(buf_str(&text)), others);
    else
        err_set(err, ERR_INVALID, "%.*s", STR_ARG(buf_str(&text)));
    buf_fini(&text);
    return ERR_INVALID;
}
