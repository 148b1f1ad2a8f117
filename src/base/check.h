/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Assertions that stay on in release, and the few macros that everybody uses.
 *
 * CHECK() states an invariant of our own code: a false one is a bug and aborts with the place and
 * the condition. It is never used on input: bad input gets an error (base/err.h).
 */
#ifndef FAIRWAY_BASE_CHECK_H
#define FAIRWAY_BASE_CHECK_H

#include <stddef.h>

#define CHECK(condition)                                  \
    do {                                                  \
        if (__builtin_expect(!(condition), 0))            \
            check_failed(__FILE__, __LINE__, #condition); \
    } while (0)

_Noreturn void check_failed(const char *file, int line, const char *condition);

/* The object that holds `member`, given a pointer to the member. */
#define container_of(pointer, type, member) \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#define ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))

#ifndef MIN /* sys/param.h has the same */
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#endif

/* Runs `function(&variable)` when the variable's scope ends. */
#define CLEANUP(function) __attribute__((cleanup(function)))
#define PRINTF_LIKE(format_index, first_argument) \
    __attribute__((format(printf, format_index, first_argument)))

#endif
