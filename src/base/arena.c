/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "base/mem.h"

enum { ALIGNMENT = alignof(max_align_t), BLOCK_FIRST = 1024, BLOCK_LARGEST = 64 * 1024 };

#if defined(__SANITIZE_ADDRESS__)
#define ONE_BLOCK_EACH 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ONE_BLOCK_EACH 1
#endif
#endif
#ifndef ONE_BLOCK_EACH
#define ONE_BLOCK_EACH 0
#endif

struct arena_block {
    struct arena_block *next;
    size_t size; /* of bytes */
    alignas(max_align_t) char bytes[];
};

struct arena_hook {
    struct arena_hook *next;
    void (*function)(void *argument);
    void *argument;
};

void arena_init(struct arena *a, size_t cap)
{
    *a = (struct arena){.cap = cap};
}

void arena_fini(struct arena *a)
{
    for (struct arena_hook *hook = a->hooks; hook; hook = hook->next)
        hook->function(hook->argument);
    struct arena_block *block = a->blocks;
    while (block) {
        struct arena_block *next = block->next;
        mem_free(block);
        block = next;
    }
    arena_init(a, a->cap);
}

void arena_reset(struct arena *a)
{
    arena_fini(a);
}

static void add_block(struct arena *a, size_t need)
{
    size_t usual = a->blocks ? MIN(a->blocks->size * 2, (size_t)BLOCK_LARGEST) : BLOCK_FIRST;
    size_t size = MAX(ONE_BLOCK_EACH ? 0 : usual, need);
    struct arena_block *block = mem_alloc(sizeof(*block) + size);
    block->next = a->blocks;
    block->size = size;
    a->blocks = block;
    a->next = block->bytes;
    a->left = size;
}

void *arena_alloc(struct arena *a, size_t size)
{
    size_t room = ONE_BLOCK_EACH ? size : (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    if (room < size || room > a->cap - a->used)
        return NULL;
    if (!a->blocks || room > a->left || ONE_BLOCK_EACH)
        add_block(a, room);
    void *memory = a->next;
    a->next += room;
    a->left -= room;
    a->used += room;
    return memory;
}

void *arena_array(struct arena *a, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes))
        return NULL;
    return arena_alloc(a, bytes);
}

struct str arena_dup(struct arena *a, struct str s)
{
    char *copy = s.len < SIZE_MAX ? arena_alloc(a, s.len + 1) : NULL;
    if (!copy)
        return STR_NONE;
    if (s.len)
        memcpy(copy, s.ptr, s.len);
    return (struct str){copy, s.len};
}

struct str arena_printf(struct arena *a, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    CHECK(len >= 0);
    char *text = arena_alloc(a, (size_t)len + 1);
    if (text)
        vsnprintf(text, (size_t)len + 1, format, again);
    va_end(again);
    return text ? (struct str){text, (size_t)len} : STR_NONE;
}

int arena_on_fini(struct arena *a, void (*function)(void *argument), void *argument)
{
    struct arena_hook *hook = ARENA_NEW(a, struct arena_hook);
    if (!hook)
        return ERR_NO_MEMORY;
    *hook = (struct arena_hook){a->hooks, function, argument};
    a->hooks = hook;
    return 0;
}
