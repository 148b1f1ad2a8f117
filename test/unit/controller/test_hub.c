/* SPDX-License-Identifier: Apache-2.0 */
/* What goes wrong between a gateway and the hub: answers that are lost, gateways that go and come back, too many of them. */
#include "base/time.h"
#include "controller/hub.h"
#include "store/usage.h"
#include "test.h"

enum { SLOTS = 8, TODAY = 20000 };

struct fixture {
    struct hub *hub;
    struct arena arena;
    struct routes *routes;
    nsec now;
};

/* A gateway's side: what it would send next, and what it knows. */
struct side {
    struct sync_report report;
    struct sync_tenant tenant;
    struct sync_model model;
    struct sync_replica replica;
    struct sync_orders orders; /* the last that it got */
    unsigned lease;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    f->hub = hub_new();
    f->now = SEC(1);
    arena_init(&f->arena, SIZE_MAX);
    f->routes = routes_new(1);
    struct routes_model *model = routes_add_model(f->routes, STR("sim"));
    routes_add_replica(f->routes, model, 7, STR("127.0.0.1"), 1)->slots = SLOTS;
    hub_set_routes(f->hub, f->routes);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    hub_free(f->hub);
    routes_unref(f->routes);
    arena_fini(&f->arena);
    free(f);
    return 0;
}

static void begin(struct side *s, const char *id, unsigned first_lease)
{
    *s = (struct side){.report.gateway = str_from(id), .lease = first_lease};
    s->tenant.name = STR("team");
    s->model.name = STR("sim");
    s->replica.id = 7;
    s->model.replicas = &s->replica;
    s->report.state = (struct sync_state){&s->tenant, &s->model};
}

static struct sync_orders send(struct fixture *f, struct side *s)
{
    struct sync_orders orders;
    struct err err;
    assert_int_equal(hub_exchange(f->hub, &f->arena, &s->report, f->now, &orders, &err), 0);
    return orders;
}

static void take(struct side *s, const struct sync_orders *orders)
{
    s->orders = *orders;
    s->report.controller = orders->controller;
    s->report.orders = orders->number;
    for (const struct sync_model *m = orders->state.models; m; m = m->next)
        s->lease = m->replicas->count ? m->replicas->count : SLOTS;
}

/* One whole exchange; `requests` were charged since the last one. */
static void exchange(struct fixture *f, struct side *s, uint64_t requests)
{
    s->tenant.did.charge.requests = requests;
    s->report.sequence++;
    struct sync_orders orders = send(f, s);
    take(s, &orders);
}

static uint64_t told_requests(const struct side *s)
{
    for (const struct sync_tenant *t = s->orders.state.tenants; t; t = t->next)
        if (str_eq(t->name, STR("team")))
            return t->did.charge.requests;
    return 0;
}

static void test_a_lost_answer_counts_once(void **state)
{
    struct fixture *f = *state;
    struct side here, there;
    begin(&here, "controller", SLOTS);
    begin(&there, "there", 1);
    exchange(f, &here, 0);
    exchange(f, &there, 0);
    there.tenant.did.charge.requests = 5;
    there.report.sequence++;
    send(f, &there); /* lost */
    send(f, &there); /* lost again */
    struct sync_orders orders = send(f, &there);
    take(&there, &orders);
    exchange(f, &here, 0);
    assert_int_equal(told_requests(&here), 5);
    exchange(f, &there, 2);
    exchange(f, &here, 0);
    assert_int_equal(told_requests(&here), 7);
}

static void test_a_lost_lease_is_not_given_twice(void **state)
{
    struct fixture *f = *state;
    struct side here, there;
    begin(&here, "controller", SLOTS);
    begin(&there, "there", 1);
    exchange(f, &here, 0);
    assert_int_equal(here.lease, SLOTS);
    here.model.waiting = there.model.waiting = 100;
    exchange(f, &there, 0);
    assert_int_equal(there.lease, 1);
    here.report.sequence++;
    send(f, &here); /* its new, smaller lease is lost: it acts by the old one */
    exchange(f, &there, 0);
    assert_int_equal(there.lease, 1);
    exchange(f, &here, 0);
    exchange(f, &here, 0); /* acknowledged */
    exchange(f, &there, 0);
    assert_int_equal(here.lease + there.lease, SLOTS);
    assert_int_equal(here.lease, there.lease);
}

