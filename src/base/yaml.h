/* SPDX-License-Identifier: Apache-2.0 */
/*
 * YAML to and from the tree of json.h. JSON is YAML, so this reads both.
 *
 * Reading (libyaml): scalars are typed by YAML 1.2's core schema ("yes" and "012:30" are strings,
 * 0x10 is 16), keys are always text. A key given twice is an error. Anchors and aliases work, as
 * copies, and only so many. Tags other than !!str, !!map and !!seq are errors. No merge keys.
 *
 * Ownership: the tree lives in the given arena and borrows nothing. The raw text of a number is
 * valid JSON; that of a string is empty. Thread rule: none; state is in the arguments.
 */
#ifndef FAIRWAY_BASE_YAML_H
#define FAIRWAY_BASE_YAML_H

#include "base/json.h"

enum {
    YAML_DOCUMENTS_MAX = 1000,
    YAML_MEMBERS_MAX = 1024,    /* of one mapping */
    YAML_ANCHORS_MAX = 256,     /* of one document */
    YAML_ALIAS_NODES_MAX = 8192 /* that aliases copy in one stream; stops "billion laughs" */
};

/* All documents of the stream, as an array; empty ones are left out. Nesting at most
 * JSON_DEPTH_MAX. ERR_PARSE with "line 3, column 7: ..." in err, or ERR_NO_MEMORY. */
[[nodiscard]] int yaml_parse(struct arena *a, struct str text, struct json **ret_documents,
                             struct err *err);

/* Block style, as people write it; read back it is the same tree. Invalid UTF-8 becomes U+FFFD. */
void yaml_write(struct buf *out, const struct json *root);

#endif
