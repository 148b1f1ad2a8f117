/* SPDX-License-Identifier: Apache-2.0 */
#include "net/http_parser.h"

enum { SIZE_DIGITS_MAX = 15 };

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}
static bool is_visible(char c)
{
    return c == '\t' || ((unsigned char)c >= 0x20 && (unsigned char)c != 0x7f);
}
static int control_byte(struct chunked *c, char byte)
{
    int digit;
    switch (c->state) {
    case CHUNKED_SIZE:
        digit = hex_digit(byte);
        if (digit >= 0) {
            if (c->digits++ == SIZE_DIGITS_MAX)
                return ERR_PARSE;
            c->left = c->left * 16 + (uint64_t)digit;
            return 0;
        }
        if (c->digits == 0 || (byte != '\r' && byte != ';'))
            return ERR_PARSE;
        c->state = byte == ';' ? CHUNKED_EXTENSION : CHUNKED_SIZE_LF;
        return 0;
    case CHUNKED_EXTENSION:
        if (byte == '\r')
            c->state = CHUNKED_SIZE_LF;
        else if (!is_visible(byte) || ++c->skipped > CHUNKED_EXTENSION_MAX)
            return ERR_PARSE;
        return 0;
    case CHUNKED_SIZE_LF:
        if (byte != '\n')
            return ERR_PARSE;
        c->state = c->left ? CHUNKED_DATA : CHUNKED_TRAILER;
        c->digits = 0;
        c->line_has_bytes = c->line_has_colon = c->after_cr = false;
        return 0;
    case CHUNKED_DATA_CR:
        c->state = CHUNKED_DATA_LF;
        return byte == '\r' ? 0 : ERR_PARSE;
    case CHUNKED_DATA_LF:
        c->state = CHUNKED_SIZE;
        return byte == '\n' ? 0 : ERR_PARSE;
    case CHUNKED_TRAILER:
        if (++c->skipped > CHUNKED_TRAILER_MAX)
            return ERR_PARSE;
        if (c->after_cr) {
            if (byte != '\n' || (c->line_has_bytes && !c->line_has_colon))
                return ERR_PARSE;
            if (!c->line_has_bytes)
                c->state = CHUNKED_DONE;
            c->after_cr = c->line_has_bytes = c->line_has_colon = false;
            return 0;
        }
        if (byte == '\r') {
            c->after_cr = true;
            return 0;
        }
        if (!is_visible(byte) || (!c->line_has_colon && (byte == ' ' || byte == '\t')) ||
            (byte == ':' && !c->line_has_bytes))
            return ERR_PARSE;
        c->line_has_colon |= byte == ':';
        c->line_has_bytes = true;
        return 0;
    case CHUNKED_DATA:
    case CHUNKED_DONE:
        break;
    }
    return ERR_PARSE;
}
int chunked_feed(struct chunked *c, struct str bytes, size_t *ret_used, struct str *ret_data)
{
    size_t at = 0;
    *ret_data = STR_NONE;
    while (at < bytes.len && c->state != CHUNKED_DONE) {
        if (c->state == CHUNKED_DATA) {
            size_t size = MIN(bytes.len - at, c->left);
            *ret_data = str_sub(bytes, at, at + size);
            c->left -= size;
            at += size;
            if (c->left == 0)
                c->state = CHUNKED_DATA_CR;
            break;
        }
        int error = control_byte(c, bytes.ptr[at++]);
        if (error)
            return error;
    }
    *ret_used = at;
    return 0;
}
