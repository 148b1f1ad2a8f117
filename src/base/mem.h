/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Heap memory that cannot fail: when the machine itself has none left there is no sensible answer,
 * so these abort. A budget that traffic can use up is not this case: it is an arena or a buf with a
 * cap, whose answer is an error.
 */
#ifndef FAIRWAY_BASE_MEM_H
#define FAIRWAY_BASE_MEM_H

#include <stddef.h>

[[nodiscard]] void *mem_alloc(size_t size); /* zeroed */
[[nodiscard]] void *mem_array(size_t count,
                              size_t size); /* zeroed; aborts when count * size overflows */
[[nodiscard]] void *mem_resize(void *take_memory, size_t size); /* new bytes are not zeroed */
[[nodiscard]] char *mem_strdup(const char *text);
void mem_free(void *memory); /* NULL is fine */

/* For CLEANUP(mem_cleanup) on a `char *` or any other pointer variable. */
void mem_cleanup(void *pointer_to_pointer);

#define NEW(type) ((type *)mem_alloc(sizeof(type)))

#endif
