/* SPDX-License-Identifier: Apache-2.0 */
#include "base/utf8.h"
#include "base/yaml.h"
#include "base/yaml_scalar.h"

enum { STEP = 2 };

static void put_indent(struct buf *out, int indent)
{
    for (int i = 0; i < indent; i++)
        buf_put_char(out, ' ');
}

/* ---- strings ---- */

static bool is_letter_or_digit(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Words that older readers take for something else than text. */
static bool is_old_word(struct str text)
{
    static const struct str words[] = {STR("y"),   STR("n"),    STR("yes"),   STR("no"),  STR("on"),
                                       STR("off"), STR("true"), STR("false"), STR("null")};
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (str_eq_nocase(text, words[i]))
            return true;
    return false;
}

static bool is_number(struct str text)
{
    struct arena scratch;
    struct json node;
    arena_init(&scratch, 4096);
    bool number = yaml_resolve(&scratch, text, &node) || node.type != JSON_STRING;
    arena_fini(&scratch);
    return number;
}

/* May the text stand without quotes? Stricter than YAML: what any reader could take for a number, a
 * date or a word of the language gets quotes. */
static bool is_plain(struct str text)
{
    if (text.len == 0 || text.len > 1000 || is_old_word(text))
        return false;
    bool digit = text.ptr[0] >= '0' && text.ptr[0] <= '9';
    if (!is_letter_or_digit(text.ptr[0]) && text.ptr[0] != '/' && text.ptr[0] != '_')
        return false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i], next = i + 1 < text.len ? text.ptr[i + 1] : ' ';
        if (is_letter_or_digit(c))
            continue;
        if (c == 0 || digit || !strchr("_./-+=@: ", c) || ((c == ':' || c == ' ') && next == ' '))
            return false;
    }
    return !digit || (!str_starts(text, STR("0b")) && !is_number(text));
}

static uint32_t decode(const char *at, size_t length)
{
    uint32_t c = (unsigned char)at[0];
    if (length > 1)
        c &= 0xFFu >> (length + 1);
    for (size_t i = 1; i < length; i++)
        c = c << 6 | ((unsigned char)at[i] & 0x3F);
    return c;
}

static bool needs_escape(uint32_t c)
{
    return c < 0x20 || c == '"' || c == '\\' || (c >= 0x7F && c <= 0xA0) || c == 0x2028 ||
           c == 0x2029 || c == 0xFEFF || (c & 0xFFFF) >= 0xFFFE;
}

static void put_quoted(struct buf *out, struct str text)
{
    buf_put_char(out, '"');
    while (text.len > 0) {
        size_t length = utf8_length(text.ptr, text.ptr + text.len);
        struct str character = length ? str_sub(text, 0, length) : STR("\xEF\xBF\xBD");
        uint32_t c = decode(character.ptr, character.len);
        if (!needs_escape(c))
            buf_put(out, character);
        else if (c == '\n')
            buf_put(out, STR("\\n"));
        else if (c == '"' || c == '\\')
            buf_printf(out, "\\%c", (char)c);
        else
            buf_printf(out, c > 0xFFFF ? "\\U%08x" : "\\u%04x", c);
        text = str_sub(text, MAX(length, (size_t)1), text.len);
    }
    buf_put_char(out, '"');
}

static void put_text(struct buf *out, struct str text)
{
    if (is_plain(text))
        buf_put(out, text);
    else
        put_quoted(out, text);
}

/* ---- nodes ---- */

static bool is_block(const struct json *node)
{
    return (node->type == JSON_OBJECT || node->type == JSON_ARRAY) && node->count > 0;
}

static void put_flat(struct buf *out, const struct json *node)
{
    struct json_writer w;
    if (node->type == JSON_STRING) {
        put_text(out, node->text);
    } else {
        json_writer_init(&w, out, 0);
        json_tree(&w, node);
    }
}

/* A key of over 1,024 characters (written) must be announced. */
static void put_key(struct buf *out, struct str key, int indent)
{
    enum { SURELY_SHORT = 128 };
    if (key.len > SURELY_SHORT)
        buf_put(out, STR("? "));
    put_text(out, key);
    if (key.len > SURELY_SHORT) {
        buf_put_char(out, '\n');
        put_indent(out, indent);
    }
}

/* The children, each on lines of its own; the first line's indent is there already. */
static void put_block(struct buf *out, const struct json *node, int indent)
{
    bool first = true;
    json_each(child, node)
    {
        if (!first)
            put_indent(out, indent);
        first = false;
        if (node->type == JSON_ARRAY) {
            buf_put(out, STR("- "));
            if (is_block(child)) {
                put_block(out, child, indent + STEP);
                continue;
            }
        } else {
            put_key(out, child->key, indent);
            buf_put(out, is_block(child) ? STR(":\n") : STR(": "));
            if (is_block(child)) {
                int inner = indent + (child->type == JSON_OBJECT ? STEP : 0);
                put_indent(out, inner);
                put_block(out, child, inner);
                continue;
            }
        }
        put_flat(out, child);
        buf_put_char(out, '\n');
    }
}

void yaml_write(struct buf *out, const struct json *root)
{
    if (is_block(root)) {
        put_block(out, root, 0);
        return;
    }
    put_flat(out, root);
    buf_put_char(out, '\n');
}
