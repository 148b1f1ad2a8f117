/* SPDX-License-Identifier: Apache-2.0 */
#include "api/names.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_letter(char c)
{
    return is_lower(c) || (c >= 'A' && c <= 'Z');
}

/* Letters, digits and any of `others`; the latter not at either end. */
static bool is_word(struct str text, const char *others, bool upper_case)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        bool inner = i > 0 && i + 1 < text.len;
        if (!is_digit(c) && !(upper_case ? is_letter(c) : is_lower(c)) &&
            !(inner && c && strchr(others, c)))
            return false;
    }
    return text.len > 0;
}

const char *name_check_dns_label(struct str text)
{
    return is_word(text, "-", false) && text.len <= 63
               ? NULL
               : "must be 1 to 63 characters a-z, 0-9 or '-', without '-' at either end";
}

const char *name_check_label_key(struct str text)
{
    size_t slash = str_find_char(text, '/');
    bool prefixed = slash < text.len;
    struct str name = prefixed ? str_sub(text, slash + 1, text.len) : text;
    bool good = is_word(name, "-_.", true) && name.len <= 63 &&
                (!prefixed || (is_word(str_sub(text, 0, slash), "-.", false) && slash <= 253));
    return good ? NULL
                : "must be a name of 1 to 63 letters, digits, '-', '_' or '.', "
                  "optionally after a domain and '/'";
}

const char *name_check_env_variable(struct str text)
{
    bool good = text.len > 0 && text.len <= 256 && !is_digit(text.ptr[0]);
    for (size_t i = 0; good && i < text.len; i++)
        good = is_letter(text.ptr[i]) || is_digit(text.ptr[i]) || text.ptr[i] == '_';
    return good ? NULL : "must be letters, digits or '_', and must not begin with a digit";
}

const char *name_check_model_alias(struct str text)
{
    return is_word(text, "-_./:@+", true) && text.len <= 128
               ? NULL
               : "must be 1 to 128 letters, digits or any of -_./:@+ inside";
}

const char *name_check_sha256(struct str text)
{
    struct str prefix = STR("sha256:");
    bool good = str_starts(text, prefix) && text.len == prefix.len + 64;
    for (size_t i = prefix.len; good && i < text.len; i++)
        good = is_digit(text.ptr[i]) || (text.ptr[i] >= 'a' && text.ptr[i] <= 'f');
    return good ? NULL : "must be sha256: and 64 hexadecimal digits in lower case";
}

const char *name_check_path(struct str text)
{
    return text.len && text.ptr[0] == '/' ? NULL : "must be the whole path, from /";
}
