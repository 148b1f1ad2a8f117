/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/cluster.h"
#include "gpu/simulated.h"
#include "observe/metrics.h"
#include "test.h"

enum { GUESTS = 8 };

struct guest {
    struct cluster_guest room;
    int starts, evictions;
};

static struct metrics *metrics;

struct world {
    struct cluster *c;
    struct gpu_inventory gpus;
    struct guest guests[GUESTS];
};

static void on_start(struct cluster_guest *room)
{
    container_of(room, struct guest, room)->starts++;
}

static void on_evict(struct cluster_guest *room)
{
    container_of(room, struct guest, room)->evictions++;
}

static void set_machine(struct world *w, int64_t memory, bool closed)
{
    const struct cluster_machine machine = {
        .gpus = &w->gpus, .cpu = 8000, .memory = memory, .closed = closed};
    cluster_set_machine(w->c, &machine, 0);
}

static void begin(struct world *w, const char *gpus)
{
    memset(w, 0, sizeof(*w));
    w->c = cluster_new(metrics);
    if (gpus)
        assert_int_equal(gpu_simulated_parse(str_from(gpus), STR("node"), &w->gpus, NULL), 0);
    set_machine(w, 1000, false);
}

static struct guest *add(struct world *w, int i, const char *tenant, struct place_request request)
{
    struct guest *g = &w->guests[i];
    *g = (struct guest){.room = {.start = on_start, .evict = on_evict, .name = STR("guest")}};
    g->room.work.spec = (struct sched_spec){.id = (uint64_t)i + 1,
                                            .queue = cluster_queue(w->c, str_from(tenant)),
                                            .preemptible = true,
                                            .members_min = 1,
                                            .members_max = 1,
                                            .request = request};
    return g;
}

static struct guest *submit(struct world *w, int i, const char *tenant,
                            struct place_request request, nsec now)
{
    struct guest *g = add(w, i, tenant, request);
    assert_int_equal(cluster_submit(w->c, &g->room, now), 0);
    (void)cluster_step(w->c, now);
    return g;
}

static void lease_text(struct world *w, struct guest *g, struct buf *text)
{
    buf_init(text, 4096);
    cluster_lease_write(w->c, &g->room, 0, text);
}

static int read_lease(struct world *w, struct str text, struct place_lease *ret)
{
    struct arena a;
    struct json *tree;
    arena_init(&a, 65536);
    assert_int_equal(json_parse(&a, text, &tree, NULL), 0);
    int error = cluster_lease_read(w->c, tree, ret);
    arena_fini(&a);
    return error;
}

/* The GPUs of a guest are found again by their UUIDs, in whatever order they are listed then. */
static void test_a_lease_outlives_the_order_of_gpus(void **state)
{
    struct world w, later;
    struct place_lease lease;
    struct buf text;
    char before[CLUSTER_DEVICES_MAX], after[CLUSTER_DEVICES_MAX];
    begin(&w, "4xH100-80G");
    submit(&w, 0, "", (struct place_request){.gpus = 1}, 0);
    struct guest *g =
        submit(&w, 1, "", (struct place_request){.gpus = 2, .cpu = 500, .memory = 7}, 0);
    assert_int_equal(g->starts, 1);
    cluster_devices(w.c, &g->room, 0, before);
    lease_text(&w, g, &text);

    begin(&later, "4xH100-80G");
    struct gpu_inventory turned = later.gpus;
    cluster_free(later.c);
    later.c = cluster_new(metrics);
    for (int i = 0; i < 4; i++)
        later.gpus.devices[i] = turned.devices[3 - i];
    set_machine(&later, 1000, false);
    assert_int_equal(read_lease(&later, buf_str(&text), &lease), 0);
    struct guest *again = add(&later, 0, "", g->room.work.spec.request);
    assert_int_equal(cluster_restore(later.c, &again->room, &lease, 1, 0), 0);
    cluster_devices(later.c, &again->room, 0, after);
    assert_int_equal(strlen(before), strlen(after));
    assert_non_null(strstr(before, later.gpus.devices[1].uuid));
    assert_non_null(strstr(after, later.gpus.devices[1].uuid));
    struct buf same;
    lease_text(&later, again, &same);
    assert_int_equal(same.len, text.len);
    buf_fini(&same);
    buf_fini(&text);
    cluster_free(later.c);
    cluster_free(w.c);
}

static void test_a_lease_that_makes_no_sense(void **state)
{
    struct world w;
    struct place_lease lease;
    begin(&w, "1xH100-80G");
    assert_int_equal(read_lease(&w, STR("{}"), &lease), ERR_INVALID);
    assert_int_equal(
        read_lease(&w, STR("{\"cpu\":0,\"memoryMiB\":-1,\"gpuMilli\":0,\"gpuMiB\":0}"), &lease),
        ERR_INVALID);
    assert_int_equal(read_lease(&w,
                                STR("{\"cpu\":0,\"memoryMiB\":1,\"gpuMilli\":1000,\"gpuMiB\":1,"
                                    "\"gpus\":[\"GPU-other\"]}"),
                                &lease),
                     ERR_NOT_FOUND);
    cluster_free(w.c);
}

