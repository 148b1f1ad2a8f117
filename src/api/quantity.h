/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Amounts as Kubernetes writes them: "20Gi" of memory, "500m" of a processor. Suffixes m, k M G T P
 * E (powers of 1000) and Ki Mi Gi Ti Pi Ei (of 1024). Amounts are exact and never negative.
 *
 * Thread rule: none; all functions work on their arguments only.
 */
#ifndef FAIRWAY_API_QUANTITY_H
#define FAIRWAY_API_QUANTITY_H

#include "base/str.h"

/* `unit` is how many parts one whole is counted in: 1 for bytes, 1000 for thousandths of a
 * processor, QUANTITY_MILLIONTHS for money. ERR_PARSE for what is no amount; ERR_INVALID when it is out of range or no whole number
 * of parts. */
[[nodiscard]] int quantity_parse(struct str text, int64_t unit, int64_t *ret_parts);

enum { QUANTITY_MILLIONTHS = 1000000 };

/* The shortest exact text; reads back the same; millionths as a decimal number. Returns text. */
enum { QUANTITY_TEXT_MAX = 32 };
char *quantity_format(int64_t parts, int64_t unit, char text[QUANTITY_TEXT_MAX]);

#endif
