/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chunked bodies (RFC 9112 7.1), strictly: bytes in, pieces of the body out. No input or output.
 *
 * Every line ends with CRLF and a size is bare hexadecimal digits. Extensions and trailers are
 * checked, counted and dropped. However the bytes are cut into calls, the result is the same.
 *
 * Ownership: nothing is held; the pieces are parts of the caller's bytes. Thread rule: none.
 */
#ifndef FAIRWAY_NET_CHUNKED_H
#define FAIRWAY_NET_CHUNKED_H

#include "base/err.h"
#include "base/str.h"

enum chunked_state {
    CHUNKED_SIZE,
    CHUNKED_EXTENSION,
    CHUNKED_SIZE_LF,
    CHUNKED_DATA,
    CHUNKED_DATA_CR,
    CHUNKED_DATA_LF,
    CHUNKED_TRAILER,
    CHUNKED_TRAILER_LF,
    CHUNKED_DONE,
};

/* Of a whole body, extensions and trailers counted together. */
enum { CHUNKED_EXTENSION_MAX = 1024, CHUNKED_TRAILER_MAX = 8192 };

/* All zero at first. */
struct chunked {
    enum chunked_state state;
    uint64_t left;                       /* bytes of the chunk */
    unsigned digits;                     /* of its size, so far */
    unsigned skipped;                    /* bytes of extensions and trailers, in all */
    bool line_has_bytes, line_has_colon; /* of the trailer's line */
};

/*
 * Takes bytes and hands out the next piece of the body in them: *ret_used bytes are consumed;
 * *ret_data is a part of them, maybe empty. Call again with the rest until nothing is left or state
 * is CHUNKED_DONE (bytes behind the end are not consumed). ERR_PARSE when malformed.
 */
[[nodiscard]] int chunked_feed(struct chunked *c, struct str bytes, size_t *ret_used,
                               struct str *ret_data);

#endif
