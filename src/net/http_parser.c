/* SPDX-License-Identifier: Apache-2.0 */
#include "net/http_parser.h"

/* RFC 9110 5.6.2: the characters of a token. */
static bool is_token_char(unsigned char c)
{
    static const bool table[256] = {
        ['!'] = 1, ['#'] = 1, ['$'] = 1, ['%'] = 1,         ['&'] = 1,         ['\''] = 1,
        ['*'] = 1, ['+'] = 1, ['-'] = 1, ['.'] = 1,         ['^'] = 1,         ['_'] = 1,
        ['`'] = 1, ['|'] = 1, ['~'] = 1, ['0' ... '9'] = 1, ['A' ... 'Z'] = 1, ['a' ... 'z'] = 1,
    };
    return table[c];
}

static bool is_token(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!is_token_char((unsigned char)s.ptr[i]))
            return false;
    return s.len > 0;
}

/* Tab, space and everything visible; no other control byte. */
static bool is_line_char(unsigned char c)
{
    return c >= 0x20 ? c != 0x7f : c == '\t';
}

int http_head_end(struct str bytes, size_t *scanned, size_t *ret_length)
{
    for (size_t i = *scanned; i < bytes.len; i++) {
        unsigned char c = (unsigned char)bytes.ptr[i];
        if (is_line_char(c))
            continue;
        if (c == '\r') {
            if (i + 1 == bytes.len) {
                *scanned = i; /* its LF may come */
                return ERR_AGAIN;
            }
            if (bytes.ptr[i + 1] != '\n')
                return ERR_PARSE;
            i++;
            if (i >= 3 && bytes.ptr[i - 2] == '\n') {
                *ret_length = i + 1;
                return 0;
            }
            continue;
        }
        return ERR_PARSE;
    }
    *scanned = bytes.len;
    return ERR_AGAIN;
}

/* Takes one line without its CRLF off a head that http_head_end has found well-formed. */
static struct str take_line(struct str *rest)
{
    size_t end = str_find_char(*rest, '\n');
    struct str line = str_sub(*rest, 0, end - 1);
    *rest = str_sub(*rest, end + 1, rest->len);
    return line;
}

/* "HTTP/1.x"; 0 or the status. */
static int parse_version(struct str s, int *ret_minor)
{
    if (s.len != 8 || !str_starts(s, STR("HTTP/")) || s.ptr[6] != '.' || s.ptr[5] < '0' ||
        s.ptr[5] > '9' || s.ptr[7] < '0' || s.ptr[7] > '9')
        return 400;
    if (s.ptr[5] != '1')
        return 505;
    *ret_minor = s.ptr[7] != '0'; /* RFC 9110 2.5: a higher minor is read as the highest known */
    return 0;
}

static bool is_target(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (c <= ' ' || c >= 0x7f || c == '#')
            return false;
    }
    return s.len > 0;
}

/* The part of an absolute-form target behind "//"; ptr NULL when it is in another form. */
static struct str after_scheme(struct str target)
{
    static const struct str schemes[] = {STR("http://"), STR("https://")};
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++)
        if (str_eq_nocase(str_sub(target, 0, schemes[i].len), schemes[i]))
            return str_sub(target, schemes[i].len, target.len);
    return STR_NONE;
}

static size_t authority_length(struct str s)
{
    size_t at = 0;
    while (at < s.len && s.ptr[at] != '/' && s.ptr[at] != '?')
        at++;
    return at;
}

/* origin-form, absolute-form and "*" (OPTIONS only). */
int http_split_target(struct http_head *h, size_t target_max)
{
    struct str path = h->target, absolute = after_scheme(h->target);
    if (h->target.len > target_max)
        return 414;
    if (!is_target(h->target))
        return 400;
    if (str_eq(h->method, STR("CONNECT")))
        return 501; /* no tunnels */
    if (absolute.ptr) {
        size_t length = authority_length(absolute);
        if (length == 0 || !http_is_authority(str_sub(absolute, 0, length)))
            return 400;
        path = str_sub(absolute, length, absolute.len);
    } else if (path.ptr[0] != '/' &&
               !(str_eq(path, STR("*")) && str_eq(h->method, STR("OPTIONS")))) {
        return 400;
    }
    size_t mark = str_find_char(path, '?');
    h->path = mark ? str_sub(path, 0, mark) : STR("/");
    h->query = mark < path.len ? str_sub(path, mark + 1, path.len) : STR_NONE;
    return 0;
}

static int parse_request_line(struct str line, size_t target_max, struct http_head *h)
{
    size_t first = str_find_char(line, ' ');
    size_t last = line.len;
    while (last > 0 && line.ptr[last - 1] != ' ')
        last--;
    if (first == line.len || last <= first + 1)
        return 400;
    h->method = str_sub(line, 0, first);
    h->target = str_sub(line, first + 1, last - 1);
    if (!is_token(h->method))
        return 400;
    int status = parse_version(str_sub(line, last, line.len), &h->minor);
    return status ? status : http_split_target(h, target_max);
}

static int parse_header_line(struct str line, struct http_header *ret_header)
{
    size_t colon = str_find_char(line, ':');
    if (colon == line.len || !is_token(str_sub(line, 0, colon)))
        return 400; /* obs-fold and space before the colon are no tokens either */
    struct str value = str_sub(line, colon + 1, line.len);
    while (value.len && (value.ptr[0] == ' ' || value.ptr[0] == '\t'))
        value = str_sub(value, 1, value.len);
    while (value.len && (value.ptr[value.len - 1] == ' ' || value.ptr[value.len - 1] == '\t'))
        value.len--;
    *ret_header = (struct http_header){str_sub(line, 0, colon), value};
    return 0;
}

