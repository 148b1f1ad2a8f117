/* SPDX-License-Identifier: Apache-2.0 */
/* Tables for people, JSON and YAML for programs. */
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/yaml.h"
#include "cli/cli.h"

enum { TEXT_MAX = 64 * 1024 * 1024, GAP = 3 };

struct cli_table {
    size_t columns, cells, cap;
    char **cell; /* own, row by row; the headings first */
};

static void add_cell(struct cli_table *t, const char *text)
{
    if (t->cells == t->cap) {
        t->cap = MAX(t->cap * 2, (size_t)64);
        t->cell = mem_resize(t->cell, t->cap * sizeof(char *));
    }
    t->cell[t->cells++] = mem_strdup(text);
}

struct cli_table *cli_table_new(const char *const *headings, size_t columns)
{
    struct cli_table *t = NEW(struct cli_table);
    t->columns = columns;
    for (size_t i = 0; i < columns; i++)
        add_cell(t, headings[i]);
    return t;
}

void cli_table_cell(struct cli_table *t, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    add_cell(t, text);
}

/* Characters, not bytes: each is one column wide. */
static size_t width_of(const char *text)
{
    size_t width = 0;
    for (; *text; text++)
        width += (*text & 0xc0) != 0x80;
    return width;
}

static size_t column_width(const struct cli_table *t, size_t column)
{
    size_t width = 0;
    for (size_t i = column; i < t->cells; i += t->columns)
        width = MAX(width, width_of(t->cell[i]));
    return width;
}

void cli_table_print(struct cli_table *t)
{
    for (size_t i = 0; i < t->cells; i++) {
        size_t column = i % t->columns;
        if (column + 1 < t->columns)
            printf("%s%*s", t->cell[i], (int)(column_width(t, column) - width_of(t->cell[i]) + GAP),
                   "");
        else
            printf("%s\n", t->cell[i]);
    }
    for (size_t i = 0; i < t->cells; i++)
        mem_free(t->cell[i]);
    mem_free(t->cell);
    mem_free(t);
}

int cli_output_parse(const char *text, enum cli_output *ret_output)
{
    static const struct {
        const char *name;
        enum cli_output output;
    } names[] = {{"table", CLI_TABLE}, {"json", CLI_JSON}, {"yaml", CLI_YAML}};
    if (!text) {
        *ret_output = CLI_TABLE;
        return 0;
    }
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (strcmp(text, names[i].name) == 0) {
            *ret_output = names[i].output;
            return 0;
        }
    }
    return ERR_INVALID;
}

void cli_print_tree(const struct json *tree, enum cli_output output)
{
    struct buf text;
    buf_init(&text, TEXT_MAX);
    if (output == CLI_YAML) {
        yaml_write(&text, tree);
    } else {
        struct json_writer w;
        json_writer_init(&w, &text, 2);
        json_tree(&w, tree);
        buf_put_char(&text, '\n');
    }
    fwrite(text.ptr, 1, text.len, stdout);
    buf_fini(&text);
}

const char *cli_text(const struct json *node, const char *fallback)
{
    return node && node->type == JSON_STRING ? node->text.ptr : fallback;
}

double cli_number(const struct json *object, struct str key)
{
    const struct json *node = json_get(object, key);
    return node && node->type == JSON_NUMBER ? node->number : 0;
}

struct str cli_age(struct arena *a, struct str rfc3339)
{
    struct tm utc = {0};
    char text[NSEC_TEXT_MAX];
    struct str copy = arena_dup(a, rfc3339);
    if (!copy.ptr || !strptime(copy.ptr, "%Y-%m-%dT%H:%M:%S", &utc))
        return STR("-");
    nsec age = clock_wall() - SEC(timegm(&utc));
    age = MAX(age - age % NSEC_PER_SEC, 0);
    return arena_dup(a, str_from(age ? nsec_format(age, text) : "0s"));
}
