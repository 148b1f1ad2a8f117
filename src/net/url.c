/* SPDX-License-Identifier: Apache-2.0 */
#include "net/url.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "net/tls_client.h"

enum { PORT_HTTP = 80, PORT_HTTPS = 443 };

static bool all_of(struct str s, const char *set)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] == 0 || !strchr(set, s.ptr[i]))
            return false;
    return true;
}

#define LETTERS_AND_DIGITS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

static bool is_address(struct str host, int family)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr address;
    if (host.len >= sizeof(text))
        return false;
    snprintf(text, sizeof(text), "%.*s", STR_ARG(host));
    return inet_pton(family, text, &address) == 1;
}

/* "host", "host:port", "[::1]:port" */
static int parse_authority(struct url *u)
{
    struct str s = u->authority;
    bool brackets = s.len > 0 && s.ptr[0] == '[';
    size_t end = str_find_char(s, brackets ? ']' : ':');
    uint64_t port = u->tls ? PORT_HTTPS : PORT_HTTP;
    u->host = str_sub(s, brackets, end);
    struct str rest = str_sub(s, end + brackets, s.len);
    if (brackets && end == s.len)
        return ERR_INVALID;
    if (rest.len && (rest.ptr[0] != ':' || str_to_u64(str_sub(rest, 1, rest.len), &port)))
        return ERR_INVALID;
    u->numeric = is_address(u->host, brackets ? AF_INET6 : AF_INET);
    bool is_name = all_of(u->host, LETTERS_AND_DIGITS "-._") && u->host.len > 0 &&
                   u->host.len <= TLS_SERVER_NAME_MAX;
    if (port == 0 || port > UINT16_MAX || (brackets ? !u->numeric : !is_name))
        return ERR_INVALID;
    u->port = (uint16_t)port;
    return 0;
}

int url_parse(struct str text, struct url *ret_url)
{
    struct url u = {.tls = str_starts(text, STR("https://"))};
    if (!u.tls && !str_starts(text, STR("http://")))
        return ERR_INVALID;
    struct str rest = str_sub(text, u.tls ? 8 : 7, text.len);
    size_t slash = str_find_char(rest, '/');
    u.authority = str_sub(rest, 0, slash);
    u.path = str_sub(rest, slash, rest.len);
    while (str_ends(u.path, STR("/")))
        u.path.len--;
    if (parse_authority(&u) || !all_of(u.path, LETTERS_AND_DIGITS "-._~!$&'()*+,;=:@/%"))
        return ERR_INVALID;
    *ret_url = u;
    return 0;
}