static void test_who_is_silent_has_gone(void **state)
{
    struct fixture *f = *state;
    struct side here, there;
    begin(&here, "controller", SLOTS);
    begin(&there, "there", 1);
    exchange(f, &here, 0);
    there.tenant.did.charge.running = 3;
    there.replica.count = 1;
    exchange(f, &there, 4);
    exchange(f, &here, 0);
    assert_int_equal(here.orders.state.tenants->did.charge.running, 3);
    f->now += HUB_LOST + 1;
    exchange(f, &here, 0);
    assert_true(hub_expire(f->hub, f->now));
    assert_false(hub_expire(f->hub, f->now));
    assert_int_equal(hub_count(f->hub), 1);
    exchange(f, &here, 0);
    assert_int_equal(here.orders.state.tenants->did.charge.running, 0);
    assert_int_equal(told_requests(&here), 4); /* what it has charged stays charged */
    assert_int_equal(here.lease, SLOTS);
    exchange(f, &there, 2); /* it was only cut off */
    assert_false(there.orders.joined);
    exchange(f, &here, 0);
    assert_int_equal(told_requests(&here), 6);
}

static void test_a_late_gateway_begins_where_the_others_are(void **state)
{
    struct fixture *f = *state;
    struct side here, there, late;
    const struct usage row = {.day = TODAY, .tenant = STR("team"), .output_tokens = 9, .cost = 4};
    const struct usage old = {.day = TODAY - 1, .tenant = STR("team"), .output_tokens = 100};
    begin(&here, "controller", SLOTS);
    begin(&there, "there", 1);
    begin(&late, "late", 1);
    here.tenant.level_requests = 30;
    exchange(f, &here, 50);
    exchange(f, &there, 0);
    hub_settle(f->hub, STR("there"), TODAY, &row, 1);
    hub_settle(f->hub, STR("nobody"), TODAY, &row, 1);
    hub_settle(f->hub, STR("there"), TODAY, &old, 1);
    exchange(f, &late, 0);
    assert_true(late.orders.joined);
    assert_int_equal(late.orders.state.tenants->level_requests, 30);
    assert_int_equal(late.orders.state.tenants->did.charge.requests, 0);
    assert_int_equal(late.orders.state.tenants->did.settled_tokens, 18);
    exchange(f, &late, 0);
    assert_false(late.orders.joined);
    exchange(f, &there, 0);
    assert_int_equal(there.orders.state.tenants->did.settled_tokens,
                     9); /* its own is not told it */
    exchange(f, &here, 0);
    for (const struct sync_tenant *t = here.orders.state.tenants; t; t = t->next)
        assert_int_equal(t->did.settled_tokens, 0); /* it has the rows */
}

static void test_there_is_an_end_to_gateways(void **state)
{
    struct fixture *f = *state;
    struct side sides[SHARE_GATEWAYS_MAX + 1];
    struct sync_orders orders;
    struct err err;
    char ids[SHARE_GATEWAYS_MAX + 1][8];
    for (int i = 0; i <= SHARE_GATEWAYS_MAX; i++) {
        snprintf(ids[i], sizeof(ids[i]), "g%d", i);
        begin(&sides[i], ids[i], 1);
        if (i < SHARE_GATEWAYS_MAX)
            exchange(f, &sides[i], 0);
    }
    struct side *last = &sides[SHARE_GATEWAYS_MAX];
    assert_int_equal(hub_exchange(f->hub, &f->arena, &last->report, f->now, &orders, &err),
                     ERR_FULL);
    sides[3].report.leaving = true;
    exchange(f, &sides[3], 0);
    exchange(f, last, 0);
    assert_true(last->orders.joined);
    last->report.gateway = STR("");
    assert_int_equal(hub_exchange(f->hub, &f->arena, &last->report, f->now, &orders, &err),
                     ERR_INVALID);
}

/* A replica that comes is used with one slot by those that joined, until orders say more; one that goes is forgotten. */
static void test_replicas_come_and_go(void **state)
{
    struct fixture *f = *state;
    struct side here, there;
    begin(&here, "controller", SLOTS);
    begin(&there, "there", 1);
    exchange(f, &here, 0);
    exchange(f, &there, 0);
    struct routes *next = routes_new(2);
    struct routes_model *model = routes_add_model(next, STR("sim"));
    routes_add_replica(next, model, 8, STR("127.0.0.1"), 2)->slots = SLOTS;
    hub_set_routes(f->hub, next);
    there.model.waiting = 100;
    exchange(f, &there, 0);
    assert_null(there.orders.state.models); /* one slot, as it knows: the first one acts by all */
    exchange(f, &here, 0);
    exchange(f, &here, 0);
    exchange(f, &there, 0);
    assert_int_equal(there.orders.state.models->replicas->id, 8);
    assert_null(there.orders.state.models->replicas->next);
    assert_in_range(there.lease, SLOTS - 1, SLOTS);
    routes_unref(next);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_lost_answer_counts_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_lost_lease_is_not_given_twice, setup, teardown),
        cmocka_unit_test_setup_teardown(test_who_is_silent_has_gone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_late_gateway_begins_where_the_others_are, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_there_is_an_end_to_gateways, setup, teardown),
        cmocka_unit_test_setup_teardown(test_replicas_come_and_go, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
