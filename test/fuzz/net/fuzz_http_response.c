/* SPDX-License-Identifier: Apache-2.0 */
/* A response's head, as the answer to GET and to HEAD. */
#include "pieces.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_round_trip(const struct http_head *h)
{
    struct buf again;
    struct http_head other;
    buf_init(&again, 1 << 24);
    buf_printf(&again, "HTTP/1.%d %d\r\n", h->minor, h->status);
    put_headers(&again, h);
    CHECK(http_parse_response(buf_str(&again), STR("GET"), &other) == 0);
    CHECK(other.status == h->status && same_headers(&other, h) && same_framing(&other, h));
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
    struct http_head h, to_head;
    error = http_parse_response(head, STR("GET"), &h);
    CHECK(error == 0 || error == ERR_PROTOCOL);
    CHECK(http_parse_response(head, STR("HEAD"), &to_head) == error);
    if (error)
        return 0;
    check_head(head, &h);
    CHECK(h.status >= 100 && h.status <= 599 && to_head.body == HTTP_BODY_NONE);
    CHECK(h.body != HTTP_BODY_UNTIL_CLOSE || !h.keep_alive);
    CHECK(h.body == HTTP_BODY_NONE || (h.status >= 200 && h.status != 204 && h.status != 304));
    check_round_trip(&h);
    return 0;
}
