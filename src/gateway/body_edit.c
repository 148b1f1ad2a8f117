/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/body_edit.h"

void body_edit(struct body_edits *e, struct str body, struct str span, struct str text)
{
    size_t at = (size_t)(span.ptr - body.ptr), i = e->count++;
    CHECK(i < BODY_EDITS_MAX && at + span.len <= body.len);
    for (; i > 0 && e->items[i - 1].at > at; i--)
        e->items[i] = e->items[i - 1];
    e->items[i].at = at;
    e->items[i].len = span.len;
    e->items[i].text = text;
}

struct buf body_edits_apply(const struct body_edits *e, struct str body)
{
    struct buf edited;
    size_t size = body.len, done = 0;
    for (size_t i = 0; i < e->count; i++)
        size += e->items[i].text.len;
    buf_init(&edited, size);
    (void)!buf_reserve(&edited, size);
    for (size_t i = 0; i < e->count; i++) {
        buf_put(&edited, str_sub(body, done, e->items[i].at));
        buf_put(&edited, e->items[i].text);
        done = e->items[i].at + e->items[i].len;
    }
    buf_put(&edited, str_sub(body, done, body.len));
    CHECK(!edited.error);
    return edited;
}
