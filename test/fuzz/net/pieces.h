/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Feeds the readers of src/net by pieces of random sizes, as a network does, and gives plain oracles to hold them against.
 * Shared by the fuzz drivers and the property tests.
 */
#ifndef FAIRWAY_TEST_PIECES_H
#define FAIRWAY_TEST_PIECES_H

#include "base/buf.h"
#include "net/chunked.h"
#include "net/http_parser.h"
#include "net/sse.h"

/* splitmix64 (Steele et al. 2014). Mostly small pieces, sometimes a big one. */
static inline size_t piece_size(uint64_t *seed, size_t left)
{
    uint64_t z = (*seed += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z ^= z >> 29;
    size_t size = 1 + (size_t)(z % ((z >> 32) % 4 ? 5 : 300));
    return MIN(size, left);
}

/* http_head_end, with the bytes growing piece by piece. */
static inline int pieces_head_end(struct str bytes, uint64_t seed, size_t *ret_length)
{
    size_t scanned = 0, have = 0;
    int error = ERR_AGAIN;
    while (error == ERR_AGAIN && have < bytes.len) {
        have += piece_size(&seed, bytes.len - have);
        error = http_head_end(str_sub(bytes, 0, have), &scanned, ret_length);
        CHECK(scanned <= have);
    }
    return error;
}

struct chunked_result {
    int error;
    bool done;
    size_t used;
    struct buf body;
};

/* seed 0: in one piece. */
static inline struct chunked_result pieces_chunked(struct str bytes, uint64_t seed)
{
    struct chunked c = {0};
    struct chunked_result r = {0};
    buf_init(&r.body, 1 << 26);
    while (!r.error && !r.done && r.used < bytes.len) {
        size_t size = seed ? piece_size(&seed, bytes.len - r.used) : bytes.len - r.used;
        struct str piece = str_sub(bytes, r.used, r.used + size), data;
        size_t used;
        r.error = chunked_feed(&c, piece, &used, &data);
        if (r.error)
            break;
        CHECK(used > 0 && used <= piece.len && data.len <= used);
        CHECK(data.len == 0 || (data.ptr >= piece.ptr && data.ptr + data.len <= piece.ptr + used));
        buf_put(&r.body, data);
        r.used += used;
        r.done = c.state == CHUNKED_DONE;
    }
    return r;
}

/* Where the last whole event ends, by reading lines from the front. */
static inline size_t oracle_events(struct str bytes)
{
    size_t end = 0, line = 0;
    for (size_t at = 0; at < bytes.len;) {
        if (bytes.ptr[at] != '\r' && bytes.ptr[at] != '\n') {
            at++;
            continue;
        }
        bool blank = at == line;
        at += bytes.ptr[at] == '\r' && at + 1 < bytes.len && bytes.ptr[at + 1] == '\n' ? 2 : 1;
        line = at;
        if (blank)
            end = at;
    }
    return end;
}

/*
 * Passes events on as they become whole. Everything passed on so far ends where an event ends; returns how much that is in the end.
 */
static inline size_t pieces_events(struct str bytes, uint64_t seed)
{
    size_t have = 0, passed = 0;
    while (have < bytes.len) {
        size_t seen = have - passed;
        have += piece_size(&seed, bytes.len - have);
        size_t whole = sse_whole_events(str_sub(bytes, passed, have), seen);
        passed += whole;
        CHECK(whole == 0 || oracle_events(str_sub(bytes, 0, passed)) == passed);
    }
    return passed;
}

/* ---- heads ---- */

static inline bool lies_in(struct str part, struct str whole)
{
    return part.len == 0 || (part.ptr >= whole.ptr && part.ptr + part.len <= whole.ptr + whole.len);
}

/* What holds for every head that was accepted. */
static inline void check_head(struct str head, const struct http_head *h)
{
    unsigned lengths = 0, encodings = 0;
    CHECK(h->minor == 0 || h->minor == 1);
    CHECK(h->headers.count <= HTTP_HEADERS_MAX);
    for (size_t i = 0; i < h->headers.count; i++) {
        struct str name = h->headers.items[i].name, value = h->headers.items[i].value;
        CHECK(name.len && lies_in(name, head) && lies_in(value, head));
        CHECK(str_eq(value, str_trim(value)));
        for (size_t k = 0; k < name.len; k++)
            CHECK(name.ptr[k] > ' ' && name.ptr[k] != ':' && name.ptr[k] != 0x7f);
        for (size_t k = 0; k < value.len; k++)
            CHECK(value.ptr[k] && value.ptr[k] != '\r' && value.ptr[k] != '\n');
        lengths += str_eq_nocase(name, STR("content-length"));
        encodings += str_eq_nocase(name, STR("transfer-encoding"));
    }
    CHECK(lengths + encodings <= 1);
    CHECK(h->body != HTTP_BODY_CHUNKED || encodings == 1);
    CHECK(h->body != HTTP_BODY_LENGTH || (lengths == 1 && h->content_length > 0));
}

static inline bool same_headers(const struct http_head *a, const struct http_head *b)
{
    bool same = a->headers.count == b->headers.count;
    for (size_t i = 0; same && i < a->headers.count; i++)
        same = str_eq(a->headers.items[i].name, b->headers.items[i].name) &&
               str_eq(a->headers.items[i].value, b->headers.items[i].value);
    return same;
}

static inline bool same_framing(const struct http_head *a, const struct http_head *b)
{
    return a->body == b->body && a->content_length == b->content_length &&
           a->keep_alive == b->keep_alive && a->minor == b->minor;
}

/* The headers as a writer would send them. */
static inline void put_headers(struct buf *out, const struct http_head *h)
{
    for (size_t i = 0; i < h->headers.count; i++) {
        buf_put(out, h->headers.items[i].name);
        buf_put(out, STR(": "));
        buf_put(out, h->headers.items[i].value);
        buf_put(out, STR("\r\n"));
    }
    buf_put(out, STR("\r\n"));
}

#endif
