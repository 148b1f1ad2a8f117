/* SPDX-License-Identifier: Apache-2.0 */
/* Endpoints and their connections. The calls: http_call.c. */
#include "net/http_client_internal.h"

#include "base/mem.h"

/* What tells one endpoint from another: port, authorities, host, server name. */
enum {
    ENDPOINT_FIXED = sizeof(uint16_t) + sizeof(struct tls_client *),
    ENDPOINT_NAME_MAX = ENDPOINT_FIXED + ENDPOINT_HOST_MAX + 1 + TLS_SERVER_NAME_MAX,
};

/* Idle connections to one server, the latest used first. Lives as long as a call or a connection uses it. */
struct endpoint {
    struct map_node node;
    char name[ENDPOINT_NAME_MAX];
    struct str host, server_name; /* parts of the name */
    uint16_t port;
    struct tls_client *tls; /* ref; NULL: plain */
    struct list idle;       /* of link */
    unsigned idle_count;
    unsigned users; /* calls and links */
    struct http_client *client;
};

/* ---- endpoints ---- */

struct http_client *http_client_new(struct loop *loop, const struct http_client_options *options)
{
    struct http_client *client = NEW(struct http_client);
    client->loop = loop;
    client->options = *options;
    map_init(&client->endpoints);
    return client;
}

/* In binary: no formatting on the way of every call. */
static struct str make_name(char name[ENDPOINT_NAME_MAX], const struct http_call_request *r)
{
    CHECK(r->host.len <= ENDPOINT_HOST_MAX && r->server_name.len <= TLS_SERVER_NAME_MAX);
    memcpy(name, &r->port, sizeof(r->port));
    memcpy(name + sizeof(r->port), &r->tls, sizeof(struct tls_client *));
    char *end = mempcpy(name + ENDPOINT_FIXED, r->host.ptr, r->host.len);
    *end++ = 0;
    if (r->tls)
        end = mempcpy(end, r->server_name.ptr, r->server_name.len);
    return (struct str){name, (size_t)(end - name)};
}

static struct endpoint *endpoint_new(struct http_client *client, const struct http_call_request *r,
                                     struct str name)
{
    struct endpoint *e = NEW(struct endpoint);
    memcpy(e->name, name.ptr, name.len);
    struct str own = {e->name, name.len};
    e->host = str_sub(own, ENDPOINT_FIXED, ENDPOINT_FIXED + r->host.len);
    e->server_name = str_sub(own, ENDPOINT_FIXED + r->host.len + 1, own.len);
    e->port = r->port;
    e->tls = r->tls ? tls_client_ref(r->tls) : NULL;
    list_init(&e->idle);
    e->client = client;
    map_insert(&client->endpoints, own, &e->node);
    return e;
}

struct endpoint *endpoint_get(struct http_client *client, const struct http_call_request *r)
{
    char bytes[ENDPOINT_NAME_MAX];
    struct str name = make_name(bytes, r);
    struct map_node *node = map_find(&client->endpoints, name);
    struct endpoint *e =
        node ? container_of(node, struct endpoint, node) : endpoint_new(client, r, name);
    e->users++;
    return e;
}

void endpoint_release(struct endpoint *e)
{
    if (--e->users > 0)
        return;
    map_remove(&e->client->endpoints, &e->node);
    tls_client_unref(e->tls);
    mem_free(e);
}

void http_client_free(struct http_client *client)
{
    if (!client)
        return;
    CHECK(client->calls == 0);
    /* The last link of an endpoint takes it along. */
    for (struct map_node *n; (n = map_next(&client->endpoints, NULL));) {
        struct endpoint *e = container_of(n, struct endpoint, node);
        link_close(list_first(&e->idle, struct link, in_idle));
    }
    map_fini(&client->endpoints);
    mem_free(client);
}

/* ---- links ---- */

static void on_connected(void *ctx)
{
    call_on_connected(((struct link *)ctx)->call);
}

static void on_bytes(void *ctx, struct str bytes)
{
    struct link *link = ctx;
    if (link->call)
        call_on_bytes(link->call, bytes);
    else /* nothing was asked */
        link_close(link);
}

static void on_ended(void *ctx, int error)
{
    struct link *link = ctx;
    if (link->call)
        call_on_ended(link->call, error);
    else
        link_close(link);
}

static void on_idle_timer(struct loop_timer *timer)
{
    link_close(container_of(timer, struct link, idle_timer));
}

struct link *link_open(struct endpoint *e, struct http_call *call)
{
    struct link *link = NEW(struct link);
    list_init(&link->in_idle);
    link->client = e->client;
    link->endpoint = e;
    e->users++;
    link->call = call;
    link->idle_timer.fire = on_idle_timer;
    const struct stream_events events = {
        .connected = on_connected, .bytes = on_bytes, .ended = on_ended, .ctx = link};
    link->stream =
        stream_connect(e->client->loop, e->host, e->port, e->tls, e->server_name, &events);
    return link;
}

struct link *link_take_idle(struct endpoint *e, struct http_call *call)
{
    struct link *link = list_first(&e->idle, struct link, in_idle);
    if (!link)
        return NULL;
    list_remove(&link->in_idle);
    loop_timer_stop(&link->idle_timer);
    e->idle_count--;
    link->call = call;
    return link;
}

void link_park(struct link *link)
{
    struct endpoint *e = link->endpoint;
    struct http_client *client = link->client;
    if (e->idle_count >= client->options.idle_max) {
        link_close(link);
        return;
    }
    link->call = NULL;
    link->reused = true;
    list_prepend(&e->idle, &link->in_idle);
    e->idle_count++;
    stream_read(link->stream, true);
    loop_timer_start(client->loop, &link->idle_timer, client->options.idle_timeout);
}

void link_close(struct link *link)
{
    loop_timer_stop(&link->idle_timer);
    if (!link->call)
        link->endpoint->idle_count--;
    list_remove(&link->in_idle);
    stream_close(link->stream);
    endpoint_release(link->endpoint);
    mem_free(link);
}
