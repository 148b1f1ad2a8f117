/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gateways in other processes (`fairway gateway --join`): their reports are answered here with orders, routes and keys
 * (api/gateway_sync.h). While there is one, the gateway of this process reports and follows as they do.
 *   POST /v1/gateways/sync    GET /v1/gateways
 */
#include <stdio.h>

#include "api/routes_json.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "controller/admin_internal.h"
#include "controller/hub.h"
#include "core/limit/calendar.h"
#include "store/keys_json.h"

#define GATEWAY_HERE STR("controller") /* the id of the gateway of this process */

void gateways_init(struct gateways *g)
{
    g->hub = hub_new();
    arena_init(&g->arena, SIZE_MAX);
    buf_init(&g->routes_text, ADMIN_REPLY_MAX);
}

void gateways_fini(struct gateways *g)
{
    loop_timer_stop(&g->timer);
    routes_unref(g->routes);
    buf_fini(&g->routes_text);
    arena_fini(&g->arena);
    hub_free(g->hub);
}

void gateways_set_routes(struct gateways *g, struct routes *routes)
{
    routes_unref(g->routes);
    g->routes = routes_ref(routes);
    hub_set_routes(g->hub, routes);
}

void gateways_settle(struct gateways *g, struct str gateway, const struct usage *rows, size_t count)
{
    hub_settle(g->hub, gateway.len ? gateway : GATEWAY_HERE, calendar_day(clock_wall()), rows,
               count);
}

/* ---- the gateway of this process ---- */

static void exchange_here(struct controller *c, bool whole)
{
    struct gateways *g = &c->gateways;
    struct sync_orders orders;
    struct err err;
    arena_reset(&g->arena);
    const struct sync_report report = {
        .gateway = GATEWAY_HERE,
        .address = str_from(c->gateway_url),
        .version = str_from(FAIRWAY_VERSION),
        .controller = hub_id(g->hub),
        .sequence = ++g->sequence,
        .orders = g->orders,
        .routes = g->routes ? g->routes->version : 0,
        .keys = g->keys_version,
        .state = c->options.report(c->options.ctx, &g->arena, whole),
    };
    if (hub_exchange(g->hub, &g->arena, &report, clock_now(), &orders, &err)) {
        log_error("this gateway does not share its limits", log_str("error", err.message));
        return;
    }
    g->orders = orders.number;
    g->exchanged = clock_now();
    c->options.follow(c->options.ctx, &orders);
}

static void on_sync(struct loop_timer *timer)
{
    struct controller *c = container_of(timer, struct controller, gateways.timer);
    hub_expire(c->gateways.hub, clock_now());
    exchange_here(c, false);
    if (hub_count(c->gateways.hub) > 1) /* else it has just heard that it is alone */
        loop_timer_start(c->loop, timer, GATEWAY_SYNC_PERIOD);
}

/* Before somebody's report is answered: what it is told of this gateway is fresh. */
static void refresh_here(struct controller *c, const struct sync_report *report)
{
    bool joins = !hub_find(c->gateways.hub, report->gateway);
    if (joins || clock_now() - c->gateways.exchanged >= GATEWAY_SYNC_PERIOD / 2)
        exchange_here(c, joins);
}

/* ---- reports ---- */

static int write_keys(struct controller *c, struct json_writer *w, struct err *err)
{
    struct key_table *keys;
    int error = key_table_load(c->store, &keys, err);
    if (error)
        return error;
    json_key(w, STR("keys"));
    key_table_write_json(keys, w);
    key_table_free(keys);
    return 0;
}

/* A snapshot's text behind its version, which is the first member. */
static struct str content_of(const struct buf *text)
{
    struct str s = buf_str(text);
    return str_sub(s, str_find_char(s, ','), s.len);
}

