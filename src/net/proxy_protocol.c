/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy_protocol.h"

#include <arpa/inet.h>
#include <stdio.h>

enum {
    V1_MAX = 107, /* with its CRLF */
    V2_HEAD = 16,
    V2_IPV4 = 12, /* bytes of addresses and ports */
    V2_IPV6 = 36,
    V2_UNIX = 216,
};

#define V2_SIGNATURE "\r\n\r\n\0\r\nQUIT\n"

static bool may_begin(struct str bytes, struct str with)
{
    return str_eq(str_sub(bytes, 0, with.len), str_sub(with, 0, bytes.len));
}

static void put_peer(struct proxy_header *h, const char *address, bool is_ipv6, unsigned port)
{
    snprintf(h->peer, sizeof(h->peer), is_ipv6 ? "[%s]:%u" : "%s:%u", address, port);
}

/* ---- version 1: a line of text ---- */

static int take_word(struct str *rest, struct str *ret_word)
{
    size_t end = str_find_char(*rest, ' ');
    *ret_word = str_sub(*rest, 0, end);
    *rest = end < rest->len ? str_sub(*rest, end + 1, rest->len) : STR_NONE;
    return ret_word->len ? 0 : ERR_PARSE;
}

static int take_port(struct str *rest, unsigned *ret_port)
{
    struct str word;
    uint64_t port;
    if (take_word(rest, &word) || str_to_u64(word, &port) || port > UINT16_MAX ||
        (word.len > 1 && word.ptr[0] == '0'))
        return ERR_PARSE;
    *ret_port = (unsigned)port;
    return 0;
}

/* Checked and written anew, so that one address has one spelling. */
static int take_address(struct str *rest, int family, char text[INET6_ADDRSTRLEN])
{
    struct in6_addr address;
    struct str word;
    if (take_word(rest, &word) || word.len >= INET6_ADDRSTRLEN)
        return ERR_PARSE;
    snprintf(text, INET6_ADDRSTRLEN, "%.*s", STR_ARG(word));
    if (strlen(text) != word.len || inet_pton(family, text, &address) != 1)
        return ERR_PARSE;
    return inet_ntop(family, &address, text, INET6_ADDRSTRLEN) ? 0 : ERR_PARSE;
}

static int read_line(struct str line, struct proxy_header *h)
{
    struct str rest = str_sub(line, 6, line.len), protocol;
    char source[INET6_ADDRSTRLEN], target[INET6_ADDRSTRLEN];
    unsigned source_port, target_port;
    if (take_word(&rest, &protocol))
        return ERR_PARSE;
    if (str_eq(protocol, STR("UNKNOWN")))
        return 0; /* what follows says nothing */
    bool is_ipv6 = str_eq(protocol, STR("TCP6"));
    int family = is_ipv6 ? AF_INET6 : AF_INET;
    if (!is_ipv6 && !str_eq(protocol, STR("TCP4")))
        return ERR_PARSE;
    if (take_address(&rest, family, source) || take_address(&rest, family, target) ||
        take_port(&rest, &source_port) || take_port(&rest, &target_port) || rest.ptr)
        return ERR_PARSE;
    put_peer(h, source, is_ipv6, source_port);
    return 0;
}

static int parse_v1(struct str bytes, struct proxy_header *h)
{
    struct str head = str_sub(bytes, 0, V1_MAX);
    size_t end = str_find(head, STR("\r\n"));
    if (end == head.len)
        return head.len == V1_MAX ? ERR_PARSE : ERR_AGAIN;
    h->length = end + 2;
    return read_line(str_sub(head, 0, end), h);
}

/* ---- version 2: binary ---- */

static unsigned read_u16(const char *at)
{
    return (unsigned)(unsigned char)at[0] << 8 | (unsigned char)at[1];
}

static int read_addresses(unsigned family, struct str addresses, struct proxy_header *h)
{
    char text[INET6_ADDRSTRLEN];
    switch (family) {
    case 0: /* unspecified: of the balancer itself */
        return 0;
    case 1:
        if (addresses.len < V2_IPV4 || !inet_ntop(AF_INET, addresses.ptr, text, sizeof(text)))
            return ERR_PARSE;
        put_peer(h, text, false, read_u16(addresses.ptr + 8));
        return 0;
    case 2:
        if (addresses.len < V2_IPV6 || !inet_ntop(AF_INET6, addresses.ptr, text, sizeof(text)))
            return ERR_PARSE;
        put_peer(h, text, true, read_u16(addresses.ptr + 32));
        return 0;
    case 3:
        if (addresses.len < V2_UNIX)
            return ERR_PARSE;
        snprintf(h->peer, sizeof(h->peer), "unix");
        return 0;
    default:
        return ERR_PARSE;
    }
}

static int parse_v2(struct str bytes, struct proxy_header *h)
{
    if (bytes.len < V2_HEAD)
        return ERR_AGAIN;
    unsigned version = (unsigned char)bytes.ptr[12] >> 4, command = bytes.ptr[12] & 15;
    unsigned family = (unsigned char)bytes.ptr[13] >> 4, transport = bytes.ptr[13] & 15;
    h->length = V2_HEAD + read_u16(bytes.ptr + 14);
    if (version != 2 || command > 1 || transport > 2 || h->length > PROXY_HEADER_MAX)
        return ERR_PARSE;
    if (bytes.len < h->length)
        return ERR_AGAIN;
    if (command == 0) /* LOCAL: a health check of the balancer */
        return 0;
    return read_addresses(family, str_sub(bytes, V2_HEAD, h->length), h);
}

int proxy_parse(struct str bytes, struct proxy_header *ret_header)
{
    struct proxy_header h = {0};
    struct str signature = STR(V2_SIGNATURE), word = STR("PROXY ");
    int error = ERR_PARSE;
    if (may_begin(bytes, signature))
        error = bytes.len < signature.len ? ERR_AGAIN : parse_v2(bytes, &h);
    else if (may_begin(bytes, word))
        error = bytes.len < word.len ? ERR_AGAIN : parse_v1(bytes, &h);
    if (error == 0)
        *ret_header = h;
    return error;
}
