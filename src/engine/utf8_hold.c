/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/utf8_hold.h"

#include "base/utf8.h"

#define REPLACEMENT STR("\xEF\xBF\xBD")

/* Can more bytes make these (1 to 3) a character? True when they do with the least tails. */
static bool may_grow(const char *bytes, size_t len)
{
    unsigned char lead = (unsigned char)bytes[0];
    if (lead < 0xC2 || lead > 0xF4)
        return false;
    size_t whole = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    char trial[4];
    for (size_t i = 0; i < whole; i++)
        trial[i] = (char)(i < len ? bytes[i] : 0x80);
    if (len == 1) /* the ranges of a second byte that are narrower at their lower end */
        trial[1] = (char)(lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80);
    return len < whole && utf8_length(trial, trial + whole) == whole;
}

static void put_byte(struct utf8_hold *hold, char c, struct buf *out)
{
    hold->bytes[hold->len++] = c;
    if (utf8_length(hold->bytes, hold->bytes + hold->len) == hold->len) {
        buf_put(out, (struct str){hold->bytes, hold->len});
        hold->len = 0;
    } else if (!may_grow(hold->bytes, hold->len)) {
        bool again = hold->len > 1; /* the last byte may start a character of its own */
        buf_put(out, REPLACEMENT);
        hold->len = 0;
        if (again)
            put_byte(hold, c, out);
    }
}

void utf8_hold_put(struct utf8_hold *hold, struct str piece, struct buf *out)
{
    for (size_t i = 0; i < piece.len; i++)
        put_byte(hold, piece.ptr[i], out);
}

void utf8_hold_end(struct utf8_hold *hold, struct buf *out)
{
    if (hold->len > 0)
        buf_put(out, REPLACEMENT);
    hold->len = 0;
}
