/* SPDX-License-Identifier: Apache-2.0 */
/* What a plain YAML scalar means (YAML 1.2.2, 10.3.2, core schema). Internal to src/base. */
#ifndef FAIRWAY_BASE_YAML_SCALAR_H
#define FAIRWAY_BASE_YAML_SCALAR_H

#include "base/json.h"

/* Fills type and value of *node; numbers get a raw text that is valid JSON, in the arena. The text of
 * a string is left to the caller. ERR_INVALID for a number that JSON cannot hold (.inf, .nan, a
 * hexadecimal one beyond 64 bits). */
[[nodiscard]] int yaml_resolve(struct arena *a, struct str plain, struct json *node);

#endif
