/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a client's, in any pieces, against the protocol layer with a service that answers in every way. Each
 * exchange ends exactly once. The first byte seeds the cuts; its lowest bit says whether a preface is put in front.
 */
#include "base/mem.h"
#include "net/http2_internal.h"
#include "pieces.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct loop *loop;
static unsigned running; /* exchanges that the service has */
static uint64_t seed;

static void stream_on(struct http_exchange *x)
{
    uintptr_t left = (uintptr_t)http_exchange_data(x);
    static const char chunk[5000];
    while (left > 0) {
        http_exchange_set_data(x, (void *)--left);
        if (http_respond_write(x, (struct str){chunk, sizeof(chunk)}) && left)
            return;
    }
    running--;
    http_respond_end(x);
}

static void on_request(void *ctx, struct http_exchange *x)
{
    const struct http_request *r = http_exchange_request(x);
    const struct http_header headers[] = {{STR("X-Upper"), STR("1")},
                                          {STR("connection"), STR("close")}};
    CHECK(r->method.len && r->path.len && http_header_get(&r->headers, STR("host")).ptr);
    running++;
    switch (piece_size(&seed, 4)) {
    case 1:
        running--;
        http_respond(x, 200, headers, ARRAY_LEN(headers), r->body);
        break;
    case 2:
        http_exchange_set_data(x, (void *)(uintptr_t)100);
        http_respond_begin(x, 200, headers, ARRAY_LEN(headers));
        stream_on(x);
        break;
    case 3:
        running--;
        http_respond_abort(x);
        break;
    default: /* is held until the client leaves */
        break;
    }
}

static void on_departed(void *ctx, struct http_exchange *x)
{
    running--;
}

static void on_writable(void *ctx, struct http_exchange *x)
{
    stream_on(x);
}

static void wake(struct http2 *h)
{
}

static void pull(struct http2 *h)
{
    for (int i = 0; i < 1000; i++) {
        struct str frame = http2_pull(h);
        if (frame.len == 0)
            break;
        CHECK(frame.len >= 9 && frame.len <= 9 + 16384);
    }
    http2_tell_relieved(h);
}

static void feed(struct http2 *h, struct str bytes)
{
    while (bytes.len && !http2_is_over(h)) {
        size_t size = piece_size(&seed, bytes.len);
        http2_receive(h, str_sub(bytes, 0, size));
        bytes = str_sub(bytes, size, bytes.len);
        CHECK(h->room <= h->server->options.limits.buffered_max);
        if (piece_size(&seed, 8) < 4)
            pull(h);
    }
    pull(h);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (!loop)
        loop = loop_new();
    struct http_server server = {.loop = loop, .options = {.limits = http_limits_default()}};
    struct conn conn = {.server = &server, .peer = "fuzz"};
    struct http2 h;
    server.options.limits.head_max = 2000;
    server.options.limits.body_max = 100000;
    server.options.limits.buffered_max = 150000;
    server.options.limits.resets_burst = 20;
    server.options.service = (struct http_service){
        .request = on_request, .departed = on_departed, .writable = on_writable};
    list_init(&server.conns);
    list_init(&server.spare);
    running = 0;
    seed = data[0];
    http2_init(&h, &conn, wake);
    if (data[0] & 1)
        http2_receive(&h, STR(HTTP2_PREFACE "\0\0\0\4\0\0\0\0\0"));
    feed(&h, (struct str){(const char *)data + 1, size - 1});
    if (data[0] & 2) {
        http2_drain(&h);
        pull(&h);
    }
    http2_fini(&h);
    CHECK(running == 0 && h.room == 0 && h.unsent == 0);
    server_free_spares(&server);
    return 0;
}
