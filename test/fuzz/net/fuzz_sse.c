/* SPDX-License-Identifier: Apache-2.0 */
/* Whole events are found where a plain reader finds them, in any pieces; the first byte seeds the cuts. */
#include "pieces.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct str bytes = {(const char *)data + 1, size - 1};
    size_t whole = oracle_events(bytes);
    CHECK(sse_whole_events(bytes, 0) == whole);
    CHECK(pieces_events(bytes, 1u + data[0]) == whole);
    return 0;
}
