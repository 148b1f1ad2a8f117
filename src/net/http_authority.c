/* SPDX-License-Identifier: Apache-2.0 */
/* "host[:port]" as in RFC 3986 3.2, without user information and without lists. */
#include "net/http_parser.h"

enum { PORT_DIGITS_MAX = 5 };

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
    return is_digit(c) || ((c | 32) >= 'a' && (c | 32) <= 'f');
}

/* Unreserved characters and those that a name may hold otherwise; no comma. */
static bool is_name_char(char c)
{
    return is_digit(c) || ((c | 32) >= 'a' && (c | 32) <= 'z') ||
           (c != 0 && strchr("-._~!$&'()*+;=", c));
}

static bool is_name(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (is_name_char(s.ptr[i]))
            continue;
        if (s.ptr[i] != '%' || i + 2 >= s.len || !is_hex(s.ptr[i + 1]) || !is_hex(s.ptr[i + 2]))
            return false;
        i += 2;
    }
    return true;
}

/* What stands in brackets: an IPv6 address, maybe with a zone, or a future form "v1.x". */
static bool is_literal(struct str s)
{
    size_t at = 0;
    bool future = s.len > 0 && (s.ptr[0] | 32) == 'v';
    while (at < s.len && (is_hex(s.ptr[at]) || s.ptr[at] == ':' || s.ptr[at] == '.' ||
                          (future && is_name_char(s.ptr[at]))))
        at++;
    return at > 0 && (at == s.len || (s.ptr[at] == '%' && is_name(str_sub(s, at, s.len))));
}

static bool is_port(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!is_digit(s.ptr[i]))
            return false;
    return s.len <= PORT_DIGITS_MAX;
}

bool http_is_authority(struct str s)
{
    bool brackets = s.len > 0 && s.ptr[0] == '[';
    size_t end = str_find_char(s, brackets ? ']' : ':');
    bool good =
        brackets ? end < s.len && is_literal(str_sub(s, 1, end)) : is_name(str_sub(s, 0, end));
    struct str rest = str_sub(s, brackets ? end + 1 : end, s.len);
    if (!good || rest.len == 0)
        return good;
    return rest.ptr[0] == ':' && is_port(str_sub(rest, 1, rest.len));
}
