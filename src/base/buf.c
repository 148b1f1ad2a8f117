/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <stdio.h>

#include "base/err.h"
#include "base/mem.h"

enum { FIRST_CAPACITY = 256 };

void buf_init(struct buf *b, size_t max)
{
    *b = (struct buf){.max = max};
}

void buf_fini(struct buf *b)
{
    mem_free(b->ptr);
    buf_init(b, b->max);
}

void buf_clear(struct buf *b)
{
    b->len = 0;
    b->error = 0;
}

char *buf_reserve(struct buf *b, size_t size)
{
    if (b->error)
        return NULL;
    if (size > b->max - b->len) {
        b->error = ERR_TOO_BIG;
        return NULL;
    }
    if (size > b->cap - b->len) {
        size_t cap = MAX(b->cap * 2, (size_t)FIRST_CAPACITY);
        cap = MIN(MAX(cap, b->len + size), b->max);
        b->ptr = mem_resize(b->ptr, cap);
        b->cap = cap;
    }
    return b->ptr + b->len;
}

void buf_commit(struct buf *b, size_t size)
{
    CHECK(size <= b->cap - b->len);
    b->len += size;
}

void buf_put(struct buf *b, struct str s)
{
    if (s.len == 0)
        return;
    char *room = buf_reserve(b, s.len);
    if (!room)
        return;
    memcpy(room, s.ptr, s.len);
    b->len += s.len;
}

void buf_put_char(struct buf *b, char c)
{
    buf_put(b, (struct str){&c, 1});
}

void buf_put_u64(struct buf *b, uint64_t value)
{
    char digits[20];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    buf_put(b, (struct str){digits + at, sizeof(digits) - at});
}

void buf_printf(struct buf *b, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    buf_vprintf(b, format, args);
    va_end(args);
}

void buf_vprintf(struct buf *b, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    CHECK(len >= 0);
    /* vsnprintf writes a zero too; it is not part of the content, but it needs room. */
    char *room = buf_reserve(b, (size_t)len + 1);
    if (room) {
        vsnprintf(room, (size_t)len + 1, format, again);
        b->len += (size_t)len;
    }
    va_end(again);
}

void buf_drop_front(struct buf *b, size_t size)
{
    CHECK(size <= b->len);
    if (size == 0)
        return;
    memmove(b->ptr, b->ptr + size, b->len - size);
    b->len -= size;
}

void buf_truncate(struct buf *b, size_t len)
{
    CHECK(len <= b->len);
    b->len = len;
}

const char *buf_cstr(struct buf *b)
{
    char *room = buf_reserve(b, 1);
    if (!room)
        return NULL;
    *room = 0;
    return b->ptr;
}
