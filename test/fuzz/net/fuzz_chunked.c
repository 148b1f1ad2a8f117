/* SPDX-License-Identifier: Apache-2.0 */
/* A chunked body gives the same in any pieces; the first byte seeds the cuts. */
#include "pieces.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct str bytes = {(const char *)data + 1, size - 1};
    struct chunked_result whole = pieces_chunked(bytes, 0),
                          cut = pieces_chunked(bytes, 1u + data[0]);
    CHECK(whole.error == cut.error && whole.done == cut.done);
    CHECK(whole.error == 0 || whole.error == ERR_PARSE);
    CHECK(str_eq(buf_str(&whole.body), buf_str(&cut.body)));
    CHECK(whole.error || whole.used == cut.used);
    CHECK(whole.done || whole.error || whole.used == bytes.len);
    CHECK(!whole.done || str_ends(str_sub(bytes, 0, whole.used), STR("\r\n\r\n")));
    buf_fini(&whole.body);
    buf_fini(&cut.body);
    return 0;
}
