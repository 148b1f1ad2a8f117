/* SPDX-License-Identifier: Apache-2.0 */
/* PROXY headers: what is accepted is found in any pieces, at the same length, and names a peer in our spelling. */
#include "net/proxy_protocol.h"
#include "pieces.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str bytes = {(const char *)data, size};
    struct proxy_header whole, part;
    int error = proxy_parse(bytes, &whole);
    CHECK(error == 0 || error == ERR_AGAIN || error == ERR_PARSE);
    if (error)
        return 0;
    CHECK(whole.length > 0 && whole.length <= size && whole.length <= PROXY_HEADER_MAX);
    for (size_t i = 0; i < whole.length; i++)
        CHECK(proxy_parse(str_sub(bytes, 0, i), &part) == ERR_AGAIN);
    CHECK(proxy_parse(str_sub(bytes, 0, whole.length), &part) == 0);
    CHECK(part.length == whole.length && strcmp(part.peer, whole.peer) == 0);
    CHECK(whole.peer[0] == 0 || strcmp(whole.peer, "unix") == 0 || strchr(whole.peer, ':'));
    return 0;
}
