/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `struct str`: a borrowed view of bytes, passed by value. It owns nothing and need not end in a
 * zero.
 *
 * Invariant: ptr may be NULL only if len is 0. A str never outlives what it points into; who keeps
 * the bytes copies them (arena_dup, buf_put).
 */
#ifndef FAIRWAY_BASE_STR_H
#define FAIRWAY_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
    const char *ptr; /* borrow */
    size_t len;
};

#define STR(literal) ((struct str){"" literal, sizeof(literal) - 1})
#define STR_NONE     ((struct str){NULL, 0})

/* For printf: "%.*s", STR_ARG(s) */
#define STR_ARG(s) (int)(s).len, (s).ptr

static inline struct str str_from(const char *zero_terminated)
{
    return (struct str){zero_terminated, zero_terminated ? strlen(zero_terminated) : 0};
}

static inline bool str_eq(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* The part [from, to), both clamped to the string. */
struct str str_sub(struct str s, size_t from, size_t to);

bool str_eq_nocase(struct str a, struct str b); /* ASCII letters only */
bool str_starts(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
int str_cmp(struct str a, struct str b); /* <0, 0, >0, bytewise */

/* The index of the first occurrence, or s.len. */
size_t str_find(struct str s, struct str needle);
size_t str_find_char(struct str s, char c);

struct str str_trim(struct str s); /* without spaces, tabs, CR, LF at both ends */

/* Takes the part before the next separator off `*rest`; false when nothing is left. */
bool str_split(struct str *rest, char separator, struct str *ret_part);

/* The whole string as a number: ERR_PARSE for anything else (sign, space, rest), ERR_INVALID when
 * out of range. */
[[nodiscard]] int str_to_u64(struct str s, uint64_t *ret_value);
[[nodiscard]] int str_to_i64(struct str s, int64_t *ret_value);
[[nodiscard]] int str_to_double(struct str s, double *ret_value); /* finite decimal only */

/* Levenshtein distance, for "did you mean"; strings over 64 bytes count as far (SIZE_MAX). */
size_t str_distance(struct str a, struct str b);

#endif
