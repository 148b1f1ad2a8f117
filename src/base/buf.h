/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `struct buf`: owned, growing bytes with a maximum from birth.
 *
 * Writers do not fail one by one: the first write that would pass the maximum sets `error` to
 * ERR_TOO_BIG and changes nothing; every later write is a no-op; the caller checks `error` once at
 * the end.
 *
 * Ownership: the struct is the caller's memory; the bytes are the buf's until buf_fini.
 * Thread rule: one thread at a time.
 */
#ifndef FAIRWAY_BASE_BUF_H
#define FAIRWAY_BASE_BUF_H

#include <stdarg.h>
#include <stddef.h>

#include "base/check.h"
#include "base/str.h"

struct buf {
    char *ptr; /* own */
    size_t len, cap, max;
    int error; /* 0 or ERR_TOO_BIG; sticky until buf_clear */
};

void buf_init(struct buf *b, size_t max);
void buf_fini(struct buf *b); /* and may be used again as if just initialised */

/* Empty again, error cleared; the memory stays for reuse (buf_fini gives it back). */
void buf_clear(struct buf *b);

void buf_put(struct buf *b, struct str s);
void buf_put_char(struct buf *b, char c);
void buf_put_u64(struct buf *b, uint64_t value);
void buf_printf(struct buf *b, const char *format, ...) PRINTF_LIKE(2, 3);
void buf_vprintf(struct buf *b, const char *format, va_list args) PRINTF_LIKE(2, 0);

/*
 * Room for at least `size` bytes at the end, to be written directly and then claimed with
 * buf_commit(). NULL (and the sticky error) when the maximum would be passed.
 */
[[nodiscard]] char *buf_reserve(struct buf *b, size_t size);
void buf_commit(struct buf *b, size_t size);

void buf_drop_front(struct buf *b, size_t size); /* removes the first bytes; size <= len */
void buf_truncate(struct buf *b, size_t len);    /* keeps the first len bytes; len <= b->len */

static inline struct str buf_str(const struct buf *b)
{
    return (struct str){b->ptr, b->len};
}

/* The bytes with a zero behind them (not counted in len). NULL and the sticky error when there is
 * no room for it. */
[[nodiscard]] const char *buf_cstr(struct buf *b);

#endif
