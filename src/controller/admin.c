/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The admin API on the socket file of the state folder: who may open the file may do everything. docs/controller.md lists it.
 * Gateways elsewhere reach what they need of it by TCP, with a token.
 */
#include <limits.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "api/api_error.h"
#include "base/clock.h"
#include "base/mem.h"
#include "controller/admin_internal.h"
#include "net/port.h"
#include "store/store.h"

/* ---- answers ---- */

void admin_fail(struct http_exchange *x, const struct err *err)
{
    const struct http_header headers[] = {{STR("content-type"), STR("application/json")}};
    const struct api_error e = {.status = err_http_status(err->code),
                                .message = str_from(err->message)};
    struct buf body;
    buf_init(&body, 64 * 1024);
    api_error_write(&e, &body);
    http_respond(x, e.status, headers, ARRAY_LEN(headers), buf_str(&body));
    buf_fini(&body);
}

void admin_begin(struct admin_reply *r)
{
    buf_init(&r->text, ADMIN_REPLY_MAX);
    json_writer_init(&r->json, &r->text, 0);
}

void admin_send(struct admin_reply *r, struct http_exchange *x, int status)
{
    const struct http_header headers[] = {{STR("content-type"), STR("application/json")}};
    struct err err;
    if (r->text.error) {
        err_set(&err, ERR_TOO_BIG, "the answer is over %d MiB", ADMIN_REPLY_MAX >> 20);
        admin_fail(x, &err);
    } else {
        http_respond(x, status, headers, ARRAY_LEN(headers), buf_str(&r->text));
    }
    buf_fini(&r->text);
}

struct str admin_query(struct str query, struct str name)
{
    struct str pair;
    while (str_split(&query, '&', &pair)) {
        size_t equals = str_find_char(pair, '=');
        if (str_eq(str_sub(pair, 0, equals), name))
            return str_sub(pair, equals + 1, pair.len);
    }
    return STR_NONE;
}

void admin_finish(struct admin_reply *r, struct http_exchange *x, int error, const struct err *err)
{
    if (error) {
        buf_fini(&r->text);
        admin_fail(x, err);
    } else {
        admin_send(r, x, 200);
    }
}

/* ---- /v1/status ---- */

static void get_status(struct controller *c, struct http_exchange *x, struct str rest)
{
    struct admin_reply r;
    char started[CLOCK_RFC3339_MAX];
    admin_begin(&r);
    json_object(&r.json);
    json_member_str(&r.json, STR("version"), str_from(FAIRWAY_VERSION));
    json_member_str(&r.json, STR("gateway"), str_from(c->gateway_url));
    json_member_str(&r.json, STR("state"), str_from(c->state_dir));
    json_member_str(&r.json, STR("started"), str_from(clock_rfc3339(c->started, started)));
    json_key(&r.json, STR("pid"));
    json_int(&r.json, getpid());
    json_end(&r.json);
    admin_send(&r, x, 200);
}

/* ---- /v1/replicas ---- */

static void put_replica(struct json_writer *w, const struct managed_replica *r)
{
    char since[CLOCK_RFC3339_MAX], log_path[PATH_MAX];
    replica_log_path(r, log_path);
    json_object(w);
    json_member_u64(w, STR("id"), r->id);
    json_member_u64(w, STR("run"), r->run);
    json_member_str(w, STR("model"), str_from(r->model->name));
    json_member_str(w, STR("state"), str_from(replica_state_text(r->core.state)));
    json_member_str(w, STR("reason"), str_from(replica_reason_text(r->core.reason)));
    json_member_str(w, STR("since"),
                    str_from(clock_rfc3339(clock_wall() - (clock_now() - r->core.since), since)));
    json_member_u64(w, STR("pid"), r->process ? (uint64_t)process_pid(r->process) : 0);
    json_member_u64(w, STR("port"), r->port);
    json_member_u64(w, STR("memory"), r->process ? process_memory(r->process) : 0);
    json_member_u64(w, STR("memoryWanted"), r->remote ? 0 : wish_memory(&r->model->wish));
    json_member_u64(w, STR("restarts"), r->core.restarts);
    json_member_u64(w, STR("slots"), r->slots);
    if (r->remote) {
        json_member_str(w, STR("url"), remote_url(r));
        json_member_str(w, STR("problem"), str_from(remote_problem(r)));
    } else {
        json_member_str(w, STR("log"), str_from(log_path));
    }
    json_end(w);
}