static int parse_headers(struct str rest, struct http_head *h)
{
    h->headers = (struct http_headers){h->items, 0};
    for (;;) {
        struct str line = take_line(&rest);
        if (line.len == 0)
            return 0;
        if (h->headers.count == HTTP_HEADERS_MAX)
            return 431;
        int status = parse_header_line(line, &h->items[h->headers.count]);
        if (status)
            return status;
        h->headers.count++;
    }
}

/* The headers that say how the message goes on. */
struct framing {
    struct str host;
    unsigned hosts, lengths, encodings;
    struct str length, encoding;
    bool close, keep_alive, expects_continue, expects_else;
};

static void read_connection(struct str value, struct framing *f)
{
    struct str option;
    while (str_split(&value, ',', &option)) {
        option = str_trim(option);
        f->close |= str_eq_nocase(option, STR("close"));
        f->keep_alive |= str_eq_nocase(option, STR("keep-alive"));
    }
}

static struct framing read_framing(const struct http_headers *headers)
{
    struct framing f = {0};
    for (size_t i = 0; i < headers->count; i++) {
        const struct http_header *h = &headers->items[i];
        switch (h->name.len) {
        case 4:
            if (str_eq_nocase(h->name, STR("host"))) {
                f.hosts++;
                f.host = h->value;
            }
            break;
        case 6:
            if (str_eq_nocase(h->name, STR("expect"))) {
                bool known = str_eq_nocase(h->value, STR("100-continue"));
                f.expects_continue |= known;
                f.expects_else |= !known;
            }
            break;
        case 10:
            if (str_eq_nocase(h->name, STR("connection")))
                read_connection(h->value, &f);
            break;
        case 14:
            if (str_eq_nocase(h->name, STR("content-length"))) {
                f.lengths++;
                f.length = h->value;
            }
            break;
        case 17:
            if (str_eq_nocase(h->name, STR("transfer-encoding"))) {
                f.encodings++;
                f.encoding = h->value;
            }
            break;
        }
    }
    return f;
}

/* A coding that is not one "chunked": 501 when chunked stands last and once, so that it has an end. */
static int refuse_encoding(struct str value)
{
    struct str coding, last = STR_NONE;
    while (str_split(&value, ',', &coding)) {
        coding = str_trim(coding);
        if (!is_token(coding) || str_eq_nocase(last, STR("chunked")))
            return 400;
        last = coding;
    }
    return str_eq_nocase(last, STR("chunked")) ? 501 : 400;
}

static int request_framing(struct http_head *h)
{
    struct framing f = read_framing(&h->headers);
    if (f.hosts > 1 || (f.hosts == 0 && h->minor == 1) || !http_is_authority(f.host))
        return 400;
    if (f.lengths > 1 || f.encodings > 1 || (f.lengths && f.encodings))
        return 400;
    if (f.encodings && h->minor == 0)
        return 400;
    if (f.encodings && !str_eq_nocase(f.encoding, STR("chunked")))
        return refuse_encoding(f.encoding);
    h->body = f.encodings ? HTTP_BODY_CHUNKED : HTTP_BODY_NONE;
    if (f.lengths) {
        if (str_to_u64(f.length, &h->content_length))
            return 400;
        h->body = h->content_length ? HTTP_BODY_LENGTH : HTTP_BODY_NONE;
    }
    if (f.expects_else)
        return 417;
    h->expect_continue = f.expects_continue && h->minor == 1;
    h->keep_alive = h->minor == 1 ? !f.close : f.keep_alive && !f.close;
    return 0;
}

int http_parse_request(struct str head, size_t target_max, struct http_head *ret_head)
{
    struct str rest = head;
    ret_head->status = 0;
    ret_head->content_length = 0;
    int status = parse_request_line(take_line(&rest), target_max, ret_head);
    if (!status)
        status = parse_headers(rest, ret_head);
    return status ? status : request_framing(ret_head);
}

/* ---- responses ---- */

static int parse_status_line(struct str line, struct http_head *h)
{
    uint64_t status;
    if (line.len < 12 || parse_version(str_sub(line, 0, 8), &h->minor) || line.ptr[8] != ' ' ||
        str_to_u64(str_sub(line, 9, 12), &status) || status < 100 || status > 599)
        return ERR_PROTOCOL;
    if (line.len > 12 && line.ptr[12] != ' ')
        return ERR_PROTOCOL;
    h->status = (int)status;
    return 0;
}

static int response_framing(struct str method, struct http_head *h)
{
    struct framing f = read_framing(&h->headers);
    if (f.lengths > 1 || f.encodings > 1 || (f.lengths && f.encodings))
        return ERR_PROTOCOL;
    if (f.encodings && !str_eq_nocase(f.encoding, STR("chunked")))
        return ERR_PROTOCOL;
    if (f.lengths && str_to_u64(f.length, &h->content_length))
        return ERR_PROTOCOL;
    bool bodyless =
        str_eq(method, STR("HEAD")) || h->status < 200 || h->status == 204 || h->status == 304;
    if (bodyless || (f.lengths && h->content_length == 0))
        h->body = HTTP_BODY_NONE;
    else if (f.encodings)
        h->body = HTTP_BODY_CHUNKED;
    else
        h->body = f.lengths ? HTTP_BODY_LENGTH : HTTP_BODY_UNTIL_CLOSE;
    h->keep_alive = h->minor == 1 ? !f.close : f.keep_alive && !f.close;
    h->keep_alive &= h->body != HTTP_BODY_UNTIL_CLOSE;
    return 0;
}

int http_parse_response(struct str head, struct str method, struct http_head *ret_head)
{
    struct str rest = head;
    ret_head->content_length = 0;
    if (parse_status_line(take_line(&rest), ret_head) || parse_headers(rest, ret_head))
        return ERR_PROTOCOL;
    return response_framing(method, ret_head);
}
