/* SPDX-License-Identifier: Apache-2.0 */
#include "api/upstream.h"

#include <string.h>

#include "base/arena.h"
#include "base/mem.h"
#include "net/http_client.h"

#define SCHEME STR("Bearer ")

static char *copy(struct str prefix, struct str text)
{
    char *bytes = mem_alloc(prefix.len + text.len + 1);
    memcpy(bytes, prefix.ptr, prefix.len);
    if (text.len)
        memcpy(bytes + prefix.len, text.ptr, text.len);
    return bytes;
}

struct upstream *upstream_new(struct str url, struct tls_client *tls, struct str key)
{
    struct upstream *u = NEW(struct upstream);
    atomic_init(&u->refs, 1);
    u->text = copy(STR(""), url);
    int error = url_parse(str_from(u->text), &u->url);
    CHECK(!error);
    if (str_ends(u->url.path, STR("/v1")))
        u->url.path.len -= 3;
    while (str_ends(u->url.path, STR("/")))
        u->url.path.len--;
    if (u->url.tls)
        u->tls = tls_client_ref(tls);
    if (key.len)
        u->authorization = (struct str){copy(SCHEME, key), SCHEME.len + key.len};
    return u;
}

/* In particular no end of a line. */
const char *upstream_check_key(struct str key)
{
    for (size_t i = 0; i < key.len; i++)
        if (key.ptr[i] <= ' ' || key.ptr[i] > '~')
            return "an API key is one word of printable ASCII";
    return NULL;
}

struct str upstream_key(const struct upstream *u)
{
    return str_sub(u->authorization, SCHEME.len, u->authorization.len);
}

struct upstream *upstream_ref(struct upstream *u)
{
    if (u)
        atomic_fetch_add(&u->refs, 1);
    return u;
}

void upstream_unref(struct upstream *u)
{
    if (!u || atomic_fetch_sub(&u->refs, 1) != 1)
        return;
    tls_client_unref(u->tls);
    if (u->authorization.len)
        explicit_bzero((char *)u->authorization.ptr, u->authorization.len);
    mem_free((char *)u->authorization.ptr);
    mem_free(u->text);
    mem_free(u);
}

void upstream_prepare(const struct upstream *u, struct http_call_request *request)
{
    request->tls = u->tls;
    request->server_name = u->url.host;
    request->authority = u->url.authority;
    request->base_path = u->url.path;
}