static void get_replicas(struct controller *c, struct http_exchange *x, struct str name)
{
    struct admin_reply r;
    admin_begin(&r);
    json_object(&r.json);
    json_key(&r.json, STR("items"));
    json_array(&r.json);
    for (struct map_node *n = map_next(&c->models, NULL); n; n = map_next(&c->models, n)) {
        struct managed_model *m = container_of(n, struct managed_model, node);
        if (name.len && !str_eq(name, str_from(m->name)))
            continue;
        list_each(replica, &m->replicas, struct managed_replica, link)
            put_replica(&r.json, replica);
    }
    json_end(&r.json);
    json_end(&r.json);
    admin_send(&r, x, 200);
}

/* ---- /v1/events ---- */

enum { EVENTS_SHOWN = 200, EVENTS_ARENA_MAX = 4 * 1024 * 1024 };

static void put_event(struct json_writer *w, const struct store_event *e)
{
    char at[CLOCK_RFC3339_MAX];
    json_object(w);
    json_member_str(w, STR("time"), str_from(clock_rfc3339(e->at, at)));
    json_key(w, STR("kind"));
    json_str(w, e->kind);
    json_key(w, STR("object"));
    json_str(w, e->name);
    json_key(w, STR("reason"));
    json_str(w, e->reason);
    json_key(w, STR("message"));
    json_str(w, e->message);
    json_end(w);
}

/* The oldest first, as people read; ?kind=Job: of these only. */
static void get_events(struct controller *c, struct http_exchange *x, struct str name)
{
    struct store_event *events;
    struct admin_reply r;
    struct arena a;
    struct err err;
    size_t count;
    arena_init(&a, EVENTS_ARENA_MAX);
    struct str kind = admin_query(http_exchange_request(x)->query, STR("kind"));
    int error = store_list_events(c->store, &a, kind, name, EVENTS_SHOWN, &events, &count, &err);
    if (error) {
        admin_fail(x, &err);
    } else {
        admin_begin(&r);
        json_object(&r.json);
        json_key(&r.json, STR("items"));
        json_array(&r.json);
        while (count > 0)
            put_event(&r.json, &events[--count]);
        json_end(&r.json);
        json_end(&r.json);
        admin_send(&r, x, 200);
    }
    arena_fini(&a);
}

/* ---- the table of URLs: the first that matches ---- */

static const struct {
    struct str method, prefix;
    bool exact;
    admin_answer *answer; /* rest: behind the prefix */
} urls[] = {
    {STR("GET"), STR("/v1/status"), true, get_status},
    {STR("GET"), STR("/v1/replicas"), true, get_replicas},
    {STR("GET"), STR("/v1/replicas/"), false, get_replicas},
    {STR("GET"), STR("/v1/events"), true, get_events},
    {STR("GET"), STR("/v1/events/"), false, get_events},
    {STR("GET"), STR("/v1/logs/"), false, admin_get_log},
    {STR("GET"), STR("/v1/usage"), true, admin_get_usage},
    {STR("POST"), STR("/v1/usage"), true, admin_post_usage},
    {STR("GET"), STR("/v1/gateways"), true, admin_get_gateways},
    {STR("POST"), STR("/v1/gateways/sync"), true, admin_post_sync},
    {STR("GET"), STR("/v1/load"), true, admin_get_load},
    {STR("GET"), STR("/v1/gpus"), true, admin_get_gpus},
    {STR("GET"), STR("/v1/defragmentation"), true, admin_get_defragmentation},
    {STR("GET"), STR("/v1/requests/"), false, admin_get_request},
    {STR("GET"), STR("/v1/keys"), true, admin_get_keys},
    {STR("POST"), STR("/v1/keys"), true, admin_post_key},
    {STR("DELETE"), STR("/v1/keys/"), false, admin_delete_key},
    {STR("GET"), STR("/apis/fairway.dev/v1/nodes"), true, admin_get_nodes},
    {STR("GET"), STR("/apis/fairway.dev/v1/nodes/"), false, admin_get_node},
    {STR("PUT"), STR("/apis/fairway.dev/v1/nodes/"), false, admin_put_node},
    {STR("GET"), STR("/apis/fairway.dev/v1/"), false, admin_get_resources},
    {STR("PUT"), STR("/apis/fairway.dev/v1/"), false, admin_put_resource},
    {STR("DELETE"), STR("/apis/fairway.dev/v1/"), false, admin_delete_resource},
};

