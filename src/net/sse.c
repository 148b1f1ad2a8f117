/* SPDX-License-Identifier: Apache-2.0 */
#include "net/sse.h"

static bool is_line_end(char c)
{
    return c == '\n' || c == '\r';
}

/* Is the line that ends with the bytes' last one blank? */
static bool ends_with_blank_line(struct str bytes)
{
    size_t at = bytes.len - 1;
    if (!is_line_end(bytes.ptr[at]))
        return false;
    if (at > 0 && bytes.ptr[at] == '\n' && bytes.ptr[at - 1] == '\r')
        at--;
    return at == 0 || is_line_end(bytes.ptr[at - 1]);
}

size_t sse_whole_events(struct str bytes, size_t seen)
{
    for (size_t end = bytes.len; end > seen; end--)
        if (ends_with_blank_line(str_sub(bytes, 0, end)))
            return end;
    return 0;
}

size_t sse_count_events(struct str events)
{
    size_t count = 0, line = 0;
    bool filled = false;
    while (line < events.len) {
        size_t end = line;
        while (end < events.len && events.ptr[end] != '\n' && events.ptr[end] != '\r')
            end++;
        bool blank = end == line;
        count += blank && filled;
        filled = !blank;
        line = end + 1;
        if (end + 1 < events.len && events.ptr[end] == '\r' && events.ptr[end + 1] == '\n')
            line++;
    }
    return count;
}