/* Many snapshots say what the one before said: they are no news. */
static void render_routes(struct gateways *g)
{
    struct json_writer w;
    struct buf text;
    if (!g->routes || g->rendered == g->routes->version)
        return;
    g->rendered = g->routes->version;
    buf_init(&text, ADMIN_REPLY_MAX);
    json_writer_init(&w, &text, 0);
    routes_write_json(g->routes, &w);
    if (!str_eq(content_of(&text), content_of(&g->routes_text))) {
        struct buf former = g->routes_text;
        g->routes_text = text;
        text = former;
        g->routes_version = g->rendered;
    }
    buf_fini(&text);
}

/* Versions are of one run of the controller. */
static int write_news(struct controller *c, const struct sync_report *report, struct json_writer *w,
                      struct err *err)
{
    struct gateways *g = &c->gateways;
    bool is_known = str_eq(report->controller, hub_id(g->hub));
    render_routes(g);
    if (g->routes && !(is_known && report->routes == g->routes_version)) {
        json_key(w, STR("routes"));
        json_raw(w, buf_str(&g->routes_text));
    }
    if (is_known && report->keys == g->keys_version)
        return 0;
    return write_keys(c, w, err);
}

static int answer(struct controller *c, struct arena *a, struct str body, struct admin_reply *reply,
                  struct err *err)
{
    struct json *tree;
    struct sync_report report;
    struct sync_orders orders;
    int error = json_parse(a, body, &tree, err);
    if (!error)
        error = sync_report_read(a, tree, &report, err);
    if (error)
        return error;
    refresh_here(c, &report);
    error = hub_exchange(c->gateways.hub, a, &report, clock_now(), &orders, err);
    if (error)
        return error;
    orders.keys_version = c->gateways.keys_version;
    if (!loop_timer_running(&c->gateways.timer)) {
        c->gateways.timer.fire = on_sync;
        loop_timer_start(c->loop, &c->gateways.timer, GATEWAY_SYNC_PERIOD);
    }
    json_object(&reply->json);
    sync_orders_write(&orders, &reply->json);
    error = report.leaving ? 0 : write_news(c, &report, &reply->json, err);
    json_end(&reply->json);
    return error;
}

void admin_post_sync(struct controller *c, struct http_exchange *x, struct str rest)
{
    struct admin_reply r;
    struct arena a;
    struct err err;
    arena_init(&a, ADMIN_REPLY_MAX);
    admin_begin(&r);
    int error = answer(c, &a, http_exchange_request(x)->body, &r, &err);
    admin_finish(&r, x, error, &err);
    arena_fini(&a);
}

/* ---- the list ---- */

static void put_member(struct json_writer *w, const struct hub_member *m)
{
    char time[CLOCK_RFC3339_MAX];
    nsec now = clock_now(), wall = clock_wall();
    json_object(w);
    json_member_str(w, STR("id"), str_from(m->id));
    json_member_str(w, STR("address"), str_from(m->address));
    json_member_str(w, STR("version"), str_from(m->version));
    json_member_str(w, STR("joined"), str_from(clock_rfc3339(wall - (now - m->joined), time)));
    json_member_str(w, STR("seen"), str_from(clock_rfc3339(wall - (now - m->seen), time)));
    json_member_u64(w, STR("routes"), m->routes);
    json_member_u64(w, STR("waiting"), m->waiting);
    json_member_u64(w, STR("running"), m->running);
    json_end(w);
}

void admin_get_gateways(struct controller *c, struct http_exchange *x, struct str rest)
{
    struct admin_reply r;
    exchange_here(c, false);
    admin_begin(&r);
    json_object(&r.json);
    json_key(&r.json, STR("items"));
    json_array(&r.json);
    for (unsigned i = 0; i < SHARE_GATEWAYS_MAX; i++)
        if (hub_member(c->gateways.hub, i)->here)
            put_member(&r.json, hub_member(c->gateways.hub, i));
    json_end(&r.json);
    json_end(&r.json);
    admin_send(&r, x, 200);
}
