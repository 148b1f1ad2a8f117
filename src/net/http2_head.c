/* SPDX-License-Identifier: Apache-2.0 */
#include "net/http2_head.h"

enum { FIELD_OVERHEAD = 32 }; /* RFC 9113 6.5.2 */

void http2_head_init(struct http2_head *h, const struct http_limits *limits)
{
    h->limits = limits;
    buf_init(&h->bytes, SIZE_MAX / 2); /* bounded by http2_head_add */
    buf_init(&h->cookie, SIZE_MAX / 2);
}

void http2_head_fini(struct http2_head *h)
{
    buf_fini(&h->bytes);
    buf_fini(&h->cookie);
}

void http2_head_begin(struct http2_head *h)
{
    h->method = h->scheme = h->path = h->authority = h->host = (struct http2_field){0};
    h->count = h->size = 0;
    h->hosts = 0;
    h->status = 0;
    buf_clear(&h->bytes);
    buf_clear(&h->cookie);
}

/* ---- fields in ---- */

static struct http2_field keep(struct http2_head *h, struct str name, struct str value)
{
    const struct http2_field field = {
        .name = h->bytes.len,
        .name_len = name.len,
        .value = h->bytes.len + name.len,
        .value_len = value.len,
    };
    buf_put(&h->bytes, name);
    buf_put(&h->bytes, value);
    return field;
}

static void add_pseudo(struct http2_head *h, struct str name, struct str value)
{
    if (str_eq(name, STR(":method")))
        h->method = keep(h, name, value);
    else if (str_eq(name, STR(":scheme")))
        h->scheme = keep(h, name, value);
    else if (str_eq(name, STR(":path")))
        h->path = keep(h, name, value);
    else if (str_eq(name, STR(":authority")))
        h->authority = keep(h, name, value);
}

/* Crumbs become one field again (RFC 9113 8.2.3). */
static void add_cookie(struct http2_head *h, struct str value)
{
    if (h->cookie.len)
        buf_put(&h->cookie, STR("; "));
    buf_put(&h->cookie, value);
}

static void add_header(struct http2_head *h, struct str name, struct str value)
{
    if (h->count == ARRAY_LEN(h->items)) {
        h->status = 431;
        return;
    }
    h->items[h->count] = keep(h, name, value);
    if (str_eq(name, STR("host"))) {
        h->host = h->items[h->count];
        h->hosts++;
    }
    h->count++;
}

void http2_head_add(struct http2_head *h, struct str name, struct str value)
{
    h->size += name.len + value.len + FIELD_OVERHEAD;
    if (h->status == 0 && str_eq(name, STR(":path")) && value.len > h->limits->target_max)
        h->status = 414;
    if (h->status == 0 && h->size > h->limits->head_max)
        h->status = 431;
    if (h->status)
        return;
    if (name.len && name.ptr[0] == ':')
        add_pseudo(h, name, value);
    else if (str_eq(name, STR("cookie")))
        add_cookie(h, value);
    else
        add_header(h, name, value);
}

/* ---- facts out ---- */

static struct str value_of(const struct buf *bytes, const struct http2_field *field)
{
    return field->name_len ? (struct str){bytes->ptr + field->value, field->value_len} : STR_NONE;
}

static struct str name_of(const struct buf *bytes, const struct http2_field *field)
{
    return (struct str){bytes->ptr + field->name, field->name_len};
}

static int add_item(struct http_head *head, struct str name, struct str value)
{
    if (head->headers.count == HTTP_HEADERS_MAX)
        return 431;
    head->items[head->headers.count++] = (struct http_header){name, value};
    return 0;
}

/* `:authority` and `host` say the same, where both are there. */
static int add_host(const struct http2_head *h, const struct buf *bytes, struct http_head *head)
{
    struct str authority = value_of(bytes, &h->authority), host = value_of(bytes, &h->host);
    if (h->hosts > 1 || (h->hosts && authority.ptr && !str_eq_nocase(authority, host)))
        return 400;
    struct str said = authority.ptr ? authority : host;
    if (!said.ptr || !http_is_authority(said))
        return 400;
    return h->hosts ? 0 : add_item(head, STR("host"), said);
}

static int read_target(const struct http2_head *h, const struct buf *bytes, struct http_head *head)
{
    struct str scheme = value_of(bytes, &h->scheme);
    head->target = value_of(bytes, &h->path);
    if (str_eq(head->method, STR("CONNECT")))
        return 501; /* it has neither scheme nor path */
    if (!str_eq_nocase(scheme, STR("http")) && !str_eq_nocase(scheme, STR("https")))
        return 400;
    int status = http_split_target(head, h->limits->target_max);
    if (status)
        return status;
    return head->target.ptr[0] == '/' || head->target.ptr[0] == '*' ? 0
                                                                    : 400; /* no absolute-form */
}

static int read_framing(bool whole, struct http_head *head)
{
    unsigned lengths = 0;
    bool expects_else = false;
    head->body = whole ? HTTP_BODY_NONE : HTTP_BODY_CHUNKED; /* of unknown length */
    for (size_t i = 0; i < head->headers.count; i++) {
        const struct http_header *item = &head->items[i];
        if (str_eq(item->name, STR("content-length"))) {
            if (lengths++ || str_to_u64(item->value, &head->content_length))
                return 400;
            head->body = whole ? HTTP_BODY_NONE : HTTP_BODY_LENGTH;
        } else if (str_eq(item->name, STR("expect"))) {
            bool known = str_eq_nocase(item->value, STR("100-continue"));
            head->expect_continue |= known && !whole;
            expects_else |= !known;
        }
    }
    return expects_else ? 417 : 0;
}

int http2_head_finish(struct http2_head *h, bool whole, struct buf *bytes,
                      struct http_head *ret_head)
{
    size_t cookie = h->bytes.len;
    buf_put(bytes, buf_str(&h->bytes));
    buf_put(bytes, buf_str(&h->cookie));
    ret_head->method = value_of(bytes, &h->method);
    ret_head->target = ret_head->path = ret_head->query = STR_NONE;
    ret_head->headers = (struct http_headers){ret_head->items, 0};
    ret_head->content_length = 0;
    ret_head->expect_continue = false;
    ret_head->minor = 1;
    int status = h->status;
    for (size_t i = 0; i < h->count && !status; i++)
        status = add_item(ret_head, name_of(bytes, &h->items[i]), value_of(bytes, &h->items[i]));
    if (!status && h->cookie.len)
        status = add_item(ret_head, STR("cookie"), str_sub(buf_str(bytes), cookie, bytes->len));
    if (!status)
        status = read_target(h, bytes, ret_head);
    if (!status)
        status = add_host(h, bytes, ret_head);
    return status ? status : read_framing(whole, ret_head);
}
