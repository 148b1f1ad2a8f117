/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/llama_template.h"

/* Skips `prefix` and white space before it; false (and nothing skipped) if it is not there. */
static bool skip(struct str *rest, struct str prefix)
{
    size_t at = 0;
    while (at < rest->len && strchr(" \t\r\n", rest->ptr[at]))
        at++;
    struct str trimmed = str_sub(*rest, at, rest->len);
    if (!str_starts(trimmed, prefix))
        return false;
    *rest = str_sub(trimmed, prefix.len, trimmed.len);
    return true;
}

static bool skip_either(struct str *rest, struct str a, struct str b)
{
    return skip(rest, a) || skip(rest, b);
}

/* Takes a quoted Jinja literal off the front, escapes resolved. False if it is no such thing. */
static bool take_literal(struct str *rest, struct buf *out)
{
    char quote = skip(rest, STR("'")) ? '\'' : (char)(skip(rest, STR("\"")) ? '"' : 0);
    for (size_t i = 0; quote && i < rest->len; i++) {
        char c = rest->ptr[i];
        if (c == quote) {
            *rest = str_sub(*rest, i + 1, rest->len);
            return true;
        }
        if (c == '\\' && i + 1 < rest->len) {
            char escaped = rest->ptr[++i];
            c = (char)(escaped == 'n' ? '\n' : escaped == 't' ? '\t' : escaped);
        }
        buf_put_char(out, c);
    }
    return false;
}

void llama_template_default_system(struct str text, struct buf *out)
{
    static const struct str tests[] = {
        {"messages[0]['role'] != 'system'", 31},
        {"messages[0][\"role\"] != \"system\"", 31},
        {"messages[0].role != 'system'", 28},
        {"messages[0].role != \"system\"", 28},
    };
    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
        size_t at = str_find(text, tests[i]);
        struct str rest = str_sub(text, at + tests[i].len, text.len);
        if (at == text.len || !skip_either(&rest, STR("%}"), STR("-%}")) ||
            !skip_either(&rest, STR("{{-"), STR("{{")))
            continue;
        size_t before = out->len;
        if (take_literal(&rest, out) && skip_either(&rest, STR("}}"), STR("-}}")))
            return;
        buf_truncate(out, before);
    }
}
