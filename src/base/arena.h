/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `struct arena`: memory that dies together, with a cap. One per request, per parsed document, per
 * snapshot.
 *
 * Allocations are never freed one by one. When the cap would be passed, arena_alloc returns NULL:
 * the caller answers with an error (usually ERR_NO_MEMORY). Under AddressSanitizer every allocation
 * is a malloc of its own, so that an overrun is caught.
 *
 * Ownership: the struct is the caller's; what arena_on_fini is given runs at fini/reset, last
 * first. Thread rule: one thread at a time.
 */
#ifndef FAIRWAY_BASE_ARENA_H
#define FAIRWAY_BASE_ARENA_H

#include <stddef.h>

#include "base/check.h"
#include "base/str.h"

struct arena_block;
struct arena_hook;

struct arena {
    struct arena_block *blocks; /* own; the newest first */
    struct arena_hook *hooks;   /* own (inside the arena); the newest first */
    char *next;                 /* first free byte of the newest block */
    size_t left;                /* free bytes of the newest block */
    size_t used;                /* bytes handed out so far, alignment included */
    size_t cap;                 /* most bytes that `used` may reach */
};

void arena_init(struct arena *a, size_t cap);
void arena_fini(struct arena *a);  /* runs the hooks, frees everything */
void arena_reset(struct arena *a); /* arena_fini, then empty with the same cap */

/* Zeroed, aligned for any type; NULL when the cap is reached. Size 0 gives a valid pointer. */
[[nodiscard]] void *arena_alloc(struct arena *a, size_t size);
[[nodiscard]] void *arena_array(struct arena *a, size_t count, size_t size);

/* Copies with a zero behind it (not counted in len); ptr is NULL when the cap is reached. */
[[nodiscard]] struct str arena_dup(struct arena *a, struct str s);
[[nodiscard]] struct str arena_printf(struct arena *a, const char *format, ...) PRINTF_LIKE(2, 3);

/* Runs function(argument) when the arena ends. ERR_NO_MEMORY when the cap is reached: then it will
 * not run. */
[[nodiscard]] int arena_on_fini(struct arena *a, void (*function)(void *argument), void *argument);

#define ARENA_NEW(arena, type) ((type *)arena_alloc((arena), sizeof(type)))

#endif
