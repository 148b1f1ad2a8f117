/* SPDX-License-Identifier: Apache-2.0 */
#include "base/utf8.h"

#include "base/check.h"

bool utf8_valid(struct str s)
{
    while (s.len > 0) {
        size_t length = utf8_length(s.ptr, s.ptr + s.len);
        if (length == 0)
            return false;
        s = str_sub(s, length, s.len);
    }
    return true;
}

size_t utf8_put(uint32_t code_point, char out[4])
{
    CHECK(code_point <= 0x10FFFF && (code_point < 0xD800 || code_point > 0xDFFF));
    if (code_point < 0x80) {
        out[0] = (char)code_point;
        return 1;
    }
    size_t length = code_point < 0x800 ? 2 : code_point < 0x10000 ? 3 : 4;
    for (size_t i = length - 1; i > 0; i--) {
        out[i] = (char)(0x80 | (code_point & 0x3F));
        code_point >>= 6;
    }
    out[0] = (char)((0xF00u >> length) | code_point);
    return length;
}

struct str utf8_cut(struct str s, size_t max)
{
    if (s.len <= max)
        return s;
    while (max > 0 && utf8_is_tail(s.ptr[max]))
        max--;
    return str_sub(s, 0, max);
}