static void fail_not_found(struct http_exchange *x, const char *server)
{
    const struct http_request *r = http_exchange_request(x);
    struct err err;
    err_set(&err, ERR_NOT_FOUND, "%s has nothing at %.*s %.*s", server, STR_ARG(r->method),
            (int)MIN(r->path.len, (size_t)200), r->path.ptr);
    admin_fail(x, &err);
}

void admin_fail_not_found(struct http_exchange *x)
{
    fail_not_found(x, "the admin API");
}

static void on_request(void *ctx, struct http_exchange *x)
{
    const struct http_request *r = http_exchange_request(x);
    for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
        bool match =
            urls[i].exact ? str_eq(r->path, urls[i].prefix) : str_starts(r->path, urls[i].prefix);
        if (match && str_eq(r->method, urls[i].method)) {
            urls[i].answer(ctx, x, str_sub(r->path, urls[i].prefix.len, r->path.len));
            return;
        }
    }
    admin_fail_not_found(x);
}

static void on_departed(void *ctx, struct http_exchange *x)
{
    admin_log_departed(x);
}

static void on_writable(void *ctx, struct http_exchange *x)
{
    admin_log_writable(x);
}

static struct http_limits admin_limits(void)
{
    struct http_limits limits = http_limits_default();
    limits.connections_max = 256;
    limits.body_max = 8 * 1024 * 1024; /* a manifest, or a report of some 10,000 tenants */
    return limits;
}

int admin_start(struct controller *c, struct err *err)
{
    char host[PATH_MAX + 32];
    snprintf(host, sizeof(host), "unix:%s/admin.sock", c->state_dir);
    const struct http_server_options options = {
        .host = str_from(host),
        .take_listener = c->options.admin_listener ? dup(c->options.admin_listener) : 0,
        .limits = admin_limits(),
        .service = {.request = on_request,
                    .departed = on_departed,
                    .writable = on_writable,
                    .ctx = c},
    };
    return http_server_new(c->loop, &options, &c->admin, err);
}

/* ---- gateways that join by TCP ---- */

static bool has_token(const struct controller *c, const struct http_request *r)
{
    struct str given = http_header_get(&r->headers, STR("authorization"));
    struct str scheme = str_sub(given, 0, STR("Bearer ").len);
    given = str_sub(given, scheme.len, given.len);
    return str_eq_nocase(scheme, STR("Bearer ")) && given.len == strlen(c->join_token) &&
           CRYPTO_memcmp(given.ptr, c->join_token, given.len) == 0;
}

static void on_join_request(void *ctx, struct http_exchange *x)
{
    struct controller *c = ctx;
    const struct http_request *r = http_exchange_request(x);
    struct err err;
    if (!has_token(c, r)) {
        err_set(&err, ERR_UNAUTHORIZED,
                "to join, send the token that is in join.token of the controller's state folder: "
                "--join-token-file");
        admin_fail(x, &err);
    } else if (str_eq(r->method, STR("POST")) && str_eq(r->path, STR("/v1/gateways/sync"))) {
        admin_post_sync(c, x, STR_NONE);
    } else if (str_eq(r->method, STR("POST")) && str_eq(r->path, STR("/v1/usage"))) {
        admin_post_usage(c, x, STR_NONE);
    } else {
        fail_not_found(x, "--join-listen");
    }
}

int admin_start_joining(struct controller *c, struct err *err)
{
    const struct http_server_options options = {
        .host = c->options.join_host,
        .port = c->options.join_port,
        .limits = admin_limits(),
        .tls = c->options.join_tls,
        .service = {.request = on_join_request, .ctx = c},
    };
    int error = controller_read_token(c, "join.token", c->join_token, err);
    if (!error)
        error = port_check_free(c->options.join_host, c->options.join_port, err);
    return error ? error : http_server_new(c->loop, &options, &c->joining, err);
}
