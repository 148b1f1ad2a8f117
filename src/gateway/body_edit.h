/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes to a request's body that leave every other byte as it came.
 * Ownership: texts and the body are borrowed until body_edits_apply has returned. Thread rule: none.
 */
#ifndef FAIRWAY_GATEWAY_BODY_EDIT_H
#define FAIRWAY_GATEWAY_BODY_EDIT_H

#include "base/buf.h"

enum { BODY_EDITS_MAX = 4 };

struct body_edits {
    struct {
        size_t at, len; /* of the body: what is replaced */
        struct str text;
    } items[BODY_EDITS_MAX];
    size_t count;
};

/* `span` is a part of the body, empty for an insertion before its place. Parts must not overlap. */
void body_edit(struct body_edits *e, struct str body, struct str span, struct str text);

/* The body with the changes made, in any order they were given. */
struct buf body_edits_apply(const struct body_edits *e, struct str body);

#endif
