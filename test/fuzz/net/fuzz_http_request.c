/* SPDX-License-Identifier: Apache-2.0 */
/* A request's head: cut anyhow it ends at the same place; what is accepted means the same when it is written again. */
#include "pieces.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TARGET_MAX = 200 };

static void check_round_trip(const struct http_head *h)
{
    struct buf again;
    struct http_head other;
    buf_init(&again, 1 << 24);
    buf_put(&again, h->method);
    buf_put_char(&again, ' ');
    buf_put(&again, h->target);
    buf_printf(&again, " HTTP/1.%d\r\n", h->minor);
    put_headers(&again, h);
    CHECK(http_parse_request(buf_str(&again), TARGET_MAX, &other) == 0);
    CHECK(str_eq(other.method, h->method) && str_eq(other.target, h->target));
    CHECK(str_eq(other.path, h->path) && str_eq(other.query, h->query));
    CHECK(other.expect_continue == h->expect_continue);
    CHECK(same_headers(&other, h) && same_framing(&other, h));
    buf_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str bytes = {(const char *)data, size};
    size_t scanned = 0, length = 0, length_in_pieces = 0;
    int error = http_head_end(bytes, &scanned, &length);
    CHECK(pieces_head_end(bytes, size + 1, &length_in_pieces) == error &&
          length == length_in_pieces);
    if (error)
        return 0;
    struct str head = str_sub(bytes, 0, length);
    struct http_head h;
    int status = http_parse_request(head, TARGET_MAX, &h);
    CHECK(status == 0 || (status >= 400 && status <= 505));
    if (status)
        return 0;
    check_head(head, &h);
    CHECK(lies_in(h.method, head) && lies_in(h.target, head) && h.target.len <= TARGET_MAX);
    CHECK(h.path.ptr[0] == '/' || str_eq(h.path, STR("*")));
    CHECK(lies_in(h.query, h.target) && h.body != HTTP_BODY_UNTIL_CLOSE);
    CHECK(h.minor == 0 || http_header_get(&h.headers, STR("host")).ptr);
    check_round_trip(&h);
    return 0;
}
