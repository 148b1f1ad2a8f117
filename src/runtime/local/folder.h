/* SPDX-License-Identifier: Apache-2.0 */
/* Thread rule: none. */
#ifndef FAIRWAY_RUNTIME_FOLDER_H
#define FAIRWAY_RUNTIME_FOLDER_H

#include "base/err.h"

/* Makes the folder (for its owner alone) and those above it, where they are missing. */
[[nodiscard]] int folder_make(const char *path, struct err *err);

#endif
