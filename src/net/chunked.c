/* SPDX-License-Identifier: Apache-2.0 */
#include "net/chunked.h"

enum { SIZE_DIGITS_MAX = 15 }; /* hexadecimal: far from an overflow, more than anybody sends */

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

/* Tab, space and everything visible; no other control byte. */
static bool is_line_char(char c)
{
    return c == '\t' || ((unsigned char)c >= 0x20 && (unsigned char)c != 0x7f);
}

/* ---- one function per state: it takes a byte and moves on ---- */

static int size_byte(struct chunked *c, char byte)
{
    int digit = hex_digit(byte);
    if (digit >= 0) {
        if (c->digits == SIZE_DIGITS_MAX)
            return ERR_PARSE;
        c->digits++;
        c->left = c->left * 16 + (uint64_t)digit;
        return 0;
    }
    if (c->digits == 0 || (byte != '\r' && byte != ';'))
        return ERR_PARSE;
    c->state = byte == ';' ? CHUNKED_EXTENSION : CHUNKED_SIZE_LF;
    return 0;
}

static int extension_byte(struct chunked *c, char byte)
{
    if (byte == '\r') {
        c->state = CHUNKED_SIZE_LF;
        return 0;
    }
    return is_line_char(byte) && ++c->skipped <= CHUNKED_EXTENSION_MAX ? 0 : ERR_PARSE;
}

static int size_lf(struct chunked *c, char byte)
{
    c->state = c->left ? CHUNKED_DATA : CHUNKED_TRAILER;
    c->digits = 0;
    return byte == '\n' ? 0 : ERR_PARSE;
}

static int data_cr(struct chunked *c, char byte)
{
    c->state = CHUNKED_DATA_LF;
    return byte == '\r' ? 0 : ERR_PARSE;
}

static int data_lf(struct chunked *c, char byte)
{
    c->state = CHUNKED_SIZE;
    return byte == '\n' ? 0 : ERR_PARSE;
}

/* "name: value", dropped. A name without a colon, an empty one or one with spaces is no trailer. */
static int trailer_byte(struct chunked *c, char byte)
{
    if (++c->skipped > CHUNKED_TRAILER_MAX)
        return ERR_PARSE;
    if (byte == '\r') {
        c->state = CHUNKED_TRAILER_LF;
        return c->line_has_bytes && !c->line_has_colon ? ERR_PARSE : 0;
    }
    if (!is_line_char(byte))
        return ERR_PARSE;
    if (!c->line_has_colon && (byte == ' ' || byte == '\t'))
        return ERR_PARSE;
    if (!c->line_has_bytes && byte == ':')
        return ERR_PARSE;
    c->line_has_colon |= byte == ':';
    c->line_has_bytes = true;
    return 0;
}

static int trailer_lf(struct chunked *c, char byte)
{
    c->skipped++;
    c->state = c->line_has_bytes ? CHUNKED_TRAILER : CHUNKED_DONE;
    c->line_has_bytes = c->line_has_colon = false;
    return byte == '\n' ? 0 : ERR_PARSE;
}

static int control_byte(struct chunked *c, char byte)
{
    static int (*const states[])(struct chunked * c, char byte) = {
        [CHUNKED_SIZE] = size_byte,        [CHUNKED_EXTENSION] = extension_byte,
        [CHUNKED_SIZE_LF] = size_lf,       [CHUNKED_DATA_CR] = data_cr,
        [CHUNKED_DATA_LF] = data_lf,       [CHUNKED_TRAILER] = trailer_byte,
        [CHUNKED_TRAILER_LF] = trailer_lf,
    };
    return states[c->state](c, byte);
}

static struct str take_data(struct chunked *c, struct str bytes)
{
    struct str data = str_sub(bytes, 0, MIN(bytes.len, c->left));
    c->left -= data.len;
    if (c->left == 0)
        c->state = CHUNKED_DATA_CR;
    return data;
}

int chunked_feed(struct chunked *c, struct str bytes, size_t *ret_used, struct str *ret_data)
{
    size_t at = 0;
    struct str data = STR_NONE;
    while (at < bytes.len && c->state != CHUNKED_DONE && data.len == 0) {
        if (c->state == CHUNKED_DATA) {
            data = take_data(c, str_sub(bytes, at, bytes.len));
            at += data.len;
        } else if (control_byte(c, bytes.ptr[at++])) {
            return ERR_PARSE;
        }
    }
    *ret_data = data;
    *ret_used = at;
    return 0;
}
