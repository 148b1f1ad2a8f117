/* SPDX-License-Identifier: Apache-2.0 */
#include "base/yaml_scalar.h"

#include <inttypes.h>

#include "base/json_lex.h"

static bool is_one_of(struct str text, const struct str *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (str_eq(text, words[i]))
            return true;
    return false;
}

#define IS_ONE_OF(text, ...)                             \
    is_one_of((text), (const struct str[]){__VA_ARGS__}, \
              ARRAY_LEN(((const struct str[]){__VA_ARGS__})))

static struct str take_digits(struct str *rest)
{
    size_t count = 0;
    while (count < rest->len && rest->ptr[count] >= '0' && rest->ptr[count] <= '9')
        count++;
    struct str digits = str_sub(*rest, 0, count);
    *rest = str_sub(*rest, count, rest->len);
    return digits;
}

static bool take_char(struct str *rest, const char *any_of, char *ret_char)
{
    if (rest->len == 0 || rest->ptr[0] == 0 || !strchr(any_of, rest->ptr[0]))
        return false;
    *ret_char = rest->ptr[0];
    *rest = str_sub(*rest, 1, rest->len);
    return true;
}

/* The parts of [-+]? digits (. digits)? ([eE] [-+]? digits)? */
struct decimal {
    bool negative;
    struct str whole, fraction, exponent;
    char exponent_sign;
};

static bool split_decimal(struct str text, struct decimal *d)
{
    char c;
    *d = (struct decimal){.exponent_sign = '+'};
    if (take_char(&text, "+-", &c))
        d->negative = c == '-';
    d->whole = take_digits(&text);
    if (take_char(&text, ".", &c))
        d->fraction = take_digits(&text);
    if (d->whole.len + d->fraction.len == 0)
        return false;
    if (take_char(&text, "eE", &c)) {
        take_char(&text, "+-", &d->exponent_sign);
        d->exponent = take_digits(&text);
        if (d->exponent.len == 0)
            return false;
    }
    return text.len == 0;
}

static int set_number(struct arena *a, struct json *node, const struct decimal *d)
{
    struct str whole = d->whole;
    while (whole.len > 1 && whole.ptr[0] == '0')
        whole = str_sub(whole, 1, whole.len);
    if (whole.len == 0)
        whole = STR("0");
    char exponent[] = {'e', d->exponent_sign, 0};
    struct str raw = arena_printf(a, "%s%.*s%s%.*s%s%.*s", d->negative ? "-" : "", STR_ARG(whole),
                                  d->fraction.len ? "." : "", STR_ARG(d->fraction),
                                  d->exponent.len ? exponent : "", STR_ARG(d->exponent));
    if (!raw.ptr)
        return ERR_NO_MEMORY;
    node->type = JSON_NUMBER;
    node->raw = raw;
    node->number = json_number_value(raw);
    return 0;
}

/* 0x1F and 0o17. */
static int set_based(struct arena *a, struct json *node, struct str digits, unsigned shift)
{
    uint64_t value = 0;
    for (size_t i = 0; i < digits.len; i++) {
        char c = digits.ptr[i];
        uint64_t digit = (uint64_t)(c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
        if (value >> (64 - shift))
            return ERR_INVALID;
        value = value << shift | digit;
    }
    node->type = JSON_NUMBER;
    node->raw = arena_printf(a, "%" PRIu64, value);
    node->number = (double)value;
    return node->raw.ptr ? 0 : ERR_NO_MEMORY;
}

static bool all_of(struct str text, const char *set)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] == 0 || !strchr(set, text.ptr[i]))
            return false;
    return text.len > 0;
}

int yaml_resolve(struct arena *a, struct str plain, struct json *node)
{
    struct decimal decimal;
    struct str rest = str_sub(plain, 2, plain.len);
    if (plain.len == 0 || IS_ONE_OF(plain, STR("~"), STR("null"), STR("Null"), STR("NULL"))) {
        node->type = JSON_NULL;
        return 0;
    }
    bool yes = IS_ONE_OF(plain, STR("true"), STR("True"), STR("TRUE"));
    if (yes || IS_ONE_OF(plain, STR("false"), STR("False"), STR("FALSE"))) {
        node->type = JSON_BOOL;
        node->boolean = yes;
        return 0;
    }
    if (split_decimal(plain, &decimal))
        return set_number(a, node, &decimal);
    if (str_starts(plain, STR("0x")) && all_of(rest, "0123456789abcdefABCDEF"))
        return set_based(a, node, rest, 4);
    if (str_starts(plain, STR("0o")) && all_of(rest, "01234567"))
        return set_based(a, node, rest, 3);
    struct str unsigned_text =
        plain.ptr[0] == '+' || plain.ptr[0] == '-' ? str_sub(plain, 1, plain.len) : plain;
    if (IS_ONE_OF(unsigned_text, STR(".inf"), STR(".Inf"), STR(".INF")) ||
        IS_ONE_OF(plain, STR(".nan"), STR(".NaN"), STR(".NAN")))
        return ERR_INVALID;
    node->type = JSON_STRING;
    return 0;
}