static void test_a_gpu_that_is_gone_or_ill_empties(void **state)
{
    struct world w;
    char devices[CLUSTER_DEVICES_MAX];
    begin(&w, "2xH100-80G");
    struct guest *a = submit(&w, 0, "", (struct place_request){.gpus = 1}, 0);
    struct guest *b = submit(&w, 1, "", (struct place_request){.gpus = 1}, 0);
    cluster_devices(w.c, &a->room, 0, devices);
    int kept = strcmp(devices, w.gpus.devices[0].uuid) == 0;
    w.gpus.devices[0] = w.gpus.devices[kept]; /* that of `a` is no longer found */
    w.gpus.count = 1;
    set_machine(&w, 1000, false);
    (void)cluster_step(w.c, 0);
    assert_true(a->evictions == 1 && b->evictions == 0);
    assert_int_equal(a->room.work.evict_why, SCHED_ROOM_LOST);
    w.gpus.devices[0].faulty = true;
    set_machine(&w, 1000, false);
    (void)cluster_step(w.c, 0);
    assert_int_equal(b->evictions, 1);
    cluster_ended(w.c, &b->room, SCHED_STOPPED, 0);
    w.gpus.devices[0].faulty = false;
    set_machine(&w, 1000, false);
    (void)cluster_step(w.c, SEC(3600));
    assert_int_equal(b->starts, 2);
    cluster_free(w.c);
}

/* Another GPU in its place: the next reading has one that nobody has seen. */
static void test_a_gpu_is_replaced(void **state)
{
    struct world w;
    char devices[CLUSTER_DEVICES_MAX];
    begin(&w, "1xH100-80G");
    snprintf(w.gpus.devices[0].uuid, GPU_UUID_MAX, "GPU-new");
    set_machine(&w, 1000, false);
    struct guest *g = submit(&w, 0, "", (struct place_request){.gpus = 1}, 0);
    cluster_devices(w.c, &g->room, 0, devices);
    assert_string_equal(devices, "GPU-new");
    cluster_free(w.c);
}

static void test_what_is_given_stays_when_the_machine_has_less(void **state)
{
    struct world w;
    begin(&w, NULL);
    assert_false(cluster_has_gpus(w.c));
    struct guest *a = submit(&w, 0, "", (struct place_request){.memory = 600}, 0);
    set_machine(&w, 500, false);
    struct guest *b = submit(&w, 1, "", (struct place_request){.memory = 1}, 0);
    assert_true(a->starts == 1 && a->evictions == 0 && b->starts == 0);
    char why[CLUSTER_WHY_MAX];
    cluster_why(w.c, &b->room, 0, why);
    assert_non_null(strstr(why, "it lacks 0.0009766 GiB of memory; guest would have to leave"));
    cluster_leave(w.c, &a->room, 0);
    (void)cluster_step(w.c, 0);
    assert_int_equal(b->starts, 1);
    set_machine(&w, 500, true);
    struct guest *c = submit(&w, 2, "", (struct place_request){.memory = 1}, 0);
    cluster_why(w.c, &c->room, 0, why);
    assert_non_null(strstr(why, "spec.cordon"));
    assert_int_equal(b->evictions, 0);
    cluster_free(w.c);
}

static void test_quotas(void **state)
{
    struct world w;
    const struct cluster_quota one = {STR("one"), 1000, 0, QUOTA_NO_LIMIT, 1};
    char why[CLUSTER_WHY_MAX];
    begin(&w, "4xH100-80G");
    struct guest *all = submit(&w, 0, "", (struct place_request){.gpus = 4}, 0);
    assert_int_equal(all->starts, 1); /* no quotas: room alone counts */
    cluster_leave(w.c, &all->room, 0);
    cluster_set_quotas(w.c, &one, 1, 0);
    struct guest *most = submit(&w, 1, "", (struct place_request){.gpus = 4}, 0);
    assert_int_equal(most->starts, 1); /* 3 of its own, 1 borrowed */
    struct guest *two = submit(&w, 2, "one", (struct place_request){.gpus = 2}, 0);
    assert_true(two->starts == 0 && most->evictions == 0);
    cluster_why(w.c, &two->room, 0, why);
    assert_non_null(strstr(why, "tenant one has 1 of its own and uses 0"));
    struct guest *right = submit(&w, 3, "one", (struct place_request){.gpus = 1}, 0);
    assert_int_equal(most->evictions, 1); /* reclaimed */
    cluster_why(w.c, &right->room, 0, why);
    assert_string_equal(why, "others are ending to make room for it");
    cluster_ended(w.c, &most->room, SCHED_STOPPED, 0);
    (void)cluster_step(w.c, 0);
    assert_int_equal(right->starts, 1);
    cluster_set_quotas(w.c, NULL, 0, 0); /* it may borrow now, and so may all */
    (void)cluster_step(w.c, 0);
    assert_int_equal(two->starts, 1);
    cluster_free(w.c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_lease_outlives_the_order_of_gpus),
        cmocka_unit_test(test_a_lease_that_makes_no_sense),
        cmocka_unit_test(test_a_gpu_that_is_gone_or_ill_empties),
        cmocka_unit_test(test_a_gpu_is_replaced),
        cmocka_unit_test(test_what_is_given_stays_when_the_machine_has_less),
        cmocka_unit_test(test_quotas),
    };
    metrics = metrics_new();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    metrics_free(metrics);
    return failed;
}
